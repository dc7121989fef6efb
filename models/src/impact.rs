//! What a guest feels of its migration beside the downtime.
//!
//! Lost work is the sum of three causes, each in proportion to what was measured or replayed:
//! dirty logging (every first write to a page faults), vCPUs that auto-converge makes sleep, and
//! pages that are waited for after the switch to post-copy. The first two cost a guest the more the
//! busier its vCPUs are: one that waits for its disks has time to spare.
//!
//! Never says what happens after the migration: caches that are cold at the target, and work that
//! has piled up, were seen to cost up to a third of the throughput for ten seconds.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    predict::{Impact, Quantiles},
    settings::{MigrationSettings, Mode},
    units::{Share, Span},
};

use crate::replay::Replay;

mod gap;
mod learn;

pub(crate) use gap::NORMAL;
pub use gap::ServiceGap;
pub use learn::Felt;

/// What migrations cost guests on this kind of machine.
///
/// The defaults come from 40 migrations of a database guest with 4 vCPUs under YCSB
/// (QEMU 10.1, KVM): a tenth of the work of a guest that is CPU-bound, 4 % of one that uses about
/// a third of its vCPUs, 14 % of that one while it is throttled by 29 % on average, 10 and 13 % in
/// post-copy with 2,800 and 6,600 faults in 2 s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImpactModel {
    /// Observations that it was learnt from; 0 says that these are the defaults.
    pub learnt_from: usize,
    /// Part of a busy vCPU's time that dirty logging costs. Range 0..=1.
    pub logging: f64,
    /// Part of the time for which a busy vCPU sleeps that is lost. Range 0..=1.
    pub throttling: f64,
    /// Part of the time for which a page is waited for that is lost. Range 0..=1.
    pub waiting: f64,
    /// Time that one page makes its vCPU wait.
    pub fault_latency: Span,
    /// Part of its vCPUs' time that a guest is taken to use where nobody knows. Range 0..=1.
    pub busy_unknown: Share,
    /// What users see on the network.
    pub gap: ServiceGap,
}

impl Default for ImpactModel {
    fn default() -> Self {
        Self {
            learnt_from: 0,
            logging: 0.11,
            throttling: 0.9,
            waiting: 0.45,
            fault_latency: Span::from_micros(290),
            busy_unknown: Share::clamped(0.36),
            gap: ServiceGap::default(),
        }
    }
}

/// What happens to a guest during a migration, measured or replayed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    /// From begin to completion, downtime included.
    pub time: Span,
    /// Part of the time for which vCPUs were made to sleep, averaged over all of `time`.
    pub throttle: Share,
    /// Pages that were waited for.
    pub faults: u64,
    /// Its vCPUs. At least 1.
    pub vcpus: u32,
    /// Part of its vCPUs' time that it used before, where known.
    pub busy: Option<Share>,
}

impl Course {
    /// Of a replayed migration of a guest with `vcpus` that used the part `busy` of their time.
    pub fn of(run: &Replay, vcpus: u32, busy: Option<Share>) -> Self {
        let time = run.total();
        let copying = run.copying.as_seconds_f64() / time.as_seconds_f64().max(1e-6);
        let throttle = Share::clamped(run.throttled.get() * copying);
        Self { time, throttle, faults: run.faults, vcpus, busy }
    }
}

/// Parts of lost work, before they are weighted by the model.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Causes {
    logging: f64,
    throttling: f64,
    waiting: f64,
}

impl ImpactModel {
    /// What a guest feels of `course` and of a downtime.
    pub fn impact(&self, course: &Course, downtime: &Quantiles<Span>) -> Impact {
        let causes = self.causes(course);
        let loss = self.logging * causes.logging
            + self.throttling * causes.throttling
            + self.waiting * causes.waiting;
        Impact {
            throughput_loss: Share::clamped(loss),
            service_gap: self.gap.after(downtime),
            faults: course.faults,
            fault_stall: if course.faults == 0 { Span::ZERO } else { self.fault_latency },
        }
    }

    /// Loss that `settings` imply where no replay says how far auto-converge throttled or how
    /// many pages were waited for.
    pub fn presumed(&self, settings: &MigrationSettings) -> Share {
        let busy = self.busy_unknown.get();
        let more = match settings.mode {
            Mode::PreCopy => 0.0,
            Mode::AutoConverge => {
                self.throttling * busy * f64::from(settings.throttle.initial_percent) / 100.0
            }
            // Immediate post-copy of an 8 GiB guest in 2 s.
            Mode::PostCopy if settings.reads_before_post_copy == 0 => 0.1,
            Mode::PostCopy => 0.01,
        };
        Share::clamped(self.logging * busy + more)
    }

    fn causes(&self, course: &Course) -> Causes {
        let busy = course.busy.unwrap_or(self.busy_unknown).get();
        let available = course.time.as_seconds_f64() * f64::from(course.vcpus.max(1));
        let waited = course.faults as f64 * self.fault_latency.as_seconds_f64();
        Causes {
            logging: busy,
            throttling: busy * course.throttle.get(),
            waiting: if available > 0.0 { (waited / available).min(1.0) } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(seconds: f64, throttle: f64, faults: u64) -> Course {
        Course {
            time: Span::from_seconds_f64(seconds),
            throttle: Share::clamped(throttle),
            faults,
            vcpus: 4,
            busy: None,
        }
    }

    fn loss(course: Course) -> f64 {
        let downtime = Quantiles::from_array([Span::ZERO; 7]);
        ImpactModel::default().impact(&course, &downtime).throughput_loss.get()
    }

    #[test]
    fn the_defaults_tell_what_was_measured() {
        // Throughput before and during, means of five runs each.
        let measured = [
            (course(111.8, 0.0, 0), 0.040),
            (course(6.7, 0.29, 0), 0.139),
            (course(1.87, 0.0, 2822), 0.104),
            (course(2.1, 0.0, 6577), 0.131),
            (Course { busy: Some(Share::ONE), ..course(102.0, 0.0, 0) }, 0.109),
        ];
        for (course, measured) in measured {
            let told = loss(course);
            assert!((told - measured).abs() < 0.02, "{course:?}: {told}, measured {measured}");
        }
        assert!((loss(course(111.8, 0.0, 0)) - 0.040).abs() < 0.005);
    }

    #[test]
    fn no_time_and_absurd_faults_are_no_harm() {
        assert!(loss(course(0.0, 0.0, 9)) < 0.05);
        assert!(loss(course(1e-6, 1.0, u64::MAX)) <= 1.0);
    }

    #[test]
    fn modes_rank_as_measured() {
        let presumed = |mode, reads_before_post_copy| {
            let settings =
                MigrationSettings { mode, reads_before_post_copy, ..MigrationSettings::default() };
            ImpactModel::default().presumed(&settings)
        };
        let ranks = [
            presumed(Mode::PreCopy, 1),
            presumed(Mode::PostCopy, 1),
            presumed(Mode::AutoConverge, 1),
            presumed(Mode::PostCopy, 0),
        ];
        assert!(ranks.is_sorted_by(|a, b| a.get() < b.get()), "{ranks:?}");
    }
}
