//! Benchmarks of Whimbrel
