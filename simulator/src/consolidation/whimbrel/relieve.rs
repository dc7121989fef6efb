//! Who leaves hosts whose guests together are about to want too much, and where they go.
//!
//! Never here: a single guest's peak, which says little of the sum.

use super::{
    super::decision::Step,
    Outlook,
    expect::Expected,
    ledger::{Ledger, Sum},
};

/// A host is too full where this many standard deviations of the sum do not fit any more.
const FULL_DEVIATIONS: f64 = 2.0;

/// It is relieved until this many fit.
const RELIEVED_DEVIATIONS: f64 = 2.5;

/// Relieves hosts that are too full. Who finds no place stays.
pub(super) fn relieve(outlook: &Outlook<'_>, ledger: &mut Ledger<'_>) -> Vec<Step> {
    let now = ledger.now;
    let full = FULL_DEVIATIONS * outlook.together;
    let mut leaving = Vec::new();
    for host in now.awake.iter().copied() {
        if ledger.of(host).room(full) < 0.0 {
            ledger.close(host, true);
            leaving.extend(leaving_from(outlook, ledger, host));
        }
    }
    let mean = |guest: u32| outlook.expected.of(guest).mean;
    leaving.sort_by(|a, b| mean(*b).total_cmp(&mean(*a)));
    let mut steps = Vec::with_capacity(leaving.len());
    for guest in leaving {
        let expected = outlook.expected.of(guest);
        let mips = now.guests.of(guest).mips;
        let to = ledger.fitting(expected, mips).or_else(|| ledger.wake(mips));
        let (Some(to), Some(from)) = (to, now.guests.of(guest).host) else { continue };
        ledger.set(from, ledger.of(from).without(expected));
        ledger.set(to, ledger.of(to).with(expected));
        steps.push(Step { guest, to });
    }
    steps
}

/// As few guests as relieve `host`; one always stays.
fn leaving_from(outlook: &Outlook<'_>, ledger: &Ledger<'_>, host: u32) -> Vec<u32> {
    let enough = RELIEVED_DEVIATIONS * outlook.together;
    let mut sum = ledger.of(host);
    let mut here = ledger.now.hosts[host as usize].guests.clone();
    let mut leaving = Vec::new();
    while sum.room(enough) < 0.0 && here.len() > 1 {
        let of = |at: &usize| outlook.expected.of(here[*at]);
        let Some(at) = (0..here.len()).reduce(|best, at| better(&sum, enough, best, at, of)) else {
            break;
        };
        let guest = here.remove(at);
        sum = sum.without(outlook.expected.of(guest));
        leaving.push(guest);
    }
    leaving
}

/// The better of two guests to leave: the smallest of those that suffice alone, otherwise the
/// largest.
fn better(
    sum: &Sum,
    enough: f64,
    best: usize,
    other: usize,
    of: impl Fn(&usize) -> Expected,
) -> usize {
    let (of_best, of_other) = (of(&best), of(&other));
    let suffices = |guest| sum.without(guest).room(enough) >= 0.0;
    let wins = match (suffices(of_other), suffices(of_best)) {
        (true, true) => of_other.mean < of_best.mean,
        (false, false) => of_other.mean > of_best.mean,
        (suffices, _) => suffices,
    };
    if wins { other } else { best }
}
