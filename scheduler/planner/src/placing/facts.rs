//! What a host lacks for a machine beside memory and vCPUs: CPU model, networks, storage pools,
//! huge pages and a NUMA node, beside those who hold some.
//!
//! Machines that need one NUMA node are put on nodes the largest first, each on the fullest that
//! holds it; where that fails the host is taken to be full, although another order might fit.

use std::sync::Arc;

use whimbrel_core::{
    cluster::{Lack, Needs, Offers},
    units::Bytes,
};

use crate::view::nodes_hold;

/// What a host that offers `offers`, of which `held` hold some, lacks for `needs`.
pub(super) fn lack<'a>(
    offers: &Offers,
    held: &(impl Iterator<Item = &'a Arc<Needs>> + Clone),
    needs: &'a [Arc<Needs>],
) -> Option<Lack> {
    if let Some(lack) = needs.iter().find_map(|one| offers.lacks(one)) {
        return Some(lack);
    }
    let all = || held.clone().chain(needs);
    if let Some(offered) = &offers.huge_pages {
        let short = |size: &Bytes| {
            let sum: Bytes = all().filter_map(|one| one.huge_pages.get(size).copied()).sum();
            offered.get(size).is_none_or(|offered| sum > *offered)
        };
        if needs.iter().flat_map(|one| one.huge_pages.keys()).any(short) {
            return Some(Lack::HugePages);
        }
    }
    let bound = needs.iter().any(|one| one.one_node.is_some());
    let nodes = || all().filter_map(|one| one.one_node).collect();
    (bound && !offers.numa.is_empty() && !nodes_hold(offers.numa.clone(), nodes()))
        .then_some(Lack::Numa)
}
