//! Lines that a scenario expects in its event log, or expects not to be there.

use serde::Deserialize;
use whimbrel_core::units::Span;

use crate::{cluster::Happening, outcome::Outcome, scenario::ScenarioError};

/// A line that is expected in the event log, at least once or so many times.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedLine {
    /// Its kind: [`Happening::KINDS`].
    pub what: String,
    /// The host or guest that it is about.
    pub about: Option<String>,
    /// Words in it.
    pub says: Option<String>,
    /// Not before this, counted from the start.
    pub after: Option<Span>,
    /// Not after this.
    pub before: Option<Span>,
    /// So many times, 0 for never; at least once when absent.
    pub times: Option<usize>,
}

impl ExpectedLine {
    pub(super) fn disappointed_by(&self, outcome: &Outcome) -> Option<String> {
        let start = outcome.started_at;
        let found = outcome.log.lines().iter().filter(|(at, happening)| {
            let at = at.since(start);
            self.after.is_none_or(|after| at >= after)
                && self.before.is_none_or(|before| at <= before)
                && self.fits(happening, outcome)
        });
        let found = found.count();
        let fulfilled = self.times.map_or(found > 0, |times| found == times);
        (!fulfilled).then(|| format!("{found} times in the log, expected {self:?}"))
    }

    fn fits(&self, happening: &Happening, outcome: &Outcome) -> bool {
        let about = |name: &String| {
            let order = happening.order();
            let moved = outcome.execution.moves.iter().find(|one| Some(&one.id) == order);
            happening.names(name) || moved.is_some_and(|one| one.vm.as_str() == name)
        };
        let says = |words: &String| happening.words().is_some_and(|said| said.contains(words));
        happening.kind() == self.what
            && self.about.as_ref().is_none_or(about)
            && self.says.as_ref().is_none_or(says)
    }

    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        let bad = |what: String| Err(ScenarioError::BadExpectation { key: "log", what });
        if !Happening::KINDS.contains(&self.what.as_str()) {
            let kinds = Happening::KINDS.join(", ");
            return bad(format!("no such kind: {}; there are {kinds}", self.what));
        }
        if self.after.zip(self.before).is_some_and(|(after, before)| after > before) {
            return bad("it is expected after it is expected to be over".to_owned());
        }
        Ok(())
    }
}
