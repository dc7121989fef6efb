//! `--explain` of a plan, for people: one VM in full, many in a table.

use whimbrel_core::Plan;
use whimbrel_planner::{Explanation, explain::Alternative};

use super::table::table;
use crate::{Failure, advice::Asked, scene::Scene};

/// What was asked about, if anything.
pub(super) fn told(
    scene: &Scene,
    plan: &Plan,
    asked: Option<&Asked>,
) -> Result<Vec<Explanation>, Failure> {
    asked.map_or(Ok(Vec::new()), |asked| scene.advisor.tell(&scene.situation, plan, asked))
}

/// Prints it.
pub(super) fn print(asked: Option<&Asked>, told: &[Explanation], plan: &Plan) {
    match asked {
        None => {}
        Some(Asked::One(_) | Asked::Nobody(_)) => told.iter().for_each(|one| say!("{one}")),
        Some(Asked::All | Asked::Stays) if told.is_empty() => {
            say!("explained: plan {} leaves nobody", plan.id());
        }
        Some(Asked::All | Asked::Stays) => {
            let heads = ["domain", "is on", "goes to", "why", "best other hosts (guest-seconds)"];
            let mut rows = table(&heads);
            for one in told {
                let goes = if one.moves() { one.end.to_string() } else { "stays".to_owned() };
                let others: Vec<String> = one.alternatives.iter().map(Alternative::short).collect();
                rows.add_row([
                    one.vm.to_string(),
                    one.home.to_string(),
                    goes,
                    one.why.to_string(),
                    others.join(", "),
                ]);
            }
            say!("{rows}");
            say!("explained in full, with what would change it: --explain DOMAIN");
        }
    }
}
