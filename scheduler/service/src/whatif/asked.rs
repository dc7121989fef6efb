//! What nobody can mean by a question: refused before anything is planned.
//!
//! Never here: whether hosts and guests exist, which the change itself looks up.

use std::{collections::BTreeSet, fmt::Display};

use whimbrel_core::units::Span;

use super::{Question, SEEDS_MAX};
use crate::Failure;

/// Refuses a question that nobody can mean.
pub(super) fn check(question: &Question) -> Result<(), Failure> {
    if question.seeds == 0 || question.seeds > SEEDS_MAX {
        return Err(Failure::invalid(format!(
            "{} seeds, the limits are 1 and {SEEDS_MAX} (hint: 50 make good bands)",
            question.seeds
        )));
    }
    if question.horizon == Some(Span::ZERO) {
        return Err(Failure::invalid(
            "a horizon of 0 s shows nothing (hint: 30 min, or leave it out)",
        ));
    }
    let changes = &question.changes;
    once("remove_hosts", &changes.remove_hosts)?;
    once("remove_racks", &changes.remove_racks)?;
    once("drain", &changes.drain)?;
    once("resize", changes.resize.iter().map(|resize| &resize.vm))?;
    changes.racks.iter().try_for_each(|(rack, hosts)| once(&format!("rack {rack}"), hosts))
}

fn once<T: Ord + Display>(list: &str, names: impl IntoIterator<Item = T>) -> Result<(), Failure> {
    let mut known = BTreeSet::new();
    for name in names {
        if let Some(twice) = known.replace(name) {
            return Err(Failure::invalid(format!(
                "{twice} is named twice in {list} (hint: name it once)"
            )));
        }
    }
    Ok(())
}
