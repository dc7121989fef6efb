//! Pure planning: snapshot, forecast and policy to a placement in ordered waves, with reasons
