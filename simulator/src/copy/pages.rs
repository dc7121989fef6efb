//! A guest's memory page by page: what small guests are simulated with, and what classes are
//! compared with.
//!
//! Pages are sent in address order, from where the last one was sent, wrapping. What a page costs
//! depends on what it holds; a page that is sent again may be a difference if the cache has it.
//!
//! Never here: how the guest chooses the pages that it writes (`Writer`), or when the bitmap is
//! read.

use super::{
    bitmap::{Bitmap, Cost, Costs, Lot, Sent, Service},
    delta::DeltaCache,
};

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Zeros.
    Zero,
    /// Bytes that do not compress.
    Random,
    /// Bytes that do.
    Text,
}

/// A guest that writes pages.
pub(crate) trait Writer: Clone {
    /// Lets `seconds` pass with `available` of its vCPUs' time, 0..=1, and calls `write` with each
    /// page that it writes, in order, until that says that the guest has to wait. Returns the part
    /// of its writing that it got done, 0..=1.
    fn write(&mut self, seconds: f64, available: f64, write: impl FnMut(usize) -> bool) -> f64;

    /// Bytes that a difference says of a page that it rewrote.
    fn delta_bytes(&self) -> f64;
}

/// Memory page by page with its bitmap.
#[derive(Debug, Clone)]
pub(crate) struct PageBitmap<W> {
    writer: W,
    holds: Vec<Holds>,
    dirty: Vec<bool>,
    pending: usize,
    logged: Vec<bool>,
    log: Vec<usize>,
    /// Where sending goes on.
    cursor: usize,
    /// The whole memory was gone through once.
    passed: bool,
    cache: Option<DeltaCache>,
}

/// Steps of the guest between the pages that come from behind, in seconds.
const SERVE_STEP_SECONDS: f64 = 0.005;

impl<W: Writer> PageBitmap<W> {
    /// The state after setup: every page is to be sent.
    pub(crate) fn new(writer: W, holds: Vec<Holds>, cache: Option<DeltaCache>) -> Self {
        let pages = holds.len();
        Self {
            writer,
            holds,
            dirty: vec![true; pages],
            pending: pages,
            logged: vec![false; pages],
            log: Vec::new(),
            cursor: 0,
            passed: false,
            cache,
        }
    }

    /// The next page to send, taken out of the bitmap.
    fn next(&mut self) -> Option<usize> {
        if self.pending == 0 {
            return None;
        }
        let ahead = self.dirty.iter().skip(self.cursor).position(|dirty| *dirty);
        let page = if let Some(ahead) = ahead {
            self.cursor + ahead
        } else {
            self.passed = true;
            self.dirty.iter().position(|dirty| *dirty)?
        };
        self.cursor = page + 1;
        self.clear(page);
        Some(page)
    }

    fn clear(&mut self, page: usize) {
        if let Some(dirty) = self.dirty.get_mut(page)
            && std::mem::take(dirty)
        {
            self.pending -= 1;
        }
    }

    fn whole(&self, page: usize, costs: &Costs) -> (Cost, bool) {
        match self.holds.get(page) {
            None | Some(Holds::Zero) => (costs.zero, true),
            Some(Holds::Random) => (costs.random, false),
            Some(Holds::Text) => (costs.text, false),
        }
    }

    /// What sending `page` comes to.
    fn send_page(&mut self, page: usize, lot: &Lot) -> Sent {
        let (cost, zero) = self.whole(page, &lot.costs);
        let Cost { bytes, seconds } = cost;
        if zero {
            return Sent { bytes, seconds, zero: 1.0, ..Sent::default() };
        }
        let Some(cache) = self.cache.as_mut().filter(|_| self.passed) else {
            return Sent { bytes, seconds, normal: 1.0, ..Sent::default() };
        };
        if cache.has(page, lot.reads) {
            let delta_bytes = self.writer.delta_bytes();
            let Cost { bytes, seconds } = lot.costs.difference(delta_bytes);
            return Sent { bytes, seconds, deltas: 1.0, delta_bytes, ..Sent::default() };
        }
        cache.insert(page, lot.reads);
        Sent { bytes, seconds, normal: 1.0, misses: 1.0, ..Sent::default() }
    }
}

impl<W: Writer> Bitmap for PageBitmap<W> {
    fn pending(&self) -> f64 {
        self.pending as f64
    }

    fn content(&self) -> f64 {
        let pages = self.dirty.iter().zip(&self.holds);
        pages.filter(|(dirty, holds)| **dirty && **holds != Holds::Zero).count() as f64
    }

    fn total(&self) -> f64 {
        self.holds.len() as f64
    }

    fn text_share(&self) -> f64 {
        let text = self.holds.iter().filter(|holds| **holds == Holds::Text).count();
        let zero = self.holds.iter().filter(|holds| **holds == Holds::Zero).count();
        text as f64 / (self.holds.len() - zero).max(1) as f64
    }

    fn send(&mut self, lot: &Lot) -> Sent {
        let mut sent = Sent::default();
        let mut unseen = 0;
        while sent.seconds < lot.seconds {
            if unseen == 0 && sent.bytes >= lot.budget {
                break;
            }
            let Some(page) = self.next() else { break };
            let one = self.send_page(page, lot);
            // Zero pages are collected in the buffer: only content fills and flushes it.
            unseen = if one.zero > 0.0 { unseen } else { (unseen + 1) % lot.grain.max(1) };
            sent += one;
        }
        sent
    }

    fn write(&mut self, seconds: f64, available: f64) -> f64 {
        let (logged, log) = (&mut self.logged, &mut self.log);
        self.writer.write(seconds, available, |page| {
            if let Some(bit) = logged.get_mut(page)
                && !*bit
            {
                *bit = true;
                log.push(page);
            }
            true
        })
    }

    fn synchronise(&mut self) -> f64 {
        let mut new = 0;
        for page in self.log.drain(..) {
            if let Some(bit) = self.logged.get_mut(page) {
                *bit = false;
            }
            if let Some(dirty) = self.dirty.get_mut(page)
                && !*dirty
            {
                *dirty = true;
                new += 1;
            }
        }
        self.pending += new;
        new as f64
    }

    fn seconds_until(&self, pages: f64, costs: &Costs) -> f64 {
        (self.pending() - pages).max(0.0) * costs.random.seconds
    }

    fn longest_step(&self, _: &Costs) -> f64 {
        f64::INFINITY
    }

    fn stale_ranges(&self) -> f64 {
        let begins = self.dirty.windows(2).filter(|pair| matches!(pair, [false, true])).count();
        begins as f64
    }

    fn serve(&mut self, service: &Service) -> (Sent, f64) {
        let Service { lot, wait_seconds, runs } = *service;
        let (mut all, mut faults, mut passed) = (Sent::default(), 0.0, 0.0);
        let (mut background, mut waited) = (0.0, 0.0);
        while passed < lot.seconds && self.pending > 0 {
            let step = SERVE_STEP_SECONDS.min(lot.seconds - passed);
            // Who waited longer than the last step goes on waiting.
            waited -= step;
            for page in self.missed(step * runs, wait_seconds, &mut waited) {
                let (Cost { bytes, seconds }, _) = self.whole(page, &lot.costs);
                self.clear(page);
                all += Sent { bytes, seconds, normal: 1.0, ..Sent::default() };
                faults += 1.0;
            }
            let budget = lot.budget * (passed + step) / lot.seconds - background;
            let sent = self.send(&Lot { seconds: step, budget, ..lot });
            background += sent.bytes;
            all += sent;
            passed += step;
        }
        all.seconds = passed;
        (all, faults)
    }
}

impl<W: Writer> PageBitmap<W> {
    /// Pages that the guest comes to within `step` and has to wait for, while it has not waited
    /// for all of the step. What it waits is added to `waited`, which is at most 0 where it runs.
    fn missed(&mut self, step: f64, wait_seconds: f64, waited: &mut f64) -> Vec<usize> {
        let mut missed = Vec::new();
        *waited = waited.max(-step);
        let dirty = &self.dirty;
        if *waited < 0.0 {
            self.writer.write(step, 1.0, |page| {
                if dirty.get(page) == Some(&true) && !missed.contains(&page) {
                    missed.push(page);
                    *waited += wait_seconds;
                }
                *waited < 0.0
            });
        }
        missed
    }
}
