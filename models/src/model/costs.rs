//! Time outside of copying and downtime outside of sending.
//!
//! Before the first page libvirt prepares the target and starts a QEMU there; after the last one
//! device state is handed over and the guest is started. How long that takes depends on the mode
//! and on the hosts, not on the guest's memory.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    settings::Mode,
    units::{Bytes, Span},
};

use crate::quantile::{level_and_spread, median};

/// Migrations of a mode below which the pooled figure holds.
const OBSERVATIONS_MIN: usize = 8;

/// Fixed costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Costs {
    /// Time outside of copying where no pair of hosts is known.
    pub fixed: Span,
    /// Spread of it. Range 0..=1.
    pub fixed_spread: f64,
    /// Downtime besides sending the rest: device state, hand-over, the start at the target.
    pub downtime: Span,
    /// The same by mode, where enough was seen.
    pub downtime_by_mode: Vec<(Mode, Span)>,
    /// What a slow link still has to carry when QEMU believes it sent.
    pub queue: Bytes,
    /// Spread of the whole downtime around what is expected. Range 0..=2.
    pub downtime_spread: f64,
    /// Spread of the total time besides everything that is drawn. Range 0..=1.
    pub time_spread: f64,
    /// Spread of the bytes besides everything that is drawn. Range 0..=1.
    pub bytes_spread: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            // 0.3 to 0.5 s on a quiet laboratory, 1.0 to 1.5 s on a busy one: until migrations of
            // this cluster were seen, nobody knows which it is.
            fixed: Span::from_millis(700),
            fixed_spread: 0.8,
            downtime: Span::from_millis(30),
            downtime_by_mode: Vec::new(),
            // Downtimes over shaped links of 9 and 27 MiB/s told of 0.6 to 3.2 MiB.
            queue: Bytes::new(1_572_864),
            downtime_spread: 1.0,
            time_spread: 0.06,
            bytes_spread: 0.03,
        }
    }
}

impl Costs {
    /// Downtime besides sending the rest.
    pub(crate) fn downtime_of(&self, mode: Mode) -> Span {
        let of_mode = self.downtime_by_mode.iter().find(|(known, _)| *known == mode);
        of_mode.map_or(self.downtime, |(_, span)| *span)
    }

    /// Learns the downtime from (mode, seconds that sending does not explain).
    pub(crate) fn learn_downtime(&mut self, unexplained: &[(Mode, f64)]) {
        let of = |mode: Option<Mode>| -> Vec<f64> {
            let wanted = unexplained.iter().filter(|(m, _)| mode.is_none_or(|mode| mode == *m));
            wanted.map(|(_, seconds)| *seconds).collect()
        };
        let middle = |values: &[f64]| {
            median(values).map(|m| Span::from_seconds_f64(m.clamp(0.001, 60.0)).rounded())
        };
        self.downtime = middle(&of(None)).unwrap_or(self.downtime);
        self.downtime_by_mode = [Mode::PreCopy, Mode::AutoConverge, Mode::PostCopy]
            .into_iter()
            .filter_map(|mode| {
                let values = of(Some(mode));
                let span = middle(&values).filter(|_| values.len() >= OBSERVATIONS_MIN)?;
                Some((mode, span))
            })
            .collect();
    }

    /// Learns the spread of fixed costs from their values in seconds.
    pub(crate) fn learn_fixed(&mut self, fixed: &[f64]) {
        let Some((middle, spread)) = level_and_spread(fixed, 1) else { return };
        self.fixed = Span::from_seconds_f64(middle).rounded();
        self.fixed_spread = spread.clamp(0.02, 1.0);
    }
}
