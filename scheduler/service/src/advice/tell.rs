//! Questions about a plan: why a VM moves or stays, and what to give up where there is no plan.

use std::{convert::Infallible, str::FromStr};

use whimbrel_core::{Goal, Plan, VmId};
use whimbrel_planner::{
    Explanation,
    explain::{ExplainFailure, confirm},
    explain_all, explain_some, ways_out,
};

use super::{Advisor, Situation};
use crate::Failure;

/// Hosts times domains up to which each threshold is confirmed by a whole new plan: seconds.
const CONFIRMED_MAX: usize = 20_000;

/// Which VMs of a plan are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// One, with everything that there is to say.
    One(VmId),
    /// Each, in a few words.
    All,
    /// Each that stays, in a few words.
    Stays,
    /// A text that can be no VM's name.
    Nobody(String),
}

impl FromStr for Asked {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "all" => Self::All,
            "stays" => Self::Stays,
            name => VmId::new(name).map_or_else(|_| Self::Nobody(name.to_owned()), Self::One),
        })
    }
}

impl Advisor {
    /// Why `plan`, made in `situation`, moves or leaves those who are asked about.
    ///
    /// # Errors
    /// [`Failure`] where nobody is asked about, or the plan is not of this situation.
    pub fn tell(
        &self,
        situation: &Situation,
        plan: &Plan,
        asked: &Asked,
    ) -> Result<Vec<Explanation>, Failure> {
        let outlook = self.outlook_of(situation, plan);
        let request = self.request(situation, &outlook, plan.goal.clone(), plan.parent.seed);
        match asked {
            Asked::All => explain_all(&request, plan, false).map_err(refused),
            Asked::Stays => explain_all(&request, plan, true).map_err(refused),
            Asked::One(vm) => {
                let mut one =
                    whimbrel_planner::explain::explain(&request, plan, vm).map_err(refused)?;
                let size = situation.snapshot.hosts.len() * situation.snapshot.domains.len();
                if size <= CONFIRMED_MAX {
                    confirm(&request, &mut one).map_err(Failure::invalid)?;
                }
                Ok(vec![one])
            }
            Asked::Nobody(name) => Err(Failure::not_found(format!(
                "{name:?} can be no domain's name (hint: name a domain, or `all` or `stays`)"
            ))),
        }
    }

    /// The same; of many VMs only `most`, by name, after `after`.
    ///
    /// # Errors
    /// [`Failure`] as of [`Advisor::tell`].
    pub fn tell_page(
        &self,
        situation: &Situation,
        plan: &Plan,
        asked: &Asked,
        (after, most): (Option<&VmId>, usize),
    ) -> Result<Vec<Explanation>, Failure> {
        let stays_only = match asked {
            Asked::All => false,
            Asked::Stays => true,
            Asked::One(_) | Asked::Nobody(_) => return self.tell(situation, plan, asked),
        };
        let outlook = self.outlook_of(situation, plan);
        let request = self.request(situation, &outlook, plan.goal.clone(), plan.parent.seed);
        explain_some(&request, plan, stays_only, after, most).map_err(refused)
    }

    /// `failure` of planning for `goal`, with the smallest changes that would make it possible.
    /// Plans again, many times.
    #[must_use]
    pub fn with_ways_out(
        &self,
        situation: &Situation,
        goal: &Goal,
        seed: u64,
        mut failure: Failure,
    ) -> Failure {
        let outlook = self.outlook_for(situation, goal);
        let request = self.request(situation, &outlook, goal.clone(), seed);
        if let Err(reason) = whimbrel_planner::plan(&request) {
            let ways = ways_out(&request, &reason);
            if ways.plans > 0 {
                failure.message = format!("{}\n{ways}", failure.message.trim_end());
            }
        }
        failure
    }
}

fn refused(failure: ExplainFailure) -> Failure {
    match failure {
        ExplainFailure::UnknownVm { .. } => Failure::not_found(failure),
        ExplainFailure::OtherCluster { .. } => Failure::conflict(failure),
        ExplainFailure::Request(_) => Failure::invalid(failure),
    }
}
