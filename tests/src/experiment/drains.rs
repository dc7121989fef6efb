//! Whole drains of a real host beside the same drains in the simulator: how well a plan's proof
//! knows how long it will take, and whether the number of migrations at a time that a plan chooses
//! is a good one.
//!
//! Nine guests run on one host, whose link is shaped; a plan is made, as the planner chooses or
//! with so many of them at a time, its snapshot is kept, and then it is executed. The program that
//! does so is the one that operators have. [`compare`] simulates again from what was kept, so a
//! drain that was measured once judges every later simulator.
//!
//! Never here: a constant of the simulator that was set because of these drains.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use whimbrel::files;
use whimbrel_core::{Policy, settings::Transport, units::Span};
use whimbrel_lab::{GuestSpec, Lab, Load, Order};

use crate::{
    campaign::{error::CampaignError, link, recorder::stopped},
    command::free_of_settings,
    draw::Draw,
    lab_cluster,
};

pub mod compare;
pub mod report;

/// The host that is drained, and what its link carries, in megabytes a second with headers.
const HOST: &str = "h1";
const SHAPE: f64 = 10.0;

/// Migrations at a time, fixed and at last as the planner chooses; each tried [`REPEATS`] times.
const AT_ONCE: [Option<u32>; 5] = [Some(1), Some(2), Some(3), Some(4), None];

/// Most that the planner may choose.
const AT_ONCE_MAX: u32 = 8;

/// What a migration may take when others are made to share its link.
const PATIENCE: Span = Span::from_seconds(600);

/// How often each is tried where nobody says.
pub const REPEATS: u32 = 2;

/// How long guests are watched before a plan is made.
const WATCHED: &str = "45 s";

/// Files of a drain, in its directory.
const POLICY: &str = "policy.toml";
const SNAPSHOT: &str = "snapshot.json";
const PLAN: &str = "plan.toml";

/// Telemetry of all drains, in the directory of all.
pub const TELEMETRY: &str = "whimbrel-telemetry";

/// A drain that is to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// Its directory's name.
    pub name: String,
    /// Migrations at a time; `None` where the planner chooses.
    pub at_once: Option<u32>,
}

/// The drains, in the order in which they are tried: one that teaches, for nothing is known of the
/// guests yet, then in every round each number once.
pub fn draw(seed: u64, repeats: u32) -> Vec<Drain> {
    let mut draw = Draw::new(seed);
    let round = |round: u32, draw: &mut Draw| {
        let mut numbers = AT_ONCE.to_vec();
        draw.shuffle(&mut numbers);
        let named = move |at_once: Option<u32>| {
            let way = at_once.map_or("chosen".to_owned(), |number| format!("at-once-{number}"));
            Drain { name: format!("{round:02}-{way}"), at_once }
        };
        numbers.into_iter().map(named).collect::<Vec<_>>()
    };
    let first = Drain { name: "00-teaches".to_owned(), at_once: Some(2) };
    let rounds = (1..=repeats).flat_map(|number| round(number, &mut draw));
    std::iter::once(first).chain(rounds).collect()
}

/// The guests: alike in size, different in what they write.
fn guests() -> Vec<GuestSpec> {
    let guest = |(number, rate_kib_per_second): (usize, u32)| GuestSpec {
        memory_mib: 48,
        load: Load {
            working_set_mib: Some(16 + 2 * number as u32),
            rate_kib_per_second: Some(rate_kib_per_second),
            order: Some(if number.is_multiple_of(2) { Order::Sequential } else { Order::Random }),
            ..Load::default()
        },
        ..GuestSpec::mini(format!("d{number}"))
    };
    [0, 0, 32, 64, 96, 128, 192, 256, 384].into_iter().enumerate().map(guest).collect()
}

/// Does those of `drains` that are not done, keeping everything in `directory`.
///
/// # Errors
/// [`CampaignError`] when the lab or the program cannot be used, or a guest has lost memory.
pub fn run(
    lab: &Lab,
    program: &Path,
    directory: &Path,
    drains: &[Drain],
    say: &mut dyn FnMut(&str),
) -> Result<(), CampaignError> {
    fs::create_dir_all(directory).map_err(|e| CampaignError::facts(directory, &e))?;
    lab_cluster::configure(lab, directory)?;
    for (number, drain) in drains.iter().enumerate() {
        let place = directory.join(&drain.name);
        if place.is_dir() {
            continue;
        }
        say(&format!("{} of {}: {}", number + 1, drains.len(), drain.name));
        let begun = directory.join(format!("{}.begun", drain.name));
        let _ = fs::remove_dir_all(&begun);
        fs::create_dir_all(&begun).map_err(|e| CampaignError::facts(&begun, &e))?;
        set_up(lab)?;
        files::write(&begun.join(POLICY), policy()?.as_bytes())?;
        let at_work = AtWork { lab, program, directory, drain: &begun };
        at_work.whimbrel(&["collect", "--for", WATCHED])?;
        at_work.plan()?;
        if let Some(number) = drain.at_once {
            at_work.fix(number)?;
        }
        at_work.apply()?;
        whole(lab)?;
        // A drain counts once its directory has its name.
        fs::rename(&begun, &place).map_err(|e| CampaignError::facts(&place, &e))?;
    }
    for guest in guests() {
        stopped(lab, &guest.name)?;
    }
    // Whoever uses the laboratory next expects whole links.
    Ok(lab.link_clear(HOST)?)
}

/// Fresh guests on the host, whose link is shaped.
fn set_up(lab: &Lab) -> Result<(), CampaignError> {
    for guest in guests() {
        stopped(lab, &guest.name)?;
    }
    lab.link_shape(HOST, SHAPE)?;
    let started: Vec<_> = guests()
        .into_iter()
        .map(|guest| {
            let lab = lab.clone();
            thread::spawn(move || lab.start_guest(HOST, &guest))
        })
        .collect();
    for (thread, guest) in started.into_iter().zip(guests()) {
        crate::campaign::guests::joined(thread, &named(&guest)?)??;
    }
    Ok(())
}

/// Refuses to go on where a page is not as its guest wrote it.
fn whole(lab: &Lab) -> Result<(), CampaignError> {
    for guest in guests() {
        let bad_pages = lab.verify_guest(&guest.name)?.bad_pages;
        if bad_pages > 0 {
            let message = format!("guest {} lost {bad_pages} pages", guest.name);
            return Err(CampaignError::Facts { path: HOST.to_owned(), message });
        }
    }
    Ok(())
}

fn named(guest: &GuestSpec) -> Result<whimbrel_core::VmId, CampaignError> {
    Ok(whimbrel_core::VmId::new(&guest.name)?)
}

/// The laboratory's policy for migrations that share what the link carries.
fn policy() -> Result<String, CampaignError> {
    let path = Path::new(POLICY);
    let mut policy: Policy =
        toml::from_str(lab_cluster::policy()).map_err(|e| CampaignError::facts(path, &e))?;
    policy.limits.migrations_per_host = AT_ONCE_MAX;
    policy.limits.migrations_total = AT_ONCE_MAX;
    policy.limits.path_bandwidth = link::carried(SHAPE);
    policy.migration.transport = Transport::Tcp;
    policy.migration.bandwidth_limit = None;
    // A quarter of the link must still be enough for every guest: what is judged is time.
    policy.migration.downtime_limit = Span::from_seconds(1);
    toml::to_string(&policy).map_err(|e| CampaignError::facts(path, &e))
}

/// A drain being done.
struct AtWork<'a> {
    lab: &'a Lab,
    program: &'a Path,
    directory: &'a Path,
    drain: &'a Path,
}

impl AtWork<'_> {
    fn plan(&self) -> Result<(), CampaignError> {
        let [policy, snapshot, plan] = self.files();
        let words = ["plan", "drain", HOST, "--policy", &policy, "--save-snapshot", &snapshot];
        self.whimbrel(&[&words[..], &["--out", &plan]].concat())
    }

    /// Lets the plan run so many at a time.
    fn fix(&self, at_once: u32) -> Result<(), CampaignError> {
        let path = self.drain.join(PLAN);
        let plan = files::read_plan(&path)?.at_fixed_pace(at_once, PATIENCE);
        Ok(files::write(&path, files::plan_text(&plan)?.as_bytes())?)
    }

    fn apply(&self) -> Result<(), CampaignError> {
        let [policy, _, plan] = self.files();
        self.whimbrel(&["apply", &plan, "--execute", "--policy", &policy])
    }

    fn files(&self) -> [String; 3] {
        [POLICY, SNAPSHOT, PLAN].map(|name| self.drain.join(name).display().to_string())
    }

    /// Runs the program in the lab's network, without settings from outside.
    fn whimbrel(&self, words: &[&str]) -> Result<(), CampaignError> {
        let mut command: Command = self.lab.command(&self.program.display().to_string());
        free_of_settings(&mut command, self.directory);
        let output =
            command.args(words).output().map_err(|e| CampaignError::facts(self.program, &e))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let message = format!("{}: {}", words.join(" "), String::from_utf8_lossy(&said));
        Err(CampaignError::Facts { path: self.program.display().to_string(), message })
    }
}

/// The program beside this one.
///
/// # Errors
/// [`CampaignError::Facts`] when it is not there.
pub fn program() -> Result<PathBuf, CampaignError> {
    let here =
        std::env::current_exe().map_err(|e| CampaignError::facts(Path::new("this program"), &e))?;
    let beside = here.with_file_name("whimbrel-under-test");
    if beside.is_file() {
        return Ok(beside);
    }
    let message = "is not there; cargo build --package whimbrel-tests makes it".to_owned();
    Err(CampaignError::Facts { path: beside.display().to_string(), message })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_round_has_every_number() {
        let drains = draw(7, 3);
        for round in drains[1..].chunks(AT_ONCE.len()) {
            let numbers: BTreeSet<Option<u32>> = round.iter().map(|drain| drain.at_once).collect();
            assert_eq!(numbers, BTreeSet::from(AT_ONCE));
        }
        let names: BTreeSet<&str> = drains.iter().map(|drain| drain.name.as_str()).collect();
        assert_eq!((drains.len(), names.len()), (16, 16));
        assert_ne!(draw(7, 3), draw(8, 3));
    }

    #[test]
    fn the_guests_fit_the_host_and_the_policy_reads() {
        let together: u32 = guests().iter().map(|guest| guest.memory_mib).sum();
        assert!(together <= 450);
        let policy: Policy = toml::from_str(&policy().unwrap()).unwrap();
        let total = policy.limits.migrations_total;
        assert_eq!((total, policy.migration.bandwidth_limit), (AT_ONCE_MAX, None));
    }
}
