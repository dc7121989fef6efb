//! Rates of the streams that a change may concern.
//!
//! Never here: what changed.

use std::cmp::Reverse;

use super::{EQUAL, Link, LinkId, Links, StreamId};

impl Links {
    /// Finds the rates again that changes since the last time may concern, and writes the streams
    /// whose rate is another one to `changed`, in the order of their places.
    pub(crate) fn settle(&mut self, changed: &mut Vec<StreamId>) {
        changed.clear();
        if self.touched.is_empty() && self.touched_streams.is_empty() {
            return;
        }
        self.gather();
        self.fill(changed);
        changed.sort_unstable();
    }

    /// All streams and links that compete with what was touched.
    fn gather(&mut self) {
        self.search += 1;
        let search = self.search;
        self.near.clear();
        self.competing.clear();
        for id in self.touched.drain(..) {
            let link = &mut self.all[id as usize];
            let was = link.tight;
            link.tight = link.is_tight();
            if (was || link.tight) && link.seen != search {
                link.seen = search;
                self.competing.push(id);
            }
        }
        while let Some(id) = self.touched_streams.pop() {
            self.come_by(id);
        }
        let mut next = 0;
        while let Some(link) = self.competing.get(next).map(|link| *link as usize) {
            next += 1;
            for place in 0..self.all[link].streams.len() {
                self.come_by(self.all[link].streams[place]);
            }
        }
    }

    /// Notes a stream, and the links where it competes.
    fn come_by(&mut self, id: StreamId) {
        let stream = &mut self.streams[id as usize];
        if !stream.used || stream.seen == self.search {
            return;
        }
        stream.seen = self.search;
        stream.open = true;
        self.near.push(id);
        for id in &stream.links[..usize::from(stream.count)] {
            let link = &mut self.all[*id as usize];
            if link.tight && link.seen != self.search {
                link.seen = self.search;
                self.competing.push(*id);
            }
        }
    }

    /// Gives every stream nearby its rate: the least is known first. It is the least part that a
    /// link has for each of its streams, or the least that a stream takes at most.
    fn fill(&mut self, changed: &mut Vec<StreamId>) {
        self.parts.clear();
        for id in &self.competing {
            let link = &mut self.all[*id as usize];
            link.left = link.capacity;
            link.open = link.streams.len() as u32;
            if link.open > 0 {
                self.parts.push(Reverse((link.part().to_bits(), *id)));
            }
        }
        // Places, not the order of changes, decide between equals.
        let streams = &self.streams;
        self.near.sort_unstable_by_key(|id| (streams[*id as usize].most.to_bits(), *id));
        let mut next = 0;
        while let Some(id) = self.near.get(next).copied() {
            let stream = self.streams[id as usize];
            if !stream.open {
                next += 1;
                continue;
            }
            match self.least_part() {
                Some((part, link)) if part < stream.most => self.close_link(link, part, changed),
                _ => self.close(id, stream.most, changed),
            }
        }
    }

    /// The link that has least for each of its open streams. Parts only grow while others are
    /// given less: one that was put down before is looked at again.
    fn least_part(&mut self) -> Option<(f64, LinkId)> {
        while let Some(Reverse((bits, id))) = self.parts.pop() {
            let link = &self.all[id as usize];
            if link.open == 0 {
                continue;
            }
            let part = link.part();
            self.parts.push(Reverse((part.to_bits(), id)));
            if part.to_bits() <= bits {
                return Some((part, id));
            }
        }
        None
    }

    fn close_link(&mut self, link: LinkId, part: f64, changed: &mut Vec<StreamId>) {
        for place in 0..self.all[link as usize].streams.len() {
            let id = self.all[link as usize].streams[place];
            if self.streams[id as usize].open {
                self.close(id, part, changed);
            }
        }
    }

    fn close(&mut self, id: StreamId, rate: f64, changed: &mut Vec<StreamId>) {
        let stream = &mut self.streams[id as usize];
        stream.open = false;
        if (rate - stream.rate).abs() > EQUAL * stream.rate.max(1.0) {
            stream.rate = rate;
            changed.push(id);
        }
        for link in &stream.links[..usize::from(stream.count)] {
            let link = &mut self.all[*link as usize];
            // Links that are not near have no streams to share among.
            if link.seen == self.search {
                link.left = (link.left - rate).max(0.0) + 0.0;
                link.open -= 1;
            }
        }
    }
}

impl Link {
    /// What each open stream could have of it.
    fn part(&self) -> f64 {
        self.left / f64::from(self.open.max(1))
    }

    /// Whether its streams could take more than it carries.
    fn is_tight(&self) -> bool {
        self.wanted > self.capacity.floor() as u128
    }
}
