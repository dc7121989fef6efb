//! What a question changes, as values, and why a change is refused.
//!
//! Reads and checks; `apply` does what they say. Never here: what comes of a change.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;
use whimbrel_core::{
    cluster::VCPUS_MAX,
    ids::{HostId, NameError, VmId},
    units::{Bytes, BytesPerSecond, MilliCores, Span},
};

/// Hosts that one question may add.
pub const HOSTS_MAX: usize = 10_000;

/// Most that anything may grow by, in percent.
const GROWTH_MAX_PERCENT: f64 = 1000.0;

/// What is different from today. The default changes nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    /// Hosts of each rack, by the rack's name: what `remove_racks` and `add_racks` speak of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub racks: BTreeMap<String, Vec<HostId>>,
    /// Hosts that go for good; their guests must move away first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_hosts: Vec<HostId>,
    /// Racks whose hosts go for good.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_racks: Vec<String>,
    /// Hosts that come, each with its size.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_hosts: Vec<NewHost>,
    /// Hosts that come, like one that exists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_like: Vec<AddLike>,
    /// Racks that come, each with hosts like those of one that exists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_racks: Vec<AddRack>,
    /// Guests that get another size.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resize: Vec<Resize>,
    /// What grows.
    pub grow: Growth,
    /// Hosts to empty, which stay and take nothing until somebody says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drain: Vec<HostId>,
    /// The moves must be over by then, counted from their begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// A host that loses its power meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lose: Option<Loss>,
}

/// A host that comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHost {
    /// Its name.
    pub name: HostId,
    /// CPU that guests may use, above 0.
    pub cpu: MilliCores,
    /// Memory that guests may use, above 0.
    pub memory: Bytes,
    /// What migrations may reach on its link; the policy's assumption when absent.
    pub bandwidth: Option<BytesPerSecond>,
}

/// Hosts that come, as large as one that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddLike {
    /// How many. Range 1..=[`HOSTS_MAX`].
    pub count: usize,
    /// The host that they are like.
    pub like: HostId,
}

/// A rack that comes, with hosts like those of one that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddRack {
    /// Its name; its hosts are called after it.
    pub name: String,
    /// The rack that it is like.
    pub like: String,
}

/// Another size for a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The guest.
    pub vm: VmId,
    /// Its new memory, above 0.
    pub memory: Bytes,
    /// Its new number of vCPUs; as before when absent.
    pub vcpus: Option<u32>,
}

/// A host that loses its power.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// The host.
    pub host: HostId,
    /// When, counted from the begin of the moves.
    #[serde(default)]
    pub at: Span,
}

/// What grows, each by a part of what it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Growth {
    /// CPU that every guest wants, up to its vCPUs.
    pub cpu: Percent,
    /// Distinct memory that every guest dirties in a window of any length, up to its memory.
    pub dirty: Percent,
    /// Memory of every guest, with what is in it.
    pub memory: Percent,
    /// Number of guests: copies of present ones, load and all. Not below 0.
    pub guests: Percent,
}

/// A change by a part of the whole, in percent: 20 makes 1.2 times as much of it. Range above -100,
/// to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Percent(f64);

impl Percent {
    /// What the whole is multiplied by; above 0.
    pub fn factor(self) -> f64 {
        1.0 + self.0 / 100.0
    }

    /// In percent.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether it changes nothing.
    pub fn is_none(self) -> bool {
        self.0 == 0.0
    }
}

impl FromStr for Percent {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let bad = || ChangeError::Growth { text: text.to_owned() };
        let number = text.trim().strip_suffix('%').ok_or_else(bad)?.trim();
        let value: f64 = number.parse().map_err(|_| bad())?;
        if value > -100.0 && value <= GROWTH_MAX_PERCENT {
            // A negative zero would be shown with its sign.
            Ok(Self(value + 0.0))
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} %", self.0))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Growth {
    /// The load of all guests by `percent`: CPU and dirty rates, not their size or number.
    pub fn load(percent: Percent) -> Self {
        Self { cpu: percent, dirty: percent, ..Self::default() }
    }

    /// Whether nothing grows.
    pub fn is_none(&self) -> bool {
        [self.cpu, self.dirty, self.memory, self.guests].into_iter().all(Percent::is_none)
    }

    /// Takes `20%` (the load) or `cpu=20%`, `dirty=…`, `memory=…`, `guests=…`.
    ///
    /// # Errors
    /// [`ChangeError`] naming what was written.
    pub fn set(&mut self, text: &str) -> Result<(), ChangeError> {
        let Some((what, percent)) = text.split_once('=') else {
            let load: Percent = text.parse()?;
            (self.cpu, self.dirty) = (load, load);
            return Ok(());
        };
        let place = match what.trim() {
            "cpu" => &mut self.cpu,
            "dirty" => &mut self.dirty,
            "memory" => &mut self.memory,
            "guests" => &mut self.guests,
            other => return Err(ChangeError::GrowthOf { what: other.to_owned() }),
        };
        *place = percent.parse()?;
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Growth {
    /// A text is the load, a table names what grows.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Load(String),
            Each(BTreeMap<String, String>),
        }
        let mut growth = Self::default();
        match Written::deserialize(deserializer)? {
            Written::Load(percent) => growth.set(&percent).map_err(D::Error::custom)?,
            Written::Each(each) => {
                for (what, percent) in each {
                    growth.set(&format!("{what}={percent}")).map_err(D::Error::custom)?;
                }
            }
        }
        Ok(growth)
    }
}

/// Why a change cannot be made. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ChangeError {
    /// A host that does not exist.
    #[error("host {host} is not in the snapshot (hint: hosts are {known})")]
    UnknownHost {
        /// Its name.
        host: HostId,
        /// Hosts that exist.
        known: String,
    },
    /// A rack that nobody described.
    #[error("rack {rack} is not known (hint: {known}; describe it with --rack {rack}=h1,h2)")]
    UnknownRack {
        /// Its name.
        rack: String,
        /// Racks that are known.
        known: String,
    },
    /// A guest that does not exist.
    #[error("domain {vm} is not in the snapshot (hint: domains are {known})")]
    UnknownGuest {
        /// Its name.
        vm: VmId,
        /// Guests that exist.
        known: String,
    },
    /// A name that is taken.
    #[error("host {host} is there already (hint: give the new one another name)")]
    HostExists {
        /// The name.
        host: HostId,
    },
    /// Nothing would be left to run on.
    #[error(
        "no host would be left in service: {leaving} would go (hint: leave one, or add one with \
         --add-hosts)"
    )]
    NoHostLeft {
        /// Hosts that would go.
        leaving: String,
    },
    /// A host without anything to give.
    #[error("host {host}: {what} is 0 (hint: write for example {host}=\"8 cores,64 GiB\")")]
    NoCapacity {
        /// The host.
        host: HostId,
        /// `cpu`, `memory` or `bandwidth`.
        what: &'static str,
    },
    /// More or fewer hosts than anybody can mean.
    #[error("{count} hosts to add, the limits are 1 and {HOSTS_MAX} (hint: check the number)")]
    Count {
        /// What was asked for.
        count: usize,
    },
    /// A size that no guest has.
    #[error("domain {vm}: {what} (hint: memory from 1 MiB to 1 PiB, 1 to {VCPUS_MAX} vCPUs)")]
    Size {
        /// The guest.
        vm: VmId,
        /// The size and its limit.
        what: String,
    },
    /// A growth that is none.
    #[error(
        "growth {text:?} is not a percentage above -100 and up to 1000 (hint: write 20% or -10%)"
    )]
    Growth {
        /// What was written.
        text: String,
    },
    /// A growth of something that cannot grow.
    #[error("{what:?} cannot grow (hint: cpu, dirty, memory and guests can, as in guests=10%)")]
    GrowthOf {
        /// What was written.
        what: String,
    },
    /// Fewer guests than there are.
    #[error("guests grow by {percent} (hint: a number of guests grows from 0 % on)")]
    FewerGuests {
        /// What was asked for.
        percent: Percent,
    },
    /// No time at all.
    #[error("the deadline is 0 s after the begin (hint: write for example 10min)")]
    Deadline,
    /// A name that cannot be given.
    #[error(transparent)]
    Name(#[from] NameError),
}
