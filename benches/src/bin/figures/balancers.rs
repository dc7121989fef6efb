//! Balancers over seven days of public traces, the days that judge (`balance-later.toml`): what
//! Whimbrel moves and takes back, and its minutes of overload beside the best baseline's.
//!
//! Without the trace these figures have no value and say so.

use std::{collections::BTreeMap, error::Error};

use whimbrel::sweep::Matrix;

use crate::{figure::Found, places::Places};

/// Our own planner as it comes, by the name of its cells.
const OURS: &str = "whimbrel";

/// Its other settings, which are no baselines.
const OURS_OTHERWISE: &str = "whimbrel-";

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    let study = places.root().join("simulator/studies/balance-later.toml");
    let matrix = Matrix::read(&study, None)?;
    let cells = matrix.axes.cells();
    // Added up over the placements that the study begins with.
    let mut minutes: BTreeMap<&str, f64> = BTreeMap::new();
    let (mut back, mut moves, mut played) = (0.0, 0.0, 0.0_f64);
    for cell in cells.iter().filter(|cell| !cell.policy.starts_with(OURS_OTHERWISE)) {
        let figures = matrix.work.figures(cell)?;
        let of = |name: &str| figures.get(name).copied().ok_or_else(|| format!("no {name}"));
        *minutes.entry(&cell.policy).or_default() += of("overload_host_minutes")?;
        if cell.policy == OURS {
            back += of("moved_back_within_hour")?;
            moves += of("moves_per_guest_day")?;
            played += 1.0;
        }
    }
    let ours = minutes.remove(OURS).ok_or("the study plays no planner of ours")?;
    let best = minutes.into_values().fold(f64::INFINITY, f64::min);
    found.put("balance_moved_back_within_hour", back);
    found.put("balance_moves_per_vm_day", moves / played);
    found.put("balance_overload_over_best_peer", ours / best);
    Ok(())
}
