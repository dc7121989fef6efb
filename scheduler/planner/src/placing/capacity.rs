//! How many more machines of given sizes fit, by placing them.
//!
//! They are placed one after the other where [`place`](super::place) would put them, until none is
//! found a host any more. If asked, after every single one the loss of any one host must still be
//! survived, judged by placing the restarts ([`Survival`](super::Survival)); a host where one more
//! machine would end that is passed over. One host is lost at a time; the loss of two at once is not
//! looked at.
//!
//! The answer is a number of machines that can be started, with a proof: where each would run, and
//! where everything would restart. That no cleverer arrangement holds more is not proven.
//!
//! Two things make it fast. Putting a machine on a host changes the score of that host alone, so
//! hosts are kept in the order of their scores. And a way out for each loss is kept, and looked for
//! anew only where a machine took what it needs. A host that once was too full for a flavour is
//! not asked again: nothing leaves while machines are counted.

use std::collections::BTreeSet;

use serde::Serialize;
use whimbrel_core::units::Bytes;

use super::{
    ask::{PlacingFailure, check_size, demand, some_host},
    refusal::Refused,
    room::Room,
    size::Size,
    survive::{Loss, Survival},
    trial::{Item, Trial},
};

/// Machines that are counted at most: beyond that a flavour is too small to say anything.
const COUNTED_MAX: usize = 1_000_000;

/// A size of machines.
#[derive(Debug, Clone, PartialEq)]
pub struct Flavour {
    /// Its name, for the answer.
    pub name: String,
    /// Virtual CPUs. Range 1..=4096.
    pub vcpus: u32,
    /// Memory. Range 1 B..=1 PiB.
    pub memory: Bytes,
    /// Cores that one is expected to keep busy; half of its vCPUs where nobody knows. Range
    /// 0..=`vcpus`.
    pub demand_cores: Option<f64>,
    /// How many of it come in each round of a mix. Range 1..=1000000.
    pub times: u32,
}

/// What to count.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityRequest {
    /// The sizes.
    pub flavours: Vec<Flavour>,
    /// All flavours together, in rounds of `times` of each; otherwise each on its own.
    pub mixed: bool,
    /// Whether the loss of any one host must be survived with all of them running.
    pub survive_loss: bool,
}

/// Machines of one flavour that fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The flavour.
    pub flavour: String,
    /// Machines.
    pub more: usize,
}

/// Why it is not one more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Stop {
    /// No host takes one more.
    Full {
        /// Of which flavour.
        flavour: String,
        /// What the hosts say.
        refused: Refused,
    },
    /// A host would, but then a loss would not be survived.
    LossNotSurvived {
        /// Of which flavour.
        flavour: String,
        /// The loss, with one more on the host that it would cost least on.
        loss: Loss,
        /// Hosts that have the room.
        hosts: usize,
    },
    /// Some loss is not survived even as things stand.
    UnsafeAlready {
        /// These losses.
        losses: Vec<Loss>,
    },
    /// A million machines fit; nobody counted on.
    Counted,
}

/// How many more fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capacity {
    /// Machines of each flavour: all of them together in a mix.
    pub fits: Vec<Fit>,
    /// Whole rounds of the mix; one round of a single flavour is one machine.
    pub rounds: usize,
    /// Why there is not one more.
    pub stop: Stop,
    /// Memory that would still be free on hosts that take guests, in pieces too small to use or
    /// kept for a loss.
    pub memory_left: Bytes,
    /// vCPUs likewise.
    pub vcpus_left: u64,
}

/// How many more of `request` fit into `room`: one answer for a mix, otherwise one a flavour.
///
/// # Errors
/// [`PlacingFailure`] where the question makes no sense or no host is up.
pub fn capacity(room: &Room, request: &CapacityRequest) -> Result<Vec<Capacity>, PlacingFailure> {
    if request.flavours.is_empty() {
        return Err(PlacingFailure::NoFlavour);
    }
    some_host(room)?;
    for flavour in &request.flavours {
        let what = || format!("flavour {}", flavour.name);
        check_size(what, flavour.memory, flavour.vcpus.into(), flavour.demand_cores)?;
        if flavour.times == 0 || flavour.times as usize > COUNTED_MAX {
            let fault = format!(
                "{} of it come in a round of the mix (hint: it takes 1 to {COUNTED_MAX})",
                flavour.times
            );
            return Err(PlacingFailure::Absurd { what: what(), fault });
        }
    }
    let survival = request.survive_loss.then(|| Survival::new(room));
    let mixes: Vec<Vec<Flavour>> = if request.mixed {
        vec![request.flavours.clone()]
    } else {
        let alone = |flavour: &Flavour| vec![Flavour { times: 1, ..flavour.clone() }];
        request.flavours.iter().map(alone).collect()
    };
    Ok(mixes.iter().map(|mix| Count::new(room, mix, survival.clone()).run()).collect())
}

/// A count under way.
struct Count<'a> {
    room: Room,
    mix: &'a [Flavour],
    queues: Vec<Queue>,
    survival: Option<Survival>,
    more: Vec<usize>,
    /// The first loss that kept a flavour off a host, and how many hosts were closed so.
    kept_off: Vec<(Option<Loss>, usize)>,
}

/// Hosts that take one flavour, in the order of their scores.
struct Queue {
    item: Item,
    order: BTreeSet<(u64, usize)>,
    /// Each host's entry.
    scores: Vec<Option<u64>>,
}

impl Queue {
    fn new(room: &Room, flavour: &Flavour) -> Self {
        let demand = demand(flavour.demand_cores, flavour.vcpus);
        let item =
            Item { size: Size::new(flavour.memory, flavour.vcpus, demand), ..Item::default() };
        let hosts = room.slots.len();
        let mut queue = Self { item, order: BTreeSet::new(), scores: vec![None; hosts] };
        (0..hosts).for_each(|host| queue.look_at(room, host));
        queue
    }

    /// Puts `host` where its score is now, or out where it takes no more.
    fn look_at(&mut self, room: &Room, host: usize) {
        self.close(host);
        let trial = Trial::new(room);
        if trial.takes(&self.item, host) {
            // Scores are not negative, so their bits are in their order.
            let score = trial.score(&self.item, host).to_bits();
            self.order.insert((score, host));
            self.scores[host] = Some(score);
        }
    }

    fn close(&mut self, host: usize) {
        if let Some(score) = self.scores[host].take() {
            self.order.remove(&(score, host));
        }
    }

    fn is_open(&self, host: usize) -> bool {
        self.scores[host].is_some()
    }
}

impl<'a> Count<'a> {
    fn new(room: &Room, mix: &'a [Flavour], survival: Option<Survival>) -> Self {
        Self {
            queues: mix.iter().map(|flavour| Queue::new(room, flavour)).collect(),
            room: room.clone(),
            mix,
            survival,
            more: vec![0; mix.len()],
            kept_off: vec![(None, 0); mix.len()],
        }
    }

    fn run(mut self) -> Capacity {
        let already = self.survival.as_ref().map(|survival| survival.unsafe_losses(&self.room));
        if let Some(losses) = already.filter(|losses| !losses.is_empty()) {
            return self.answer(0, Stop::UnsafeAlready { losses });
        }
        for rounds in 0..COUNTED_MAX {
            for flavour in 0..self.mix.len() {
                for _ in 0..self.mix[flavour].times {
                    if self.more.iter().sum::<usize>() >= COUNTED_MAX {
                        return self.answer(rounds, Stop::Counted);
                    }
                    if !self.one_more(flavour) {
                        let stop = self.stop(flavour);
                        return self.answer(rounds, stop);
                    }
                }
            }
        }
        self.answer(COUNTED_MAX, Stop::Counted)
    }

    /// Places one more, if there is a host for it.
    fn one_more(&mut self, flavour: usize) -> bool {
        let size = self.queues[flavour].item.size;
        while let Some(&(_, host)) = self.queues[flavour].order.first() {
            let guest = self.room.enter(None, size, None, host);
            let still = match &mut self.survival {
                Some(survival) => survival.still(&self.room, &[host], &[guest]),
                None => Ok(()),
            };
            match still {
                Ok(()) => {
                    for queue in self.queues.iter_mut().filter(|queue| queue.is_open(host)) {
                        queue.look_at(&self.room, host);
                    }
                    self.more[flavour] += 1;
                    return true;
                }
                Err(loss) => {
                    self.room.leave(guest);
                    self.queues[flavour].close(host);
                    let (first, hosts) = &mut self.kept_off[flavour];
                    first.get_or_insert(loss);
                    *hosts += 1;
                }
            }
        }
        false
    }

    fn stop(&mut self, flavour: usize) -> Stop {
        let name = self.mix[flavour].name.clone();
        if let (Some(loss), hosts) = std::mem::take(&mut self.kept_off[flavour]) {
            return Stop::LossNotSurvived { flavour: name, loss, hosts };
        }
        let trial = Trial::new(&self.room);
        Stop::Full { flavour: name, refused: Refused::of(&trial, &self.queues[flavour].item) }
    }

    fn answer(self, rounds: usize, stop: Stop) -> Capacity {
        let (memory, vcpus) = self.room.free_in_all();
        let fits = self.mix.iter().zip(self.more);
        let fits = fits.map(|(flavour, more)| Fit { flavour: flavour.name.clone(), more });
        Capacity {
            fits: fits.collect(),
            rounds,
            stop,
            memory_left: Bytes::new(memory),
            vcpus_left: vcpus,
        }
    }
}
