//! The cases, from a seed.

use whimbrel_core::units::{Bytes, BytesPerSecond, Span};
use whimbrel_lab::GuestSpec;
use whimbrel_models::{
    Priorities,
    choose::{Preset, Safety},
};

use super::{Case, Subject, Wish, runs};
use crate::{
    campaign::{
        behaviours::{Family, first_pass, load},
        error::CampaignError,
        link::carried,
    },
    draw::Draw,
};

/// Kinds of load, in the shares that a deck of 14 has.
const FAMILIES: [Family; 14] = [
    Family::Sequential,
    Family::Sequential,
    Family::Sequential,
    Family::Random,
    Family::Random,
    Family::Random,
    Family::Hot,
    Family::Hot,
    Family::Hot,
    Family::Storm,
    Family::Storm,
    Family::Sine,
    Family::Square,
    Family::Phases,
];

const WISHES: [Wish; 4] = [Wish::Deadline, Wish::Downtime, Wish::Traffic, Wish::Gentle];

/// What a source may send, in megabytes a second with headers.
const SHAPES: [f64; 4] = [10.0, 16.0, 24.0, 40.0];

/// The first pass takes no longer, in seconds: five arms of each case are to end.
const FIRST_PASS_MOST: f64 = 12.0;

/// Least and most of a cap, in MiB/s.
const CAPS_MIB: (f64, f64) = (6.0, 40.0);

/// Of how many in 100 cases with and without a shaped path the operator has a cap.
const CAPPED_PERCENT: (usize, usize) = (30, 75);

/// In how many of 100 cases post-copy is allowed.
const POST_COPY_PERCENT: usize = 60;

/// Downtimes that are asked for, in milliseconds.
const DOWNTIMES: [u64; 4] = [60, 100, 150, 250];

/// How many first passes and how many seconds more a deadline leaves.
const DEADLINE_PASSES: (f64, f64) = (1.3, 4.0);
const DEADLINE_MORE: f64 = 1.5;

/// The guests of `cases` cases by `seed`, one a case. More cases change nothing in the first.
///
/// # Errors
/// [`CampaignError::Name`], which no drawn name gives.
pub fn draw(seed: u64, cases: u32) -> Result<Vec<Subject<Case>>, CampaignError> {
    let mut draw = Draw::new(seed);
    let (mut families, mut wishes) = (Vec::new(), Vec::new());
    (0..cases)
        .map(|number| {
            let family = dealt(&mut draw, &mut families, &FAMILIES);
            let wish = dealt(&mut draw, &mut wishes, &WISHES);
            subject(&mut draw, number, family, wish)
        })
        .collect()
}

/// The next of a deck, which is shuffled anew when it is used up.
fn dealt<T: Copy>(draw: &mut Draw, deck: &mut Vec<T>, all: &[T]) -> T {
    if deck.is_empty() {
        deck.extend_from_slice(all);
        draw.shuffle(deck);
    }
    deck.pop().unwrap_or_else(|| draw.of(all))
}

fn subject(
    draw: &mut Draw,
    number: u32,
    family: Family,
    wish: Wish,
) -> Result<Subject<Case>, CampaignError> {
    let name = format!("c{number:02}");
    let memory_mib = 8 * draw.between(8, 20);
    let load = load(draw, family, memory_mib);
    let content = first_pass(memory_mib, &load);
    let (shape, cap) = path(draw, number, content);
    let rate = shape.map(carried).into_iter().chain(cap).min();
    let pass = rate.map_or(0.5, |rate| content.as_f64() / rate.as_f64().max(1.0));
    let post_copy = draw.chance(POST_COPY_PERCENT);
    let case = Case {
        number,
        family: family.word().to_owned(),
        shape,
        cap,
        wish,
        priorities: priorities(draw, wish, pass, post_copy),
        post_copy,
    };
    let spec = GuestSpec { memory_mib, load, ..GuestSpec::mini(name.clone()) };
    Ok(Subject { spec, runs: runs(draw, &name, &case)? })
}

/// A shaped path for every other case, and a cap for some.
fn path(draw: &mut Draw, number: u32, content: Bytes) -> (Option<f64>, Option<BytesPerSecond>) {
    let content_mib = content.as_f64() / f64::from(1 << 20);
    let least_mib = content_mib / FIRST_PASS_MOST;
    let in_mib = |shape: f64| carried(shape).as_f64() / f64::from(1 << 20);
    let fast: Vec<f64> = SHAPES.into_iter().filter(|shape| in_mib(*shape) >= least_mib).collect();
    let shaped = number.is_multiple_of(2) && !fast.is_empty();
    let shape = shaped.then(|| draw.of(&fast));
    let most = shape.map_or(CAPS_MIB.1, |shape| in_mib(shape) * 0.8);
    let percent = if shaped { CAPPED_PERCENT.0 } else { CAPPED_PERCENT.1 };
    let capped = draw.chance(percent);
    let cap = draw.log_between(CAPS_MIB.0.max(least_mib).min(most), most).round().max(1.0);
    (shape, capped.then(|| BytesPerSecond::mib(cap as u64)))
}

/// `pass_seconds` is what the first pass takes at least.
fn priorities(draw: &mut Draw, wish: Wish, pass_seconds: f64, post_copy: bool) -> Priorities {
    let safety = if post_copy { Safety::Free } else { Safety::AvoidPostCopy };
    let passes = DEADLINE_PASSES.0 + (DEADLINE_PASSES.1 - DEADLINE_PASSES.0) * draw.share();
    let deadline = Span::from_seconds_f64((passes * pass_seconds + DEADLINE_MORE).round());
    let downtime = Span::from_millis(draw.of(&DOWNTIMES));
    let plain = match wish {
        Wish::Deadline => Preset::Fast.priorities(),
        Wish::Downtime => Preset::Balanced.priorities(),
        Wish::Traffic => Preset::Frugal.priorities(),
        Wish::Gentle => Preset::Gentle.priorities(),
    };
    Priorities {
        deadline: (wish == Wish::Deadline).then_some(deadline),
        downtime_max: (wish == Wish::Downtime).then_some(downtime),
        safety,
        ..plain
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn cases_have_every_wish_and_five_runs_each() {
        for seed in 0..20 {
            let subjects = draw(seed, 14).unwrap();
            let mut wishes: BTreeMap<Wish, usize> = BTreeMap::new();
            let mut ids = BTreeSet::new();
            for subject in &subjects {
                assert_eq!(subject.runs.len(), 5);
                let case = &subject.runs[0].case;
                *wishes.entry(case.wish).or_default() += 1;
                ids.extend(subject.runs.iter().map(|run| run.id.clone()));
                assert_eq!(case.priorities.deadline.is_some(), case.wish == Wish::Deadline);
                assert_eq!(case.priorities.downtime_max.is_some(), case.wish == Wish::Downtime);
                assert_eq!(case.post_copy, case.priorities.safety == Safety::Free);
            }
            assert_eq!(ids.len(), 70);
            assert!(wishes.values().all(|count| (3..=4).contains(count)), "{wishes:?}");
            let shaped = subjects.iter().filter(|s| s.runs[0].case.shape.is_some()).count();
            assert_eq!(shaped, 7);
        }
    }

    #[test]
    fn fewer_cases_are_the_first_of_more() {
        assert_eq!(draw(3, 5).unwrap(), draw(3, 14).unwrap()[..5]);
        assert_ne!(draw(3, 5).unwrap(), draw(4, 5).unwrap());
    }

    #[test]
    fn no_path_is_too_slow_for_the_first_pass() {
        let subjects = (0..40).flat_map(|seed| draw(seed, 14).unwrap());
        for Subject { spec, runs } in subjects {
            let case = &runs[0].case;
            let content = first_pass(spec.memory_mib, &spec.load).as_f64();
            for rate in case.shape.map(carried).into_iter().chain(case.cap) {
                assert!(content / rate.as_f64() < 16.0, "{spec:?} {case:?}");
            }
        }
    }
}
