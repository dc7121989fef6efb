//! Does what is drawn, for either experiment: keeps some guests alive and watched, asks for their
//! runs when these are due, migrates up to three at a time, each from another host, checks every
//! guest after its migration, and keeps the row; beside the rows, a store of what was read.
//!
//! It may be killed at any moment: started again, it ends the guests that it finds and goes on with
//! the runs that have no row.

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use whimbrel_core::{
    Domain, HostId, Snapshot,
    cluster::{DirtyReading, HostState},
    ids::OrderId,
    ports::TelemetrySink as _,
    settings::QemuVersion,
    telemetry::{Batch, DirtySample},
    units::{BytesPerSecond, Span, Timestamp},
};
use whimbrel_datasets::TelemetryStore;
use whimbrel_lab::{Lab, LabError};

use super::{
    live::{Live, Preparation, Stage},
    results::Results,
    run::{Run, Subject},
};
use crate::{
    campaign::{
        error::CampaignError, guests::joined, ledger::Ledger, probe::World, recorder::stopped,
        report::pace,
    },
    draw::Draw,
};

mod asking;
mod flying;
mod record;

/// Time between two looks at everything.
const TICK: Duration = Duration::from_millis(150);

/// A host that says nothing for so long stops the experiment.
const SILENT_FOR: Span = Span::from_seconds(30);

/// What tells one experiment from another.
pub trait Trials {
    /// What a run is about.
    type Case: Clone + Serialize + DeserializeOwned;

    /// The guests, in the order in which they are started.
    fn subjects(&self) -> &[Subject<Self::Case>];

    /// Guests alive at a time.
    fn alive(&self) -> usize;

    /// How long a migration may take before it is given up.
    fn limit(&self) -> Span;

    /// Whether `run` may be asked for now; its guest rests since `since`.
    fn is_due(
        &self,
        guest: &Live<Self::Case>,
        run: &Run<Self::Case>,
        since: Timestamp,
        now: Timestamp,
    ) -> bool;

    /// Begins to find out how `run` is to be done.
    fn prepare(
        &mut self,
        guest: &Live<Self::Case>,
        run: &Run<Self::Case>,
        place: &Place<'_>,
    ) -> Preparation;
}

/// Where a guest is, and what is known of the hosts.
#[derive(Debug)]
pub struct Place<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The guest as it was seen.
    pub domain: &'a Domain,
    /// What a link without a limit carries.
    pub unshaped: BytesPerSecond,
    /// The QEMU of the hosts.
    pub qemu: QemuVersion,
    /// The present.
    pub now: Timestamp,
}

/// An experiment at work.
pub struct Driver<'a, T: Trials> {
    lab: &'a Lab,
    world: World,
    trials: T,
    ledger: Ledger,
    results: Results<T::Case>,
    store: TelemetryStore,
    done: BTreeSet<OrderId>,
    live: Vec<Live<T::Case>>,
    /// Guests that are not alive and have runs left, by their place.
    queue: VecDeque<usize>,
    unshaped: BytesPerSecond,
    qemu: QemuVersion,
    draw: Draw,
    begun: Instant,
    done_before: usize,
    say: &'a mut dyn FnMut(&str),
}

impl<'a, T: Trials> Driver<'a, T> {
    /// A driver of `trials`, whose ledger and store are in `directory`. It says what happens
    /// with `say`, a line at a time.
    ///
    /// # Errors
    /// [`CampaignError`] when the lab or its links cannot be used.
    pub fn new(
        lab: &'a Lab,
        directory: &Path,
        (mut ledger, results): (Ledger, Results<T::Case>),
        trials: T,
        say: &'a mut dyn FnMut(&str),
    ) -> Result<Self, CampaignError> {
        for guest in lab.status()?.hosts.into_iter().flat_map(|host| host.guests) {
            stopped(lab, &guest.name)?;
        }
        for host in lab.host_names() {
            lab.link_clear(&host)?;
        }
        let mut world = World::open(lab, directory)?;
        let unshaped = world.unshaped_path(lab, &mut ledger, say)?;
        let done: BTreeSet<OrderId> = results.rows().iter().map(|row| row.id.clone()).collect();
        let mut driver = Self {
            lab,
            world,
            ledger,
            results,
            store: TelemetryStore::create(directory)?,
            queue: VecDeque::new(),
            unshaped,
            qemu: World::qemu(lab).unwrap_or_default(),
            draw: Draw::new(done.len() as u64),
            begun: Instant::now(),
            done_before: done.len(),
            done,
            live: Vec::new(),
            trials,
            say,
        };
        driver.queue =
            (0..driver.trials.subjects().len()).filter(|i| driver.next_run(*i).is_some()).collect();
        Ok(driver)
    }

    /// Runs until nothing is left to do, and ends the guests.
    ///
    /// # Errors
    /// [`CampaignError::LostPages`] as soon as a guest has lost memory; else what cannot be helped.
    pub fn run(mut self) -> Result<Results<T::Case>, CampaignError> {
        let (left, all) = (self.left(), self.left() + self.done.len());
        (self.say)(&format!("{left} of {all} runs are to be done"));
        while !(self.live.is_empty() && self.queue.is_empty()) {
            let snapshot = self.world.cluster.observe();
            self.refuse_silence(&snapshot)?;
            for mut live in std::mem::take(&mut self.live) {
                if let Some(domain) = live.sighting(&snapshot) {
                    let dirty = samples(domain, live.watch(domain));
                    self.store.record(&Batch { dirty, ..Batch::default() })?;
                }
                if let Some(live) = self.tend(live, &snapshot)? {
                    self.live.push(live);
                }
            }
            self.start_guest(&snapshot);
            self.ask(&snapshot);
            thread::sleep(TICK);
        }
        self.store.flush()?;
        for (order, reason) in self.ledger.skipped() {
            (self.say)(&format!("given up: {order}: {reason}"));
        }
        Ok(self.results)
    }

    fn left(&self) -> usize {
        let runs = self.trials.subjects().iter().flat_map(|subject| &subject.runs);
        runs.filter(|run| !self.is_settled(&run.id)).count()
    }

    fn is_settled(&self, id: &OrderId) -> bool {
        self.done.contains(id) || self.ledger.skipped().contains_key(id)
    }

    /// The first run of a subject that is not settled.
    fn next_run(&self, index: usize) -> Option<&Run<T::Case>> {
        let runs = &self.trials.subjects().get(index)?.runs;
        runs.iter().find(|run| !self.is_settled(&run.id))
    }

    /// Takes a guest a step further; `None` when it is gone.
    fn tend(
        &mut self,
        mut live: Live<T::Case>,
        snapshot: &Snapshot,
    ) -> Result<Option<Live<T::Case>>, CampaignError> {
        let now = self.world.cluster.now();
        live.stage = match live.stage {
            Stage::Starting(thread) if thread.is_finished() => match joined(thread, &live.vm)? {
                Ok(told) => {
                    live.told = Some(told);
                    Stage::Resting { since: now }
                }
                Err(error) => {
                    self.start_failed(live.index, &error)?;
                    Stage::end(self.lab, &live.vm)
                }
            },
            Stage::Resting { .. } if self.next_run(live.index).is_none() => {
                Stage::end(self.lab, &live.vm)
            }
            Stage::Asking(way, thread) if thread.is_finished() => {
                let prepared = joined(thread, &live.vm)?;
                self.prepared(live.told.clone(), way, prepared)?
            }
            Stage::Waiting(begun) if begun.prepared.start <= now => {
                self.begin(&live.vm, begun, snapshot)?
            }
            Stage::Flying(begun, flight, reason) => self.look(*begun, *flight, reason, snapshot)?,
            Stage::Checking(ended, thread) if thread.is_finished() => {
                let checked = joined(thread, &live.vm)?;
                match checked {
                    Ok(checked) => {
                        live.told = Some(checked.told.clone());
                        self.keep(*ended, &checked)?;
                        Stage::Resting { since: now }
                    }
                    Err(error) => {
                        self.broken(&ended.begun.way.run.id, &error.to_string())?;
                        Stage::end(self.lab, &live.vm)
                    }
                }
            }
            Stage::Ending(thread) if thread.is_finished() => {
                if let Err(error) = joined(thread, &live.vm)?
                    && !matches!(error, LabError::NoGuest { .. })
                {
                    (self.say)(&format!("{} was not ended: {error}", live.vm));
                }
                if self.next_run(live.index).is_some() {
                    self.queue.push_front(live.index);
                }
                return Ok(None);
            }
            stage => stage,
        };
        Ok(Some(live))
    }

    fn start_failed(&mut self, index: usize, error: &LabError) -> Result<(), CampaignError> {
        let run = self.next_run(index).map(|run| run.id.clone());
        run.map_or(Ok(()), |id| self.broken(&id, &error.to_string()))
    }

    /// Refuses to go on with a host that is gone: what runs without it is not what was drawn.
    fn refuse_silence(&self, snapshot: &Snapshot) -> Result<(), CampaignError> {
        let silent = snapshot.hosts.iter().find(|(_, host)| {
            host.state == HostState::Unreachable
                && snapshot.taken_at.since(host.observed_at) > SILENT_FOR
                && self.begun.elapsed() > SILENT_FOR.into()
        });
        silent.map_or(Ok(()), |(host, _)| {
            Err(CampaignError::Lab { times: 1, message: format!("host {host} does not answer") })
        })
    }

    fn broken(&mut self, id: &OrderId, reason: &str) -> Result<(), CampaignError> {
        (self.say)(&format!("{id} broke: {reason}"));
        self.ledger.note_broken(id, reason)
    }

    fn pace(&self) -> String {
        pace(self.begun.elapsed(), self.done.len() - self.done_before, self.left())
    }
}

fn samples(domain: &Domain, readings: &[DirtyReading]) -> Vec<DirtySample> {
    let sample = |reading: &DirtyReading| DirtySample {
        at: reading.measured_at,
        host: domain.host.clone(),
        vm: domain.vm.clone(),
        window: reading.window,
        unique: reading.unique,
    };
    readings.iter().map(sample).collect()
}

fn guests_on(snapshot: &Snapshot, host: &HostId) -> usize {
    snapshot.domains.iter().filter(|domain| domain.host == *host).count()
}
