//! An explanation in words: the only place that has them.
//!
//! Every figure comes with its unit, every key by the name that the policy file has. Computes
//! nothing.

use std::fmt;

use whimbrel_core::units::Span;

use super::value::{
    Alternative, Answer, Change, Explanation, HostLoad, Key, LoadAt, MovePrice, Refused, Threshold,
    Why,
};
use crate::validate::state_name;

impl Explanation {
    /// Whether the plan moves it.
    pub fn moves(&self) -> bool {
        self.home != self.end
    }

    /// One line: the VM, what becomes of it, and why.
    pub fn headline(&self) -> String {
        let Self { vm, home, end, why, .. } = self;
        if self.moves() {
            format!("{vm} moves from {home} to {end}: {why}")
        } else {
            format!("{vm} stays on {home}: {why}")
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headline())?;
        let over = self.horizon.human();
        if !self.loads.is_empty() {
            write!(f, "\n  hosts: now, as planned, otherwise; contention over {over}")?;
        }
        for load in &self.loads {
            write!(f, "\n{load}")?;
        }
        if let Some(price) = &self.price {
            let verb = if self.moves() { "costs" } else { "would cost" };
            write!(f, "\n  what its move to {} {verb}\n{price}", price.to)?;
        }
        if !self.alternatives.is_empty() {
            write!(f, "\n  other hosts, best first: guest-seconds more (+) or less than planned")?;
        }
        for alternative in &self.alternatives {
            write!(f, "\n    {alternative}")?;
        }
        if self.left_out > 0 {
            write!(f, "\n    and {} more", self.left_out)?;
        }
        if !self.thresholds.is_empty() {
            write!(f, "\n  what would change the answer, each alone and all else as planned")?;
        }
        if self.thresholds_sought && self.thresholds.is_empty() {
            write!(f, "\n  no rule and none of these values would alone change the answer:")?;
            let names: Vec<&str> = Key::ALL.into_iter().map(Key::name).collect();
            write!(f, "\n    {}", names.join(", "))?;
        }
        for threshold in &self.thresholds {
            write!(f, "\n    {}", Said { threshold, to: self })?;
        }
        Ok(())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned { reason } => reason.fmt(f),
            Self::NotAsked { goal } => write!(f, "the goal, {goal}, needs no move of it"),
        }
    }
}

impl fmt::Display for HostLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [Some(self.now), Some(self.planned), self.otherwise];
        let each = |text: &dyn Fn(LoadAt) -> String| -> String {
            all.iter().flatten().map(|load| text(*load)).collect::<Vec<_>>().join(" -> ")
        };
        let part = |load: LoadAt| format!("{:.2}", load.cpu_cores);
        let memory = |load: LoadAt| load.memory.human();
        let waits = |load: LoadAt| seconds(load.contention_seconds);
        let (host, cores) = (&self.host, self.cores);
        write!(f, "    {host:<10} CPU {} of {cores:.2} cores", each(&part))?;
        write!(f, ", memory {} of {}", each(&memory), self.memory_limit.human())?;
        write!(f, ", contention {}", each(&waits))
    }
}

impl fmt::Display for MovePrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let busy = self.busy_cores;
        writeln!(
            f,
            "    brown-out  {}: {} of migration x weight {} x {busy:.1} busy vCPUs",
            seconds(self.brown_out_seconds),
            self.total_time.human(),
            self.migration_weight
        )?;
        write!(
            f,
            "    downtime   {}: {} x weight {} x {busy:.1} busy vCPUs",
            seconds(self.downtime_seconds),
            self.downtime.human(),
            self.downtime_weight
        )?;
        let sum = self.brown_out_seconds + self.downtime_seconds;
        if self.factor > 1.0 {
            let weighed = seconds(sum * self.factor);
            write!(f, "\n    weighed    {weighed}: times the gain factor, {}", self.factor)?;
        }
        Ok(())
    }
}

impl fmt::Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.home { " (where it is)" } else { "" };
        write!(f, "{:<10} ", self.host)?;
        match &self.answer {
            Answer::Possible(by) => {
                write!(f, "{}{at}: ", signed(by.total_seconds))?;
                write!(f, "contention {}", signed(by.contention_seconds))?;
                write!(f, ", moving {}", signed(by.price_seconds))?;
                if by.rules_seconds.abs() > 0.0 {
                    write!(f, ", broken rules {}", signed(by.rules_seconds))?;
                }
                if by.displaced_seconds.abs() > 0.0 {
                    write!(f, ", moving more than needed {}", signed(by.displaced_seconds))?;
                }
                Ok(())
            }
            Answer::Refused(all) => {
                let said: Vec<String> = all.iter().map(ToString::to_string).collect();
                write!(f, "rejected{at}: {}", said.join("; "))
            }
        }
    }
}

impl Alternative {
    /// The host with its difference or its first refusal.
    pub fn short(&self) -> String {
        match &self.answer {
            Answer::Possible(by) => format!("{} {}", self.host, signed(by.total_seconds)),
            Answer::Refused(all) => {
                let first = all.first().map(ToString::to_string).unwrap_or_default();
                format!("{}: {first}", self.host)
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emptied => f.write_str("it is to be emptied"),
            Self::NotUp { state } => write!(f, "it is {}", state_name(*state)),
            Self::Rule { rule, with: Some(vm) } => write!(f, "rule {rule:?} ({vm} is there)"),
            Self::Rule { rule, with: None } => write!(f, "rule {rule:?}"),
            Self::MemoryShort { short } => write!(f, "memory short by {}", short.human()),
            Self::VcpusShort { short } => write!(f, "vCPUs short by {}", short.ceil()),
            Self::Stalls { converges, downtime_limit_needed } => {
                write!(f, "converges with {:.0} % only", converges.get() * 100.0)?;
                match downtime_limit_needed {
                    Some(needed) => write!(f, ", a downtime limit of {} needed", needed.human()),
                    None => Ok(()),
                }
            }
            Self::Unpredictable { why } => write!(f, "cannot be predicted: {why}"),
            Self::Unfit => f.write_str("does not take it"),
        }
    }
}

/// A threshold beside what it is a threshold of.
struct Said<'a> {
    threshold: &'a Threshold,
    to: &'a Explanation,
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Threshold { change, host, confirmed } = self.threshold;
        if *host == self.to.home {
            write!(f, "would stay on {host}")?;
        } else {
            write!(f, "would move to {host}")?;
        }
        match change {
            Change::Value { key, now, at, below } => {
                let (name, now, at) = (key.name(), key.value(*now), key.value(*at));
                let beyond = if *below { "less" } else { "more" };
                write!(f, " if {name} were {at} or {beyond} (now {now})")?;
            }
            Change::WithoutRule { rule } => write!(f, " without rule {rule:?}")?,
        }
        match confirmed {
            Some(true) => f.write_str("; a new plan confirms it"),
            Some(false) => f.write_str("; a new plan would rather move others"),
            None => Ok(()),
        }
    }
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::GainFactor,
        Self::OverloadAbove,
        Self::Horizon,
        Self::MemoryReserve,
        Self::CpuOvercommit,
        Self::MovesMax,
        Self::DowntimeLimit,
    ];

    /// Its name in a policy file.
    pub fn name(self) -> &'static str {
        match self {
            Self::GainFactor => "balance.gain_factor",
            Self::OverloadAbove => "balance.overload_above",
            Self::Horizon => "balance.horizon",
            Self::MemoryReserve => "limits.memory_reserve",
            Self::CpuOvercommit => "limits.cpu_overcommit",
            Self::MovesMax => "limits.moves_max",
            Self::DowntimeLimit => "migration.downtime_limit",
        }
    }

    /// `value` as a policy file has it.
    pub fn value(self, value: f64) -> String {
        match self {
            Self::Horizon | Self::DowntimeLimit => Span::from_seconds_f64(value).human(),
            Self::GainFactor
            | Self::OverloadAbove
            | Self::MemoryReserve
            | Self::CpuOvercommit
            | Self::MovesMax => format!("{value}"),
        }
    }
}

/// Guest-seconds with one digit, without a sign of zero.
fn seconds(value: f64) -> String {
    format!("{:.1} s", tenths(value))
}

fn signed(value: f64) -> String {
    format!("{:+.1} s", tenths(value))
}

fn tenths(value: f64) -> f64 {
    let tenths = (value * 10.0).round();
    if tenths.abs() < 1.0 { 0.0 } else { tenths / 10.0 }
}
