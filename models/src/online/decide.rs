//! From what was seen to a state and a proposal.
//!
//! What disturbs the guest least comes first: waiting, a longer stop, slowing it down, post-copy;
//! giving up is left when none of them is admitted or would help.

use whimbrel_core::{
    predict::{Quantiles, Stall},
    settings::{MigrationSettings, Mode},
    telemetry::JobSample,
    units::{Bytes, Span, Timestamp},
};

use super::{
    Advice, Context, Proposal, State,
    outlook::{Outlook, Points},
    rounds::{Round, bandwidth, rounds},
};
use crate::impact::NORMAL;

/// Spread of the level of dirtying from one round to the next, as a logarithm.
const LEVEL_SPREAD: f64 = 0.15;

/// The same before two rounds were seen: anything may come.
const LEVEL_SPREAD_UNSEEN: f64 = 0.6;

/// Only what hangs even when it dirties less by this factor is called a stall.
const CALM: f64 = 0.8;

/// Only what switches over even when it dirties more by this factor has left a stall.
const BUSY: f64 = 1.25;

/// Stands for never.
const LEFT_MAX: Span = Span::from_seconds(3600);

/// A raised limit exceeds what is needed by this factor and is in whole steps.
const LIMIT_MARGIN: f64 = 1.2;
const LIMIT_STEP_MILLIS: u64 = 50;

/// How long a stall is watched before giving up: loads change.
const PATIENCE: Span = Span::from_seconds(10);

/// QEMU raises the throttle after two reads, and looks at most once a second.
const READS_OF_A_STEP: f64 = 2.0;
const THROTTLE_MAX_PERCENT: u8 = 99;

/// All that is known of one migration at one moment.
pub(super) struct Sight<'a> {
    settings: &'a MigrationSettings,
    context: &'a Context<'a>,
    last: &'a JobSample,
    rounds: Vec<Round>,
    points: Points,
    bandwidth: f64,
    throttle: f64,
}

impl<'a> Sight<'a> {
    pub(super) fn new(
        samples: &'a [JobSample],
        settings: &'a MigrationSettings,
        context: &'a Context<'a>,
    ) -> Option<Self> {
        let last = samples.last()?;
        let bandwidth = bandwidth(samples);
        if bandwidth <= 0.0 {
            return None;
        }
        let rounds = rounds(samples);
        let points = Points::new(&rounds, &known(context));
        let throttle = f64::from(last.progress.throttle_percent.min(THROTTLE_MAX_PERCENT)) / 100.0;
        Some(Self { settings, context, last, rounds, points, bandwidth, throttle })
    }

    pub(super) fn advice(&self) -> Advice {
        if self.settings.mode == Mode::PostCopy {
            return self.post_copy();
        }
        if let Some((since, at)) = self.hangs_since().and_then(|s| Some((s, self.stall()?))) {
            return match self.left_by_throttling() {
                Some(left) => Self::throttled(left),
                None => self.stalled(at, since),
            };
        }
        self.advancing()
    }

    fn outlook(&self) -> Outlook<'_> {
        Outlook {
            points: &self.points,
            bandwidth: self.bandwidth,
            remaining_bytes: self.last.progress.remaining.as_f64(),
            limit_seconds: self.settings.downtime_limit.as_seconds_f64(),
            throttle: self.throttle,
            level: 1.0,
        }
    }

    /// Since when it hangs, if it does now. A stall begins where even a calmer guest would hang,
    /// and is over where even a busier one would not: one lucky round neither makes nor ends it.
    fn hangs_since(&self) -> Option<Timestamp> {
        let known = known(self.context);
        let mut since = None;
        for count in 2..=self.rounds.len() {
            let Some((rounds, round)) = self.rounds.get(..count).and_then(|r| Some((r, r.last()?)))
            else {
                continue;
            };
            let points = Points::new(rounds, &known);
            let outlook = Outlook {
                points: &points,
                bandwidth: round.bandwidth,
                remaining_bytes: round.remaining_bytes,
                throttle: round.throttle,
                level: if since.is_none() { CALM } else { BUSY },
                ..self.outlook()
            };
            let hangs = points.bend() && outlook.left().is_none();
            since = if hangs { since.or(Some(round.seen_at)) } else { None };
        }
        since
    }

    /// Where it hangs when it dirties as it did, or somewhat more.
    fn stall(&self) -> Option<Stall> {
        let stall = |level| Outlook { level, ..self.outlook() }.stall();
        stall(1.0).or_else(|| stall(BUSY))
    }

    fn advancing(&self) -> Advice {
        let spread = if self.points.bend() { LEVEL_SPREAD } else { LEVEL_SPREAD_UNSEEN };
        let left = NORMAL.map(|z| {
            let level = (z * spread).exp();
            let outlook = Outlook { level, ..self.outlook() };
            // What is seen of no round yet may take as much longer as it may dirty more.
            let factor = if self.points.bend() { 1.0 } else { level.max(1.0) };
            span(outlook.left().map(|left| left * factor))
        });
        let left = Quantiles::from_array(left);
        let remaining = Bytes::new(self.last.progress.remaining.get()).human();
        let reason = format!(
            "{remaining} left at {}, about {} to go ({} .. {})",
            whimbrel_core::units::BytesPerSecond::new(self.bandwidth.round() as u64).human(),
            left.p50.human(),
            left.p05.human(),
            left.p95.human()
        );
        let wait = Advice {
            state: State::Advancing { left },
            propose: Proposal::Wait { expected: left.p50 },
            reason,
        };
        match self.context.time_left.filter(|allowed| left.p50 > *allowed) {
            Some(allowed) if !self.rounds.is_empty() => self.late(&wait, left, allowed),
            _ => wait,
        }
    }

    /// It is getting there, but not in time.
    fn late(&self, wait: &Advice, left: Quantiles<Span>, allowed: Span) -> Advice {
        if let Some((to, then_expected)) = self.limit_in_time(allowed) {
            let reason = format!(
                "{}, but {} are allowed: a downtime limit of {} ends it in {}",
                wait.reason,
                allowed.human(),
                to.human(),
                then_expected.human()
            );
            let propose = Proposal::RaiseDowntimeLimit { to, then_expected };
            return Advice { propose, reason, state: wait.state };
        }
        let reason = format!("{}, but {} are allowed", wait.reason, allowed.human());
        let propose = if left.p05 > allowed { Proposal::Abort } else { wait.propose };
        Advice { propose, reason, state: wait.state }
    }

    /// The smallest limit, doubling, with which it ends in time.
    fn limit_in_time(&self, allowed: Span) -> Option<(Span, Span)> {
        let mut to = raised(self.settings.downtime_limit);
        while to <= self.context.downtime_max {
            let left = span(self.outlook_with(to).left());
            if left <= allowed {
                return Some((to, left));
            }
            to = raised(to + to);
        }
        None
    }

    fn outlook_with(&self, limit: Span) -> Outlook<'_> {
        Outlook { limit_seconds: limit.as_seconds_f64(), ..self.outlook() }
    }

    /// Time to the end if auto-converge goes on throttling, and how far it will. Where no throttle
    /// seems to be enough, what is known is only that it will go on to its maximum.
    fn left_by_throttling(&self) -> Option<(Span, u8)> {
        let mut percent = self.last.progress.throttle_percent;
        if self.settings.mode != Mode::AutoConverge || percent >= THROTTLE_MAX_PERCENT {
            return None;
        }
        let round = self.rounds.last()?.seconds.max(1.0);
        let steps = &self.settings.throttle;
        let mut waited = 0.0;
        while percent < THROTTLE_MAX_PERCENT {
            let step = if percent == 0 { steps.initial_percent } else { steps.increment_percent };
            percent = percent.saturating_add(step.max(1)).min(THROTTLE_MAX_PERCENT);
            waited += READS_OF_A_STEP * round;
            let throttle = f64::from(percent) / 100.0;
            if let Some(left) = (Outlook { throttle, ..self.outlook() }).left() {
                return Some((span(Some(waited + left)), percent));
            }
        }
        Some((span(Some(waited)), percent))
    }

    fn throttled((expected, percent): (Span, u8)) -> Advice {
        let reason = format!(
            "rounds do not get shorter yet; auto-converge ends that at about {percent} % throttle, \
             in {}",
            expected.human()
        );
        let seconds = expected.as_seconds_f64();
        let left = NORMAL.map(|z| span(Some(seconds * (z * LEVEL_SPREAD * 2.0).exp())));
        let state = State::Advancing { left: Quantiles::from_array(left) };
        Advice { state, propose: Proposal::Wait { expected }, reason }
    }

    fn stalled(&self, at: Stall, since: Timestamp) -> Advice {
        let for_span = self.last.at.since(since);
        let stall = format!(
            "{} are dirtied again in every round of {}, and a {} limit covers less",
            at.remaining.human(),
            at.round.human(),
            self.settings.downtime_limit.human()
        );
        let (propose, what) = self.way_out(&at, for_span);
        let reason = format!("{stall}: {what}");
        Advice { state: State::Stalled { at, since }, propose, reason }
    }

    /// The mildest way out of a stall that is admitted.
    fn way_out(&self, at: &Stall, stalled_for: Span) -> (Proposal, String) {
        let needed = at.downtime_limit_needed.as_seconds_f64() * LIMIT_MARGIN;
        let to = raised(Span::from_seconds_f64(needed));
        let context = self.context;
        let raise = (to <= context.downtime_max).then(|| self.outlook_with(to).left()).flatten();
        if let Some(left) = raise {
            let then_expected = span(Some(left));
            let what = format!("{} would end it in {}", to.human(), then_expected.human());
            return (Proposal::RaiseDowntimeLimit { to, then_expected }, what);
        }
        let too_long =
            format!("{} would be needed, {} are allowed", to.human(), context.downtime_max.human());
        if context.may_throttle && self.settings.mode == Mode::PreCopy {
            return (Proposal::Throttle, format!("{too_long}; slowing the guest down ends it"));
        }
        let steady = context.link_steady && context.link_losses == 0;
        if context.may_post_copy && steady {
            let what = format!("{too_long}; the link is steady enough for post-copy");
            return (Proposal::SwitchToPostCopy, what);
        }
        if stalled_for < PATIENCE {
            let expected = PATIENCE.saturating_sub(stalled_for);
            return (Proposal::Wait { expected }, format!("{too_long}; the load may still change"));
        }
        let shaky =
            if context.may_post_copy { ", and the link is too shaky for post-copy" } else { "" };
        (Proposal::Abort, format!("{too_long}{shaky}; it has hung for {}", stalled_for.human()))
    }

    /// Post-copy ends by itself once it has switched, and must not be disturbed.
    fn post_copy(&self) -> Advice {
        let seconds = self.last.progress.remaining.as_f64() / self.bandwidth;
        let left = NORMAL.map(|z| span(Some(seconds * (z * LEVEL_SPREAD).exp())));
        let left = Quantiles::from_array(left);
        let expected = left.p50;
        let reason =
            format!("post-copy ends when the rest has arrived, in about {}", expected.human());
        Advice { state: State::Advancing { left }, propose: Proposal::Wait { expected }, reason }
    }
}

fn known(context: &Context<'_>) -> Vec<(f64, f64)> {
    let point =
        |r: &whimbrel_core::cluster::DirtyReading| (r.window.as_seconds_f64(), r.unique.as_f64());
    context.known.iter().map(point).collect()
}

/// Up to the next whole step.
fn raised(limit: Span) -> Span {
    Span::from_millis((limit.as_millis() / LIMIT_STEP_MILLIS + 1).saturating_mul(LIMIT_STEP_MILLIS))
}

fn span(seconds: Option<f64>) -> Span {
    seconds.map_or(LEFT_MAX, Span::from_seconds_f64).min(LEFT_MAX).rounded()
}
