//! What can be judged: something that learns from past migrations and then predicts.

use whimbrel_core::{predict::Predictor, telemetry::MigrationTrace};

use crate::{predictor::ReplayPredictor, train::train};

/// Learns from past migrations.
///
/// Deterministic in its arguments. Never keeps anything between two trainings.
pub trait Learner {
    /// What tables call it.
    fn name(&self) -> String;

    /// A predictor that knows `past`, in any order, and nothing else. `seed` decides whatever is
    /// drawn.
    fn train(&self, past: &[MigrationTrace], seed: u64) -> Box<dyn Student>;

    /// Whether a guest's earlier migrations change what is said of its next one. Where they do
    /// not, one training serves all guests.
    fn knows_guests(&self) -> bool {
        true
    }
}

/// A trained predictor.
pub trait Student: Predictor {
    /// It with `own` in mind too, earlier migrations of one guest in order of time; `None` where
    /// everything must be learnt anew for that.
    fn with(&self, _own: &[&MigrationTrace]) -> Option<Box<dyn Student>> {
        None
    }
}

impl Student for ReplayPredictor {
    fn with(&self, own: &[&MigrationTrace]) -> Option<Box<dyn Student>> {
        let mut knowing = self.clone();
        for trace in own {
            knowing.model.remember(trace);
        }
        Some(Box::new(knowing))
    }
}

/// This project's own predictor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Whimbrel;

impl Learner for Whimbrel {
    fn name(&self) -> String {
        "whimbrel".to_owned()
    }

    fn train(&self, past: &[MigrationTrace], seed: u64) -> Box<dyn Student> {
        Box::new(ReplayPredictor { model: train(past, seed).model })
    }
}
