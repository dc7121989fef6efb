//! One move under execution: its state, what was known before, and its way into the journal.

use whimbrel_core::{
    Cluster, Domain, Plan, Snapshot,
    cluster::{CompletedStats, JobProgress},
    ids::HostId,
    migration::MoveState,
    ports::{Entry, Journal, JournalError, Order, Record},
    settings::QemuVersion,
    units::{BytesPerSecond, Span, Timestamp},
};

use crate::judge::{Doubt, RestsOn};

/// One move and all that execution knows of it.
#[derive(Debug, Clone)]
pub(crate) struct MoveRun {
    /// Places in the plan of the moves that must have arrived before it begins.
    pub(crate) after: Vec<u32>,
    /// Its deadline is meaningful from `begun_at` on.
    pub(crate) order: Order,
    pub(crate) timeout: Span,
    pub(crate) state: MoveState,
    pub(crate) detail: String,
    pub(crate) before: Option<Before>,
    /// When this program first denied it its begin; unlike its turn not known after a restart.
    pub(crate) denied_since: Option<Timestamp>,
    pub(crate) begun_at: Option<Timestamp>,
    /// Whether a program began it that has died since.
    pub(crate) adopted: bool,
    pub(crate) ended_at: Option<Timestamp>,
    /// When its final state was written.
    pub(crate) closed_at: Option<Timestamp>,
    pub(crate) cancel_asked_at: Option<Timestamp>,
    pub(crate) progress: Option<JobProgress>,
    pub(crate) stats: Option<CompletedStats>,
    pub(crate) doubt: Option<(Doubt, Timestamp)>,
}

/// What was known before a move began: its record tells it.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    pub(crate) domain: Box<Domain>,
    pub(crate) sharing: u32,
    pub(crate) path_bandwidth: Option<BytesPerSecond>,
    pub(crate) qemu: Option<QemuVersion>,
}

impl Before {
    /// What `snapshot` knows of `domain` and of the path to `to`, which `sharing` migrations use.
    pub(crate) fn of(domain: Domain, to: &HostId, sharing: u32, snapshot: &Snapshot) -> Self {
        let (source, target) = (snapshot.hosts.get(&domain.host), snapshot.hosts.get(to));
        let versions = source.and_then(|h| h.qemu).zip(target.and_then(|h| h.qemu));
        Self {
            path_bandwidth: source.and_then(|host| host.migration_bandwidth),
            qemu: versions.map(|(source, target)| source.min(target)),
            domain: Box::new(domain),
            sharing,
        }
    }
}

impl MoveRun {
    /// All moves of `plan`, none begun.
    pub(crate) fn of(plan: &Plan) -> Vec<Self> {
        plan.moves()
            .map(|(id, one)| Self {
                after: one.after.clone(),
                order: Order {
                    id,
                    vm: one.vm.clone(),
                    uuid: one.uuid.clone(),
                    from: one.from.clone(),
                    to: one.to.clone(),
                    settings: one.settings.clone(),
                    deadline: Timestamp::default(),
                },
                timeout: one.timeout,
                state: MoveState::Planned,
                detail: String::new(),
                before: None,
                denied_since: None,
                begun_at: None,
                adopted: false,
                ended_at: None,
                closed_at: None,
                cancel_asked_at: None,
                progress: None,
                stats: None,
                doubt: None,
            })
            .collect()
    }

    /// Writes the intent, asks the world, writes its answer.
    pub(crate) fn begin(
        &mut self,
        before: Before,
        now: Timestamp,
        cluster: &mut dyn Cluster,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        self.order.deadline = now + self.timeout;
        let entry = Entry::Intended {
            order: self.order.clone(),
            before: before.domain.clone(),
            sharing: before.sharing,
            path_bandwidth: before.path_bandwidth,
            qemu: before.qemu,
        };
        journal.append(&Record { at: now, entry })?;
        self.intended(now, before);
        match cluster.begin(&self.order) {
            Ok(()) => self.become_state(MoveState::Accepted, String::new(), now, journal),
            Err(refusal) => {
                self.become_state(MoveState::Refused, refusal.to_string(), now, journal)
            }
        }
    }

    /// The state after its intent was written, also when that is read back from the journal.
    pub(crate) fn intended(&mut self, at: Timestamp, before: Before) {
        self.state = MoveState::Intended;
        self.begun_at = Some(at);
        self.before = Some(before);
        self.detail.clear();
    }

    /// Takes a step and writes it down. A step that the table of states forbids is not taken: it
    /// could only come from an observation that contradicts an earlier one.
    pub(crate) fn become_state(
        &mut self,
        next: MoveState,
        detail: String,
        now: Timestamp,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        if self.state == next || !self.state.may_become(next) {
            return Ok(());
        }
        let entry = Entry::Became {
            id: self.order.id.clone(),
            state: next,
            detail: detail.clone(),
            stats: self.stats,
        };
        journal.append(&Record { at: now, entry })?;
        self.became(next, detail, now);
        Ok(())
    }

    /// The state after a step, also when that is read back from the journal.
    pub(crate) fn became(&mut self, state: MoveState, detail: String, at: Timestamp) {
        self.state = state;
        if !detail.is_empty() {
            self.detail = detail;
        }
        // The wall time of a move ends when it is seen at its target; fetching its figures is
        // book-keeping.
        if state == MoveState::Arrived || (state.is_final() && self.ended_at.is_none()) {
            self.ended_at = Some(at);
        }
        if state.is_final() {
            self.closed_at = Some(at);
        }
    }

    /// What a doubt leads to once it has stood long enough, on readings from after it arose.
    pub(crate) fn doubted(
        &mut self,
        doubt: Doubt,
        freshness: Span,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<(MoveState, String)> {
        let since = match &self.doubt {
            Some((standing, since)) if standing.outcome == doubt.outcome => *since,
            _ => {
                self.doubt = Some((doubt, now));
                return None;
            }
        };
        let read_at =
            |host| snapshot.hosts.get(host).map_or(Timestamp::default(), |h| h.observed_at);
        let as_of = match doubt.rests_on {
            RestsOn::BothHosts => read_at(&self.order.from).min(read_at(&self.order.to)),
            RestsOn::Source => read_at(&self.order.from),
            RestsOn::TheClock => now,
        };
        let stood = as_of.since(since);
        (stood >= self.grace(&doubt, since, freshness)).then_some((doubt.outcome, doubt.detail))
    }

    /// How long a doubt that arose at `since` must stand before it counts. A program that dies again
    /// and again would never see a long one stand: where it adopted the move, and that was overdue by
    /// as much as it was given, the doubt stands only until every host may have been heard.
    fn grace(&self, doubt: &Doubt, since: Timestamp, freshness: Span) -> Span {
        let overdue = since.since(self.order.deadline) > doubt.grace.max(self.timeout);
        if self.adopted && overdue { doubt.grace.min(freshness) } else { doubt.grace }
    }

    /// Whether it has been denied since its turn came, at `turn`, for longer than it was to take.
    ///
    /// The journal tells the turn, so no restart begins the wait anew. But a program that has just
    /// started has not heard of every host yet, however long ago the turn was: it looks for
    /// `freshness` itself before it gives a move up.
    pub(crate) fn waited_too_long(
        &mut self,
        turn: Timestamp,
        freshness: Span,
        now: Timestamp,
    ) -> bool {
        let denied_since = *self.denied_since.get_or_insert(now);
        // A clock that was set back since must not make the wait longer.
        let since = turn.min(denied_since);
        now.since(since) > self.timeout && now.since(denied_since) > freshness.min(self.timeout)
    }
}
