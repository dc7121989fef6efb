//! Flags that say how a migration would be done, where not as the policy says.

use clap::ValueEnum;
use whimbrel_core::{
    settings::{Compression, MigrationSettings, Mode, Transport},
    units::{Bytes, BytesPerSecond, Span},
};

/// Settings to ask about.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Settings to ask about (the policy's, if left out)")]
pub(super) struct HowArguments {
    /// How memory travels
    #[arg(long, value_enum, conflicts_with = "choose")]
    mode: Option<ModeName>,
    /// Parallel streams, 1 to 255
    #[arg(long, value_name = "NUMBER", conflicts_with = "choose",
        value_parser = clap::value_parser!(u8).range(1..))]
    channels: Option<u8>,
    /// What is done to pages before they are sent; zlib and zstd need several channels
    #[arg(long, value_enum, conflicts_with = "choose")]
    compression: Option<CompressionName>,
    /// QEMU switches over once the rest is expected to fit into this
    #[arg(long, value_name = "SPAN", conflicts_with = "choose")]
    downtime_limit: Option<Span>,
    /// Cap on the stream before the switch-over, such as "60 MiB/s"; no choice exceeds it
    #[arg(long, value_name = "BANDWIDTH")]
    bandwidth_limit: Option<BytesPerSecond>,
    /// Encrypt the stream with QEMU's native TLS
    #[arg(long)]
    tls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeName {
    /// Rounds of dirty pages while the guest runs on
    PreCopy,
    /// Pre-copy that slows the guest while it dirties too much
    AutoConverge,
    /// The guest moves after the first pass and fetches the rest
    PostCopy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompressionName {
    /// Nothing
    None,
    /// Differences to pages sent before, with a cache of 64 MiB
    Xbzrle,
    /// zlib on every channel
    Zlib,
    /// Zstandard on every channel
    Zstd,
}

impl HowArguments {
    /// Whether any was given.
    #[cfg(feature = "serve")]
    pub(super) fn given(&self) -> bool {
        self.mode.is_some()
            || self.channels.is_some()
            || self.compression.is_some()
            || self.downtime_limit.is_some()
            || self.bandwidth_limit.is_some()
            || self.tls
    }

    /// `base` with what was given.
    pub(super) fn over(&self, base: &MigrationSettings) -> MigrationSettings {
        let mode = self.mode.map(|mode| match mode {
            ModeName::PreCopy => Mode::PreCopy,
            ModeName::AutoConverge => Mode::AutoConverge,
            ModeName::PostCopy => Mode::PostCopy,
        });
        let compression = self.compression.map(|compression| match compression {
            CompressionName::None => Compression::None,
            CompressionName::Xbzrle => Compression::Xbzrle { cache: Bytes::mib(64) },
            CompressionName::Zlib => Compression::Zlib,
            CompressionName::Zstd => Compression::Zstd,
        });
        MigrationSettings {
            mode: mode.unwrap_or(base.mode),
            transport: if self.tls { Transport::Tls } else { base.transport },
            bandwidth_limit: self.bandwidth_limit.or(base.bandwidth_limit),
            downtime_limit: self.downtime_limit.unwrap_or(base.downtime_limit),
            channels: self.channels.unwrap_or(base.channels),
            compression: compression.unwrap_or(base.compression),
            ..base.clone()
        }
    }
}
