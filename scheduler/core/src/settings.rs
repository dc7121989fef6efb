//! How a migration is done: mode, protection, limits, compression, and which of them exclude
//! each other.
//!
//! Part of every plan; the executor adds nothing to it. Never decides which settings are good:
//! it says only what QEMU accepts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::units::{Bytes, BytesPerSecond, Span};

/// How a migration is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrationSettings {
    /// How memory travels.
    pub mode: Mode,
    /// How the stream is protected.
    pub transport: Transport,
    /// Cap on the stream before switch-over and on the background stream of post-copy; `None`
    /// leaves it to the link. QEMU lifts it at switch-over.
    pub bandwidth_limit: Option<BytesPerSecond>,
    /// QEMU switches over once the rest is expected to fit into this.
    pub downtime_limit: Span,
    /// Parallel streams. 1 is the one plain stream, more are QEMU's `multifd`. Range 1..=255.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub channels: u8,
    /// What is done to pages before they are sent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compression: Compression,
    /// How auto-converge slows the guest; without meaning in other modes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub throttle: Throttle,
    /// Bitmap reads (QEMU's dirty-sync-count) after the first before the switch to post-copy: 0
    /// switches at once, 1 after the first pass. Without meaning in other modes.
    #[serde(default = "one_read", skip_serializing_if = "is_one_read")]
    pub reads_before_post_copy: u32,
}

impl Default for MigrationSettings {
    /// Pre-copy in the clear over one stream without a cap, with QEMU's downtime limit of 300 ms.
    fn default() -> Self {
        Self {
            mode: Mode::PreCopy,
            transport: Transport::Tcp,
            bandwidth_limit: None,
            downtime_limit: Span::from_millis(300),
            channels: one(),
            compression: Compression::None,
            throttle: Throttle::default(),
            reads_before_post_copy: one_read(),
        }
    }
}

/// How memory travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Rounds of dirty pages while the guest runs on at the source; can be cancelled until the
    /// switch-over.
    PreCopy,
    /// Pre-copy that slows the guest's vCPUs step by step while it dirties too much.
    AutoConverge,
    /// The guest moves first and fetches the rest of its memory over the network. Cannot be
    /// cancelled after the switch; loses the guest when a host is lost.
    PostCopy,
}

/// How the migration stream is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// In the clear.
    Tcp,
    /// QEMU's native TLS with the hosts' certificates.
    Tls,
}

/// What is done to pages before they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Nothing.
    #[default]
    None,
    /// Pages that were sent before are sent as differences, if they are still in this cache at
    /// the source (`xbzrle`).
    Xbzrle {
        /// Size of the cache. QEMU wants a power of two, at least a page.
        cache: Bytes,
    },
    /// Each channel deflates its pages (`multifd-compression` zlib).
    Zlib,
    /// Each channel compresses its pages with Zstandard.
    Zstd,
}

/// How auto-converge slows a guest: QEMU's `cpu-throttle-initial` and `-increment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Part of the time that vCPUs sleep at first, in percent. Range 1..=99.
    pub initial_percent: u8,
    /// What each further step adds. Range 1..=99.
    pub increment_percent: u8,
}

impl Default for Throttle {
    /// QEMU's: 20 and 10.
    fn default() -> Self {
        Self { initial_percent: 20, increment_percent: 10 }
    }
}

/// Version of a QEMU. In files it is a text such as `10.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QemuVersion {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
}

impl QemuVersion {
    /// `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// From libvirt's number, 1,000,000 x major + 1,000 x minor + release.
    pub fn from_libvirt(number: u64) -> Self {
        let part = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
        Self { major: part(number / 1_000_000), minor: part(number / 1000 % 1000) }
    }
}

impl Default for QemuVersion {
    /// 10.0, with which Whimbrel is tested; assumed where a host does not say.
    fn default() -> Self {
        Self::new(10, 0)
    }
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for QemuVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self::new(major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| format!("'{text}' is no version (hint: give it like 10.0)"))
    }
}

impl TryFrom<String> for QemuVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<QemuVersion> for String {
    fn from(version: QemuVersion) -> Self {
        version.to_string()
    }
}

/// First QEMU whose post-copy works beside several channels.
pub const MULTIFD_WITH_POST_COPY: QemuVersion = QemuVersion::new(10, 1);

/// Settings that QEMU would refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingsConflict {
    /// Deltas are coded by the one plain stream only.
    #[error("xbzrle excludes several channels (hint: give 1 channel, or compress with zstd)")]
    XbzrleWithChannels,
    /// zlib and zstd belong to the channels.
    #[error("zlib and zstd compress channels, but there is 1 (hint: give 2 channels or more)")]
    CompressionWithoutChannels,
    /// Too old for both.
    #[error(
        "QEMU {0} refuses post-copy with several channels, {MULTIFD_WITH_POST_COPY} accepts it \
         (hint: give 1 channel)"
    )]
    PostCopyWithChannels(QemuVersion),
    /// No stream at all.
    #[error("0 channels carry nothing (hint: give 1 to 255)")]
    NoChannel,
    /// Outside QEMU's range.
    #[error("a throttle of {0} % is outside QEMU's range, 1 to 99 (hint: 20, then steps of 10)")]
    ThrottleRange(u8),
    /// Not a size that QEMU accepts.
    #[error("an xbzrle cache of {0} is not a power of two of at least 4 KiB (hint: 64 MiB)")]
    CacheSize(Bytes),
}

impl MigrationSettings {
    /// Refuses what QEMU of `version` would refuse.
    ///
    /// # Errors
    /// The first [`SettingsConflict`].
    pub fn check(&self, version: QemuVersion) -> Result<(), SettingsConflict> {
        let several = self.channels > 1;
        let Throttle { initial_percent, increment_percent } = self.throttle;
        let out_of_range = |percent: &u8| !(1..=99).contains(percent);
        if let Some(percent) = [initial_percent, increment_percent].into_iter().find(out_of_range) {
            return Err(SettingsConflict::ThrottleRange(percent));
        }
        match self.compression {
            _ if self.channels == 0 => Err(SettingsConflict::NoChannel),
            Compression::Xbzrle { .. } if several => Err(SettingsConflict::XbzrleWithChannels),
            Compression::Xbzrle { cache }
                if !cache.get().is_power_of_two() || cache.get() < 4096 =>
            {
                Err(SettingsConflict::CacheSize(cache))
            }
            Compression::Zlib | Compression::Zstd if !several => {
                Err(SettingsConflict::CompressionWithoutChannels)
            }
            _ if self.mode == Mode::PostCopy && several && version < MULTIFD_WITH_POST_COPY => {
                Err(SettingsConflict::PostCopyWithChannels(version))
            }
            _ => Ok(()),
        }
    }
}

fn one() -> u8 {
    1
}

fn one_read() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one(channels: &u8) -> bool {
    *channels == one()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one_read(reads: &u32) -> bool {
    *reads == one_read()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_qemu_refuses_is_refused() {
        let plain = MigrationSettings::default();
        let qemu = QemuVersion::new(10, 0);
        let cache = Bytes::mib(64);
        assert_eq!(plain.check(qemu), Ok(()));
        let xbzrle =
            MigrationSettings { compression: Compression::Xbzrle { cache }, ..plain.clone() };
        assert_eq!(xbzrle.check(qemu), Ok(()));
        let both = MigrationSettings { channels: 2, ..xbzrle };
        assert_eq!(both.check(qemu), Err(SettingsConflict::XbzrleWithChannels));
        let zstd = MigrationSettings { compression: Compression::Zstd, ..plain.clone() };
        assert_eq!(zstd.check(qemu), Err(SettingsConflict::CompressionWithoutChannels));
        let post = MigrationSettings { mode: Mode::PostCopy, channels: 2, ..plain.clone() };
        assert_eq!(post.check(qemu), Err(SettingsConflict::PostCopyWithChannels(qemu)));
        assert_eq!(post.check(QemuVersion::new(10, 1)), Ok(()));
        let odd = MigrationSettings {
            compression: Compression::Xbzrle { cache: Bytes::new(5000) },
            ..plain.clone()
        };
        assert_eq!(odd.check(qemu), Err(SettingsConflict::CacheSize(Bytes::new(5000))));
        let throttle = Throttle { initial_percent: 0, increment_percent: 10 };
        let never = MigrationSettings { throttle, ..plain };
        assert_eq!(never.check(qemu), Err(SettingsConflict::ThrottleRange(0)));
    }

    #[test]
    fn plain_settings_read_and_write_as_before_there_were_others() {
        let text = r#"{"mode":"pre-copy","transport":"tcp","bandwidth_limit":null,"downtime_limit":"300 ms"}"#;
        let settings: MigrationSettings = serde_json::from_str(text).unwrap();
        assert_eq!(settings, MigrationSettings::default());
        assert_eq!(serde_json::to_string(&settings).unwrap(), text);
    }

    #[test]
    fn versions() {
        assert_eq!(QemuVersion::from_libvirt(10_000_002), QemuVersion::new(10, 0));
        assert_eq!("7.2".parse(), Ok(QemuVersion::new(7, 2)));
        assert!("ten".parse::<QemuVersion>().unwrap_err().contains("'ten'"));
        assert!(QemuVersion::new(9, 2) < QemuVersion::new(10, 0));
    }
}
