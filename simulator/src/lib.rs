//! Deterministic discrete-event cluster that the engine drives through the same seam as a real one
