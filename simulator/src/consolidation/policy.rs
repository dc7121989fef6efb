//! Policies and their names.
//!
//! Never here: how they decide.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::kernel::Streams;

use super::{
    decision::{Decides, Still},
    peers::{Fit, Packing, Proxmox, Watcher},
    reference::{Heuristic, Overload, Rules, Selection},
    setup::Setup,
    whimbrel::Whimbrel,
};

/// Part of a host that a guest may want of it at the beginning beside others, where the policy
/// itself has no threshold. The reference's number.
const SHARE_MAX: f64 = 0.7;

/// Who decides what is moved.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// `none`: guests stay where they were placed at the beginning.
    None,
    /// `lr-mmt-1.2` and the like: the heuristics of Beloglazov and Buyya.
    Reference(Rules),
    /// `first-fit`: overloaded and emptiable hosts' guests are packed, first fit decreasing.
    FirstFit,
    /// `best-fit`: overloaded and emptiable hosts' guests are packed, best fit decreasing.
    BestFit,
    /// `watcher`: a consolidation like that of `OpenStack`'s Watcher.
    Watcher,
    /// `proxmox`: a balancer like that of Proxmox VE.
    Proxmox,
    /// `whimbrel`: ours.
    Whimbrel,
}

/// A name that no policy has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "there is no policy {name:?} (hint: known are {known}, and <overload>-<selection>-<parameter> \
     with thr, mad, iqr, lr or lrr, then mmt, mu, rs or mc, then a number, such as lr-mmt-1.2; the \
     parameter of thr is 0 to 1, of others 0 or more)",
    known = Policy::PLAIN.map(|(name, _)| name).join(", ")
)]
pub struct UnknownPolicy {
    /// What was asked for.
    pub name: String,
}

impl Policy {
    /// Policies without parameters, by name.
    pub const PLAIN: [(&'static str, Self); 6] = [
        ("none", Self::None),
        ("first-fit", Self::FirstFit),
        ("best-fit", Self::BestFit),
        ("watcher", Self::Watcher),
        ("proxmox", Self::Proxmox),
        ("whimbrel", Self::Whimbrel),
    ];

    pub(super) fn decides(&self, setup: &Setup, seed: u64) -> Box<dyn Decides> {
        match self {
            Self::None => Box::new(Still),
            Self::FirstFit => Box::new(Packing { fit: Fit::First }),
            Self::BestFit => Box::new(Packing { fit: Fit::Best }),
            Self::Watcher => Box::new(Watcher::default()),
            Self::Proxmox => Box::new(Proxmox),
            Self::Whimbrel => Box::new(Whimbrel::new(setup.guests())),
            Self::Reference(rules) => {
                let draws = Streams::new(seed).stream("selection");
                Box::new(Heuristic { rules: *rules, draws })
            }
        }
    }

    /// Part of a host that a guest may want of it at the beginning beside others, 0 to 1.
    pub(super) fn share_max(&self) -> f64 {
        match self {
            Self::Reference(Rules { overload: Overload::Threshold(threshold), .. }) => *threshold,
            _ => SHARE_MAX,
        }
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        let plain = Self::PLAIN.iter().find(|(known, _)| *known == name);
        plain
            .map(|(_, policy)| *policy)
            .or_else(|| rules_of(name).map(Self::Reference))
            .ok_or_else(|| UnknownPolicy { name: name.to_owned() })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Reference(rules) = self {
            return write!(out, "{rules}");
        }
        let plain = Self::PLAIN.iter().find(|(_, policy)| policy == self);
        out.write_str(plain.map_or("", |(name, _)| name))
    }
}

fn rules_of(name: &str) -> Option<Rules> {
    let mut parts = name.splitn(3, '-');
    let (overload, selection) = (parts.next()?, parts.next()?);
    let parameter: f64 = parts.next()?.parse().ok()?;
    if !parameter.is_finite() || parameter.is_sign_negative() {
        return None;
    }
    Some(Rules {
        overload: match overload {
            "thr" if parameter <= 1.0 => Overload::Threshold(parameter),
            "mad" => Overload::Deviation(parameter),
            "iqr" => Overload::Quartiles(parameter),
            "lr" => Overload::Regression(parameter),
            "lrr" => Overload::RobustRegression(parameter),
            _ => return None,
        },
        selection: match selection {
            "mmt" => Selection::MinimumMigrationTime,
            "mu" => Selection::MinimumUtilization,
            "rs" => Selection::Random,
            "mc" => Selection::MaximumCorrelation,
            _ => return None,
        },
    })
}

impl fmt::Display for Rules {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (overload, parameter) = match self.overload {
            Overload::Threshold(parameter) => ("thr", parameter),
            Overload::Deviation(parameter) => ("mad", parameter),
            Overload::Quartiles(parameter) => ("iqr", parameter),
            Overload::Regression(parameter) => ("lr", parameter),
            Overload::RobustRegression(parameter) => ("lrr", parameter),
        };
        let selection = match self.selection {
            Selection::MinimumMigrationTime => "mmt",
            Selection::MinimumUtilization => "mu",
            Selection::Random => "rs",
            Selection::MaximumCorrelation => "mc",
        };
        write!(out, "{overload}-{selection}-{parameter}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let rules = ["lr-mmt-1.2", "thr-mu-0.8", "mad-rs-2.5", "iqr-mc-1.5", "lrr-mmt-1"];
        let plain = Policy::PLAIN.map(|(name, _)| name);
        for name in rules.into_iter().chain(plain) {
            assert_eq!(name.parse::<Policy>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_no_policy_is_called_is_refused_with_what_is_known() {
        for name in
            ["", "lr", "lr-mmt", "lr-mmt-x", "thr-mu-1.5", "lr-mmt--1", "lr-mmt-NaN", "xx-mu-1"]
        {
            let error = name.parse::<Policy>().unwrap_err().to_string();
            assert!(error.contains("none") && error.contains("lrr"), "{error}");
        }
    }
}
