//! What to collect from, and how often.
//!
//! Checked once, when the collector is made. Never read from a file here: the service does that.

use std::collections::BTreeSet;

use thiserror::Error;
use whimbrel_core::{
    HostId,
    units::{Bytes, MilliCores, Span},
};

use crate::{BackoffSettings, windows::WindowSettings};

/// A host to collect from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTarget {
    /// Its name in snapshots.
    pub id: HostId,
    /// Its libvirt URI, such as `qemu+tls://h1/system`.
    pub uri: String,
    /// Memory that guests may use; `None` takes what the machine has.
    pub memory: Option<Bytes>,
    /// CPU that guests may use; `None` takes what the machine has. With a value the host counts
    /// as a part of a machine, and its CPU in use is the sum over its domains.
    pub cpu: Option<MilliCores>,
    /// Whether it takes no new domains.
    pub maintenance: bool,
}

/// How a libvirt connection is opened and watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Longest wait for a connection to open. libvirt has no limit of its own: TCP gives up after
    /// about two minutes.
    pub open_timeout: Span,
    /// Pause between keepalive probes, in whole seconds. Range 1..=3600.
    pub keepalive_interval_seconds: u32,
    /// Unanswered probes after which the peer counts as dead. Range 1..=100. A dead peer is
    /// noticed after interval x (count + 1).
    pub keepalive_count: u32,
}

impl Default for ConnectionSettings {
    /// A dead host is noticed within 8 s, two lost probes in a row are forgiven.
    fn default() -> Self {
        Self {
            open_timeout: Span::from_seconds(5),
            keepalive_interval_seconds: 2,
            keepalive_count: 3,
        }
    }
}

/// How the collector works.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectorSettings {
    /// Time between full readings of a host. Range 100 ms..=1 h.
    pub period: Span,
    /// A host that last answered longer ago than this is unreachable, even while a call to it is
    /// still waiting. At least `period`.
    pub silent_after: Span,
    /// The dirty-rate windows.
    pub windows: WindowSettings,
    /// Pauses between attempts to reconnect.
    pub backoff: BackoffSettings,
    /// The connections.
    pub connection: ConnectionSettings,
}

impl Default for CollectorSettings {
    /// Full readings every 2 s; silence counts after five of them.
    fn default() -> Self {
        Self {
            period: Span::from_seconds(2),
            silent_after: Span::from_seconds(10),
            windows: WindowSettings::default(),
            backoff: BackoffSettings::default(),
            connection: ConnectionSettings::default(),
        }
    }
}

/// Why a collector was not started.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A value out of its range.
    #[error("collector setting {name} is {value}, its range is {range} (hint: correct it)")]
    OutOfRange {
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// Two hosts of one name.
    #[error("host {host} is listed twice (hint: give every host its own name)")]
    DuplicateHost {
        /// The name.
        host: HostId,
    },
    /// The operating system gave no thread.
    #[error("host {host}: no thread for its worker: {message} (hint: raise the limit of threads)")]
    NoThread {
        /// The host.
        host: HostId,
        /// What the system said.
        message: String,
    },
}

impl CollectorSettings {
    /// Refuses values that could not work.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`] with the first bad one.
    pub fn check(&self) -> Result<(), SettingsError> {
        let millis = |span: Span| span.as_millis();
        within("period", millis(self.period), 100..=3_600_000, "100 ms..=1 h")?;
        within(
            "silent_after",
            millis(self.silent_after),
            millis(self.period)..=86_400_000,
            "period..=1 d",
        )?;
        within("backoff.first", millis(self.backoff.first), 1..=3_600_000, "1 ms..=1 h")?;
        within(
            "backoff.longest",
            millis(self.backoff.longest),
            millis(self.backoff.first)..=86_400_000,
            "backoff.first..=1 d",
        )?;
        let connection = &self.connection;
        within(
            "connection.open_timeout",
            millis(connection.open_timeout),
            1..=600_000,
            "1 ms..=10 min",
        )?;
        within(
            "connection.keepalive_interval_seconds",
            connection.keepalive_interval_seconds.into(),
            1..=3600,
            "1..=3600",
        )?;
        within(
            "connection.keepalive_count",
            connection.keepalive_count.into(),
            1..=100,
            "1..=100",
        )?;
        self.windows.check()
    }
}

/// Refuses `value` outside of `range`.
pub(crate) fn within(
    name: &'static str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
    text: &'static str,
) -> Result<(), SettingsError> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(SettingsError::OutOfRange { name, value: value.to_string(), range: text })
    }
}

/// Refuses a list that names a host twice.
pub(crate) fn distinct<'a>(
    targets: impl Iterator<Item = &'a HostTarget>,
) -> Result<(), SettingsError> {
    let mut seen = BTreeSet::new();
    for target in targets {
        if !seen.insert(&target.id) {
            return Err(SettingsError::DuplicateHost { host: target.id.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_and_bad_values_are_named() {
        assert_eq!(CollectorSettings::default().check(), Ok(()));
        let bad = CollectorSettings { silent_after: Span::from_millis(50), ..Default::default() };
        let message = bad.check().unwrap_err().to_string();
        assert!(message.contains("silent_after") && message.contains("period"), "{message}");
    }
}
