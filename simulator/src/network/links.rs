//! Max-min fair rates on any links, brought up to date where something changed.
//!
//! A stream crosses some links and may have a cap of its own. Its rate is raised with all others
//! until a link is full or a cap is reached (progressive filling: Bertsekas and Gallager, *Data
//! Networks*, 2nd ed., section 6.5.2). A link that could carry all that its streams can take at
//! most holds nobody; streams that share no other link with a changed one, nor through others, keep
//! their rates. So what a change costs depends on who competes near it, not on how many there are.
//!
//! Never here: which links a stream crosses (`routes`), latency, loss, or what a stream carries.

use std::{cmp::Reverse, collections::BinaryHeap};

use serde::{Deserialize, Serialize};

mod fill;
mod written;

#[cfg(test)]
mod tests;

/// A link by its position.
pub(crate) type LinkId = u32;

/// A stream by its place; places are used again.
pub(crate) type StreamId = u32;

/// Most links that a stream crosses: both hosts' interfaces, both racks' uplinks, and the core.
pub(crate) const LINKS_MAX: usize = 5;

/// Bytes a second that no stream exceeds: what has no limit has this one.
pub(crate) const RATE_MAX: f64 = 1e18;

/// Rates closer than this part are equal.
const EQUAL: f64 = 1e-9;

/// A stream with its rate.
#[derive(Debug, Clone, Copy)]
struct Stream {
    links: [LinkId; LINKS_MAX],
    /// Where it stands in the list of each of its links.
    slots: [u32; LINKS_MAX],
    count: u8,
    used: bool,
    /// Bytes a second that it takes at most by itself.
    cap: f64,
    /// The least of its cap and the capacities of its links.
    most: f64,
    rate: f64,
    /// The search that came by last.
    seen: u64,
    /// While rates are found: it has none yet.
    open: bool,
}

#[derive(Debug, Clone, Default)]
struct Link {
    /// Bytes a second.
    capacity: f64,
    streams: Vec<StreamId>,
    /// What its streams would take at most, rounded up: whole numbers, so that a sum that changes
    /// a million times is still exact.
    wanted: u128,
    /// Whether it could not carry that as of the last time that rates were found.
    tight: bool,
    seen: u64,
    /// While rates are found: what is not given out, and to how many it is to be.
    left: f64,
    open: u32,
}

/// Links and the streams that cross them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "written::Written", into = "written::Written")]
pub(crate) struct Links {
    all: Vec<Link>,
    streams: Vec<Stream>,
    free: Vec<StreamId>,
    /// Where something changed since rates were found.
    touched: Vec<LinkId>,
    touched_streams: Vec<StreamId>,
    search: u64,
    near: Vec<StreamId>,
    competing: Vec<LinkId>,
    /// Links with streams to be given a rate, by what each stream could have when it was put here.
    parts: BinaryHeap<Reverse<(u64, LinkId)>>,
}

impl Links {
    /// Links of `capacities` bytes a second, without a stream.
    pub(crate) fn new(capacities: impl IntoIterator<Item = f64>) -> Self {
        let link = |capacity| Link { capacity: rate(capacity), ..Link::default() };
        Self { all: capacities.into_iter().map(link).collect(), ..Self::default() }
    }

    /// Adds a stream over `links`, the first [`LINKS_MAX`] of them that differ; its rate is 0 until
    /// [`Self::settle`].
    pub(crate) fn add(&mut self, links: &[LinkId], cap: f64) -> StreamId {
        let stream = Stream::over(links, rate(cap));
        let id = if let Some(id) = self.free.pop() {
            self.streams[id as usize] = stream;
            id
        } else {
            self.streams.push(stream);
            (self.streams.len() - 1) as StreamId
        };
        self.join(id);
        id
    }

    /// Takes a stream away. Its place may be given to another.
    pub(crate) fn remove(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id as usize).filter(|stream| stream.used) else {
            return;
        };
        stream.used = false;
        let stream = *stream;
        for (link, slot) in stream.crossed().iter().zip(stream.slots) {
            let at = &mut self.all[*link as usize];
            at.wanted -= whole(stream.most);
            at.streams.swap_remove(slot as usize);
            if let Some(moved) = at.streams.get(slot as usize) {
                self.streams[*moved as usize].stands_at(*link, slot);
            }
            self.touched.push(*link);
        }
        self.free.push(id);
    }

    /// Changes a stream's own cap.
    pub(crate) fn set_cap(&mut self, id: StreamId, cap: f64) {
        let cap = rate(cap);
        if self.streams[id as usize].cap.total_cmp(&cap).is_ne() {
            self.streams[id as usize].cap = cap;
            self.want(id);
        }
    }

    /// Changes what a link carries; 0 cuts it.
    pub(crate) fn set_capacity(&mut self, link: LinkId, capacity: f64) {
        self.all[link as usize].capacity = rate(capacity);
        self.touched.push(link);
        for place in 0..self.all[link as usize].streams.len() {
            self.want(self.all[link as usize].streams[place]);
        }
    }

    /// A stream's rate in bytes a second, as of the last [`Self::settle`].
    pub(crate) fn rate(&self, id: StreamId) -> f64 {
        self.streams[id as usize].rate
    }

    /// Puts a new stream into the lists of its links.
    fn join(&mut self, id: StreamId) {
        let Stream { links, count, .. } = self.streams[id as usize];
        for (place, link) in links[..usize::from(count)].iter().enumerate() {
            let streams = &mut self.all[*link as usize].streams;
            self.streams[id as usize].slots[place] = streams.len() as u32;
            streams.push(id);
        }
        self.want(id);
    }

    /// Finds again what a stream would take at most.
    fn want(&mut self, id: StreamId) {
        let stream = &mut self.streams[id as usize];
        let (before, cap) = (stream.most, stream.cap);
        let capacities = stream.crossed().iter().map(|link| self.all[*link as usize].capacity);
        let most = capacities.fold(cap, f64::min);
        stream.most = most;
        for link in stream.crossed() {
            let link = &mut self.all[*link as usize];
            link.wanted = link.wanted - whole(before) + whole(most);
        }
        self.touched.extend(stream.crossed());
        self.touched_streams.push(id);
    }
}

impl Stream {
    fn over(links: &[LinkId], cap: f64) -> Self {
        let mut stream = Self {
            links: [0; LINKS_MAX],
            slots: [0; LINKS_MAX],
            count: 0,
            used: true,
            cap,
            most: 0.0,
            rate: 0.0,
            seen: 0,
            open: false,
        };
        for link in links {
            if usize::from(stream.count) < LINKS_MAX && !stream.crossed().contains(link) {
                stream.links[usize::from(stream.count)] = *link;
                stream.count += 1;
            }
        }
        stream
    }

    fn crossed(&self) -> &[LinkId] {
        &self.links[..usize::from(self.count)]
    }

    fn stands_at(&mut self, link: LinkId, slot: u32) {
        let count = usize::from(self.count);
        if let Some(place) = self.links[..count].iter().position(|other| *other == link) {
            self.slots[place] = slot;
        }
    }
}

/// A number of bytes a second between none and [`RATE_MAX`]; no number is none.
fn rate(bytes_per_second: f64) -> f64 {
    // Adding 0 makes -0 a 0: the order of bits is that of numbers then.
    let rate = if bytes_per_second.is_nan() { 0.0 } else { bytes_per_second };
    rate.clamp(0.0, RATE_MAX) + 0.0
}

/// A rate in whole bytes a second, rounded up.
fn whole(rate: f64) -> u128 {
    rate.ceil() as u128
}
