//! Which guest migrates next, and where to.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use whimbrel_core::{
    Domain, HostId, Snapshot,
    cluster::HostState,
    ports::{Order, TelemetrySink as _},
    settings::{MigrationSettings, Mode},
    telemetry::{Batch, HostSample},
    units::{BytesPerSecond, MilliCores, Span, Timestamp},
};

use super::{Flight, Live, Recorder, Stage};
use crate::campaign::{
    behaviours::{Planned, first_pass},
    error::CampaignError,
    flight::draft,
    guests::Next,
    link::SHAPED_HOST,
    repeats::Repeat,
    settings::Row,
};
use crate::draw::Draw;

/// Migrations under way at a time; one more where two begin together.
const FLIGHTS: usize = 3;

/// Of how many in 100 cases in which two guests could share the shaped link they do.
const SHARE_PERCENT: usize = 40;

/// Longest first pass on half of the shaped link for which two begin together: what the limit on
/// their time would cut off says little.
const SHARED_PASS: Span = Span::from_seconds(12);

/// Shortest and longest time that a migration is given, and how many first passes in between. One
/// that slows its guest by and by has the longest time.
const LIMITS: (Span, Span) = (Span::from_seconds(20), Span::from_seconds(45));
const FIRST_PASSES: f64 = 5.0;

/// For so long a host is kept free for a row whose moment comes.
const HELD_FOR: Span = Span::from_seconds(8);

/// The share of the machine that others than the lab may use when a row begins, and how long one
/// waits for less.
const OTHERS_MOST: f64 = 0.2;
const WAITS_MOST: Duration = Duration::from_mins(1);

/// A guest's place among the living, and its row's place among its rows.
#[derive(Clone, Copy)]
struct Choice {
    live: usize,
    row: usize,
}

/// Who may migrate now.
struct Ready {
    /// With the hosts that they are on; who waits longest stands last.
    guests: Vec<(HostId, Choice)>,
    /// Hosts that are kept free for a guest whose moment is near.
    kept: Vec<HostId>,
}

impl Recorder<'_> {
    /// Shapes the link when it is due and free, and begins what may begin.
    pub(super) fn begin_rows(&mut self, snapshot: &Snapshot) -> Result<(), CampaignError> {
        let shaped_is_busy = self.leaving(SHAPED_HOST) > 0;
        if self.links.is_due() && !shaped_is_busy {
            self.links.shape(self.lab, &mut self.draw)?;
            let payload = self.links.payload(SHAPED_HOST).human();
            (self.say)(&format!("the link of {SHAPED_HOST} carries {payload}"));
        }
        let Ready { mut guests, kept } = self.ready(snapshot);
        let mut may_begin = false;
        while let Some((host, first)) = guests.pop() {
            let blocked = host.as_str() == SHAPED_HOST && self.links.is_due();
            let kept = kept.contains(&host) && !self.is_repeat(first);
            let room = self.flights.len() < FLIGHTS;
            if blocked || kept || !room || self.leaving(host.as_str()) > 0 {
                continue;
            }
            if !may_begin && self.waits_for_machine() {
                break;
            }
            // Whoever waited with it begins with it.
            may_begin = true;
            let second = self.partner(&guests, &host, first);
            let sharing = if second.is_some() { 2 } else { 1 };
            for choice in [Some(first), second].into_iter().flatten() {
                self.begin(snapshot, choice, sharing)?;
            }
        }
        Ok(())
    }

    /// How many migrations leave `host`.
    fn leaving(&self, host: &str) -> usize {
        self.flights.iter().filter(|flight| flight.order().from.as_str() == host).count()
    }

    /// Who may migrate. A guest that has nothing left to do where it is ends, to begin elsewhere.
    fn ready(&mut self, snapshot: &Snapshot) -> Ready {
        let (mut ready, mut kept) = (Vec::new(), Vec::new());
        let now = self.world.cluster.now();
        for (place, live) in self.live.iter_mut().enumerate() {
            let Stage::Resting { since, .. } = live.stage else { continue };
            let Some(domain) = live.sighting(snapshot) else { continue };
            if !live.is_ready(domain, snapshot.taken_at) {
                continue;
            }
            match live.next(&domain.host, self.ledger.repeat(&live.vm), now) {
                Some(Next::Row(row, Span::ZERO)) => {
                    ready.push((since, domain.host.clone(), Choice { live: place, row }));
                }
                Some(Next::Row(_, wait)) if wait <= HELD_FOR => kept.push(domain.host.clone()),
                Some(Next::Row(..)) | None => {}
                Some(Next::Elsewhere) => {
                    (self.say)(&format!("{} begins again where its rows begin", live.vm));
                    live.stage = Stage::end(self.lab, &live.vm);
                }
            }
        }
        ready.sort_by_key(|(since, ..)| Reverse(*since));
        Ready { guests: ready.into_iter().map(|(_, host, choice)| (host, choice)).collect(), kept }
    }

    fn is_repeat(&self, choice: Choice) -> bool {
        let row = self.live.get(choice.live).and_then(|live| live.rows.get(choice.row));
        row.is_some_and(|row| row.replicate)
    }

    /// Whether a row that could begin waits, because others than the lab use the machine.
    fn waits_for_machine(&mut self) -> bool {
        let others = self.machine.others_share();
        if others <= OTHERS_MOST {
            self.waits_since = None;
            return false;
        }
        if let Some(since) = self.waits_since {
            let waits = since.elapsed() < WAITS_MOST;
            if !waits {
                (self.say)("it is busy still: rows begin all the same");
                self.waits_since = None;
            }
            return waits;
        }
        self.waits_since = Some(Instant::now());
        (self.say)(&format!(
            "{:.0} % of the machine is busy with other work: rows wait up to a minute",
            others * 100.0
        ));
        true
    }

    /// Who begins together with `first` on the shaped link, if anybody does.
    fn partner(
        &mut self,
        ready: &[(HostId, Choice)],
        host: &HostId,
        first: Choice,
    ) -> Option<Choice> {
        if !self.links.is_shaped(host.as_str()) || !self.may_share(first, host) {
            return None;
        }
        let mut others = ready.iter().rev().filter(|(other, _)| other == host).map(|(_, c)| *c);
        let second = others.find(|choice| self.may_share(*choice, host))?;
        self.draw.chance(SHARE_PERCENT).then_some(second)
    }

    fn may_share(&self, choice: Choice, host: &HostId) -> bool {
        let Some(live) = self.live.get(choice.live) else { return false };
        let alike = live.rows.get(choice.row).is_none_or(|row| row.replicate);
        let half = self.links.payload(host.as_str()).as_f64() / 2.0;
        let content = self.planned.get(live.index).map_or(0.0, content);
        !alike && Span::from_seconds_f64(content / half.max(1.0)) <= SHARED_PASS
    }

    fn begin(
        &mut self,
        snapshot: &Snapshot,
        choice: Choice,
        sharing: u32,
    ) -> Result<(), CampaignError> {
        let Some(live) = self.live.get_mut(choice.live) else { return Ok(()) };
        let Some(domain) = live.sighting(snapshot) else { return Ok(()) };
        let Some(guest) = self.planned.get(live.index) else { return Ok(()) };
        if choice.row >= live.rows.len() {
            return Ok(());
        }
        let row = live.rows.remove(choice.row);
        let now = self.world.cluster.now();
        let path = self.links.payload(domain.host.as_str());
        let repeat = self.ledger.repeat(&live.vm).cloned();
        let to =
            target(&mut self.draw, snapshot, &domain.host, &wanted(live, &row, repeat.as_ref()));
        if row.replicate && repeat.is_none() {
            let phase_millis = live.clock.map(|clock| clock.phase_millis(now));
            let repeat = Repeat { from: domain.host.clone(), to: to.clone(), phase_millis };
            self.ledger.set_repeat(&live.vm, repeat)?;
        }
        let limit = patience(&row.settings, content(guest), path, sharing);
        let order = Order {
            id: row.id.clone(),
            vm: live.vm.clone(),
            uuid: domain.uuid.clone(),
            from: domain.host.clone(),
            to,
            settings: row.settings,
            deadline: now + limit,
        };
        let mut record = draft(&order, domain, live.started);
        record.path_bandwidth = Some(path);
        record.sharing = sharing;
        record.qemu = self.qemu;
        live.stage = Stage::Flying;
        self.store.record(&Batch {
            hosts: vec![host_sample(domain, now, self.machine.used())],
            ..Batch::default()
        })?;
        match Flight::begin(self.world.cluster.as_mut(), order.clone(), record, limit) {
            Ok(flight) => self.flights.push(flight),
            Err(refusal) => {
                self.note_broken(&order, &refusal.to_string())?;
                let since = snapshot.taken_at;
                self.set_stage(&order.vm, Stage::Resting { since, migrated: true });
            }
        }
        Ok(())
    }
}

/// Where a guest is wanted after a row.
enum Wanted<'a> {
    /// On this host.
    On(&'a HostId),
    /// On a host whose link is never shaped.
    Unshaped,
    /// Anywhere.
    Anywhere,
}

/// Where the guest is wanted after `row`: a row like another goes where that went, and who begins
/// one next is to be where that began.
fn wanted<'a>(live: &Live, row: &Row, repeat: Option<&'a Repeat>) -> Wanted<'a> {
    match repeat {
        Some(repeat) if row.replicate => Wanted::On(&repeat.to),
        Some(repeat) if live.is_awaited_home() => Wanted::On(&repeat.from),
        None if live.is_awaited_home() && !row.replicate => Wanted::Unshaped,
        _ => Wanted::Anywhere,
    }
}

/// What the machine, which is every host's, did when a migration left the host of `domain`.
fn host_sample(domain: &Domain, now: Timestamp, used: MilliCores) -> HostSample {
    HostSample {
        at: now,
        host: domain.host.clone(),
        state: HostState::Up,
        cpu_busy: None,
        cpu_used: Some(used),
        memory_total: None,
        memory_free: None,
        answered_in: None,
    }
}

/// The host that is wanted; else one of the other hosts by chance, or the emptier one where they
/// differ much.
fn target(draw: &mut Draw, snapshot: &Snapshot, from: &HostId, wanted: &Wanted<'_>) -> HostId {
    if let Wanted::On(host) = wanted
        && *host != from
    {
        return (*host).clone();
    }
    let unshaped = matches!(wanted, Wanted::Unshaped);
    let on = |host: &HostId| snapshot.domains.iter().filter(|d| d.host == *host).count();
    let may = |host: &&HostId| *host != from && !(unshaped && host.as_str() == SHAPED_HOST);
    let mut others: Vec<_> = snapshot.hosts.keys().filter(may).collect();
    others.sort_by_key(|host| on(host));
    if let (Some(least), Some(most)) = (others.first(), others.last())
        && on(most) > on(least) + 2
    {
        return (*least).clone();
    }
    if others.is_empty() { from.clone() } else { draw.of(&others).clone() }
}

/// Bytes of the guest's first pass.
fn content(guest: &Planned) -> f64 {
    first_pass(guest.spec.memory_mib, &guest.spec.load).as_f64()
}

/// How long a migration may take: some first passes over `content` bytes, within limits.
pub(crate) fn patience(
    settings: &MigrationSettings,
    content: f64,
    path: BytesPerSecond,
    sharing: u32,
) -> Span {
    if settings.mode == Mode::AutoConverge {
        return LIMITS.1;
    }
    let share = path.as_f64() / f64::from(sharing.max(1));
    let cap = settings.bandwidth_limit.map_or(share, |cap| cap.as_f64().min(share));
    let passes = Span::from_seconds_f64(FIRST_PASSES * content / cap.max(1.0));
    passes.clamp(LIMITS.0, LIMITS.1)
}
