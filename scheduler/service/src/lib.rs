//! The whimbrel program: CLI, daemon, gRPC, reports, wiring and writing adapters
