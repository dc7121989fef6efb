//! What the operator wants: limits, migration settings, weights and rules.
//!
//! A policy is a TOML file that lives in version control. Unknown keys are refused. Ranges are
//! checked when it is read; whether its rules can be true together, and whether the hosts that
//! they name exist, is judged against a snapshot by [`Policy::contradictions`].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    plan::AtOnce,
    settings::{MULTIFD_WITH_POST_COPY, MigrationSettings, Mode, SettingsConflict, Transport},
    units::{BytesPerSecond, Share, Span},
};

mod contradiction;
mod even;
mod powersave;
mod roster;
mod rule;
mod selector;
mod window;

pub use contradiction::Contradiction;
pub use even::{Even, EvenLoad, LOADS_MAX};
pub use powersave::Powersave;
pub use roster::{Meant, Roster, places};
pub use rule::{Budget, Per, Rule, RuleError, RuleKind, SOFT_SECONDS_MAX, When};
pub(crate) use selector::in_tag;
pub use selector::{EXPRESSION_LENGTH_MAX, TagError, Tagged, TaggedError, check_tag};
pub use window::{DailyWindow, MinuteError, MinuteOfDay};

/// The operator's intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What may never be exceeded.
    pub limits: Limits,
    /// How migrations are done.
    pub migration: MigrationSettings,
    /// When balancing is worth a move.
    pub balance: Balance,
    /// What is to be even, for the goal of that name.
    pub even: Even,
    /// When a host is worth emptying, and what stays on.
    pub powersave: Powersave,
    /// Rules about which VM may be where, and be moved when.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

/// What may never be exceeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Part of each host's memory kept free of guests. Range 0..=1.
    pub memory_reserve: Share,
    /// vCPUs that one core may carry. Range 0.1..=100; memory is never overcommitted.
    pub cpu_overcommit: f64,
    /// Most moves in one plan. Range 1..=100000.
    pub moves_max: u32,
    /// Most migrations at one time that leave or enter one host. A plan runs as many as end it
    /// soonest by its predictions, and no more than this. Range 1..=64.
    pub migrations_per_host: u32,
    /// Most migrations at one time that leave one host. Range 1..=64; absent for as many as may
    /// touch it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrations_out_of_host: Option<u32>,
    /// Most migrations at one time that enter one host. Range 1..=64; absent for as many as may
    /// touch it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrations_into_host: Option<u32>,
    /// Most migrations at one time in the cluster. Range 1..=1024.
    pub migrations_total: u32,
    /// A snapshot older than this makes no plan and a plan from it is not applied.
    pub snapshot_age_max: Span,
    /// Bandwidth that a path is assumed to carry until migrations over it were measured.
    pub path_bandwidth: BytesPerSecond,
    /// Hosts that may fail at one time with every VM of theirs finding a place on the others.
    /// Range 0..=3; 0, the default, keeps no reserve.
    pub host_failures: u32,
}

/// When balancing is worth a move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Balance {
    /// How long the present load is expected to last: gains are counted over this.
    pub horizon: Span,
    /// Above this part of its CPU a host counts as overloaded. Range 0..=1.
    pub overload_above: Share,
    /// How much evenness of the CPU below the threshold is worth: the part of a core-second that
    /// one more core-second of demand is charged on a host that is full. Range 0..=1. The default
    /// never pays for a move; it only decides between targets that are equal otherwise.
    pub cpu_evenness: Share,
    /// The same for memory, where the part of a host's memory counts as that part of its cores.
    /// Range 0..=1; 0, the default, leaves memory uneven: guests do not feel it.
    pub memory_evenness: Share,
    /// Seconds of a guest's slow-down that one second of its migration is charged as.
    /// Range 0..=100.
    pub migration_weight: f64,
    /// Seconds of a guest's slow-down that one second of its downtime is charged as.
    /// Range 0..=10000.
    pub downtime_weight: f64,
    /// A move must gain this many times its cost. Range 1..=1000.
    pub gain_factor: f64,
    /// Quantile of what each guest is expected to want over the horizon that is planned for, where
    /// telemetry tells enough of it, and never less than it wants now; otherwise its last reading
    /// counts. Range 0.05..=0.95: higher is more careful, and moves more.
    pub demand_quantile: Share,
    /// How long balance leaves a guest alone after a migration of it, whoever asked for that. Each
    /// further migration within a day doubles it. Range 0..=7 d; 0 for no rest.
    pub cooldown: Span,
    /// The longest rest that doubling leads to. Range 0..=7 d.
    pub cooldown_max: Span,
}

/// A value of the policy that it may not have.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RangeError {
    /// A number outside its range.
    #[error("{key} = {value} is out of range (hint: {key} takes {range})")]
    Number {
        /// The key's path in the file.
        key: &'static str,
        /// What was written.
        value: f64,
        /// What is accepted.
        range: &'static str,
    },
    /// A number of a resource of the operator's own.
    #[error("even.load {name:?}: {key} = {value} is out of range (hint: {key} takes {range})")]
    Load {
        /// The resource's name.
        name: String,
        /// The key within it.
        key: String,
        /// What was written.
        value: f64,
        /// What is accepted.
        range: &'static str,
    },
    /// A resource whose name says nothing, or what another one is called.
    #[error(
        "even.load has a resource named {name:?}, which is empty or taken \
         (hint: give each a name of its own; cpu, memory and vcpus are built in)"
    )]
    LoadName {
        /// The name.
        name: String,
    },
    /// Settings that every QEMU refuses.
    #[error("{key}: {conflict}")]
    Settings {
        /// The key's path in the file.
        key: &'static str,
        /// Why QEMU refuses them.
        conflict: SettingsConflict,
    },
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            migration: MigrationSettings {
                mode: Mode::PreCopy,
                transport: Transport::Tls,
                bandwidth_limit: None,
                // QEMU's own default.
                downtime_limit: Span::from_millis(300),
                ..MigrationSettings::default()
            },
            balance: Balance::default(),
            even: Even::default(),
            powersave: Powersave::default(),
            rules: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_reserve: Share::clamped(0.1),
            cpu_overcommit: 4.0,
            moves_max: 100,
            // No more than end a plan sooner are run: several migrations on one link need not
            // shorten an evacuation (a Ceph cloud took 206, 253, 268 and 269 s for twelve machines
            // at 1, 2, 3 and 4 at a time).
            migrations_per_host: 4,
            migrations_out_of_host: None,
            migrations_into_host: None,
            migrations_total: 4,
            snapshot_age_max: Span::from_seconds(600),
            path_bandwidth: BytesPerSecond::mib(100),
            host_failures: 0,
        }
    }
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            horizon: Span::from_seconds(3600),
            overload_above: Share::clamped(0.7),
            cpu_evenness: Share::clamped(1e-4),
            memory_evenness: Share::ZERO,
            migration_weight: 1.0,
            downtime_weight: 20.0,
            gain_factor: 2.0,
            demand_quantile: Share::clamped(0.9),
            cooldown: Span::from_seconds(3600),
            cooldown_max: Span::from_seconds(86_400),
        }
    }
}

impl Limits {
    /// How many migrations may run at one time.
    pub fn at_once(&self) -> AtOnce {
        AtOnce {
            per_host: self.migrations_per_host,
            total: self.migrations_total,
            out_of_host: self.migrations_out_of_host,
            into_host: self.migrations_into_host,
        }
    }
}

impl Policy {
    /// Whether every number is in its documented range, and the newest QEMU would take the
    /// migration settings.
    ///
    /// # Errors
    /// [`RangeError`] for the first one that is not.
    pub fn check_ranges(&self) -> Result<(), RangeError> {
        let (limits, balance) = (&self.limits, &self.balance);
        in_range("limits.cpu_overcommit", limits.cpu_overcommit, 0.1, 100.0, "0.1 to 100")?;
        in_range("limits.moves_max", limits.moves_max.into(), 1.0, 1e5, "1 to 100000")?;
        for (key, count) in [
            ("limits.migrations_per_host", Some(limits.migrations_per_host)),
            ("limits.migrations_out_of_host", limits.migrations_out_of_host),
            ("limits.migrations_into_host", limits.migrations_into_host),
        ] {
            in_range(key, count.unwrap_or(1).into(), 1.0, 64.0, "1 to 64")?;
        }
        in_range(
            "limits.migrations_total",
            limits.migrations_total.into(),
            1.0,
            1024.0,
            "1 to 1024",
        )?;
        in_range("limits.memory_reserve", limits.memory_reserve.get(), 0.0, 0.95, "0 to 0.95")?;
        in_range(
            "limits.path_bandwidth",
            limits.path_bandwidth.as_f64(),
            1024.0,
            f64::MAX,
            "1 KiB/s or more",
        )?;
        in_range("limits.host_failures", limits.host_failures.into(), 0.0, 3.0, "0 to 3")?;
        self.powersave.check_ranges()?;
        in_range(
            "balance.horizon",
            balance.horizon.as_seconds_f64(),
            1.0,
            604_800.0,
            "1 s to 7 d",
        )?;
        in_range("balance.migration_weight", balance.migration_weight, 0.0, 100.0, "0 to 100")?;
        in_range("balance.downtime_weight", balance.downtime_weight, 0.0, 1e4, "0 to 10000")?;
        in_range("balance.gain_factor", balance.gain_factor, 1.0, 1000.0, "1 to 1000")?;
        self.even.check()?;
        let quantile = balance.demand_quantile.get();
        in_range("balance.demand_quantile", quantile, 0.05, 0.95, "0.05 to 0.95")?;
        for (key, rest) in
            [("balance.cooldown", balance.cooldown), ("balance.cooldown_max", balance.cooldown_max)]
        {
            in_range(key, rest.as_seconds_f64(), 0.0, 604_800.0, "0 s to 7 d")?;
        }
        check_migration(&self.migration)
    }
}

/// Whether the numbers of `settings` are in the ranges that a policy's are, and the newest QEMU
/// would take them.
///
/// # Errors
/// [`RangeError`] for the first one that is not.
pub fn check_migration(settings: &MigrationSettings) -> Result<(), RangeError> {
    // QEMU refuses more than 2,000,000 ms.
    let downtime = settings.downtime_limit.as_seconds_f64();
    in_range("migration.downtime_limit", downtime, 0.001, 2000.0, "1 ms to 2000 s")?;
    if let Some(limit) = settings.bandwidth_limit {
        // libvirt takes whole MiB/s; 0 would mean "no limit" there, the opposite.
        let mib = 1024.0 * 1024.0;
        let limit = limit.as_f64();
        in_range("migration.bandwidth_limit", limit, mib, f64::MAX, "1 MiB/s or more")?;
    }
    settings
        .check(MULTIFD_WITH_POST_COPY)
        .map_err(|conflict| RangeError::Settings { key: key_of(&conflict), conflict })
}

/// The key to change when QEMU refuses the migration settings.
fn key_of(conflict: &SettingsConflict) -> &'static str {
    use SettingsConflict as C;
    match conflict {
        C::XbzrleWithChannels | C::CompressionWithoutChannels | C::CacheSize(_) => {
            "migration.compression"
        }
        C::PostCopyWithChannels(_) | C::NoChannel => "migration.channels",
        C::ThrottleRange(_) => "migration.throttle",
    }
}

fn in_range(
    key: &'static str,
    value: f64,
    least: f64,
    most: f64,
    range: &'static str,
) -> Result<(), RangeError> {
    // Written so that NaN is out of range.
    if value >= least && value <= most {
        Ok(())
    } else {
        Err(RangeError::Number { key, value, range })
    }
}
