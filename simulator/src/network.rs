//! Max-min fair sharing of the hosts' links among the migrations of a cluster.
//!
//! A stream leaves its source's interface and enters its target's (full duplex: the two directions
//! do not share), crosses racks' uplinks and the migration network's limit where there are any, and
//! may have a cap of its own. What changes for a few of them is found again for those few and for
//! whoever competes with them.
//!
//! Never here: latency, packet loss, or the guests' own traffic.

mod backbone;
pub(crate) mod links;
pub(crate) mod routes;

pub use backbone::{Backbone, BackboneError, Rack};
use links::{Links, StreamId};
use routes::{Between, Routes};

/// A stream to be given a rate. Hosts are indices into the capacities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flow {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Most that it takes, bytes a second; infinity where nothing but the links holds it.
    pub(crate) cap: f64,
}

/// The links of a cluster with the streams on them.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    routes: Routes,
    links: Links,
    /// Streams by the key of their flow, in its order.
    streams: Vec<(usize, StreamId)>,
    before: Vec<(usize, StreamId)>,
    changed: Vec<StreamId>,
}

impl Network {
    /// Interfaces of `nics` bytes a second, and what is between them.
    pub(crate) fn new(nics: &[f64], between: &Between) -> Self {
        let (routes, capacities) = Routes::new(nics, between);
        let links = Links::new(capacities);
        Self { routes, links, streams: Vec::new(), before: Vec::new(), changed: Vec::new() }
    }

    /// Changes what a host's interface carries; 0 cuts it off.
    pub(crate) fn set_capacity(&mut self, host: usize, capacity: f64) {
        for link in Routes::interface(host as u32) {
            self.links.set_capacity(link, capacity);
        }
    }

    /// Writes each flow's rate in bytes a second to `rates`, in the order of `flows`. Every flow
    /// has a key, by which it is known again; keys rise. A flow of a known key may have another
    /// cap, but goes the way that it went.
    pub(crate) fn share(&mut self, keys: &[usize], flows: &[Flow], rates: &mut Vec<f64>) {
        std::mem::swap(&mut self.streams, &mut self.before);
        self.streams.clear();
        let mut before = self.before.iter().copied().peekable();
        for (key, flow) in keys.iter().zip(flows) {
            while let Some((_, gone)) = before.next_if(|(other, _)| other < key) {
                self.links.remove(gone);
            }
            let id = if let Some((_, id)) = before.next_if(|(other, _)| other == key) {
                self.links.set_cap(id, flow.cap);
                id
            } else {
                let route = self.routes.between(flow.from as u32, flow.to as u32);
                self.links.add(route.links(), flow.cap)
            };
            self.streams.push((*key, id));
        }
        for (_, gone) in before {
            self.links.remove(gone);
        }
        self.links.settle(&mut self.changed);
        rates.clear();
        rates.extend(self.streams.iter().map(|(_, id)| self.links.rate(*id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(nics: &[f64]) -> Network {
        Network::new(nics, &Between::default())
    }

    fn shared(capacity: &[f64], flows: &[(usize, usize, f64)]) -> Vec<f64> {
        let keys: Vec<usize> = (0..flows.len()).collect();
        let flow = |&(from, to, cap): &(usize, usize, f64)| Flow { from, to, cap };
        let flows: Vec<Flow> = flows.iter().map(flow).collect();
        let mut rates = Vec::new();
        network(capacity).share(&keys, &flows, &mut rates);
        rates
    }

    #[test]
    fn equal_flows_share_equally_and_caps_leave_room_for_others() {
        let free = f64::INFINITY;
        assert_eq!(shared(&[90.0; 4], &[(0, 1, free), (0, 2, free)]), [45.0, 45.0]);
        assert_eq!(shared(&[90.0; 4], &[(0, 1, 30.0), (0, 2, free)]), [30.0, 60.0]);
        // Both directions of one NIC are apart.
        assert_eq!(shared(&[90.0; 2], &[(0, 1, free), (1, 0, free)]), [90.0, 90.0]);
        // The third flow takes what the slow target leaves of the source.
        assert_eq!(
            shared(&[90.0, 20.0, 90.0], &[(0, 1, free), (0, 1, free), (0, 2, free)]),
            [10.0, 10.0, 70.0]
        );
        assert_eq!(shared(&[90.0, 0.0], &[(0, 1, free)]), [0.0]);
    }

    #[test]
    fn flows_come_and_go_in_any_order() {
        let mut network = network(&[90.0; 4]);
        let (mut rates, free) = (Vec::new(), f64::INFINITY);
        let to = |to, cap| Flow { from: 0, to, cap };
        network.share(&[2, 5], &[to(1, free), to(2, free)], &mut rates);
        assert_eq!(rates, [45.0, 45.0]);
        network.share(&[1, 5, 6], &[to(3, 10.0), to(2, free), to(1, 0.0)], &mut rates);
        assert_eq!(rates, [10.0, 80.0, 0.0]);
        network.set_capacity(0, 30.0);
        network.share(&[1, 5, 6], &[to(3, 10.0), to(2, 5.0), to(1, free)], &mut rates);
        assert_eq!(rates, [10.0, 5.0, 15.0]);
        network.share(&[], &[], &mut rates);
        network.share(&[9], &[to(1, free)], &mut rates);
        assert_eq!(rates, [30.0]);
    }
}
