//! A rule about which VM may be where, or be moved when.
//!
//! A rule selects domains by name, by tag, or both, and some kinds select hosts the same way. It
//! holds at every moment of a plan (`continuous`, a migrating domain counts at both ends) or at
//! its end (`end`); with `soft_seconds` it is a preference, which costs that many guest-seconds
//! for each time that it is broken at the end and never forbids a plan.
//!
//! Never here: who is selected; that is the [`Roster`](super::Roster)'s.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{selector::Tagged, window::DailyWindow};
use crate::{
    ids::{HostId, VmId},
    units::Timestamp,
};

mod text;

pub use text::RuleError;

/// Most guest-seconds that a preference may be worth: a guest slowed for a day, less than what a
/// broken hard rule weighs.
pub const SOFT_SECONDS_MAX: u32 = 86_400;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "text::RuleText", into = "text::RuleText")]
pub struct Rule {
    /// Name for messages.
    pub name: String,
    /// What it demands.
    pub kind: RuleKind,
    /// Domains that it speaks of, by name; names of absent domains mean nobody.
    pub vms: Vec<VmId>,
    /// Further domains, by tag.
    pub vms_tagged: Option<Tagged>,
    /// Hosts that it speaks of, by name.
    pub hosts: Vec<HostId>,
    /// Further hosts, by tag.
    pub hosts_tagged: Option<Tagged>,
    /// When it holds; the kind's default when absent.
    pub when: Option<When>,
    /// What each breach is charged, in guest-seconds, if it is a preference. Range
    /// 1..=[`SOFT_SECONDS_MAX`].
    pub soft_seconds: Option<u32>,
}

/// What a rule demands of its domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleKind {
    /// At most `most` of them in one place. A breach is each domain too many.
    AntiAffinity {
        /// What counts as one place.
        per: Per,
        /// Range 1 and more.
        most: u32,
    },
    /// All of them in one place. A breach is each place too many.
    Affinity {
        /// What counts as one place.
        per: Per,
    },
    /// Only on its hosts. A breach is each domain elsewhere.
    Pin,
    /// Never on its hosts. A breach is each domain there.
    Exclude,
    /// Where they are, nobody else is. A breach is each host where somebody else is.
    Exclusive,
    /// They use at most `most` of its hosts (of all hosts where it names none): what a licence by
    /// host costs. A breach is each host too many.
    HostsMax {
        /// Range 1 and more.
        most: u32,
    },
    /// How much of them may be under migration, and when.
    Disruption(Budget),
}

/// A budget of disruption for the domains of a rule. What is absent is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Budget {
    /// Most of them under migration at one time. Range 1 and more.
    pub at_once: Option<u32>,
    /// Most migrations of them in one plan. Range 0 and more.
    pub moves_max: Option<u32>,
    /// When they may be under migration; always when empty.
    pub windows: Vec<DailyWindow>,
}

impl Budget {
    /// When the windows that let its domains be migrated at `at` have closed; `None` where they
    /// never do.
    pub fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        let open = self.windows.iter().filter(|window| window.contains(at));
        let closes: Option<Vec<Timestamp>> = open.map(|window| window.closes(at)).collect();
        closes?.into_iter().max()
    }
}

/// What counts as one place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Per {
    /// Each host.
    #[default]
    Host,
    /// All hosts with the same tag `key=value` of this key; a host without any is a place of its
    /// own.
    Tag(String),
}

/// When a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At every moment; a migrating domain counts at both ends.
    Continuous,
    /// At the end of each plan.
    End,
}

impl Rule {
    /// A rule of `kind` about `vms`.
    pub fn new(name: &str, kind: RuleKind, vms: Vec<VmId>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            vms,
            vms_tagged: None,
            hosts: Vec::new(),
            hosts_tagged: None,
            when: None,
            soft_seconds: None,
        }
    }

    /// No two of `vms` on one host.
    pub fn anti_affinity(name: &str, vms: Vec<VmId>) -> Self {
        Self::new(name, RuleKind::AntiAffinity { per: Per::Host, most: 1 }, vms)
    }

    /// All of `vms` on one host.
    pub fn affinity(name: &str, vms: Vec<VmId>) -> Self {
        Self::new(name, RuleKind::Affinity { per: Per::Host }, vms)
    }

    /// `vms` only on `hosts`.
    pub fn pin(name: &str, vms: Vec<VmId>, hosts: Vec<HostId>) -> Self {
        Self { hosts, ..Self::new(name, RuleKind::Pin, vms) }
    }

    /// `vms` never on `hosts`.
    pub fn exclude(name: &str, vms: Vec<VmId>, hosts: Vec<HostId>) -> Self {
        Self { hosts, ..Self::new(name, RuleKind::Exclude, vms) }
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domains that it names; those that its tags mean only a [`Roster`](super::Roster) knows.
    pub fn vms(&self) -> &[VmId] {
        &self.vms
    }

    /// The hosts that it names; those that its tags mean only a [`Roster`](super::Roster) knows.
    pub fn hosts(&self) -> &[HostId] {
        &self.hosts
    }

    /// Whether breaking it is never worth it.
    pub fn is_hard(&self) -> bool {
        self.soft_seconds.is_none()
    }

    /// Whether it is hard and holds at every moment of a plan. Without another word all kinds do
    /// but affinity: domains cannot travel in one instant.
    pub fn is_continuous(&self) -> bool {
        let usual = match self.kind {
            RuleKind::Affinity { .. } => When::End,
            _ => When::Continuous,
        };
        self.is_hard() && self.when.unwrap_or(usual) == When::Continuous
    }

    /// Whether it says on which hosts single domains may be, whoever else is there.
    pub fn places(&self) -> bool {
        matches!(self.kind, RuleKind::Pin | RuleKind::Exclude)
    }
}

impl RuleKind {
    /// As policies write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AntiAffinity { .. } => "anti-affinity",
            Self::Affinity { .. } => "affinity",
            Self::Pin => "pin",
            Self::Exclude => "exclude",
            Self::Exclusive => "exclusive",
            Self::HostsMax { .. } => "hosts-max",
            Self::Disruption(_) => "disruption",
        }
    }
}

impl Per {
    /// The name of the place that a host with `tags` is in, without the key; `None` where it is a
    /// place of its own.
    pub fn place_of<'a>(&self, mut tags: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let Self::Tag(key) = self else { return None };
        tags.find_map(|tag| tag.split_once('=').filter(|(own, _)| own == key).map(|(_, v)| v))
    }
}

impl From<String> for Per {
    fn from(text: String) -> Self {
        if text == "host" { Self::Host } else { Self::Tag(text) }
    }
}

impl From<Per> for String {
    fn from(per: Per) -> Self {
        per.to_string()
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Tag(key) => f.write_str(key),
        }
    }
}
