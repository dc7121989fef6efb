//! The program that runs the engine: it lives, dies, and starts again from its journal.
//!
//! Never here: what the engine decides.

use whimbrel_core::{
    Plan,
    ports::Entry,
    units::{Span, Timestamp},
};
use whimbrel_engine::{Engine, EngineSettings, Execution, RecoverError};

use super::options::{Death, Restart};
use crate::{cluster::SimCluster, journal::MemoryJournal};

/// The program with its journal.
#[derive(Debug, Clone)]
pub(super) struct Controller {
    plan: Plan,
    settings: EngineSettings,
    life: Life,
    pub(super) journal: MemoryJournal,
    /// Deaths to come, each with its next moment where it has one.
    deaths: Vec<(Restart, Option<Timestamp>)>,
}

#[derive(Debug, Clone)]
enum Life {
    /// It has not taken the plan yet.
    New,
    Ticking(Box<Engine>),
    /// It is dead and returns then.
    Away(Timestamp),
    /// Every move has ended; without an engine when that was found in the journal.
    Done(Option<Box<Engine>>),
}

impl Controller {
    pub(super) fn new(
        plan: Plan,
        settings: EngineSettings,
        restarts: &[Restart],
        start: Timestamp,
    ) -> Self {
        let points = restarts.iter().filter_map(|restart| match restart.dies {
            Death::Record(point) => Some(point),
            Death::At(_) | Death::Every(_) => None,
        });
        let due = |restart: &Restart| match restart.dies {
            Death::At(span) | Death::Every(span) => Some(start + span),
            Death::Record(_) => None,
        };
        Self {
            plan,
            settings,
            life: Life::New,
            journal: MemoryJournal::dying(points.collect()),
            deaths: restarts.iter().map(|restart| (*restart, due(restart))).collect(),
        }
    }

    /// Whether it has nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.life, Life::Done(_))
    }

    /// Whatever it does at this moment.
    pub(super) fn tick(&mut self, cluster: &mut SimCluster) -> Result<(), RecoverError> {
        let now = cluster.present();
        match &self.life {
            Life::Done(_) => return Ok(()),
            Life::Away(until) if now < *until => return Ok(()),
            Life::Away(_) => self.come_back(cluster)?,
            Life::New => self.start_engine(now),
            Life::Ticking(_) => {}
        }
        self.die_if_due(cluster);
        if let Life::Ticking(engine) = &mut self.life {
            let ticked = engine.tick(cluster, &mut self.journal);
            if ticked.is_ok() && engine.ended() {
                let engine = engine.clone();
                self.retire(Some(engine), cluster);
            }
        }
        if let Some(point) = self.journal.died_at() {
            let by = |restart: &Restart| restart.dies == Death::Record(point);
            let away = self.deaths.iter().find(|(restart, _)| by(restart));
            self.die(away.map_or(Span::ZERO, |(restart, _)| restart.away), cluster);
        }
        Ok(())
    }

    fn start_engine(&mut self, now: Timestamp) {
        let started = Engine::start(self.plan.clone(), self.settings, now, &mut self.journal);
        if let Ok(engine) = started {
            self.life = Life::Ticking(Box::new(engine));
        }
    }

    fn die_if_due(&mut self, cluster: &mut SimCluster) {
        let now = cluster.present();
        let mut away = None;
        for (restart, due) in &mut self.deaths {
            let Some(at) = due.filter(|at| *at <= now) else { continue };
            away = away.max(Some(restart.away));
            *due = match restart.dies {
                Death::Every(every) => {
                    let rounds = now.since(at).as_micros() / every.as_micros().max(1) + 1;
                    let micros = every.as_micros().saturating_mul(rounds);
                    Some(at + Span::from_micros(micros))
                }
                Death::At(_) | Death::Record(_) => None,
            };
        }
        if let (Some(away), Life::Ticking(_)) = (away, &self.life) {
            self.die(away, cluster);
        }
    }

    fn die(&mut self, away: Span, cluster: &mut SimCluster) {
        self.life = Life::Away(cluster.present() + away);
        cluster.controller_died();
    }

    /// Starts again from the journal alone. A plan that it does not know is asked for again.
    fn come_back(&mut self, cluster: &mut SimCluster) -> Result<(), RecoverError> {
        self.journal.reopen();
        cluster.controller_returned();
        let recovered = Engine::recover(self.journal.written(), self.settings)?;
        if let Some(engine) = recovered {
            self.life = Life::Ticking(Box::new(engine));
        } else if self.journal.written().is_empty() {
            self.start_engine(cluster.present());
        } else {
            self.retire(None, cluster);
        }
        Ok(())
    }

    fn retire(&mut self, engine: Option<Box<Engine>>, cluster: &mut SimCluster) {
        self.life = Life::Done(engine);
        cluster.stop_reading();
    }

    /// The engine's view; where no engine is left, what its journal says.
    pub(super) fn execution(&self) -> Result<Execution, RecoverError> {
        if let Life::Ticking(engine) | Life::Done(Some(engine)) = &self.life {
            return Ok(engine.execution());
        }
        let (ended, open) = match self.journal.written() {
            [open @ .., last] if last.entry == Entry::PlanEnded => (true, open),
            open => (false, open),
        };
        let engine = Engine::recover(open, self.settings)?;
        let nothing = || Execution {
            plan: self.plan.id(),
            moves: Vec::new(),
            cancelled: false,
            ended: false,
            records: Vec::new(),
        };
        let known = engine.map_or_else(nothing, |engine| engine.execution());
        Ok(Execution { ended, ..known })
    }
}
