//! Does what is drawn: keeps some guests alive, migrates up to three of them at a time, and
//! stores each migration as soon as it has ended.
//!
//! Everything that is stored is whole, so that the recorder may be killed at any moment: started
//! again, it ends the guests that it finds and goes on with the rows that the store lacks.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use whimbrel_core::{
    HostId, Snapshot,
    cluster::HostState,
    ids::VmId,
    ports::TelemetrySink as _,
    settings::{Compression, QemuVersion},
    telemetry::{Batch, DirtySample, JobSample, MigrationRecord},
    units::{Span, Timestamp},
};
use whimbrel_datasets::TelemetryStore;
use whimbrel_lab::{HostStatus, Lab, LabError};

use super::{
    behaviours::Planned,
    error::CampaignError,
    flight::{Flight, Look},
    guests::{Live, Stage, joined},
    ledger::Ledger,
    link::{Links, SHAPED_HOST},
    machine::Machine,
    probe::World,
    report,
    settings::Row,
};
use crate::draw::Draw;

pub(crate) mod begin;

/// Guests alive at a time.
const GUESTS: usize = 18;

/// Time between two looks at everything.
const TICK: Duration = Duration::from_millis(150);

/// A host that says nothing for so long is switched off and on again.
const SILENT_FOR: Span = Span::from_seconds(30);

/// So many breakdowns without a migration in between mean that the lab cannot be helped.
const BREAKDOWNS_MOST: u32 = 5;

/// The recorder at work.
pub struct Recorder<'a> {
    lab: &'a Lab,
    world: World,
    store: TelemetryStore,
    ledger: Ledger,
    planned: &'a [Planned],
    wanted: usize,
    links: Links,
    draw: Draw,
    qemu: Option<QemuVersion>,
    live: Vec<Live>,
    flights: Vec<Flight>,
    /// Guests that are not alive and have rows left, by their place.
    queue: VecDeque<usize>,
    /// The newest reading of each guest and window that is stored.
    windows: BTreeMap<(VmId, Span), Timestamp>,
    breakdowns: u32,
    begun: Instant,
    done_before: usize,
    machine: Machine,
    /// Since when rows wait for a machine that is busy with other work.
    waits_since: Option<Instant>,
    say: &'a mut dyn FnMut(&str),
}

impl<'a> Recorder<'a> {
    /// A recorder of `planned` into `directory`, until `wanted` rows are done. It says what happens
    /// with `say`, a line at a time.
    ///
    /// # Errors
    /// [`CampaignError::OldLibvirt`] when channels are to be compressed and a host cannot; else when
    /// the store or the link cannot be used.
    pub fn new(
        lab: &'a Lab,
        directory: &Path,
        mut ledger: Ledger,
        planned: &'a [Planned],
        wanted: usize,
        say: &'a mut dyn FnMut(&str),
    ) -> Result<Self, CampaignError> {
        let hosts = lab.status()?.hosts;
        let compresses =
            |row: &Row| row.settings.channels > 1 && row.settings.compression != Compression::None;
        if planned.iter().flat_map(|guest| &guest.rows).any(compresses) {
            compresses_channels(&hosts)?;
        }
        let left: Vec<String> = hosts.into_iter().flat_map(|h| h.guests).map(|g| g.name).collect();
        for name in left {
            stopped(lab, &name)?;
        }
        let mut world = World::open(lab, directory)?;
        let store = TelemetryStore::create(directory)?;
        let unshaped = world.unshaped_path(lab, &mut ledger, say)?;
        let queue = (0..planned.len())
            .filter(|index| planned.get(*index).is_some_and(|g| !ledger.remaining(g).is_empty()));
        Ok(Self {
            queue: queue.collect(),
            qemu: World::qemu(lab),
            draw: Draw::new(ledger.done() as u64),
            done_before: ledger.done(),
            lab,
            world,
            store,
            ledger,
            planned,
            wanted,
            links: Links::new(unshaped),
            live: Vec::new(),
            flights: Vec::new(),
            windows: BTreeMap::new(),
            breakdowns: 0,
            begun: Instant::now(),
            machine: Machine::of(lab),
            waits_since: None,
            say,
        })
    }

    /// Records until nothing is left to do, and ends the guests.
    ///
    /// # Errors
    /// [`CampaignError::LostPages`] as soon as a guest has lost memory; else what cannot be helped.
    pub fn run(mut self) -> Result<Ledger, CampaignError> {
        while self.ledger.done() < self.wanted && !(self.live.is_empty() && self.queue.is_empty()) {
            let snapshot = self.world.cluster.observe();
            self.keep_windows(&snapshot)?;
            self.look_at_flights(&snapshot)?;
            self.tend_guests()?;
            self.start_guest(&snapshot);
            self.machine.look();
            self.begin_rows(&snapshot)?;
            self.help_hosts(&snapshot)?;
            thread::sleep(TICK);
        }
        for live in &self.live {
            stopped(self.lab, live.vm.as_str())?;
        }
        self.lab.link_clear(SHAPED_HOST)?;
        self.store.flush()?;
        Ok(self.ledger)
    }

    /// Stores readings of living guests that are not stored yet.
    fn keep_windows(&mut self, snapshot: &Snapshot) -> Result<(), CampaignError> {
        let mut dirty = Vec::new();
        for live in &self.live {
            let Some(domain) = live.sighting(snapshot) else { continue };
            for reading in domain.dirty.iter().filter(|r| r.measured_at > live.started) {
                let newest = self.windows.entry((live.vm.clone(), reading.window)).or_default();
                if reading.measured_at > *newest {
                    *newest = reading.measured_at;
                    dirty.push(DirtySample {
                        at: reading.measured_at,
                        host: domain.host.clone(),
                        vm: live.vm.clone(),
                        window: reading.window,
                        unique: reading.unique,
                    });
                }
            }
        }
        Ok(self.store.record(&Batch { dirty, ..Batch::default() })?)
    }

    fn look_at_flights(&mut self, snapshot: &Snapshot) -> Result<(), CampaignError> {
        for mut flight in std::mem::take(&mut self.flights) {
            let look = flight.look(snapshot);
            let order = flight.order().clone();
            match look {
                Look::UnderWay => self.flights.push(flight),
                Look::Overdue => {
                    // What came of it is seen.
                    let _ = self.world.cluster.cancel(&order.id);
                    self.flights.push(flight);
                }
                Look::Ended(record, samples) => {
                    self.store_row(&record, samples)?;
                    self.set_stage(&order.vm, Stage::check(self.lab, &order.vm, &order.id));
                }
                Look::Refused(reason) => {
                    self.note_broken(flight.order(), &reason)?;
                    let since = snapshot.taken_at;
                    self.set_stage(&order.vm, Stage::Resting { since, migrated: true });
                }
                Look::Lost(reason) => {
                    self.note_broken(flight.order(), &reason)?;
                    self.set_stage(&order.vm, Stage::end(self.lab, &order.vm));
                }
            }
        }
        Ok(())
    }

    /// Stores a row: what was seen of it first, itself last, as it is what makes it done.
    fn store_row(
        &mut self,
        record: &MigrationRecord,
        jobs: Vec<JobSample>,
    ) -> Result<(), CampaignError> {
        let looks = jobs.len();
        self.store.record(&Batch { jobs, ..Batch::default() })?;
        self.store.flush()?;
        self.store.append_migrations(std::slice::from_ref(record))?;
        self.ledger.note_done(&record.id);
        self.breakdowns = 0;
        let done = self.ledger.done();
        let pace = report::pace(self.begun.elapsed(), done - self.done_before, self.wanted - done);
        (self.say)(&format!("{done}/{} {}  {pace}", self.wanted, report::line(record, looks)));
        Ok(())
    }

    fn note_broken(
        &mut self,
        order: &whimbrel_core::ports::Order,
        reason: &str,
    ) -> Result<(), CampaignError> {
        (self.say)(&format!("{} broke: {reason}", order.id));
        self.ledger.note_broken(&order.id, reason)?;
        let planned = self.planned;
        if let Some(live) = self.live.iter_mut().find(|live| live.vm == order.vm) {
            live.rows =
                planned.get(live.index).map(|g| self.ledger.remaining(g)).unwrap_or_default();
        }
        Ok(())
    }

    fn set_stage(&mut self, vm: &VmId, stage: Stage) {
        if let Some(live) = self.live.iter_mut().find(|live| live.vm == *vm) {
            live.stage = stage;
        }
    }

    /// Takes what the guests' threads returned.
    fn tend_guests(&mut self) -> Result<(), CampaignError> {
        for mut live in std::mem::take(&mut self.live) {
            let now = self.world.cluster.now();
            let rested = |migrated| Stage::Resting { since: now, migrated };
            let stage = match live.stage {
                Stage::Starting(thread) if thread.is_finished() => {
                    match joined(thread, &live.vm)? {
                        Ok(clock) => {
                            live.clock = clock;
                            rested(false)
                        }
                        Err(error) => self.start_failed(&live.vm, &live.rows, &error)?,
                    }
                }
                Stage::Checking(thread) if thread.is_finished() => {
                    match joined(thread, &live.vm)? {
                        Ok((check, clock)) => {
                            live.clock = clock;
                            self.store.append_guest_checks(std::slice::from_ref(&check))?;
                            if check.bad_pages > 0 {
                                let (vm, order) = (check.vm, check.order);
                                let bad_pages = check.bad_pages;
                                return Err(CampaignError::LostPages { vm, order, bad_pages });
                            }
                            if live.rows.is_empty() {
                                Stage::end(self.lab, &live.vm)
                            } else {
                                rested(true)
                            }
                        }
                        Err(error) => {
                            (self.say)(&format!("{} does not answer: {error}", live.vm));
                            Stage::end(self.lab, &live.vm)
                        }
                    }
                }
                Stage::Resting { .. } if live.rows.is_empty() => Stage::end(self.lab, &live.vm),
                Stage::Ending(thread) if thread.is_finished() => {
                    // A guest that is gone already was ended as well.
                    if let Err(error) = joined(thread, &live.vm)?
                        && !matches!(error, LabError::NoGuest { .. })
                    {
                        (self.say)(&format!("{} was not ended: {error}", live.vm));
                    }
                    if !live.rows.is_empty() {
                        self.queue.push_front(live.index);
                    }
                    continue;
                }
                stage => stage,
            };
            live.stage = stage;
            self.live.push(live);
        }
        Ok(())
    }

    fn start_failed(
        &mut self,
        vm: &VmId,
        rows: &[Row],
        error: &LabError,
    ) -> Result<Stage, CampaignError> {
        (self.say)(&format!("{vm} did not start: {error}"));
        if let Some(row) = rows.first() {
            self.ledger.note_broken(&row.id, &error.to_string())?;
        }
        Ok(Stage::end(self.lab, vm))
    }

    /// Starts the next guest, one at a time: where its rows begin that are alike, else on the host
    /// that has the fewest.
    fn start_guest(&mut self, snapshot: &Snapshot) {
        let starts = self.live.iter().any(|live| matches!(live.stage, Stage::Starting(_)));
        if starts || self.live.len() >= GUESTS {
            return;
        }
        let on = |host: &HostId| snapshot.domains.iter().filter(|d| d.host == *host).count();
        let Some(index) = self.queue.pop_front() else { return };
        let Some(guest) = self.planned.get(index) else { return };
        let rows = self.ledger.remaining(guest);
        let home = self.ledger.repeat(&guest.vm).map(|repeat| &repeat.from);
        let awaits = rows.first().is_some_and(|row| row.replicate);
        let may = |host: &&HostId| !awaits || host.as_str() != SHAPED_HOST;
        let emptiest = || snapshot.hosts.keys().filter(may).min_by_key(|host| on(host));
        let Some(host) = home.or_else(emptiest) else { return };
        self.live.push(Live {
            vm: guest.vm.clone(),
            index,
            stage: Stage::start(self.lab, host.as_str(), &guest.spec),
            rows,
            started: self.world.cluster.now(),
            clock: None,
        });
    }

    /// Switches hosts that are silent off and on again, and begins anew with every guest.
    fn help_hosts(&mut self, snapshot: &Snapshot) -> Result<(), CampaignError> {
        let silent: Vec<&HostId> = snapshot
            .hosts
            .iter()
            .filter(|(_, host)| {
                host.state == HostState::Unreachable
                    && snapshot.taken_at.since(host.observed_at) > SILENT_FOR
                    && self.begun.elapsed() > SILENT_FOR.into()
            })
            .map(|(id, _)| id)
            .collect();
        let Some(first) = silent.first() else { return Ok(()) };
        self.breakdowns += 1;
        let message = format!("host {first} does not answer");
        (self.say)(&message);
        if self.breakdowns > BREAKDOWNS_MOST {
            return Err(CampaignError::Lab { times: self.breakdowns, message });
        }
        for flight in std::mem::take(&mut self.flights) {
            self.note_broken(flight.order(), &message)?;
        }
        for host in silent {
            self.lab.power_cut(host.as_str())?;
            self.lab.power_on(host.as_str())?;
        }
        for live in std::mem::take(&mut self.live) {
            stopped(self.lab, live.vm.as_str())?;
            if !live.rows.is_empty() {
                self.queue.push_back(live.index);
            }
        }
        Ok(())
    }
}

/// Checks that every host's libvirt compresses channels: before 9.4 it does not.
fn compresses_channels(hosts: &[HostStatus]) -> Result<(), CampaignError> {
    let old = |host: &&HostStatus| {
        let numbers = host.libvirt.as_deref().unwrap_or_default().split('.');
        numbers.map_while(|number| number.parse::<u32>().ok()).lt([9, 4])
    };
    hosts.iter().find(old).map_or(Ok(()), |host| {
        let version = host.libvirt.clone().unwrap_or_else(|| "that does not answer".to_owned());
        Err(CampaignError::OldLibvirt { host: host.name.clone(), version })
    })
}

/// Ends the guest `name`, if there is one.
///
/// # Errors
/// [`CampaignError::Laboratory`] when it is there and cannot be ended.
pub(crate) fn stopped(lab: &Lab, name: &str) -> Result<(), CampaignError> {
    match lab.stop_guest(name) {
        Ok(()) | Err(LabError::NoGuest { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
