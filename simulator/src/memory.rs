//! A guest's memory as classes of pages, each rewritten in turn at its own pace.
//!
//! A class of n pages whose writer comes round every T seconds has dirtied n min(t / T, 1)
//! distinct pages after t seconds. Any unique-dirty curve U(t) that is concave and piecewise
//! linear through the origin is exactly a sum of such classes: one class turns over at each bend,
//! and writes as fast as the slope falls there. So the readings that a guest has give its classes
//! without fitting anything; the predictor fits a mixture of exponentials to the same readings,
//! which agrees at the readings and differs between and beyond them.
//!
//! Never here: what a migration does with the pages.

use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span},
};

use crate::physics::StreamPhysics;

/// Pages that one writer goes round in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PageClass {
    /// Pages in it.
    pub(crate) pages: f64,
    /// Distinct pages written a second, until the round is complete.
    pub(crate) writes_per_second: f64,
}

/// Memory of one guest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GuestMemory {
    /// All pages.
    pub(crate) total_pages: f64,
    /// Pages that were never touched: all zero.
    pub(crate) zero_pages: f64,
    /// Written pages, fastest round first. Their sum is at most `total_pages - zero_pages`; the
    /// rest has content and is not written.
    pub(crate) classes: Vec<PageClass>,
    /// Part of the pages with content that compresses, 0..=1.
    pub(crate) text_share: f64,
    /// Bytes that a difference says of a rewritten page.
    pub(crate) delta_bytes: f64,
    /// Part of its vCPUs' time that the guest needs to write as fast as it does, 0..=1: having
    /// less, it writes more slowly.
    pub(crate) needs: f64,
}

/// Most classes of one guest: readings beyond this many windows add nothing that counts.
const CLASSES_MAX: usize = 16;

impl GuestMemory {
    /// Memory of `memory` of which at most `touched` has content, as `readings` show it being
    /// written; without a usable reading, at `unmeasured`.
    pub(crate) fn new(
        memory: Bytes,
        touched: Option<Bytes>,
        readings: &[DirtyReading],
        unmeasured: BytesPerSecond,
    ) -> Self {
        let page = GUEST_PAGE.as_f64();
        let total_pages = (memory.as_f64() / page).ceil();
        let touched = touched.map_or(total_pages, |r| (r.as_f64() / page).min(total_pages));
        let mut points = points(readings, touched);
        if points.is_empty() && readings.is_empty() {
            points.push((1.0, (unmeasured.as_f64() / page).min(touched)));
        }
        let classes = classes(&concave(&points), touched);
        Self {
            total_pages,
            zero_pages: total_pages - touched,
            classes,
            text_share: 0.0,
            delta_bytes: 0.0,
            needs: 1.0,
        }
    }

    /// The same memory with pages that hold what `stream` takes unknown guests' to hold.
    pub(crate) fn holding(self, stream: &StreamPhysics) -> Self {
        Self { text_share: stream.text_share.get(), delta_bytes: stream.delta.as_f64(), ..self }
    }

    /// Part of its writing that the guest gets done when it has `available` of its vCPUs' time.
    pub(crate) fn done(&self, available: f64) -> f64 {
        if available >= self.needs { 1.0 } else { (available / self.needs).max(0.0) }
    }

    /// Distinct pages written within `seconds` from a clean start: U(t).
    #[cfg(test)]
    pub(crate) fn unique_pages(&self, seconds: f64) -> f64 {
        self.classes.iter().map(|c| (c.writes_per_second * seconds).min(c.pages)).sum()
    }
}

/// Readings as points of U(t) in seconds and pages, by window, the newest for each window.
fn points(readings: &[DirtyReading], touched: f64) -> Vec<(f64, f64)> {
    let mut readings: Vec<&DirtyReading> =
        readings.iter().filter(|r| r.window > Span::ZERO).collect();
    readings.sort_by_key(|r| (r.window, std::cmp::Reverse(r.measured_at)));
    readings.dedup_by_key(|r| r.window);
    let skip = readings.len().saturating_sub(CLASSES_MAX);
    let pages = |r: &DirtyReading| (r.unique.as_f64() / GUEST_PAGE.as_f64()).min(touched);
    readings.into_iter().skip(skip).map(|r| (r.window.as_seconds_f64(), pages(r))).collect()
}

/// The least concave, never falling curve from the origin that lies on or above all `points`:
/// readings scatter, and U(t) is concave by nature.
fn concave(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut hull: Vec<(f64, f64)> = vec![(0.0, 0.0)];
    let mut highest = 0.0f64;
    for &(seconds, pages) in points {
        // A longer window cannot have dirtied less.
        highest = highest.max(pages);
        let point = (seconds, highest);
        while let [.., before, last] = hull[..] {
            if slope(before, last) > slope(last, point) {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

fn slope(a: (f64, f64), b: (f64, f64)) -> f64 {
    (b.1 - a.1) / (b.0 - a.0)
}

/// One class for each bend of `hull`. Where the longest window still found new pages, the last
/// slope goes on until all `touched` pages are in: the most that a concave curve may do.
///
/// With slopes s1 > s2 > ... ending at T1 < T2 < ..., class i writes s(i) - s(i+1) pages a second
/// and turns over at T(i).
fn classes(hull: &[(f64, f64)], touched: f64) -> Vec<PageClass> {
    let mut slopes: Vec<f64> = hull.windows(2).map(|pair| slope(pair[0], pair[1])).collect();
    let mut ends: Vec<f64> = hull.iter().skip(1).map(|point| point.0).collect();
    if let (Some(slope), Some(end), Some(point)) = (slopes.last(), ends.last_mut(), hull.last())
        && *slope > 0.0
    {
        *end += (touched - point.1).max(0.0) / slope;
    }
    slopes.push(0.0);
    ends.iter()
        .zip(slopes.windows(2))
        .map(|(end, pair)| {
            let writes_per_second = pair[0] - pair[1];
            PageClass { pages: writes_per_second * end, writes_per_second }
        })
        .filter(|class| class.pages > 0.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_core::units::Timestamp;

    use super::*;

    fn reading(seconds: f64, mib: f64) -> DirtyReading {
        DirtyReading {
            window: Span::from_seconds_f64(seconds),
            unique: Bytes::new((mib * f64::from(1 << 20)) as u64),
            measured_at: Timestamp::default(),
        }
    }

    fn guest(readings: &[DirtyReading]) -> GuestMemory {
        let resident = Some(Bytes::mib(184));
        GuestMemory::new(Bytes::mib(256), resident, readings, BytesPerSecond::mib(10))
    }

    #[test]
    fn a_sequential_writer_is_one_class() {
        let guest = guest(&[reading(1.0, 20.0), reading(6.4, 128.0), reading(16.0, 128.0)]);
        assert_eq!(guest.classes.len(), 1);
        assert!((guest.classes[0].pages - 128.0 * 256.0).abs() < 1.0);
        assert!((guest.unique_pages(3.0) - 60.0 * 256.0).abs() < 1.0);
        assert!((guest.zero_pages - 72.0 * 256.0).abs() < 1.0);
    }

    #[test]
    fn one_reading_goes_on_and_none_is_not_free() {
        let one = guest(&[reading(1.0, 20.0)]);
        assert!((one.unique_pages(5.0) - 100.0 * 256.0).abs() < 1.0);
        assert!((one.unique_pages(60.0) - 184.0 * 256.0).abs() < 1.0);
        assert!((guest(&[]).unique_pages(2.0) - 20.0 * 256.0).abs() < 1.0);
        assert!(guest(&[reading(1.0, 0.0)]).classes.is_empty());
    }

    proptest! {
        #[test]
        fn the_curve_passes_no_reading_below_and_fits_the_guest(
            windows in prop::collection::btree_map(1u64..60_000, 0u64..400, 1..20),
        ) {
            let readings: Vec<DirtyReading> = windows
                .iter()
                .map(|(millis, mib)| reading(*millis as f64 / 1e3, *mib as f64))
                .collect();
            let guest = guest(&readings);
            let touched = guest.total_pages - guest.zero_pages;
            let sum: f64 = guest.classes.iter().map(|class| class.pages).sum();
            prop_assert!(sum <= touched + 1.0, "{sum} of {touched}");
            prop_assert!(guest.classes.iter().all(|c| c.pages > 0.0 && c.writes_per_second > 0.0));
            let kept = readings.len().saturating_sub(CLASSES_MAX);
            for one in &readings[kept..] {
                let seen = (one.unique.as_f64() / 4096.0).min(touched);
                let curve = guest.unique_pages(one.window.as_seconds_f64());
                prop_assert!(curve >= seen - 1.0, "{curve} under {seen}");
            }
        }
    }
}
