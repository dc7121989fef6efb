//! CPU use of every host over time, in a bounded number of steps.

use whimbrel_core::{
    Cluster,
    units::{Span, Timestamp},
};

use crate::{
    cluster::SimCluster,
    outcome::{HostOutcome, USE_POINTS_MAX, UsePoint},
    world::Meter,
};

/// Takes each host's use in steps of equal length.
#[derive(Debug, Clone)]
pub(crate) struct UseMeter {
    step: Span,
    end: Timestamp,
    last_at: Timestamp,
    last: Vec<Meter>,
    series: Vec<Vec<UsePoint>>,
}

impl UseMeter {
    pub(crate) fn new(cluster: &SimCluster, horizon: Span) -> Self {
        // Rounded up, so that the points cover the horizon and are no more than allowed.
        let micros = horizon.as_micros().div_ceil(u64::from(USE_POINTS_MAX)).max(1);
        let step = Span::from_micros(micros);
        let hosts = &cluster.world.hosts;
        Self {
            step,
            end: cluster.now() + horizon,
            last_at: cluster.now(),
            last: hosts.iter().map(|host| host.meter).collect(),
            series: vec![Vec::new(); hosts.len()],
        }
    }

    /// When the next point is due; the last one closes the horizon.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let next = (self.last_at + self.step).min(self.end);
        (next > self.last_at).then_some(next)
    }

    pub(crate) fn point(&mut self, cluster: &mut SimCluster) {
        let at = cluster.now();
        let span = at.since(self.last_at);
        for (index, host) in cluster.world.hosts.iter_mut().enumerate() {
            let (now, before) = (host.meter.read(at), self.last[index]);
            let mean = |now, before| Meter::mean(now, before, span).unwrap_or_default();
            self.series[index].push(UsePoint {
                at,
                cpu_wanted: mean(now.demanded, before.demanded),
                cpu_used: mean(now.used, before.used),
            });
            self.last[index] = now;
        }
        self.last_at = at;
    }

    pub(crate) fn finish(self, cluster: &mut SimCluster) -> Vec<HostOutcome> {
        let now = cluster.now();
        let mut outcomes = Vec::with_capacity(self.series.len());
        for (index, used) in self.series.into_iter().enumerate() {
            let steal = cluster.world.steal(index, now);
            let host = &mut cluster.world.hosts[index];
            let meter = host.meter.read(now);
            outcomes.push(HostOutcome {
                host: host.id.clone(),
                contention_core_seconds: meter.contention_core_seconds(),
                migration_core_seconds: meter.migrating as f64 / 1e9,
                steal_core_seconds: steal,
                overload: meter.overloaded,
                used,
            });
        }
        outcomes
    }
}
