//! A guest that is alive: what happens to it, what was read of it, and where its load's cycle is.

use std::thread::{self, JoinHandle};

use whimbrel_core::{
    Domain, Prediction, Snapshot,
    cluster::{DirtyReading, DomainState},
    ids::VmId,
    settings::MigrationSettings,
    telemetry::{JobSample, MigrationRecord},
    units::{BytesPerSecond, Span, Timestamp},
};
use whimbrel_lab::{GuestSpec, GuestStat, Lab, LabError};

use super::{run::Run, timers::Timers};
use crate::campaign::{error::CampaignError, flight::Flight};

/// A guest that is alive.
#[derive(Debug)]
pub struct Live<C> {
    /// Its name.
    pub vm: VmId,
    /// Its place in the list of subjects.
    pub index: usize,
    /// How it was started.
    pub spec: GuestSpec,
    /// When it was asked to start.
    pub started: Timestamp,
    /// What was read of it, in order of arrival.
    pub readings: Vec<DirtyReading>,
    /// What it last said of itself.
    pub told: Option<Told>,
    /// What happens to it.
    pub stage: Stage<C>,
}

/// What a guest said of itself, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// What.
    pub stat: GuestStat,
}

/// How a run is to be done.
#[derive(Debug)]
pub struct Prepared {
    /// When it begins; a moment that has passed is now.
    pub start: Timestamp,
    /// How.
    pub settings: MigrationSettings,
    /// What the path carries.
    pub path: BytesPerSecond,
    /// Time-outs that end it in another way.
    pub timers: Option<Timers>,
    /// What the guest said of itself just before.
    pub before: Option<GuestStat>,
    /// What was predicted.
    pub predicted: Option<Prediction>,
    /// Why then and so.
    pub why: String,
}

/// A run on its way.
#[derive(Debug)]
pub struct Way<C> {
    /// The run.
    pub run: Run<C>,
    /// When it was asked for.
    pub requested: Timestamp,
}

/// A run that was begun.
#[derive(Debug)]
pub struct Begun<C> {
    /// The run.
    pub way: Way<C>,
    /// How it was done.
    pub prepared: Prepared,
    /// What the guest had said at rest, a while before.
    pub rested: Option<Told>,
}

/// A migration that has ended.
#[derive(Debug)]
pub struct Ended<C> {
    /// How it began.
    pub begun: Begun<C>,
    /// How it went.
    pub record: MigrationRecord,
    /// Looks at it.
    pub samples: Vec<JobSample>,
}

/// What a guest says after a migration.
#[derive(Debug)]
pub struct Checked {
    /// At once.
    pub after: GuestStat,
    /// After its pages were read.
    pub told: Told,
    /// Pages that do not hold what was written.
    pub bad_pages: u64,
}

/// A thread that asks for how a run is to be done.
pub type Preparation = JoinHandle<Result<Prepared, CampaignError>>;

/// What happens to a guest.
#[derive(Debug)]
pub enum Stage<C> {
    /// It boots and fills its memory.
    Starting(JoinHandle<Result<Told, LabError>>),
    /// It works and is watched.
    Resting {
        /// Since when.
        since: Timestamp,
    },
    /// Its run was asked for.
    Asking(Way<C>, Preparation),
    /// Its run waits for its moment.
    Waiting(Box<Begun<C>>),
    /// It migrates.
    Flying(Box<Begun<C>>, Box<Flight>, Option<&'static str>),
    /// It is asked about its memory.
    Checking(Box<Ended<C>>, JoinHandle<Result<Checked, LabError>>),
    /// It is ended.
    Ending(JoinHandle<Result<(), LabError>>),
}

impl<C> Stage<C> {
    /// Starts `spec` on `host`.
    pub fn start(lab: &Lab, host: &str, spec: &GuestSpec) -> Self {
        let (lab, host, spec) = (lab.clone(), host.to_owned(), spec.clone());
        Self::Starting(thread::spawn(move || {
            lab.start_guest(&host, &spec)?;
            tell(&lab, &spec.name)
        }))
    }

    /// Asks the guest of `ended`, and lifts what limits the link that it came over.
    pub fn check(lab: &Lab, ended: Ended<C>) -> Self {
        let lab = lab.clone();
        let (name, from) = (ended.record.vm.to_string(), ended.record.from.to_string());
        let thread = thread::spawn(move || {
            let after = lab.guest_stat(&name)?;
            lab.link_clear(&from)?;
            let verified = lab.verify_guest(&name)?;
            let told = tell(&lab, &name)?;
            let bad_pages = verified.bad_pages.max(told.stat.bad_pages);
            Ok(Checked { after, told, bad_pages })
        });
        Self::Checking(Box::new(ended), thread)
    }

    /// Ends `vm`, wherever it is.
    pub fn end(lab: &Lab, vm: &VmId) -> Self {
        let (lab, vm) = (lab.clone(), vm.clone());
        Self::Ending(thread::spawn(move || lab.stop_guest(vm.as_str())))
    }

    /// The run that occupies the guest, from its request to its end.
    pub fn run(&self) -> Option<&Run<C>> {
        match self {
            Self::Asking(way, _) => Some(&way.run),
            Self::Waiting(begun) | Self::Flying(begun, ..) => Some(&begun.way.run),
            Self::Checking(ended, _) => Some(&ended.begun.way.run),
            _ => None,
        }
    }

    /// Whether it occupies the link that leaves its host.
    pub fn is_leaving(&self) -> bool {
        self.run().is_some()
    }
}

fn tell(lab: &Lab, name: &str) -> Result<Told, LabError> {
    let stat = lab.guest_stat(name)?;
    Ok(Told { at: std::time::SystemTime::now().into(), stat })
}

impl Told {
    /// How far the load's shape has come by `now`, in milliseconds since it was set.
    pub fn shape_millis(&self, now: Timestamp) -> Option<u64> {
        let then: u64 = self.stat.raw.get("phase")?.parse().ok()?;
        Some(then + now.since(self.at).as_millis())
    }
}

impl<C> Live<C> {
    /// Its one running sighting in `snapshot`.
    pub fn sighting<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Domain> {
        snapshot.sightings(&self.vm).find(|d| d.state == DomainState::Running)
    }

    /// Takes the readings of `domain` that are new, and returns them.
    pub fn watch(&mut self, domain: &Domain) -> &[DirtyReading] {
        let before = self.readings.len();
        for reading in domain.dirty.iter().filter(|r| r.measured_at > self.started) {
            let known = |r: &DirtyReading| {
                r.window == reading.window && r.measured_at >= reading.measured_at
            };
            if !self.readings.iter().rev().take(64).any(known) {
                self.readings.push(*reading);
            }
        }
        self.readings.get(before..).unwrap_or_default()
    }

    /// Whether a window of every length in `seconds` was read since `since`.
    pub fn has_read(&self, seconds: &[u64], since: Timestamp) -> bool {
        seconds.iter().all(|seconds| {
            let window = Span::from_seconds(*seconds);
            self.readings.iter().rev().any(|r| r.window == window && r.measured_at > since)
        })
    }
}
