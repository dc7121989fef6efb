//! How to migrate: drawn guests, paths and priorities, each case by five ways to set a migration.
//!
//! Whimbrel chooses by the case's priorities; the others do the same in every case, under the cap of
//! the case's operator and, but for the one with time-outs, with a downtime limit that the priorities
//! allow.

use std::{sync::Arc, thread};

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    Domain, Prediction,
    ids::OrderId,
    predict::MigrationRequest,
    settings::{Compression, MigrationSettings, Mode, QemuVersion},
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};
use whimbrel_models::{
    Priorities, ReplayPredictor,
    choose::{ChooseError, Space, choose},
};

use super::{
    driver::{Place, Trials},
    live::{Live, Preparation, Prepared},
    run::{Arm, Run, Subject},
    timers::Timers,
};
use crate::campaign::{error::CampaignError, guests::WINDOWS_SECONDS, link};

mod cases;
pub mod report;
mod score;

pub use cases::draw;

/// The file with its rows.
pub const ROWS_FILE: &str = "choosing.jsonl";

/// Guests alive at a time.
const ALIVE: usize = 6;

/// How long a migration may take.
const LIMIT: Span = Span::from_seconds(60);

/// Shortest rest of a guest before a run, and the longest wait for windows of every length.
const REST_LEAST: Span = Span::from_seconds(20);
const REST_MOST: Span = Span::from_seconds(50);

/// Seed of what predictions draw.
const SEED: u64 = 1;

/// Who decides.
const ARMS: [Arm; 5] = [Arm::Whimbrel, Arm::PreCopy, Arm::AutoConverge, Arm::PostCopy, Arm::Timers];

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// To be gone by a deadline.
    Deadline,
    /// Not to stand still for longer than a limit.
    Downtime,
    /// To spare the network.
    Traffic,
    /// To spare the guest.
    Gentle,
}

impl Wish {
    /// Its word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Downtime => "downtime",
            Self::Traffic => "traffic",
            Self::Gentle => "gentle",
        }
    }
}

/// A case: the same for each of its five runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its number, from 0.
    pub number: u32,
    /// The kind of the guest's load.
    pub family: String,
    /// What the source may send, in megabytes a second with headers; `None` is no limit.
    pub shape: Option<f64>,
    /// The operator's cap.
    pub cap: Option<BytesPerSecond>,
    /// What the operator asks for.
    pub wish: Wish,
    /// The same in numbers.
    pub priorities: Priorities,
    /// Whether the operator allows post-copy.
    pub post_copy: bool,
}

impl Case {
    /// What the path carries, where a link without a limit carries `unshaped`.
    fn path(&self, unshaped: BytesPerSecond) -> BytesPerSecond {
        self.shape.map_or(unshaped, link::carried)
    }

    /// How `arm` migrates; Whimbrel starts from what the operator gave it.
    fn settings(&self, arm: Arm) -> MigrationSettings {
        let plain = MigrationSettings { bandwidth_limit: self.cap, ..MigrationSettings::default() };
        let longest = self.priorities.downtime_max.unwrap_or(plain.downtime_limit);
        let limited = plain.downtime_limit.min(longest);
        let mode = match arm {
            Arm::AutoConverge => Mode::AutoConverge,
            Arm::PostCopy => Mode::PostCopy,
            Arm::Timers if self.post_copy => Mode::PostCopy,
            _ => Mode::PreCopy,
        };
        match arm {
            // Only time-outs switch.
            Arm::Timers => MigrationSettings { mode, reads_before_post_copy: u32::MAX, ..plain },
            _ => MigrationSettings { mode, downtime_limit: limited, ..plain },
        }
    }
}

/// What the lab's libvirt can do: it knows no compression of channels.
fn space() -> Space {
    Space {
        channels: vec![1, 2, 3, 4],
        compressions: vec![Compression::None, Compression::Xbzrle { cache: Bytes::mib(64) }],
        ..Space::default()
    }
}

/// The experiment.
pub struct Choosing {
    subjects: Vec<Subject<Case>>,
    predictor: Arc<ReplayPredictor>,
}

impl Choosing {
    /// With `subjects`.
    pub fn new(subjects: Vec<Subject<Case>>, predictor: Arc<ReplayPredictor>) -> Self {
        Self { subjects, predictor }
    }
}

/// What a choice rests on.
struct Question {
    case: Case,
    domain: Domain,
    path: BytesPerSecond,
    qemu: QemuVersion,
    now: Timestamp,
}

/// Settings with what they are expected to cost, and the reason.
type Chosen = (MigrationSettings, Option<Prediction>, String);

fn chosen(predictor: &ReplayPredictor, question: &Question) -> Result<Chosen, ChooseError> {
    let template = question.case.settings(Arm::Whimbrel);
    let request = MigrationRequest {
        domain: &question.domain,
        to: None,
        settings: &template,
        path_bandwidth: question.path,
        sharing: 1,
        qemu: question.qemu,
        now: question.now,
        seed: SEED,
    };
    let priorities = &question.case.priorities;
    let choice = choose(predictor, &request, question.case.post_copy, priorities, &space())?;
    Ok((choice.settings, Some(choice.prediction), choice.sentence))
}

impl Trials for Choosing {
    type Case = Case;

    fn subjects(&self) -> &[Subject<Case>] {
        &self.subjects
    }

    fn alive(&self) -> usize {
        ALIVE
    }

    fn limit(&self) -> Span {
        LIMIT
    }

    fn is_due(&self, guest: &Live<Case>, _: &Run<Case>, since: Timestamp, now: Timestamp) -> bool {
        let rested = now.since(since);
        let read = guest.has_read(&WINDOWS_SECONDS, since);
        rested >= REST_LEAST && read || rested >= REST_MOST
    }

    fn prepare(&mut self, guest: &Live<Case>, run: &Run<Case>, place: &Place<'_>) -> Preparation {
        let (lab, name) = (place.lab.clone(), guest.vm.to_string());
        let predictor = Arc::clone(&self.predictor);
        let (arm, case) = (run.arm, run.case.clone());
        let path = case.path(place.unshaped);
        let (domain, qemu, now) = (place.domain.clone(), place.qemu, place.now);
        thread::spawn(move || {
            let timers = (arm == Arm::Timers).then(|| Timers::new(domain.memory, case.post_copy));
            let from = domain.host.to_string();
            match case.shape {
                Some(rate) => lab.link_shape(&from, rate)?,
                None => lab.link_clear(&from)?,
            }
            let (settings, predicted, why) = if arm == Arm::Whimbrel {
                let question = Question { case, domain, path, qemu, now };
                chosen(&predictor, &question).map_err(whimbrel::Failure::invalid)?
            } else {
                (case.settings(arm), None, String::new())
            };
            let before = Some(lab.guest_stat(&name)?);
            Ok(Prepared { start: now, settings, path, timers, before, predicted, why })
        })
    }
}

/// The runs of a case in drawn order.
fn runs(
    draw: &mut crate::draw::Draw,
    name: &str,
    case: &Case,
) -> Result<Vec<Run<Case>>, CampaignError> {
    let mut arms = ARMS;
    draw.shuffle(&mut arms);
    let run = |arm: Arm| {
        let id = OrderId::new(&format!("{name}-{}", arm.word()))?;
        Ok(Run { id, arm, case: case.clone() })
    };
    arms.into_iter().map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(wish: Wish, downtime_max: Option<Span>, post_copy: bool) -> Case {
        Case {
            number: 0,
            family: "random".to_owned(),
            shape: Some(10.0),
            cap: Some(BytesPerSecond::mib(8)),
            wish,
            priorities: Priorities { downtime_max, ..Priorities::default() },
            post_copy,
        }
    }

    #[test]
    fn every_arm_keeps_the_operators_cap() {
        let short = Some(Span::from_millis(50));
        let case = case(Wish::Downtime, short, true);
        for arm in ARMS {
            let settings = case.settings(arm);
            assert_eq!(settings.bandwidth_limit, case.cap, "{arm:?}");
            assert_eq!(settings.check(QemuVersion::new(7, 2)), Ok(()));
            let limit = Span::from_millis(if arm == Arm::Timers { 300 } else { 50 });
            assert_eq!(settings.downtime_limit, limit, "{arm:?}");
        }
    }

    #[test]
    fn time_outs_switch_only_where_that_is_allowed() {
        let settings = |allowed| case(Wish::Gentle, None, allowed).settings(Arm::Timers);
        assert_eq!(settings(false).mode, Mode::PreCopy);
        assert_eq!(
            (settings(true).mode, settings(true).reads_before_post_copy),
            (Mode::PostCopy, u32::MAX)
        );
    }

    #[test]
    fn nothing_is_chosen_that_the_lab_cannot_do() {
        let space = space();
        assert!(
            !space.compressions.iter().any(|c| matches!(c, Compression::Zlib | Compression::Zstd))
        );
        assert!(space.channels.iter().all(|channels| (1..=4).contains(channels)));
    }
}
