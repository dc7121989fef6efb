//! Reads libvirt hosts into snapshots and telemetry
