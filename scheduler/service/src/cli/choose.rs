//! `--choose`: which settings are best, for people.

use clap::ValueEnum;
use whimbrel_core::{HostId, VmId, units::Span};
use whimbrel_models::{
    Choice, Priorities,
    choose::{Preset, Safety, Why, describe},
};

use super::table::table;

/// What matters in a choice.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Choosing")]
pub(super) struct ChooseArguments {
    /// Choose the best settings instead of predicting given ones
    #[arg(long)]
    pub(super) choose: bool,
    /// What is worth most
    #[arg(long, value_enum, requires = "choose", default_value_t = Prefer::Balanced)]
    prefer: Prefer,
    /// The guest must have arrived after this long, 95 % sure
    #[arg(long, value_name = "SPAN", requires = "choose")]
    deadline: Option<Span>,
    /// Longest downtime, 95 % sure
    #[arg(long, value_name = "SPAN", requires = "choose")]
    max_downtime: Option<Span>,
    /// Post-copy may be chosen: the link between the hosts is known to hold
    #[arg(long, requires = "choose")]
    pub(super) allow_post_copy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Prefer {
    /// Everything counts
    Balanced,
    /// The guest should hardly notice
    Gentle,
    /// The guest should be gone soon
    Fast,
    /// The network should hardly notice
    Frugal,
}

impl ChooseArguments {
    pub(super) fn priorities(&self) -> Priorities {
        let preset = match self.prefer {
            Prefer::Balanced => Preset::Balanced,
            Prefer::Gentle => Preset::Gentle,
            Prefer::Fast => Preset::Fast,
            Prefer::Frugal => Preset::Frugal,
        };
        let safety = if self.allow_post_copy {
            Safety::PostCopyOverSteadyLinks
        } else {
            Safety::AvoidPostCopy
        };
        Priorities {
            deadline: self.deadline,
            downtime_max: self.max_downtime,
            safety,
            ..preset.priorities()
        }
    }
}

/// Prints choices, one for each target.
pub(super) fn print(vm: &VmId, choices: &[(HostId, Choice)]) {
    for (to, choice) in choices {
        say!("{vm} to {to}: {}", choice.sentence);
        say!("  give it up after {}", choice.timeout.human());
        alternatives(choice);
        for caveat in &choice.prediction.caveats {
            say!("  note: {caveat}");
        }
    }
}

fn alternatives(choice: &Choice) {
    let mut rows =
        table(&["  instead", ">converges", ">time", ">sent", ">downtime", "not taken because"]);
    let mut any = false;
    for other in &choice.rejected {
        let Some(p) = &other.prediction else {
            continue;
        };
        any = true;
        rows.add_row([
            format!("  {}", describe(&other.settings)),
            p.converges.to_string(),
            p.total_time.p50.human(),
            p.transferred.p50.human(),
            p.downtime.p50.human(),
            why(&other.why, choice.cost),
        ]);
    }
    if any {
        say!("{rows}");
    }
    for other in choice.rejected.iter().filter(|other| other.prediction.is_none()) {
        say!("  not tried: {}: {}", describe(&other.settings), why(&other.why, choice.cost));
    }
}

fn why(why: &Why, chosen: f64) -> String {
    match why {
        Why::Dearer { cost } if *cost > chosen * 2.0 => {
            format!("{:.0} times as dear by these priorities", cost / chosen)
        }
        Why::Dearer { cost } if *cost > chosen * 1.02 => {
            format!("{:.0} % dearer by these priorities", (cost / chosen - 1.0) * 100.0)
        }
        Why::Dearer { .. } => "no better, and less simple".to_owned(),
        Why::Misses(misses) => {
            misses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        Why::PostCopyAvoided => "post-copy is not allowed (--allow-post-copy)".to_owned(),
        Why::LinkNotSteady => "the link is not known to hold".to_owned(),
        Why::NotPredicted(error) => error.clone(),
    }
}
