//! The simulator: what others measured, measured again in it, and what its own size costs.
//!
//! Public traces are read where they lie (`WHIMBREL_PUBLIC_DATA`); without them their figures have
//! no value and say so. Reading a trace is not timed.

use std::error::Error;

use whimbrel::sweep::percent_of_part;
use whimbrel_benches::{
    cpu_time::{self, seconds_each},
    growth::{self, SUBJECTS},
};
use whimbrel_core::{
    trace::{Life, Size},
    units::{Bytes, MilliCores, Span, Timestamp},
};
use whimbrel_datasets::{
    locate,
    public::{TraceOptions, TraceRow, open_trace},
};
use whimbrel_simulator::{
    consolidation::{Policy, Setup, study},
    fleet::{Fit, fill},
    kernel::Agenda,
    storm::{self, Model, SimGrid, Star, star},
};

use crate::{balancers, figure::Found, places::Places};

/// The day that others have published figures of, its hosts, and the policy.
const DAY: &str = "20110303";
const DAY_HOSTS: usize = 800;
const DAY_POLICY: &str = "lr-mmt-1.2";

/// A large cloud, whose guests follow that day's.
const CLOUD: (usize, usize) = (10_000, 100_000);

/// Hosts that Azure's arrivals are placed on, and how long the trace lasts.
const FLEET: usize = 2000;
const FLEET_LASTS: Span = Span::from_seconds(791_400);

/// CPU time is counted in hundredths of a second: what is shorter is done this often.
const TIMES: u32 = 5;

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    found.put("events_per_second", events_per_second()?);
    storms(found)?;
    found.put("simulator_growth_exponent", steepest()?);
    // Traces last: where they are not here, the other figures have been found.
    studies(found)?;
    let lives = arrivals()?;
    let size = Size { cpu: MilliCores::cores(64), memory: Bytes::mib(256 << 10) };
    let seconds = seconds_each(1, || fill(vec![size; FLEET], &lives, Fit::Best, FLEET_LASTS))?;
    found.put("azure_replay_seconds", seconds);
    balancers::measure(places, found)
}

fn studies(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let root = locate("planetlab").ok_or("planetlab is not on this machine")?;
    let day = percent_of_part("planetlab", &root, DAY)?;
    let setup = Setup::planetlab(DAY_HOSTS, &day)?;
    let policy: Policy = DAY_POLICY.parse()?;
    let results = study(&setup, &policy, 1)?;
    found.put("planetlab_energy_kwh", results.energy_kwh);
    found.put("planetlab_migrations", results.migrations as f64);
    let seconds = seconds_each(TIMES, || study(&setup, &policy, 1))?;
    found.put("planetlab_lr_mmt_cpu_seconds", seconds);
    let cloud = Setup::scaled(CLOUD.0, CLOUD.1, &day, 1)?;
    let seconds = seconds_each(1, || study(&cloud, &Policy::Whimbrel, 1))?;
    found.put("simulate_100k_vms_seconds", seconds);
    Ok(())
}

fn arrivals() -> Result<Vec<Life>, Box<dyn Error>> {
    let root = locate("azure-v1-arrivals").ok_or("azure-v1-arrivals is not on this machine")?;
    let mut lives = Vec::new();
    for row in open_trace("azure-v1-arrivals", &root, &TraceOptions::default())? {
        if let TraceRow::Life(life) = row? {
            lives.push(life);
        }
    }
    lives.sort_by_key(|life| life.begins);
    Ok(lives)
}

/// Ten thousand migrations among a thousand busy guests on 200 hosts; and what `SimGrid` comes to.
fn storms(found: &mut Found) -> Result<(), Box<dyn Error>> {
    const MIGRATIONS: u32 = 10_000;
    let size = Star { hosts: 200, guests: 1000, migrations: MIGRATIONS, in_flight: 50 };
    let crowd = star(size, Model::Qemu(Box::default()));
    let seconds = seconds_each(TIMES, || storm::run(&crowd))?;
    found.put("migration_storm_microseconds", seconds * 1e6 / f64::from(MIGRATIONS));
    found.put("simgrid_agreement_error", simgrid_disagreement()?);
    Ok(())
}

/// The largest part by which a figure is off from that of `SimGrid` 4.1 on the same storm.
fn simgrid_disagreement() -> Result<f64, Box<dyn Error>> {
    let mut off = Vec::new();
    let mut note =
        |span: Span, seconds: f64| off.push((span.as_seconds_f64() / seconds - 1.0).abs());
    for (dirty_share, duration, downtime) in [(0.2, 5.1274, 8.1793e-3), (0.0, 4.0999, 1.301e-3)] {
        let model = Model::SimGrid(SimGrid { dirty_share, ..SimGrid::default() });
        let mut alone = star(Star { hosts: 2, guests: 1, migrations: 1, in_flight: 1 }, model);
        if let Some(guest) = alone.guests.first_mut() {
            guest.memory = Bytes::mib(4096);
        }
        let ended = storm::run(&alone)?.ended;
        let one = ended.first().ok_or("nothing was migrated")?;
        note(one.duration(), duration);
        note(one.downtime, downtime);
    }
    let size = Star { hosts: 200, guests: 1000, migrations: 1000, in_flight: 50 };
    let figures = storm::run(&star(size, Model::SimGrid(SimGrid::default())))?.figures();
    note(figures.over_at, 118.5923);
    note(figures.duration.mean, 5.622_361);
    note(figures.duration.p50, 5.614_731);
    note(figures.duration.p99, 10.130_785);
    note(figures.downtime.mean, 14.6104e-3);
    note(figures.downtime.p99, 30.5436e-3);
    Ok(off.into_iter().fold(0.0, f64::max))
}

/// The largest exponent of all curves of the simulator's cost against what it simulates.
fn steepest() -> Result<f64, Box<dyn Error>> {
    let mut steepest = f64::NEG_INFINITY;
    for subject in &SUBJECTS {
        let curve = growth::measure(subject)?;
        steepest = steepest.max(curve.exponent().ok_or("too short to be measured")?);
    }
    Ok(steepest)
}

/// Events that the kernel handles in a second of CPU, ten thousand of them pending: of ten, one
/// is a host that is read every 30 s, six are guests whose load changes every 5 min, three are
/// migrations that take a step within 10 s.
fn events_per_second() -> Result<f64, Box<dyn Error>> {
    const PENDING: u64 = 10_000;
    const EVENTS: u64 = 2_000_000;
    let mut agenda = Agenda::new(Timestamp::default());
    for thing in 0..PENDING {
        agenda.after(Span::from_micros(thing * 7919 * 97 % 300_000_000), thing);
    }
    let before = cpu_time::of_this_process()?;
    for _ in 0..EVENTS {
        let Some(thing) = agenda.next_until(Timestamp::from_micros(u64::MAX / 2)) else { break };
        let again = match thing % 10 {
            0 => 30_000_000,
            1..=6 => 300_000_000,
            _ => 100_000 + agenda.handled() * 7919 % 9_900_000,
        };
        agenda.after(Span::from_micros(again), thing);
    }
    let taken = cpu_time::of_this_process()?.saturating_sub(before);
    Ok(EVENTS as f64 / taken.as_secs_f64().max(0.01))
}
