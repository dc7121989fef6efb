//! The gRPC API `whimbrel.v1`: messages, client and server as Rust code.
//!
//! `proto/whimbrel/v1/whimbrel.proto` is the source and its comments are the reference; the code
//! is generated from it by `cargo xtask proto` and committed, so that a build needs no compiler
//! of protocol buffers.
//!
//! Never here: hand-written conversions or defaults. They are the service's.

/// Package `whimbrel.v1`.
#[expect(
    clippy::pedantic,
    unused_qualifications,
    reason = "generated code is as its generator writes it"
)]
pub mod v1 {
    include!("generated/whimbrel.v1.rs");
}

/// What every message can do: its length in bytes, for example.
pub use prost::Message;

/// The package's encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/whimbrel.v1.bin");
