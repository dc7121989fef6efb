//! What is to be even: each host's and each VM's amount of every weighed resource, by index.
//!
//! Hosts take part that are up and have something of each resource. Searches nothing.

use whimbrel_core::policy::LOADS_MAX;

use crate::{scope::Context, view::Occupancy};

/// CPU, memory, vCPUs and the operator's own.
pub(super) const RESOURCES_MAX: usize = 3 + LOADS_MAX;

/// One number for each resource, 0 beyond the last.
pub(super) type Amounts = [f64; RESOURCES_MAX];

/// Resources with their weights, and who has and uses how much.
#[derive(Debug)]
pub(super) struct Resources {
    /// Names, in the order of the amounts.
    pub(super) names: Vec<String>,
    /// Weights.
    pub(super) weights: Amounts,
    /// What each VM uses, in the resource's own unit.
    pub(super) used: Vec<Amounts>,
    /// One over what each host has; all 0 where it takes no part.
    pub(super) inverse: Vec<Amounts>,
    /// Hosts that take part, by index.
    pub(super) hosts: Vec<usize>,
}

impl Resources {
    /// As snapshot and policy say.
    pub(super) fn of(context: &Context<'_>) -> Self {
        let (view, even) = (context.view, &context.view.policy.even);
        let mut names = vec!["cpu".to_owned(), "memory".to_owned(), "vcpus".to_owned()];
        let mut weights = [0.0; RESOURCES_MAX];
        weights[..3].copy_from_slice(&[even.cpu, even.memory, even.vcpus]);
        let mut used: Vec<Amounts> = view
            .vms
            .iter()
            .map(|vm| {
                let mut amounts = [0.0; RESOURCES_MAX];
                amounts[..3].copy_from_slice(&[
                    vm.demand_cores,
                    vm.memory() as f64,
                    vm.vcpus() as f64,
                ]);
                amounts
            })
            .collect();
        for (load, at) in even.loads.iter().zip(3..RESOURCES_MAX) {
            names.push(load.name.clone());
            weights[at] = load.weight;
            for (vm, amounts) in view.vms.iter().zip(&mut used) {
                amounts[at] = load.used.get(&vm.domain.vm).copied().unwrap_or(0.0);
            }
        }
        let mut inverse = vec![[0.0; RESOURCES_MAX]; view.hosts.len()];
        let mut hosts = Vec::new();
        for (host, one) in view.hosts.iter().enumerate() {
            if !view.up(host) || one.cores <= 0.0 || one.memory_limit == 0 {
                continue;
            }
            let of_host = &mut inverse[host];
            of_host[..3].copy_from_slice(&[
                1.0 / one.cores,
                1.0 / one.memory_limit as f64,
                1.0 / one.cores,
            ]);
            for (load, at) in even.loads.iter().zip(3..RESOURCES_MAX) {
                of_host[at] = 1.0 / load.capacity;
            }
            hosts.push(host);
        }
        Self { names, weights, used, inverse, hosts }
    }

    /// Whether `host` takes part.
    pub(super) fn takes_part(&self, host: usize) -> bool {
        self.inverse[host][0] > 0.0
    }

    /// All weights together.
    pub(super) fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// The used part of every resource of every host when VMs are where `now` has them.
    pub(super) fn shares(&self, now: &Occupancy) -> Vec<Amounts> {
        let mut amounts = vec![[0.0; RESOURCES_MAX]; self.inverse.len()];
        for (vm, &host) in now.place.iter().enumerate() {
            for (sum, used) in amounts[host].iter_mut().zip(&self.used[vm]).skip(3) {
                *sum += used;
            }
        }
        for (host, amounts) in amounts.iter_mut().enumerate() {
            // With what is on its way and what the host uses itself.
            let (memory, vcpus) = now.used(host);
            amounts[..3].copy_from_slice(&[now.demand(host), memory as f64, vcpus as f64]);
            for (amount, inverse) in amounts.iter_mut().zip(&self.inverse[host]) {
                *amount *= inverse;
            }
        }
        amounts
    }
}
