//! What a move costs, in guest-seconds of slow-down, by asking the predictor.
//!
//! `cost = busy * (migration_weight * total_seconds + downtime_weight * downtime_seconds)` with
//! medians from the prediction and `busy` the guest's busy vCPUs, at least one: the same unit as
//! [`contention`](crate::contention), so that a gain can be compared with its price.
//!
//! Decides nothing; a migration that would not end is said to stall, and has no price.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use whimbrel_core::{
    Domain,
    predict::{MigrationRequest, PredictError, Prediction},
    settings::QemuVersion,
    units::{BytesPerSecond, Share, Span},
};

use crate::{PlanRequest, view::View};

/// Prices moves, asking each question to the predictor once.
pub(crate) struct Costs<'a> {
    view: &'a View<'a>,
    request: &'a PlanRequest<'a>,
    /// The answer depends on the path by its bandwidth only, so hosts that are alike share one.
    answers: RefCell<BTreeMap<Asked, Rc<Answer>>>,
    /// Prices of each VM by path, none where it would stall: a search asks millions of times.
    prices: RefCell<Vec<Prices>>,
    classes: Vec<Vec<usize>>,
    /// VMs that begin later, as they are expected to be then.
    later: BTreeMap<usize, Domain>,
}

/// Bandwidth of a path and the QEMU that both of its ends have.
type Path = (u64, QemuVersion);

/// Prices of one VM, by path.
type Prices = Vec<(Path, Option<f64>)>;

/// Guest, bandwidth of the path, migrations that share it, QEMU.
type Asked = (usize, u64, u32, QemuVersion);

pub(crate) type Answer = Result<Prediction, PredictError>;

/// What is said about moving one VM along one path.
pub(crate) enum Price {
    /// It costs this many guest-seconds.
    Seconds(f64),
    /// It would not end.
    Stalls { converges: Share, downtime_limit_needed: Option<Span> },
    /// Nobody can say.
    Unknown(PredictError),
}

impl<'a> Costs<'a> {
    pub(crate) fn new(view: &'a View<'a>, request: &'a PlanRequest<'a>) -> Self {
        let prices = RefCell::new(vec![Vec::new(); view.vms.len()]);
        let mut classes: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (host, one) in view.hosts.iter().enumerate() {
            let class = (one.host.migration_bandwidth, one.host.qemu);
            classes.entry(class).or_default().push(host);
        }
        let classes = classes.into_values().collect();
        let later = view.vms.iter().enumerate().filter(|(_, vm)| vm.not_before.is_some());
        let later = later.filter_map(|(vm, one)| {
            let dirty = request.outlook.quieter.get(&one.domain.vm)?.dirty.clone();
            Some((vm, Domain { dirty, ..one.domain.clone() }))
        });
        let later = later.collect();
        Self { view, request, answers: RefCell::default(), prices, classes, later }
    }

    /// Hosts in sets to which every migration from a given host has one price.
    pub(crate) fn classes(&self) -> &[Vec<usize>] {
        &self.classes
    }

    /// What the path carries: the slower end, by what migrations achieved there lately.
    fn path_bandwidth(&self, from: usize, to: usize) -> BytesPerSecond {
        [from, to]
            .iter()
            .filter_map(|&host| self.view.hosts[host].host.migration_bandwidth)
            .min()
            .unwrap_or(self.view.policy.limits.path_bandwidth)
    }

    fn qemu(&self, from: usize, to: usize) -> QemuVersion {
        let version = |host: usize| self.view.hosts[host].host.qemu.unwrap_or_default();
        version(from).min(version(to))
    }

    /// The prediction for `vm` from `from` to `to` when `sharing` migrations share the path.
    pub(crate) fn predict(&self, vm: usize, from: usize, to: usize, sharing: u32) -> Rc<Answer> {
        let path_bandwidth = self.path_bandwidth(from, to);
        let qemu = self.qemu(from, to);
        let key = (vm, path_bandwidth.get(), sharing, qemu);
        if let Some(answer) = self.answers.borrow().get(&key) {
            return Rc::clone(answer);
        }
        let answer = Rc::new(self.request.predictor.predict(&MigrationRequest {
            to: None,
            domain: self.later.get(&vm).unwrap_or(self.view.vms[vm].domain),
            settings: &self.view.policy.migration,
            path_bandwidth,
            sharing,
            now: self.request.now,
            seed: self.request.seed,
            qemu,
        }));
        self.answers.borrow_mut().insert(key, Rc::clone(&answer));
        answer
    }

    /// The prediction for a move that was found possible, when `sharing` migrations share its path.
    /// Where the predictor says that this would not end, the answer that the move was chosen by.
    pub(crate) fn expected(&self, vm: usize, path: (usize, usize), sharing: u32) -> Rc<Answer> {
        let answer = self.predict(vm, path.0, path.1, sharing);
        match &*answer {
            Ok(prediction) if prediction.likely_converges() => answer,
            _ => self.predict(vm, path.0, path.1, 1),
        }
    }

    /// The price of moving `vm` with the path to itself: a move that does not pay so never pays, and
    /// paths are shared only where a plan ends sooner by it.
    pub(crate) fn price(&self, vm: usize, from: usize, to: usize) -> Price {
        match &*self.predict(vm, from, to, 1) {
            Err(error) => Price::Unknown(error.clone()),
            Ok(prediction) if !prediction.likely_converges() => Price::Stalls {
                converges: prediction.converges,
                downtime_limit_needed: prediction.stall.map(|stall| stall.downtime_limit_needed),
            },
            Ok(prediction) => Price::Seconds(self.seconds(vm, prediction)),
        }
    }

    /// The price of moving `vm` from its home to `to`; `None` where it has none.
    pub(crate) fn seconds_to(&self, vm: usize, to: usize) -> Option<f64> {
        let home = self.view.vms[vm].home;
        let path = (self.path_bandwidth(home, to).get(), self.qemu(home, to));
        let known = self.prices.borrow()[vm].iter().find(|known| known.0 == path).map(|one| one.1);
        known.unwrap_or_else(|| {
            let price = match self.price(vm, home, to) {
                Price::Seconds(seconds) => Some(seconds),
                Price::Stalls { .. } | Price::Unknown(_) => None,
            };
            self.prices.borrow_mut()[vm].push((path, price));
            price
        })
    }

    /// Guest-seconds that `prediction` costs `vm`.
    pub(crate) fn seconds(&self, vm: usize, prediction: &Prediction) -> f64 {
        let balance = &self.view.policy.balance;
        let busy = self.view.vms[vm].demand_cores.max(1.0);
        busy * (balance.migration_weight * prediction.total_time.p50.as_seconds_f64()
            + balance.downtime_weight * prediction.downtime.p50.as_seconds_f64())
    }

    /// Median total time of a move when `sharing` migrations share its path; `None` where it would
    /// not end.
    pub(crate) fn duration(&self, vm: usize, path: (usize, usize), sharing: u32) -> Option<Span> {
        match &*self.predict(vm, path.0, path.1, sharing) {
            Ok(prediction) if prediction.likely_converges() => Some(prediction.total_time.p50),
            _ => None,
        }
    }
}
