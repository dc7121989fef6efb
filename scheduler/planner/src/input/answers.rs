//! What a planner asked its predictor, kept as a table, and the predictor that answers from one.
//!
//! A question keeps only what differs from the input around it, so that a table of ten thousand
//! answers stays readable. Predicts nothing by itself.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::{Domain, Snapshot},
    ids::{HostId, VmId},
    policy::Policy,
    predict::{MigrationRequest, PredictError, Prediction, Predictor, Quantiles},
    settings::{MigrationSettings, QemuVersion},
    units::{BytesPerSecond, MilliCores, Share, Span, Timestamp},
};

/// One question and what was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The question.
    pub asked: Question,
    /// The answer.
    pub told: Told,
}

/// What a predictor said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// A prediction.
    Predicted(Box<Prediction>),
    /// That no honest answer exists.
    Refused(PredictError),
}

/// A question to a predictor; what is absent is as the input around it has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The domain.
    pub vm: VmId,
    /// What the path carries when nobody else uses it.
    pub path: BytesPerSecond,
    /// Migrations that share the path, this one included.
    pub sharing: u32,
    /// The older QEMU of both ends.
    pub qemu: QemuVersion,
    /// The target, where it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<HostId>,
    /// Settings other than the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<MigrationSettings>,
    /// The domain, where it was asked about with other readings than the snapshot has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Box<Domain>>,
    /// Another moment than the input's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
    /// Another seed than the input's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// What a question is found by; the rest of it rarely differs.
type Key = (VmId, BytesPerSecond, u32, QemuVersion);

impl Question {
    fn key(&self) -> Key {
        (self.vm.clone(), self.path, self.sharing, self.qemu)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "over a path of {} shared by {}", self.path, self.sharing)?;
        write!(f, " under QEMU {}", self.qemu)?;
        if let Some(to) = &self.to {
            write!(f, " to {to}")?;
        }
        for (other, what) in [
            (self.settings.is_some(), "other settings"),
            (self.domain.is_some(), "other readings"),
            (self.now.is_some(), "another moment"),
            (self.seed.is_some(), "another seed"),
        ] {
            if other {
                write!(f, ", {what} than the input's")?;
            }
        }
        Ok(())
    }
}

/// What questions are as a rule: the input around them.
pub(super) struct Usual<'a> {
    settings: &'a MigrationSettings,
    now: Timestamp,
    seed: u64,
    sightings: BTreeMap<(&'a VmId, &'a HostId), &'a Domain>,
}

impl<'a> Usual<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        policy: &'a Policy,
        now: Timestamp,
        seed: u64,
    ) -> Self {
        let sightings = snapshot.domains.iter().map(|one| ((&one.vm, &one.host), one)).collect();
        Self { settings: &policy.migration, now, seed, sightings }
    }

    fn question(&self, request: &MigrationRequest<'_>) -> Question {
        let domain = request.domain;
        let seen = self.sightings.get(&(&domain.vm, &domain.host));
        let as_seen = seen.is_some_and(|seen| std::ptr::eq(*seen, domain) || *seen == domain);
        Question {
            vm: domain.vm.clone(),
            path: request.path_bandwidth,
            sharing: request.sharing,
            qemu: request.qemu,
            to: request.to.cloned(),
            settings: (request.settings != self.settings).then(|| request.settings.clone()),
            domain: (!as_seen).then(|| Box::new(domain.clone())),
            now: (request.now != self.now).then_some(request.now),
            seed: (request.seed != self.seed).then_some(request.seed),
        }
    }
}

/// Asks another predictor and keeps each question with its answer, once.
pub(super) struct Recorder<'a> {
    inner: &'a dyn Predictor,
    usual: Usual<'a>,
    kept: RefCell<BTreeMap<Key, Vec<Answer>>>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(inner: &'a dyn Predictor, usual: Usual<'a>) -> Self {
        Self { inner, usual, kept: RefCell::default() }
    }

    /// What was asked and told, ordered by domain and path.
    pub(super) fn into_answers(self) -> Vec<Answer> {
        self.kept.into_inner().into_values().flatten().collect()
    }
}

impl Predictor for Recorder<'_> {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let told = self.inner.predict(request);
        let asked = self.usual.question(request);
        let mut kept = self.kept.borrow_mut();
        let same = kept.entry(asked.key()).or_default();
        if same.iter().all(|one| one.asked != asked) {
            let told = match &told {
                Ok(prediction) => Told::Predicted(Box::new(prediction.clone())),
                Err(error) => Told::Refused(error.clone()),
            };
            same.push(Answer { asked, told });
        }
        told
    }
}

/// Answers from a table, then from flat costs, and says what it does not know.
pub(super) struct Known<'a> {
    answers: BTreeMap<Key, Vec<&'a Answer>>,
    costs: &'a BTreeMap<VmId, f64>,
    usual: Usual<'a>,
    unanswered: RefCell<BTreeMap<Key, Vec<Question>>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(
        answers: &'a [Answer],
        costs: &'a BTreeMap<VmId, f64>,
        usual: Usual<'a>,
    ) -> Self {
        let mut by_key: BTreeMap<Key, Vec<&Answer>> = BTreeMap::new();
        for answer in answers {
            by_key.entry(answer.asked.key()).or_default().push(answer);
        }
        Self { answers: by_key, costs, usual, unanswered: RefCell::default() }
    }

    /// What was asked in vain, once each, ordered by domain and path.
    pub(super) fn into_unanswered(self) -> Vec<Question> {
        self.unanswered.into_inner().into_values().flatten().collect()
    }
}

impl Predictor for Known<'_> {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let asked = self.usual.question(request);
        let same = self.answers.get(&asked.key()).into_iter().flatten();
        match same.into_iter().find(|one| one.asked == asked).map(|one| &one.told) {
            Some(Told::Predicted(prediction)) => return Ok((**prediction).clone()),
            Some(Told::Refused(error)) => return Err(error.clone()),
            None => {}
        }
        if let Some(cost) = self.costs.get(&asked.vm) {
            return Ok(flat(request, *cost));
        }
        let error = PredictError::NotRecorded { vm: asked.vm.clone(), asked: asked.to_string() };
        let mut unanswered = self.unanswered.borrow_mut();
        let same = unanswered.entry(asked.key()).or_default();
        if !same.contains(&asked) {
            same.push(asked);
        }
        Err(error)
    }
}

/// A migration that costs `cost` guest-seconds at a migration weight of 1 when it has the path to
/// itself; those that share one take as much longer.
fn flat(request: &MigrationRequest<'_>, cost: f64) -> Prediction {
    let domain = request.domain;
    let cost = cost * f64::from(request.sharing.max(1));
    let busy = domain.cpu_used.map_or(0.0, MilliCores::as_cores_f64).max(1.0);
    Prediction {
        model: "instance".to_owned(),
        converges: Share::ONE,
        total_time: Quantiles::from_array([Span::from_seconds_f64(cost / busy); 7]),
        transferred: Quantiles::from_array([domain.memory; 7]),
        downtime: Quantiles::from_array([Span::ZERO; 7]),
        impact: None,
        stall: None,
        caveats: Vec::new(),
    }
}
