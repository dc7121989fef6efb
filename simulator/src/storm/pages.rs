//! QEMU's pre-copy of one guest's page classes, in closed form between two changes of its rate.
//!
//! The rule is that of `copy`, which takes it a quantum at a time: pages with content are taken
//! from all classes in proportion, pages without lie behind them; what is written counts as far as its part of the log was
//! cleared, that is as the pass has come by; once less is left than the bandwidth times the
//! downtime limit, the bitmap is read, and the guest is stopped if what is to be sent then is no
//! more. Within a pass the pace is constant, the part that the pass has come by rises evenly, and
//! so what is written is a parabola. A test holds the two against each other.
//!
//! Never here: links, events, or other modes than pre-copy over one stream.

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{GUEST_PAGE, Span, Timestamp};

use super::{
    case::StormGuest,
    journey::{Chance, Leg},
};
use crate::{memory::GuestMemory, physics::Physics};

#[cfg(test)]
mod tests;

/// Where a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Setup,
    Copying,
    /// The guest stands still, and its last pages are sent.
    Stopped,
    /// The guest stands still, and its devices are.
    Devices,
}

/// A guest on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pages {
    constants: Constants,
    classes: Vec<Class>,
    /// Pages to send with content that nobody writes, and without content.
    rest: f64,
    zero: f64,
    /// Pages with content to send when the bitmap was last read, and how many of them were sent.
    pass: f64,
    pass_sent: f64,
    sent: f64,
    stage: Stage,
    stopped_at: Timestamp,
    pub(super) chance: Chance,
    pub(super) rounds: u32,
    pub(super) downtime: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constants {
    quantum: f64,
    page: f64,
    zero_page: f64,
    zero_pages_per_second: f64,
    downtime_limit: f64,
    /// Part of the pages with content whose log is cleared together.
    chunk_share: f64,
}

/// Pages that one writer goes round in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    pages: f64,
    writes_per_second: f64,
    pending: f64,
    /// `pending` when the bitmap was last read.
    pending_at_sync: f64,
    /// Written since their part of the log was cleared.
    logged: f64,
}

/// How the sender gets on with pages of one kind at one bandwidth.
#[derive(Debug, Clone, Copy)]
struct Pace {
    pages_per_second: f64,
    bytes_per_page: f64,
}

/// With content, and without.
#[derive(Debug, Clone, Copy)]
struct Paces {
    content: Pace,
    zero: Pace,
}

impl Pages {
    /// Before the setup of a migration of `guest` with `chance`.
    pub(super) fn new(guest: &StormGuest, limit: Span, physics: &Physics, chance: Chance) -> Self {
        let StormGuest { memory, touched, dirty, .. } = guest;
        let memory = GuestMemory::new(*memory, *touched, dirty, physics.unmeasured_writes);
        let content = (memory.total_pages - memory.zero_pages).max(1.0);
        let written: f64 = memory.classes.iter().map(|class| class.pages).sum();
        let class = |class: &crate::memory::PageClass| Class {
            pages: class.pages,
            writes_per_second: class.writes_per_second,
            pending: class.pages,
            pending_at_sync: class.pages,
            logged: 0.0,
        };
        Self {
            constants: Constants {
                quantum: (physics.quantum + physics.stream.period_overrun).as_seconds_f64(),
                page: physics.page_on_wire.as_f64(),
                zero_page: physics.zero_page_on_wire.as_f64(),
                zero_pages_per_second: physics.zero_pages_per_second,
                downtime_limit: limit.as_seconds_f64(),
                chunk_share: physics.log_clear_chunk.as_f64() / GUEST_PAGE.as_f64() / content,
            },
            classes: memory.classes.iter().map(class).collect(),
            rest: (memory.total_pages - memory.zero_pages - written).max(0.0),
            zero: memory.zero_pages,
            pass: content,
            pass_sent: 0.0,
            sent: 0.0,
            stage: Stage::Setup,
            stopped_at: Timestamp::default(),
            chance,
            rounds: 0,
            downtime: Span::ZERO,
        }
    }

    pub(super) fn advance(&mut self, seconds: f64, rate: f64) {
        let copies = self.stage == Stage::Copying;
        if !copies && self.stage != Stage::Stopped {
            return;
        }
        let Some(Paces { content, zero }) = self.paces(rate) else {
            if copies {
                self.write(seconds, 0.0, 0.0);
            }
            return;
        };
        let first = seconds.min(self.content() / content.pages_per_second);
        for (span, pace, left) in
            [(first, content, self.content()), (seconds - first, zero, self.zero)]
        {
            if span <= 0.0 {
                continue;
            }
            if copies {
                self.write(span, pace.pages_per_second, left);
            }
            self.take(pace.pages_per_second * span);
        }
    }

    pub(super) fn next(&self, rate: f64) -> Option<Span> {
        let paces = self.paces(rate)?;
        if self.stage != Stage::Copying {
            return Some(Span::from_seconds_f64(self.seconds_for(self.pending(), paces)));
        }
        // What is left when the last page with content goes decides which threshold is met first.
        let above = self.pending() - self.threshold(paces.content);
        let above = if above < self.content() {
            above
        } else {
            self.pending() - self.threshold(paces.zero)
        };
        let seconds = self.seconds_for(above.max(0.0), paces);
        let quanta = (seconds / self.constants.quantum).floor() + 1.0;
        Some(Span::from_seconds_f64(quanta.clamp(1.0, QUANTA_MAX) * self.constants.quantum))
    }

    pub(super) fn step(&mut self, cap: f64, now: Timestamp, rate: f64) -> Leg {
        match self.stage {
            Stage::Setup => {
                self.stage = Stage::Copying;
                Leg::Flow { cap }
            }
            Stage::Copying => {
                if !self.stops(rate) {
                    return Leg::Flow { cap };
                }
                self.stage = Stage::Stopped;
                self.stopped_at = now;
                // QEMU lifts its cap for the last pages.
                Leg::Flow { cap: f64::INFINITY }
            }
            Stage::Stopped => {
                self.take(self.pending());
                self.stage = Stage::Devices;
                Leg::Wait(self.chance.device_downtime)
            }
            Stage::Devices => {
                self.downtime = now.since(self.stopped_at);
                Leg::Over
            }
        }
    }

    pub(super) fn remaining(&self) -> Option<f64> {
        let stopped = matches!(self.stage, Stage::Stopped | Stage::Devices);
        (!stopped).then(|| (self.pass + self.zero) * GUEST_PAGE.as_f64())
    }

    pub(super) fn sent(&self) -> f64 {
        self.sent
    }

    /// Reads the bitmap if little enough is left, and says whether the guest is to be stopped.
    fn stops(&mut self, rate: f64) -> bool {
        let Some(paces) = self.paces(rate) else { return false };
        let goes =
            if self.content() > 0.0 || self.zero <= 0.0 { paces.content } else { paces.zero };
        let threshold = self.threshold(goes);
        if self.pending() >= threshold {
            return false;
        }
        self.classes.iter_mut().for_each(Class::read);
        self.rounds = self.rounds.saturating_add(1);
        self.pass = self.content();
        self.pass_sent = 0.0;
        self.pending() <= threshold
    }

    fn pending(&self) -> f64 {
        self.content() + self.zero
    }

    /// Pages with content that are to be sent.
    fn content(&self) -> f64 {
        self.classes.iter().map(|class| class.pending).sum::<f64>() + self.rest
    }

    /// How pages go at `rate`. A zero page costs few bytes and the time to find it.
    fn paces(&self, rate: f64) -> Option<Paces> {
        if rate <= 0.0 {
            return None;
        }
        let Constants { page, zero_page, zero_pages_per_second, .. } = self.constants;
        let pace = |bytes_per_page: f64, seconds: f64| Pace {
            pages_per_second: 1.0 / (bytes_per_page / rate + seconds),
            bytes_per_page,
        };
        Some(Paces { content: pace(page, 0.0), zero: pace(zero_page, 1.0 / zero_pages_per_second) })
    }

    /// How long the next `pages` to be sent take.
    fn seconds_for(&self, pages: f64, paces: Paces) -> f64 {
        let content = pages.min(self.content());
        content / paces.content.pages_per_second + (pages - content) / paces.zero.pages_per_second
    }

    fn threshold(&self, pace: Pace) -> f64 {
        let bytes_per_second = pace.pages_per_second * pace.bytes_per_page;
        bytes_per_second * self.constants.downtime_limit / GUEST_PAGE.as_f64()
    }

    /// Takes up to `pages`: those with content in proportion, then those without.
    fn take(&mut self, pages: f64) {
        let content = self.content();
        let Constants { page, zero_page, .. } = self.constants;
        let taken = pages.min(content);
        if content > 0.0 {
            let stays = 1.0 - taken / content;
            self.rest *= stays;
            for class in &mut self.classes {
                class.pending *= stays;
            }
        }
        let zero = (pages - taken).min(self.zero).max(0.0);
        self.zero -= zero;
        self.sent += taken * page + zero * zero_page;
        self.pass_sent += taken;
    }

    /// What the guest writes in `seconds` from now, in which up to `left` pages are sent.
    fn write(&mut self, seconds: f64, pages_per_second: f64, left: f64) {
        let pass = self.pass.max(1.0);
        let cleared = (self.pass_sent / pass + self.constants.chunk_share).min(1.0);
        // Clearing goes on until all is cleared or all is sent.
        let speed = pages_per_second / pass;
        let rising = if speed > 0.0 {
            let sent = left / pages_per_second;
            ((1.0 - cleared) / speed).min(sent).min(seconds)
        } else {
            0.0
        };
        let end = cleared + speed * rising;
        let area = f64::midpoint(cleared, end) * rising + end * (seconds - rising);
        for class in &mut self.classes {
            class.write(seconds, area, end);
        }
    }
}

/// Keeps the time to the next look finite: three years of quanta.
const QUANTA_MAX: f64 = 1e9;

impl Class {
    /// Writes for `seconds`. `area` is the integral of the cleared part over them, `end` its last.
    fn write(&mut self, seconds: f64, area: f64, end: f64) {
        let countable = (self.pages - self.pending_at_sync * (1.0 - end)).max(0.0);
        let at_sync = self.pending_at_sync / self.pages;
        let seconds_counted = (1.0 - at_sync) * seconds + at_sync * area;
        let logged = self.logged + self.writes_per_second * seconds_counted.max(0.0);
        self.logged = logged.min(countable.max(self.logged));
    }

    /// Moves the log into the bitmap. What is pending already is counted once.
    fn read(&mut self) {
        self.pending += self.logged.min(self.pages - self.pending).max(0.0);
        self.pending_at_sync = self.pending;
        self.logged = 0.0;
    }
}
