//! The gRPC API whimbrel.v1 and its generated code
