//! What the past says of guests, for the planner: demands from recorded readings, moves from
//! recorded migrations.

use std::collections::BTreeMap;

use whimbrel_core::{
    Outlook, Plan, VmId,
    telemetry::MigrationRecord,
    units::{Span, Timestamp},
};
use whimbrel_models::demand::{self, FORECASTS_MAX};

use super::{Advisor, Situation};

/// Moves before this are forgotten.
const REMEMBERED: Span = Span::from_seconds(86_400);

/// When migrations of each guest began, whatever became of them.
pub(super) fn moves(history: &[MigrationRecord]) -> BTreeMap<VmId, Vec<Timestamp>> {
    let mut moves: BTreeMap<VmId, Vec<Timestamp>> = BTreeMap::new();
    for record in history {
        moves.entry(record.vm.clone()).or_default().push(record.at);
    }
    moves
}

impl Situation {
    /// With `plan` as what was planned before and not done yet: a balance keeps to it where it is
    /// nearly the best. Guests that are other machines by now are left out.
    pub fn keep_to(&mut self, plan: &Plan) {
        let uuids: BTreeMap<&VmId, &str> =
            self.snapshot.domains.iter().map(|one| (&one.vm, one.uuid.as_str())).collect();
        let same = plan.moves().filter(|(_, one)| uuids.get(&one.vm) == Some(&one.uuid.as_str()));
        self.outlook.planned = same.map(|(_, one)| (one.vm.clone(), one.to.clone())).collect();
    }
}

impl Advisor {
    /// `situation` with what its recorded series, and past migrations, say of its guests.
    #[must_use]
    pub fn looking_ahead(&self, mut situation: Situation) -> Situation {
        let now = situation.now;
        let recent = |at: &&Timestamp| **at <= now && now.since(**at) < REMEMBERED;
        let of = |(vm, moves): (&VmId, &Vec<Timestamp>)| {
            let moves: Vec<Timestamp> = moves.iter().filter(recent).copied().collect();
            (!moves.is_empty()).then(|| (vm.clone(), moves))
        };
        let demands = situation.replay.as_ref().map(|replay| {
            let balance = &self.policy.balance;
            demand::demands(&situation.snapshot, &replay.cpu, balance, now, FORECASTS_MAX)
        });
        situation.outlook = Outlook {
            demands: demands.unwrap_or_default(),
            moves: self.moves.iter().filter_map(of).collect(),
            planned: BTreeMap::new(),
            quieter: BTreeMap::new(),
        };
        situation
    }
}
