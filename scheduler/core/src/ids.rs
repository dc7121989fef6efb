//! Names of things, checked when they are made.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest accepted name; libvirt itself refuses longer file names on every common file system.
pub const NAME_LENGTH_MAX: usize = 200;

/// Why a text cannot name a host, a VM, a plan or an order.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{kind} name {name:?} {fault} (hint: use 1 to {NAME_LENGTH_MAX} letters, digits or ._:@+-)"
)]
pub struct NameError {
    kind: &'static str,
    name: String,
    fault: &'static str,
}

fn checked(kind: &'static str, name: &str) -> Result<String, NameError> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.len() > NAME_LENGTH_MAX {
        "is too long"
    } else if !name.chars().all(|c| c.is_alphanumeric() || "._:@+-".contains(c)) {
        "has a character that is not allowed"
    } else {
        return Ok(name.to_owned());
    };
    let shown = name.chars().take(NAME_LENGTH_MAX).collect();
    Err(NameError { kind, name: shown, fault })
}

macro_rules! name {
    ($($(#[$doc:meta])* $id:ident = $kind:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $id(String);

        impl $id {
            /// Checks and wraps `name`.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, too long or has characters that no host or domain
            /// name needs (white space, slashes, quotes).
            pub fn new(name: &str) -> Result<Self, NameError> {
                checked($kind, name).map(Self)
            }

            /// The name that stands where none was given; never refers to anything.
            pub fn unnamed() -> Self {
                Self("unnamed".to_owned())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $id {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $id {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(&name)
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.0
            }
        }
    )+};
}

name! {
    /// A hypervisor node, by the name that the configuration gives it.
    HostId = "host";
    /// A domain, by its libvirt name; its UUID is carried beside it and compared before acting.
    VmId = "domain";
    /// A plan: the first half of its digest, so that equal plans have equal names.
    PlanId = "plan";
    /// One move of one plan: plan and position.
    OrderId = "order";
}

impl OrderId {
    /// The order for the move at `index` (counted from 0) of `plan`.
    pub fn of(plan: &PlanId, index: usize) -> Self {
        Self(format!("{plan}:{index}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(HostId::new("h1.rack-3").is_ok());
        for bad in ["", "a b", "../x", "a\n", "x".repeat(201).as_str()] {
            assert!(VmId::new(bad).is_err(), "{bad:?}");
        }
    }
}
