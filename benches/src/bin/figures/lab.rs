//! Real hosts and guests: a lab from nothing, a collector that watches it, and a drain by plan
//! and apply.
//!
//! The lab is this program's own, by name and directory, and is ended whatever happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use whimbrel_lab::{Lab, LabConfig, capability};
use whimbrel_tests::lab_cluster;

use crate::{child, figure::Found, places::Places};

const NAME: &str = "figures";
const DIRECTORY: &str = "/tmp/whimbrel-figures";

/// How long the collector is watched.
const COLLECTED: &str = "60 s";

/// The host that is drained.
const DRAINED: &str = "h1";

/// Where each sighted guest is, with libvirt's word for its state.
type Sightings = BTreeMap<String, Vec<(String, String)>>;

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    capability().map_err(|missing| format!("no lab on this machine: {missing}"))?;
    let whimbrel = places.program("whimbrel")?;
    let config = LabConfig {
        name: NAME.to_owned(),
        state_dir: PathBuf::from(DIRECTORY),
        host_count: 3,
        ..LabConfig::from_environment()
    };
    let lab = Lab::new(config.clone())?;
    lab.down(&mut |_| ())?;
    // Certificates and guests of an earlier run would save time.
    fs::remove_dir_all(DIRECTORY)?;
    let ended = EndedAfterwards(&lab);

    let mut up = Command::new(places.program("whimbrel-lab")?);
    up.args(["up", "--fresh"]).env("WHIMBREL_LAB_NAME", NAME).env("WHIMBREL_LAB_DIR", DIRECTORY);
    let begun = Instant::now();
    succeed(&mut up)?;
    found.put("lab_up_seconds", begun.elapsed().as_secs_f64());

    lab_cluster::start_guests(&lab)?;
    let scratch = places.scratch("lab")?;
    let configured = lab_cluster::configure(&lab, &scratch)?;
    let whimbrel = |words: &[&str]| {
        let mut command = lab.command(&whimbrel.to_string_lossy());
        command.current_dir(&scratch).args(words);
        command.arg("--policy").arg(places.recorded().join("policy.toml"));
        command
    };
    collect(
        &mut whimbrel(&["collect", "--for", COLLECTED]),
        &configured.collect.telemetry_directory,
        found,
    )?;
    drain(&lab, whimbrel, found)?;
    drop(ended);
    Ok(())
}

/// Ends the lab when it is dropped.
struct EndedAfterwards<'a>(&'a Lab);

impl Drop for EndedAfterwards<'_> {
    fn drop(&mut self) {
        // The next run cleans away what could not be ended.
        let _ = self.0.down(&mut |_| ());
    }
}

fn succeed(command: &mut Command) -> Result<child::Cost, Box<dyn Error>> {
    let cost = child::run(command)?;
    if cost.status.success() {
        Ok(cost)
    } else {
        Err(format!("{command:?} ended with {}", cost.status).into())
    }
}

fn collect(
    collect: &mut Command,
    telemetry: &Path,
    found: &mut Found,
) -> Result<(), Box<dyn Error>> {
    let cost = succeed(collect)?;
    let seconds = cost.wall.as_secs_f64();
    found.put("collector_cpu_share", cost.cpu.as_secs_f64() / seconds);
    found.put("collector_telemetry_bytes_per_second", size(telemetry)? as f64 / seconds);
    Ok(())
}

/// Bytes in all files below a directory.
fn size(directory: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}

fn drain(
    lab: &Lab,
    whimbrel: impl Fn(&[&str]) -> Command,
    found: &mut Found,
) -> Result<(), Box<dyn Error>> {
    let before = sightings(lab)?;
    succeed(&mut whimbrel(&["plan", "drain", DRAINED, "--out", "drain.plan.toml"]))?;
    // A plan that does not end well is what is to be counted, not a reason to stop.
    let applied = child::run(&mut whimbrel(&["apply", "drain.plan.toml", "--execute"]))?;
    if applied.status.code().is_none_or(|code| code > 1) {
        return Err(format!("whimbrel apply ended with {}", applied.status).into());
    }
    let after = sightings(lab)?;
    let names: BTreeSet<String> =
        lab_cluster::guests().into_iter().map(|(_, spec)| spec.name).collect();
    let clean = |name: &str| lab.verify_guest(name).is_ok_and(|guest| guest.bad_pages == 0);
    let lost = names.iter().filter(|name| !is_once(&after, name) || !clean(name)).count();
    found.put("lab_moves_lost", lost as f64);
    found.put("lab_moves_arrived_share", arrived_share(&before, &after));
    Ok(())
}

fn sightings(lab: &Lab) -> Result<Sightings, Box<dyn Error>> {
    let mut sightings = Sightings::new();
    for host in lab.status()?.hosts {
        if let Some(why) = host.unknown {
            return Err(format!("the guests of {} are not known: {why}", host.name).into());
        }
        for guest in host.guests {
            sightings.entry(guest.name).or_default().push((host.name.clone(), guest.state));
        }
    }
    Ok(sightings)
}

/// Whether a guest is on one host only, and runs there.
fn is_once(sightings: &Sightings, name: &str) -> bool {
    let places = sightings.get(name).map(Vec::as_slice);
    matches!(places, Some([(_, state)]) if state == "running")
}

/// Of the guests that were on the drained host, how many now run on another, and only there.
fn arrived_share(before: &Sightings, after: &Sightings) -> f64 {
    let here = |places: &[(String, String)]| places.iter().any(|(host, _)| host == DRAINED);
    let left: Vec<&String> =
        before.iter().filter(|(_, places)| here(places)).map(|(name, _)| name).collect();
    let arrived = left.iter().filter(|name| {
        is_once(after, name) && after.get(name.as_str()).is_some_and(|places| !here(places))
    });
    arrived.count() as f64 / left.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(list: &[(&str, &str, &str)]) -> Sightings {
        let mut sightings = Sightings::new();
        for (name, host, state) in list {
            let place = ((*host).to_owned(), (*state).to_owned());
            sightings.entry((*name).to_owned()).or_default().push(place);
        }
        sightings
    }

    #[test]
    fn lost_doubled_and_stopped_guests_are_not_there_once() {
        let sightings = seen(&[
            ("well", "h2", "running"),
            ("doubled", "h1", "running"),
            ("doubled", "h2", "running"),
            ("stopped", "h3", "paused"),
        ]);
        let once = |name| is_once(&sightings, name);
        assert_eq!(["well", "doubled", "stopped", "lost"].map(once), [true, false, false, false]);
    }

    #[test]
    fn only_guests_of_the_drained_host_can_arrive() {
        let before = seen(&[
            ("a", "h1", "running"),
            ("b", "h1", "running"),
            ("c", "h1", "running"),
            ("d", "h1", "running"),
            ("elsewhere", "h2", "running"),
        ]);
        let after = seen(&[
            ("a", "h2", "running"),
            ("b", "h1", "running"),
            ("c", "h1", "shut off"),
            ("c", "h3", "running"),
            ("elsewhere", "h2", "running"),
        ]);
        assert!((arrived_share(&before, &after) - 0.25).abs() < 1e-9);
    }
}
