//! A trace's guests on hosts that nobody has: telemetry as a collector would have left it, so that
//! whatever is asked of recorded telemetry can be asked of a public trace.
//!
//! Guests go, in the order of their arrival, to the host with the most memory left that has room
//! under the limits of the default policy, and stay there. What a trace does not know is how fast
//! its guests dirty memory: [`DirtyModel`](crate::DirtyModel) says so by the CPU that each used on
//! average, with a deviation that is drawn once for each guest and kept. Guests whose CPU is not
//! known get no readings.
//!
//! Never here: migrations (nobody moved), or a guess where the trace knows better.

mod guests;

use std::{collections::BTreeMap, path::Path};

use thiserror::Error;
use whimbrel_core::{
    Policy,
    cluster::{DomainState, HostState},
    ids::HostId,
    telemetry::{Batch, DirtySample, DomainSample, HostSample},
    trace::Size,
    units::{Bytes, MilliCores, Span, Timestamp},
};

use crate::{
    error::DatasetError,
    inventory::{HostCapacity, Inventory},
    partition::filled,
    public::{TraceError, TraceRows},
    writer::{FlushLimits, TelemetryStore},
};
use guests::Guest;

/// Between two looks at all hosts: the interval of most public traces.
const PERIOD: Span = Span::from_seconds(300);

/// When a trace is said to begin, which has no calendar: 2000-01-01.
const ORIGIN: Timestamp = Timestamp::from_micros(946_684_800_000_000);

/// Most hosts.
const HOSTS_MAX: u32 = 100_000;

/// Longest telemetry that is written.
const LASTS_MAX: Span = Span::from_seconds(366 * 86_400);

/// Most looks at guests, of all of them together.
const LOOKS_MAX: u64 = 20_000_000;

/// Most vCPUs of a guest, as [`whimbrel_core::cluster::VCPUS_MAX`] has it.
const VCPUS_MAX: u64 = whimbrel_core::cluster::VCPUS_MAX as u64;

/// Many rows a part: nobody waits for the first ones.
const LIMITS: FlushLimits = FlushLimits { rows: 100_000, age: Span::from_seconds(800 * 86_400) };

/// On what the guests of a trace are put, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placing {
    /// Hosts, 1 to 100,000.
    pub hosts: u32,
    /// What each host has.
    pub host: Size,
    /// The moment of the trace at which telemetry begins.
    pub from: Span,
    /// Telemetry reaches so far, 366 days at most.
    pub lasts: Span,
    /// Seed of the guests' dirty rates.
    pub seed: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Placed {
    /// Guests that were there at some look.
    pub guests: u64,
    /// Guests that came and went between two looks.
    pub unseen: u64,
    /// Guests whose dirty rates come from the model.
    pub modelled: u64,
    /// Looks at all hosts.
    pub looks: u64,
    /// The first look.
    pub first: Timestamp,
    /// The last look.
    pub last: Timestamp,
}

/// Why guests cannot be put on hosts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The telemetry cannot be written.
    #[error(transparent)]
    Store(#[from] DatasetError),
    /// A number that no cluster has.
    #[error("{what} (hint: {hint})")]
    Outside {
        /// The number and its limits.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// Nobody is there.
    #[error(
        "the trace has no guest from {} to {} after its begin (hint: --from and --lasts choose \
         another part of it)",
        from.human(), until.human()
    )]
    Nobody {
        /// Begin of the part that was asked for.
        from: Span,
        /// Its end.
        until: Span,
    },
    /// Guests are there, and nothing is known of what they use.
    #[error(
        "the trace does not say what its guests use from {} on, so that nothing can be said of \
         their load or memory writes (hint: choose a layout with CPU in `whimbrel dataset list`)",
        from.human()
    )]
    NoUse {
        /// Begin of the part that was asked for.
        from: Span,
    },
    /// A guest finds no place.
    #[error(
        "a guest of {} cores and {} finds no place {} after the trace's begin: all guests there \
         ask for {} cores and {} (hint: at least {needed} such hosts, or larger ones)",
        size.cpu.as_cores_f64(), size.memory.human(), at.human(),
        all.cpu.as_cores_f64(), all.memory.human()
    )]
    NoRoom {
        /// What it asks for.
        size: Size,
        /// When it arrives.
        at: Span,
        /// What it and those who are there ask for together.
        all: Size,
        /// Hosts that this takes, if no room is lost.
        needed: u64,
    },
}

/// Puts the guests of `rows` on hosts and writes telemetry into the new directory `dir`; `seen` is told
/// after each row how much of the trace was read, and how much there is.
///
/// # Errors
/// [`PlaceError`]; nothing is written unless all guests find a place.
pub fn place(
    mut rows: TraceRows,
    placing: &Placing,
    dir: &Path,
    seen: impl FnMut(u64, u64),
) -> Result<Placed, PlaceError> {
    placing.check()?;
    // Before a long reading.
    if dir.exists() {
        let taken = std::io::ErrorKind::AlreadyExists.into();
        return Err(DatasetError::io(dir, "cannot create")(taken).into());
    }
    let (mut guests, unseen) = guests::read(&mut rows, placing, seen)?;
    settle(&mut guests, placing)?;
    filled(dir, || write(&guests, placing, dir))?;
    Ok(Placed {
        guests: guests.len() as u64,
        unseen,
        modelled: guests.iter().filter(|guest| !guest.unique.is_empty()).count() as u64,
        looks: placing.looks(),
        first: placing.moment(0),
        last: placing.moment(placing.looks().saturating_sub(1)),
    })
}

fn write(guests: &[Guest], placing: &Placing, dir: &Path) -> Result<(), PlaceError> {
    let mut store = TelemetryStore::create(dir)?.with_limits(LIMITS);
    let hosts = placing.names()?;
    for look in 0..placing.looks() {
        store.take(&batch(guests, &hosts, placing, look))?;
    }
    store.flush()?;
    let capacity = HostCapacity { cpu: Some(placing.host.cpu), memory: Some(placing.host.memory) };
    // Last: without it nobody can tell how large hosts are, and the telemetry is refused.
    let hosts = hosts.into_iter().map(|host| (host, capacity)).collect();
    Ok(Inventory { hosts }.write(dir)?)
}

impl Placing {
    fn check(&self) -> Result<(), PlaceError> {
        let outside = |what: String, hint| Err(PlaceError::Outside { what, hint });
        if !(1..=HOSTS_MAX).contains(&self.hosts) {
            let what = format!("{} hosts are outside 1 to {HOSTS_MAX}", self.hosts);
            return outside(what, "name as many as the guests need");
        }
        let Size { cpu, memory } = self.host;
        let cpus = MilliCores::new(1)..=MilliCores::cores(65_536);
        if !cpus.contains(&cpu) || !(Bytes::new(1)..=Bytes::mib(1 << 30)).contains(&memory) {
            let what = format!("a host of {} cores and {}", cpu.as_cores_f64(), memory.human());
            return outside(what, "hosts have up to 65,536 cores and 1 PiB");
        }
        if self.lasts > LASTS_MAX || self.from > Span::from_seconds(3653 * 86_400) {
            let what = format!("{} from {} on", self.lasts.human(), self.from.human());
            return outside(what, "at most 366 days, from at most ten years after the begin");
        }
        Ok(())
    }

    /// Looks at all hosts, begin and end included.
    fn looks(&self) -> u64 {
        self.lasts.as_micros() / PERIOD.as_micros() + 1
    }

    fn until(&self) -> Span {
        self.from + self.lasts
    }

    /// A look's moment on the calendar.
    fn moment(&self, look: u64) -> Timestamp {
        ORIGIN + self.after(look)
    }

    /// A look's moment after the trace's begin.
    fn after(&self, look: u64) -> Span {
        self.from + Span::from_micros(PERIOD.as_micros().saturating_mul(look))
    }

    /// The first look at or after `at`.
    fn look_at(&self, at: Span) -> u64 {
        at.saturating_sub(self.from).as_micros().div_ceil(PERIOD.as_micros())
    }

    fn names(&self) -> Result<Vec<HostId>, PlaceError> {
        let digits = self.hosts.to_string().len();
        let name = |number| HostId::new(&format!("h{number:0digits$}"));
        let names: Result<Vec<HostId>, _> = (1..=self.hosts).map(name).collect();
        names.map_err(|error| PlaceError::Outside {
            what: error.to_string(),
            hint: "name fewer hosts",
        })
    }
}

/// Gives every guest its host.
fn settle(guests: &mut [Guest], placing: &Placing) -> Result<(), PlaceError> {
    let limits = Policy::default().limits;
    let cpu = (placing.host.cpu.get() as f64 * limits.cpu_overcommit) as u64;
    let reserve = placing.host.memory.as_f64() * limits.memory_reserve.get();
    let memory = placing.host.memory.saturating_sub(Bytes::new(reserve.ceil() as u64)).get();
    // CPU and memory that are left of each host.
    let mut left = vec![(cpu, memory); placing.hosts as usize];
    let mut leaving: BTreeMap<u64, Vec<(usize, Size)>> = BTreeMap::new();
    let mut there = (0_u64, 0_u64);
    for guest in guests {
        let later = leaving.split_off(&guest.first.saturating_add(1));
        for (host, size) in std::mem::replace(&mut leaving, later).into_values().flatten() {
            there = (there.0 - size.cpu.get(), there.1 - size.memory.get());
            if let Some(room) = left.get_mut(host) {
                *room = (room.0 + size.cpu.get(), room.1 + size.memory.get());
            }
        }
        let asked = (guest.size.cpu.get(), guest.size.memory.get());
        there = (there.0 + asked.0, there.1 + asked.1);
        let fits = |room: &(usize, &mut (u64, u64))| room.1.0 >= asked.0 && room.1.1 >= asked.1;
        let best = left.iter_mut().enumerate().filter(fits);
        let best = best.max_by_key(|(host, room)| (room.1, std::cmp::Reverse(*host)));
        let Some((host, room)) = best else {
            let all = Size { cpu: MilliCores::new(there.0), memory: Bytes::new(there.1) };
            let needed = there.0.div_ceil(cpu.max(1)).max(there.1.div_ceil(memory.max(1)));
            let needed = needed.max(u64::from(placing.hosts) + 1);
            let at = placing.after(guest.first);
            return Err(PlaceError::NoRoom { size: guest.size, at, all, needed });
        };
        *room = (room.0 - asked.0, room.1 - asked.1);
        guest.host = host;
        leaving.entry(guest.end).or_default().push((host, guest.size));
    }
    Ok(())
}

/// What a collector would have seen at one look.
fn batch(guests: &[Guest], hosts: &[HostId], placing: &Placing, look: u64) -> Batch {
    let (at, after) = (placing.moment(look), placing.after(look));
    let mut batch = Batch::default();
    let mut used = vec![(MilliCores::ZERO, Bytes::ZERO); hosts.len()];
    for guest in guests.iter().filter(|guest| (guest.first..guest.end).contains(&look)) {
        let Some((host, sum)) = hosts.get(guest.host).zip(used.get_mut(guest.host)) else {
            continue;
        };
        let seen = guest.seen_at(after);
        sum.0 += seen.map_or(MilliCores::ZERO, |sample| sample.cpu);
        sum.1 += guest.size.memory;
        batch.domains.push(DomainSample {
            at,
            host: host.clone(),
            vm: guest.vm.clone(),
            uuid: guest.uuid.clone(),
            state: DomainState::Running,
            vcpus: u32::try_from(guest.size.cpu.get().div_ceil(1000).clamp(1, VCPUS_MAX))
                .unwrap_or(1),
            memory_max: guest.size.memory,
            memory: guest.size.memory,
            resident: seen.and_then(|sample| sample.memory),
            cpu_time: None,
            cpu_used: seen.map(|sample| sample.cpu),
            block_read: None,
            block_written: None,
            net_received: None,
            net_sent: None,
        });
        batch.dirty.extend(guest.unique.iter().map(|(window, unique)| DirtySample {
            at,
            host: host.clone(),
            vm: guest.vm.clone(),
            window: *window,
            unique: *unique,
        }));
    }
    batch.hosts.extend(hosts.iter().zip(used).map(|(host, (cpu, memory))| HostSample {
        at,
        host: host.clone(),
        state: HostState::Up,
        cpu_busy: None,
        cpu_used: Some(cpu),
        memory_total: Some(placing.host.memory),
        memory_free: Some(placing.host.memory.saturating_sub(memory)),
        answered_in: None,
    }));
    batch
}

#[cfg(test)]
mod tests;
