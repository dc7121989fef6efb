//! A size of VM that room is wanted for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    cluster::VCPUS_MAX,
    units::{Bytes, UnitError},
};

/// Most VMs that room is wanted for in one request, all flavours together.
pub(crate) const COUNT_MAX: u32 = 10_000;

/// Most memory of one VM: 1 PiB.
const MEMORY_MAX: Bytes = Bytes::mib(1 << 30);

/// VMs of one size that room is wanted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flavour {
    /// What people call it, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Virtual CPUs of each. Range 1..=4096.
    pub vcpus: u32,
    /// Memory of each. Range 1 B..=1 PiB.
    pub memory: Bytes,
    /// How many. Range 1..=10000, all flavours of a request together.
    pub count: u32,
}

/// Why something is no flavour.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FlavourError {
    /// Not of the form that is read.
    #[error(
        "flavour {text:?} is not NAME=MEMORY,VCPUSxCOUNT \
         (hint: 64GiB,8x3 asks for room for three VMs of 64 GiB and 8 vCPUs)"
    )]
    Form {
        /// What was written.
        text: String,
    },
    /// Its memory is no size.
    #[error("memory of flavour {text:?}: {fault}")]
    Memory {
        /// What was written.
        text: String,
        /// What is wrong.
        fault: UnitError,
    },
    /// A number outside its range.
    #[error(
        "flavour {flavour}: {what} is {found}, the range is {range} (hint: ask for a size that a VM can have)"
    )]
    Range {
        /// The flavour.
        flavour: String,
        /// Which number.
        what: &'static str,
        /// Its value.
        found: String,
        /// What is accepted.
        range: &'static str,
    },
    /// All of them together are more than one request may ask for.
    #[error("room is wanted for {found} VMs, the limit is {COUNT_MAX} (hint: ask for fewer)")]
    TooMany {
        /// How many.
        found: u64,
    },
}

impl Flavour {
    /// Whether every one of `flavours` can be a VM, and they are not too many.
    ///
    /// # Errors
    /// [`FlavourError`] for the first that cannot.
    pub fn check_all(flavours: &[Self]) -> Result<(), FlavourError> {
        for one in flavours {
            let wrong = |what, found: String, range| {
                Err(FlavourError::Range { flavour: one.to_string(), what, found, range })
            };
            if one.vcpus == 0 || one.vcpus > VCPUS_MAX {
                return wrong("vCPUs", one.vcpus.to_string(), "1 to 4096");
            }
            if one.memory == Bytes::ZERO || one.memory > MEMORY_MAX {
                return wrong("memory", one.memory.human(), "1 B to 1 PiB");
            }
            if one.count == 0 {
                return wrong("count", one.count.to_string(), "1 to 10000");
            }
        }
        let found: u64 = flavours.iter().map(|one| u64::from(one.count)).sum();
        if found > u64::from(COUNT_MAX) {
            return Err(FlavourError::TooMany { found });
        }
        Ok(())
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x ", self.count)?;
        if let Some(name) = &self.name {
            write!(f, "{name} ")?;
        }
        write!(f, "({}, {} vCPUs)", self.memory.human(), self.vcpus)
    }
}

impl FromStr for Flavour {
    type Err = FlavourError;

    /// Reads `64GiB,8x3` or `big=64GiB,8x3`; without a count it is 1.
    fn from_str(text: &str) -> Result<Self, FlavourError> {
        let form = || FlavourError::Form { text: text.chars().take(80).collect() };
        let (name, size) = match text.split_once('=') {
            Some((name, size)) if !name.trim().is_empty() => (Some(name.trim().to_owned()), size),
            Some(_) => return Err(form()),
            None => (None, text),
        };
        let (memory, numbers) = size.split_once(',').ok_or_else(form)?;
        let (vcpus, count) = numbers.split_once('x').unwrap_or((numbers, "1"));
        let memory = memory
            .trim()
            .parse()
            .map_err(|fault| FlavourError::Memory { text: text.to_owned(), fault })?;
        let vcpus = vcpus.trim().parse().map_err(|_| form())?;
        let count = count.trim().parse().map_err(|_| form())?;
        let flavour = Self { name, vcpus, memory, count };
        Self::check_all(std::slice::from_ref(&flavour))?;
        Ok(flavour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavours_are_read_and_shown() {
        let three: Flavour = "64GiB,8x3".parse().unwrap();
        assert_eq!((three.memory, three.vcpus, three.count), (Bytes::mib(65_536), 8, 3));
        let named: Flavour = "big=64 GiB, 16".parse().unwrap();
        assert_eq!((named.name.as_deref(), named.vcpus, named.count), (Some("big"), 16, 1));
        assert_eq!(named.to_string(), "1 x big (64.0 GiB, 16 vCPUs)");
    }

    #[test]
    fn what_no_machine_can_be_is_refused_by_name() {
        for text in [
            "",
            "64GiB",
            "x",
            "64GiB,8x0",
            "64GiB,0x1",
            "0GiB,8x1",
            "64GiB,8x99999",
            "=1GiB,1",
            "1GiB,-1",
            "1GiB,1x18446744073709551615",
            "99999999PiB,1",
            "64GiB,4097",
        ] {
            let error = text.parse::<Flavour>().unwrap_err().to_string();
            assert!(error.contains("(hint: "), "{text}: {error}");
        }
    }
}
