//! The guests of a campaign: how large they are, how they dirty their memory, and what their
//! migrations are for.
//!
//! Drawn from a seed alone. Guests of one family differ in numbers only; every third guest of the
//! list, which is ordered by family, judges, so that each family judges for a third as well.

use whimbrel_core::{ids::VmId, units::Bytes};
use whimbrel_datasets::{Behaviour, CampaignSet};
use whimbrel_lab::{GuestSpec, Load, Order, Phase, Shape};

use super::{
    error::CampaignError,
    settings::{self, Row},
};
use crate::draw::Draw;

/// The families and how many guests each has: three fifths have a constant rate.
pub const FAMILIES: [(Family, usize); 8] = [
    (Family::Still, 4),
    (Family::Storm, 5),
    (Family::Sequential, 14),
    (Family::Random, 14),
    (Family::Hot, 14),
    (Family::Sine, 11),
    (Family::Square, 11),
    (Family::Phases, 11),
];

/// Every how many guests one judges.
const JUDGE_EVERY: usize = 3;

/// Memory that the guest's kernel takes: the rest is the load's.
const KERNEL_MIB: u32 = 24;

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Rewrites nothing.
    Still,
    /// Dirties faster than any of its caps.
    Storm,
    /// Rewrites its working set page after page.
    Sequential,
    /// Rewrites pages at random.
    Random,
    /// Most rewrites go to a small part.
    Hot,
    /// A rate that swings.
    Sine,
    /// A rate that jumps between two values.
    Square,
    /// Three rates in turn.
    Phases,
}

impl Family {
    /// Its word in `behaviours.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Still => "still",
            Self::Storm => "storm",
            Self::Sequential => "sequential",
            Self::Random => "random",
            Self::Hot => "hot",
            Self::Sine => "sine",
            Self::Square => "square",
            Self::Phases => "phases",
        }
    }
}

/// One guest and all that will be done with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its name.
    pub vm: VmId,
    /// How it is started.
    pub spec: GuestSpec,
    /// What the campaign says of it.
    pub behaviour: Behaviour,
    /// Its migrations, in the order that is kept where possible.
    pub rows: Vec<Row>,
}

/// The numbers of one behaviour before it has a name.
struct Drawn {
    family: Family,
    memory_mib: u32,
    load: Load,
    set: CampaignSet,
}

/// All guests of the campaign of `seed`, in the order of their names, in which they are started;
/// some of their migrations compress their channels if `compressed_channels` says so.
///
/// # Errors
/// [`CampaignError::Name`], which no drawn name gives.
pub fn draw(seed: u64, compressed_channels: bool) -> Result<Vec<Planned>, CampaignError> {
    let mut draw = Draw::new(seed);
    let mut drawn = Vec::new();
    let offset = draw.below(JUDGE_EVERY);
    for (family, count) in FAMILIES {
        for _ in 0..count {
            let judges = drawn.len() % JUDGE_EVERY == offset;
            let set = if judges { CampaignSet::Judge } else { CampaignSet::Learn };
            let memory_mib = memory_mib(&mut draw, family);
            let load = load(&mut draw, family, memory_mib);
            let load = Load { plain_percent: Some(plain_percent(&mut draw)), ..load };
            drawn.push(Drawn { family, memory_mib, load, set });
        }
    }
    // Mixed, so that neither a family nor a set has the machine at its quietest for itself.
    draw.shuffle(&mut drawn);
    let mut kinds = settings::deck(&mut draw, drawn.len(), compressed_channels);
    let planned = drawn.into_iter().enumerate();
    planned.map(|(index, drawn)| planned_guest(&mut draw, &mut kinds, index, drawn)).collect()
}

fn planned_guest(
    draw: &mut Draw,
    kinds: &mut Vec<settings::Kind>,
    index: usize,
    drawn: Drawn,
) -> Result<Planned, CampaignError> {
    let name = format!("b{index:03}");
    let vm = VmId::new(&name)?;
    let bounds = settings::Bounds {
        first_pass: first_pass(drawn.memory_mib, &drawn.load),
        cap_most_mib: cap_most_mib(&drawn),
    };
    let rows = settings::rows(draw, kinds, &vm, &bounds)?;
    let behaviour = Behaviour {
        memory: Bytes::mib(drawn.memory_mib.into()),
        family: drawn.family.word().to_owned(),
        set: drawn.set,
        load: drawn.load.words(),
    };
    let spec =
        GuestSpec { memory_mib: drawn.memory_mib, load: drawn.load, ..GuestSpec::mini(name) };
    Ok(Planned { vm, spec, behaviour, rows })
}

/// In MiB, a multiple of 8. Storms stay small, so that a slow cap still sends them within seconds.
fn memory_mib(draw: &mut Draw, family: Family) -> u32 {
    let most = if family == Family::Storm { 12 } else { 32 };
    8 * draw.between(6, most)
}

/// What the first pass sends: pages with data.
pub fn first_pass(memory_mib: u32, load: &Load) -> Bytes {
    let filled = memory_mib * (100 - load.zero_percent.unwrap_or(0)) / 100;
    Bytes::mib(filled.max(load.working_set_mib.unwrap_or(0)).into())
}

/// A storm's cap stays below its rate.
fn cap_most_mib(drawn: &Drawn) -> f64 {
    let rate = drawn.load.rate_kib_per_second.unwrap_or(0);
    if drawn.family == Family::Storm { f64::from(rate) / 1024.0 * 0.7 } else { f64::INFINITY }
}

/// A third of the guests holds nothing that compresses.
fn plain_percent(draw: &mut Draw) -> u32 {
    if draw.below(3) == 0 { 0 } else { draw.between(20, 90) }
}

/// What a guest of `family` with `memory_mib` does, with memory that does not compress.
pub(crate) fn load(draw: &mut Draw, family: Family, memory_mib: u32) -> Load {
    let room = memory_mib - KERNEL_MIB;
    let working_set = match family {
        Family::Storm => draw.between(room * 2 / 3, room),
        // Evenly by size: small sets that always fit and large ones that hardly do.
        _ => draw.between(4, room),
    };
    // A page that is rewritten whole costs the emulator so much that only low rates are kept.
    let whole_pages = !matches!(family, Family::Storm | Family::Still) && draw.chance(8);
    let touch = if whole_pages { 4096 } else { draw.of(&[8, 16, 32, 64, 128, 256, 512]) };
    let rate_most_mib = if whole_pages { 3.0 } else { 40.0 };
    let rate = match family {
        Family::Still => 0,
        Family::Storm => 1024 * draw.between(44, 64),
        _ => (1024.0 * draw.log_between(0.25, rate_most_mib)) as u32,
    };
    let order = match family {
        Family::Sequential => Order::Sequential,
        Family::Random | Family::Hot => Order::Random,
        _ => draw.of(&[Order::Sequential, Order::Random]),
    };
    let hot = (family == Family::Hot)
        .then(|| ((working_set * draw.between(5, 40) / 100).max(1), draw.between(60, 95)));
    Load {
        rate_kib_per_second: Some(rate),
        working_set_mib: Some(working_set),
        shape: shape(draw, family, rate),
        touch_bytes: Some(touch),
        plain_percent: None,
        zero_percent: Some(draw.between(0, 70)),
        busy_percent: Some(busy_percent(draw)),
        order: Some(order),
        hot_mib: hot.map(|(mib, _)| mib),
        hot_share_percent: hot.map(|(_, share)| share),
    }
}

/// Most guests compute little: a dozen of them share two cores.
fn busy_percent(draw: &mut Draw) -> u32 {
    if draw.chance(70) { draw.between(0, 3) } else { draw.between(4, 15) }
}

/// None leaves the rate constant.
fn shape(draw: &mut Draw, family: Family, rate: u32) -> Option<Shape> {
    let period_milliseconds = 1000 * draw.between(20, 150);
    let amplitude_kib_per_second = rate / 100 * draw.between(40, 100);
    match family {
        Family::Sine => Some(Shape::Sine { amplitude_kib_per_second, period_milliseconds }),
        Family::Square => Some(Shape::Square { amplitude_kib_per_second, period_milliseconds }),
        Family::Phases => {
            let mut starts = [draw.between(20, 50), draw.between(55, 85)].into_iter();
            let start = |percent: u32| period_milliseconds / 100 * percent;
            let phases = [10, 100, 40].map(|percent_of_rate| Phase {
                start_milliseconds: if percent_of_rate == 10 {
                    0
                } else {
                    start(starts.next().unwrap_or(0))
                },
                rate_kib_per_second: rate / 100 * percent_of_rate,
            });
            Some(Shape::Phases {
                phases: phases.to_vec(),
                repeat_milliseconds: period_milliseconds,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use whimbrel_core::settings::QemuVersion;

    use super::*;

    #[test]
    fn a_seed_draws_the_same_campaign_and_another_seed_another() {
        for compressed in [false, true] {
            assert_eq!(draw(1, compressed).unwrap(), draw(1, compressed).unwrap());
            assert_ne!(draw(1, compressed).unwrap(), draw(2, compressed).unwrap());
        }
        assert_ne!(draw(1, false).unwrap(), draw(1, true).unwrap());
    }

    #[test]
    fn a_third_of_each_family_judges() {
        for seed in 0..20 {
            let planned = draw(seed, true).unwrap();
            let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
            for guest in &planned {
                let count = counts.entry(&guest.behaviour.family).or_default();
                count.0 += 1;
                count.1 += usize::from(guest.behaviour.set == CampaignSet::Judge);
            }
            for (family, expected) in FAMILIES {
                let (all, judges) = counts[family.word()];
                assert_eq!(all, expected);
                assert!(judges.abs_diff(all / 3) <= 1, "{family:?}: {judges} of {all}");
            }
            let judges: usize = counts.values().map(|(_, judges)| judges).sum();
            assert_eq!((planned.len(), judges), (84, 28));
        }
    }

    #[test]
    fn numbers_stay_within_what_the_lab_takes() {
        for guest in (0..20).flat_map(|seed| draw(seed, true).unwrap()) {
            let (memory, load) = (guest.spec.memory_mib, &guest.spec.load);
            assert!((48..=256).contains(&memory));
            assert!((4..=memory - KERNEL_MIB).contains(&load.working_set_mib.unwrap()));
            assert!(
                load.hot_mib.is_none_or(|hot| (1..=load.working_set_mib.unwrap()).contains(&hot))
            );
            assert!((8..=4096).contains(&load.touch_bytes.unwrap()));
            assert!(load.busy_percent.unwrap() <= 15 && load.zero_percent.unwrap() <= 70);
            assert!(load.rate_kib_per_second.unwrap() <= 64 << 10);
            let plain = load.plain_percent.unwrap();
            assert!(plain == 0 || (20..=90).contains(&plain));
            if let Some(Shape::Phases { phases, .. }) = &load.shape {
                assert!(phases.is_sorted_by(|a, b| a.start_milliseconds < b.start_milliseconds));
            }
        }
    }

    #[test]
    fn every_row_is_something_that_qemu_takes_and_has_its_own_order() {
        for seed in 0..20 {
            let planned = draw(seed, true).unwrap();
            let rows = || planned.iter().flat_map(|guest| &guest.rows);
            let ids: BTreeSet<_> = rows().map(|row| &row.id).collect();
            assert_eq!((rows().count(), ids.len()), (1008, 1008));
            for row in rows() {
                assert_eq!(row.settings.check(QemuVersion::new(10, 0)), Ok(()), "{}", row.id);
            }
        }
    }
}
