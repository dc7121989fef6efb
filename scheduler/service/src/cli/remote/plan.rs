//! `whimbrel plan` through an endpoint: the daemon plans, and explains where that is asked for.

use whimbrel_planner::undo::Turned;

use super::{
    Connect, only_here, read_plan, refuse_other_sources,
    told::{Told, may_run, show},
};
use crate::{
    Failure,
    cli::{
        Common, Ending, Format, explained,
        plan::{GoalArguments, PlanArguments, Wanted},
        turn,
    },
    files,
    grpc::{ExplainQuestion, Page, PlanQuestion, Previous, Purpose, Simulated, Subject},
};

pub(super) fn run(
    common: &Common,
    own: &PlanArguments,
    connect: &Connect<'_>,
) -> Result<Ending, Failure> {
    let (wanted, own) = own.taken_apart()?;
    refuse_what_only_works_here(own)?;
    let (purpose, earlier) = match wanted {
        Wanted::Goal(goal) => (Purpose::Goal(goal), None),
        Wanted::Reverse(path) => {
            let (plan_text, plan) = read_plan(path)?;
            (Purpose::Reverse { plan_text }, Some(plan))
        }
        Wanted::Resume(path) => {
            let (plan_text, plan) = read_plan(path)?;
            (Purpose::Resume { plan_text }, Some(plan))
        }
    };
    let previous = match &own.previous {
        Some(path) => Previous::Given { plan_text: read_plan(path)?.0 },
        None if own.anew => Previous::Nothing,
        None => Previous::Remembered,
    };
    let client = connect()?;
    let planned = client.plan(&PlanQuestion { purpose, previous, seed: own.seed() })?;
    if let Some(earlier) = &earlier {
        let turned = Turned { goal: planned.plan.goal.clone(), standing: planned.standing };
        if !turn::anything(common, earlier, &turned)? {
            return Ok(Ending::No);
        }
    }
    if let Some(path) = &own.out {
        files::write(path, planned.text.as_bytes())?;
    }
    let asked = own.explain.as_ref();
    let explanations = match asked {
        None => Vec::new(),
        Some(asked) => {
            let of = Subject::Given { plan_text: planned.text };
            let (asked, page) = (asked.clone(), Page::default());
            client.explain(&ExplainQuestion { of, asked, page })?.explanations
        }
    };
    let (plan, previous) = (&planned.plan, planned.previous);
    let told = Simulated { findings: planned.findings, simulation: planned.simulation };
    show(common.output, &Told { previous, explanations: &explanations, ..Told::of(plan, &told) })?;
    if common.output == Format::Table {
        explained::print(asked, &explanations, plan);
        own.print_next_step();
    }
    let pass = may_run(&told) && !plan.is_empty();
    Ok(if pass { Ending::Done } else { Ending::No })
}

fn refuse_what_only_works_here(own: &GoalArguments) -> Result<(), Failure> {
    refuse_other_sources(&own.source)?;
    if own.report.is_some() {
        return Err(only_here("--report", "the report needs more than the API tells"));
    }
    if own.save_snapshot.is_some() {
        return Err(only_here("--save-snapshot", "inventory --save asks for the present one"));
    }
    match own.input.given() {
        Some(option) => Err(only_here(option, "the API does not tell what a plan was made from")),
        None => Ok(()),
    }
}
