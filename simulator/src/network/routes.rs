//! Which links a stream crosses between two hosts.
//!
//! Every host has an interface, full duplex: the ways out and in are two links. Hosts of a rack may
//! share an uplink, full duplex too, that carries what leaves the rack or comes to it. All
//! migrations together may have a limit, that of their network.
//!
//! Never here: rates.

use serde::{Deserialize, Serialize};

use super::links::{LINKS_MAX, LinkId};

/// Links between numbered hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routes {
    hosts: u32,
    /// Each host's rack; a host beyond the list is in none.
    rack_of: Vec<Option<u32>>,
    racks: u32,
    limited: bool,
}

/// The links of one stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Route {
    links: [LinkId; LINKS_MAX],
    count: usize,
}

/// What there is beside the hosts' interfaces, in bytes a second.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Between {
    /// Each host's rack; a host beyond the list is in none.
    pub(crate) rack_of: Vec<Option<u32>>,
    /// What each rack's uplink carries in each direction.
    pub(crate) uplinks: Vec<f64>,
    /// What all migrations together may take.
    pub(crate) total: Option<f64>,
}

impl Routes {
    /// Routes between hosts whose interfaces carry `nics`, and the capacities of all links.
    pub(crate) fn new(nics: &[f64], between: &Between) -> (Self, Vec<f64>) {
        let routes = Self {
            hosts: nics.len() as u32,
            rack_of: between.rack_of.clone(),
            racks: between.uplinks.len() as u32,
            limited: between.total.is_some(),
        };
        let both_ways = nics.iter().chain(&between.uplinks).flat_map(|size| [*size, *size]);
        (routes, both_ways.chain(between.total).collect())
    }

    /// A host's way out and its way in.
    pub(crate) fn interface(host: u32) -> [LinkId; 2] {
        [2 * host, 2 * host + 1]
    }

    /// From host `from` to host `to`.
    pub(crate) fn between(&self, from: u32, to: u32) -> Route {
        let mut route = Route::default();
        route.cross(Self::interface(from)[0]);
        let rack = |host: u32| {
            let rack = self.rack_of.get(host as usize).copied().flatten();
            rack.filter(|rack| *rack < self.racks)
        };
        if rack(from) != rack(to) {
            if let Some(rack) = rack(from) {
                route.cross(2 * (self.hosts + rack));
            }
            if let Some(rack) = rack(to) {
                route.cross(2 * (self.hosts + rack) + 1);
            }
        }
        if self.limited {
            route.cross(2 * (self.hosts + self.racks));
        }
        route.cross(Self::interface(to)[1]);
        route
    }
}

impl Route {
    fn cross(&mut self, link: LinkId) {
        self.links[self.count] = link;
        self.count += 1;
    }

    /// The links, in the order of the way.
    pub(crate) fn links(&self) -> &[LinkId] {
        &self.links[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_leaves_its_rack_only_when_it_must() {
        let between = Between {
            rack_of: vec![Some(0), Some(0), Some(1)],
            uplinks: vec![20.0, 30.0],
            total: Some(40.0),
        };
        let (routes, capacities) = Routes::new(&[10.0; 4], &between);
        assert_eq!(capacities[8..], [20.0, 20.0, 30.0, 30.0, 40.0]);
        assert_eq!(routes.between(0, 1).links(), [0, 12, 3]);
        assert_eq!(routes.between(0, 2).links(), [0, 8, 11, 12, 5]);
        assert_eq!(routes.between(2, 3).links(), [4, 10, 12, 7]);
        let (star, capacities) = Routes::new(&[10.0; 2], &Between::default());
        assert_eq!((star.between(1, 0).links(), capacities.len()), ([2, 1].as_slice(), 4));
    }
}
