//! One migration under way: what it was begun with, the looks at it, and how it ended.
//!
//! Snapshots come in, a record goes out. It ends when its call has returned; how it ended is
//! believed when the sightings say so too.

use whimbrel_core::{
    Cluster, Domain, HostId, Snapshot,
    cluster::{CallState, DomainState, JobProgress, OrderReport},
    ports::{Order, Refusal},
    settings::Mode,
    telemetry::{JobSample, MigrationRecord},
    units::{Span, Timestamp},
};

/// How long sightings may disagree with a call that has returned.
const AGREE_WITHIN: Span = Span::from_seconds(20);

/// How long a call may go on after it was given up, or a post-copy at all.
const HANGS_AFTER: Span = Span::from_seconds(180);

/// A migration under way.
#[derive(Debug)]
pub struct Flight {
    order: Order,
    /// As it will be stored, but for its end.
    record: MigrationRecord,
    limit: Span,
    cancelled: bool,
    returned_at: Option<Timestamp>,
    samples: Vec<JobSample>,
}

/// What a look found.
#[derive(Debug, PartialEq)]
pub enum Look {
    /// It goes on.
    UnderWay,
    /// It has taken too long and is to be given up.
    Overdue,
    /// It ended, and its guest runs on one host.
    Ended(Box<MigrationRecord>, Vec<JobSample>),
    /// It was not done; the guest runs where it was.
    Refused(String),
    /// Nobody knows in which state its guest is.
    Lost(String),
}

impl Flight {
    /// Begins `order` on `cluster`; `record` is what will be stored of it.
    ///
    /// # Errors
    /// [`Refusal`] when nothing was begun.
    pub fn begin(
        cluster: &mut dyn Cluster,
        order: Order,
        record: MigrationRecord,
        limit: Span,
    ) -> Result<Self, Refusal> {
        let record = MigrationRecord { at: cluster.now(), ..record };
        cluster.begin(&order)?;
        let samples = Vec::new();
        Ok(Self { order, record, limit, cancelled: false, returned_at: None, samples })
    }

    /// The order.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// What `snapshot` says of it.
    pub fn look(&mut self, snapshot: &Snapshot) -> Look {
        self.sample(snapshot);
        let now = snapshot.taken_at;
        let under_way = self.under_way(snapshot);
        let Some(report) = snapshot.order(&self.order.id) else {
            return Look::Lost("the cluster forgot the order".to_owned());
        };
        if report.call != CallState::Active {
            let returned_at = *self.returned_at.get_or_insert(now);
            return self.returned(snapshot, report, returned_at);
        }
        if under_way > self.limit + HANGS_AFTER {
            return Look::Lost(format!("its call did not return within {}", under_way.human()));
        }
        let is_late = under_way >= self.limit && self.order.settings.mode != Mode::PostCopy;
        if is_late && !self.cancelled {
            self.cancelled = true;
            return Look::Overdue;
        }
        Look::UnderWay
    }

    /// Time since the begin, as of `snapshot`.
    pub fn under_way(&self, snapshot: &Snapshot) -> Span {
        snapshot.taken_at.since(self.record.at)
    }

    /// The newest progress that was seen.
    pub fn progress(&self) -> Option<&JobProgress> {
        self.samples.last().map(|sample| &sample.progress)
    }

    /// Notes that the caller gives it up: its end without arrival is no surprise then.
    pub fn give_up(&mut self) {
        self.cancelled = true;
    }

    /// Keeps the job's progress where it changed since the last look.
    fn sample(&mut self, snapshot: &Snapshot) {
        let source = snapshot
            .sightings(&self.order.vm)
            .find(|d| d.host == self.order.from && d.observed_at >= self.record.at);
        let Some((domain, progress)) = source.and_then(|d| Some((d, d.job?))) else { return };
        if self.samples.last().is_none_or(|last| last.progress != progress) {
            self.samples.push(JobSample {
                at: domain.observed_at,
                host: domain.host.clone(),
                vm: domain.vm.clone(),
                progress,
            });
        }
    }

    fn returned(
        &mut self,
        snapshot: &Snapshot,
        report: &OrderReport,
        returned_at: Timestamp,
    ) -> Look {
        let now = snapshot.taken_at;
        let at =
            |host: &HostId| snapshot.sightings(&self.order.vm).find(|d: &&Domain| d.host == *host);
        let lives = |domain: Option<&Domain>| domain.is_some_and(|d| d.state.lives_here());
        let runs_since = |domain: Option<&Domain>, moment: Timestamp| {
            domain.is_some_and(|d| d.state == DomainState::Running && d.observed_at > moment)
        };
        let (source, target) = (at(&self.order.from), at(&self.order.to));
        if [source, target].into_iter().flatten().any(|d| d.state == DomainState::PostCopyFailed) {
            return Look::Lost("post-copy failed".to_owned());
        }
        let arrived = runs_since(target, self.record.at) && !lives(source);
        // What was seen of the source before the call returned may be older than the switch-over.
        let stayed = runs_since(source, returned_at) && !lives(target);
        if !arrived && !stayed {
            return if now.since(returned_at) > AGREE_WITHIN {
                Look::Lost("it runs on neither host, or on both".to_owned())
            } else {
                Look::UnderWay
            };
        }
        let failure = match &report.call {
            _ if arrived => None,
            _ if self.cancelled => {
                let seconds = self.limit.as_millis() / 1000;
                Some(format!("did not converge within {seconds} s"))
            }
            CallState::Errored(message) => return Look::Refused(message.clone()),
            _ => return Look::Refused("its call returned and it did not move".to_owned()),
        };
        let record = MigrationRecord {
            arrived,
            failure,
            wall: returned_at.since(self.record.at),
            stats: report.stats,
            ..self.record.clone()
        };
        Look::Ended(Box::new(record), std::mem::take(&mut self.samples))
    }
}

/// What is known of `domain`, which lives since `started`, before `order` begins.
pub fn draft(order: &Order, domain: &Domain, started: Timestamp) -> MigrationRecord {
    let readings = domain.dirty.iter().filter(|reading| reading.measured_at > started);
    MigrationRecord {
        resident: domain.resident,
        cpu_used: domain.cpu_used,
        dirty_before: readings.copied().collect(),
        ..MigrationRecord::beginning(
            order.id.clone(),
            domain.observed_at,
            order.vm.clone(),
            order.from.clone(),
            order.to.clone(),
            order.settings.clone(),
            domain.memory,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use whimbrel_core::{
        settings::MigrationSettings,
        units::{Bytes, BytesPerSecond},
    };

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000) + Span::from_millis(millis)
    }

    fn domain(host: &str, state: DomainState, millis: u64) -> Domain {
        Domain {
            vm: "b000".parse().unwrap(),
            uuid: "u".to_owned(),
            host: host.parse().unwrap(),
            state,
            observed_at: at(millis),
            vcpus: 1,
            memory: Bytes::mib(64),
            resident: None,
            cpu_used: None,
            dirty: Vec::new(),
            job: None,
            tags: std::collections::BTreeSet::new(),
            needs: whimbrel_core::cluster::Needs::default(),
        }
    }

    /// A flight from h1 to h2 that began at 0 and may take 20 s.
    fn flight(mode: Mode) -> Flight {
        let settings = MigrationSettings { mode, ..MigrationSettings::default() };
        let order = Order {
            id: "b000-00".parse().unwrap(),
            vm: "b000".parse().unwrap(),
            uuid: "u".to_owned(),
            from: "h1".parse().unwrap(),
            to: "h2".parse().unwrap(),
            settings,
            deadline: at(20_000),
        };
        let record = draft(&order, &domain("h1", DomainState::Running, 0), at(0));
        let limit = Span::from_seconds(20);
        Flight { order, record, limit, cancelled: false, returned_at: None, samples: Vec::new() }
    }

    fn seen(millis: u64, call: CallState, domains: Vec<Domain>) -> Snapshot {
        let id = "b000-00".parse().unwrap();
        let orders = vec![OrderReport { id, call, stats: None }];
        Snapshot { taken_at: at(millis), hosts: BTreeMap::new(), domains, orders }
    }

    fn source(millis: u64) -> Domain {
        domain("h1", DomainState::Running, millis)
    }

    fn target(millis: u64) -> Domain {
        domain("h2", DomainState::Running, millis)
    }

    #[test]
    fn it_ends_when_its_call_returned_and_is_believed_when_the_source_has_let_go() {
        let mut flight = flight(Mode::PreCopy);
        let mut running = source(900);
        let progress = JobProgress { bandwidth: BytesPerSecond::mib(9), ..JobProgress::default() };
        running.job = Some(progress);
        assert_eq!(
            flight.look(&seen(1000, CallState::Active, vec![running.clone()])),
            Look::UnderWay
        );
        assert_eq!(flight.look(&seen(1150, CallState::Active, vec![running])), Look::UnderWay);
        // The source was last seen before its call returned.
        let stale = vec![source(2900), target(3000)];
        assert_eq!(flight.look(&seen(3000, CallState::Returned, stale)), Look::UnderWay);
        let look = flight.look(&seen(4500, CallState::Returned, vec![target(4400)]));
        let Look::Ended(record, samples) = look else { panic!("{look:?}") };
        assert!(record.arrived && record.failure.is_none());
        assert_eq!(record.wall, Span::from_seconds(3), "when the call returned");
        assert_eq!(samples.len(), 1, "the second look saw nothing new");
    }

    #[test]
    fn who_takes_too_long_is_given_up_once_and_post_copy_never() {
        let mut late = flight(Mode::PreCopy);
        let active = |millis| seen(millis, CallState::Active, vec![source(millis)]);
        assert_eq!(late.look(&active(20_000)), Look::Overdue);
        assert_eq!(late.look(&active(20_150)), Look::UnderWay, "asked once");
        let error = || CallState::Errored("cancelled".to_owned());
        assert_eq!(late.look(&seen(20_300, error(), vec![source(20_200)])), Look::UnderWay);
        let look = late.look(&seen(22_000, error(), vec![source(21_900)]));
        let Look::Ended(record, _) = look else { panic!("{look:?}") };
        assert_eq!(record.failure.as_deref(), Some("did not converge within 20 s"));
        assert_eq!(flight(Mode::PostCopy).look(&active(60_000)), Look::UnderWay);
        let hung = flight(Mode::PostCopy).look(&active(201_000));
        assert!(matches!(hung, Look::Lost(_)), "{hung:?}");
    }

    #[test]
    fn an_error_that_nobody_asked_for_is_no_row() {
        let error = CallState::Errored("no such mode".to_owned());
        let mut refused = flight(Mode::PreCopy);
        assert_eq!(refused.look(&seen(100, error.clone(), vec![source(90)])), Look::UnderWay);
        let look = refused.look(&seen(2000, error.clone(), vec![source(1900)]));
        assert_eq!(look, Look::Refused("no such mode".to_owned()));
        let mut gone = flight(Mode::PreCopy);
        assert_eq!(gone.look(&seen(100, error.clone(), vec![])), Look::UnderWay);
        assert!(matches!(gone.look(&seen(30_000, error, vec![])), Look::Lost(_)));
    }
}
