//! How long predictions take, measured around any learner: models have no clock.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use whimbrel_core::{
    predict::{MigrationRequest, PredictError, Prediction, Predictor},
    telemetry::MigrationTrace,
};
use whimbrel_models::evaluate::{Learner, Student};

/// Time and number of predictions so far.
type Spent = Rc<Cell<(Duration, u32)>>;

/// A learner whose predictors are timed.
pub(super) struct Timed<'a> {
    inner: &'a dyn Learner,
    spent: Spent,
}

struct TimedPredictor {
    inner: Box<dyn Student>,
    spent: Spent,
}

impl<'a> Timed<'a> {
    pub(super) fn new(inner: &'a dyn Learner) -> Self {
        Self { inner, spent: Rc::default() }
    }

    /// Mean time of a prediction; 0 before the first.
    pub(super) fn mean_microseconds(&self) -> f64 {
        let (time, count) = self.spent.get();
        time.as_secs_f64() * 1e6 / f64::from(count.max(1))
    }
}

impl Learner for Timed<'_> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn train(&self, past: &[MigrationTrace], seed: u64) -> Box<dyn Student> {
        let inner = self.inner.train(past, seed);
        Box::new(TimedPredictor { inner, spent: Rc::clone(&self.spent) })
    }

    fn knows_guests(&self) -> bool {
        self.inner.knows_guests()
    }
}

impl Student for TimedPredictor {
    fn with(&self, own: &[&MigrationTrace]) -> Option<Box<dyn Student>> {
        let inner = self.inner.with(own)?;
        Some(Box::new(Self { inner, spent: Rc::clone(&self.spent) }))
    }
}

impl Predictor for TimedPredictor {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let begun = Instant::now();
        let answer = self.inner.predict(request);
        let (time, count) = self.spent.get();
        self.spent.set((time + begun.elapsed(), count.saturating_add(1)));
        answer
    }
}
