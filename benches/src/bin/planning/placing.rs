//! How many more machines of one size an instance holds with the loss of any one host survived:
//! what hspace is asked, too.

use std::{error::Error, time::Instant};

use serde_json::json;
use whimbrel_benches::{
    cpu_time,
    placing::{count, count_one_by_one, flavour},
};
use whimbrel_planner::{input::Input, placing::Room};

/// One line for `spec`, which is MiB,vCPUs.
pub(crate) fn capacity(
    input: &Input,
    name: &str,
    spec: &str,
    one_by_one: bool,
) -> Result<String, Box<dyn Error>> {
    let (mib, vcpus) = spec.split_once(',').ok_or("--capacity takes MiB,vCPUs")?;
    let flavour = flavour(mib.parse()?, vcpus.parse()?);
    let (begin, before) = (Instant::now(), cpu_time::of_this_process()?);
    let room = Room::new(&input.snapshot, &input.policy)?;
    let counted = count(&room, &flavour)?;
    let cpu = cpu_time::of_this_process()?.saturating_sub(before).as_secs_f64();
    let wall = begin.elapsed().as_secs_f64();
    let checked = one_by_one.then(|| count_one_by_one(&room, &flavour)).transpose()?;
    let line = json!({
        "instance": name,
        "tool": "whimbrel",
        "flavour": flavour.name,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "more": counted.rounds,
        "stop": counted.stop,
        "one_by_one": checked,
    });
    Ok(line.to_string())
}
