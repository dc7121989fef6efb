//! Pure, synchronous execution of plans over ports: tick, executor, recovery
