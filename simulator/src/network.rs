//! Max-min fair sharing of host NICs among migration streams.
//!
//! A stream leaves its source's NIC and enters its target's (full duplex: the two directions do
//! not share), and may have a cap of its own. Rates are raised together until a NIC is full or a
//! cap is reached; streams held there keep their rate, the others go on (progressive filling:
//! Bertsekas and Gallager, *Data Networks*, 2nd ed., section 6.5.2).
//!
//! Never here: latency, packet loss, or the guests' own traffic.

/// A stream to be given a rate. Hosts are indices into the capacities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flow {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Most that it takes, bytes a second; infinity where nothing but the NICs holds it.
    pub(crate) cap: f64,
}

/// NIC capacities and the scratch space to share them without allocating.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// Bytes a second of each host, in each direction.
    capacity: Vec<f64>,
    left: [Vec<f64>; 2],
    users: [Vec<u32>; 2],
    open: Vec<usize>,
}

const OUT: usize = 0;
const IN: usize = 1;

impl Network {
    /// NICs of `capacity` bytes a second.
    pub(crate) fn new(capacity: Vec<f64>) -> Self {
        let hosts = capacity.len();
        Self {
            capacity,
            left: [vec![0.0; hosts], vec![0.0; hosts]],
            users: [vec![0; hosts], vec![0; hosts]],
            open: Vec::new(),
        }
    }

    /// Changes what a host's NIC carries; 0 cuts it off.
    pub(crate) fn set_capacity(&mut self, host: usize, capacity: f64) {
        self.capacity[host] = capacity;
    }

    /// Writes each flow's rate in bytes a second to `rates`, in the order of `flows`.
    pub(crate) fn share(&mut self, flows: &[Flow], rates: &mut Vec<f64>) {
        rates.clear();
        rates.resize(flows.len(), 0.0);
        self.open.clear();
        self.open.extend(0..flows.len());
        for flow in flows {
            for (way, host) in [(OUT, flow.from), (IN, flow.to)] {
                self.left[way][host] = self.capacity[host];
                self.users[way][host] = 0;
            }
        }
        for flow in flows {
            self.users[OUT][flow.from] += 1;
            self.users[IN][flow.to] += 1;
        }
        // Every pass closes at least the flow that set the step.
        for _ in 0..flows.len() {
            let Some(step) = self.largest_common_step(flows, rates) else { break };
            self.raise(flows, rates, step);
        }
    }

    /// How much every open flow can still be raised by; `None` when none is open.
    fn largest_common_step(&self, flows: &[Flow], rates: &[f64]) -> Option<f64> {
        let room = |index: &usize| {
            let flow = &flows[*index];
            let nic = |way: usize, host: usize| {
                self.left[way][host].max(0.0) / f64::from(self.users[way][host].max(1))
            };
            nic(OUT, flow.from).min(nic(IN, flow.to)).min(flow.cap - rates[*index])
        };
        self.open.iter().map(room).min_by(f64::total_cmp).map(|step| step.max(0.0))
    }

    /// Raises every open flow by `step` and closes those that cannot go on.
    fn raise(&mut self, flows: &[Flow], rates: &mut [f64], step: f64) {
        for &index in &self.open {
            let flow = &flows[index];
            rates[index] += step;
            self.left[OUT][flow.from] -= step;
            self.left[IN][flow.to] -= step;
        }
        let full = |left: f64, capacity: f64| left <= capacity * 1e-9;
        let (left, users, capacity) = (&self.left, &mut self.users, &self.capacity);
        self.open.retain(|&index| {
            let flow = &flows[index];
            let closed = full(left[OUT][flow.from], capacity[flow.from])
                || full(left[IN][flow.to], capacity[flow.to])
                || rates[index] >= flow.cap * (1.0 - 1e-9);
            if closed {
                users[OUT][flow.from] -= 1;
                users[IN][flow.to] -= 1;
            }
            !closed
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shared(capacity: &[f64], flows: &[(usize, usize, f64)]) -> Vec<f64> {
        let flows: Vec<Flow> =
            flows.iter().map(|&(from, to, cap)| Flow { from, to, cap }).collect();
        let mut rates = Vec::new();
        Network::new(capacity.to_vec()).share(&flows, &mut rates);
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

    proptest! {
        #[test]
        fn no_nic_is_exceeded_and_every_flow_is_held_by_something(
            capacity in prop::collection::vec(0.0..1e9f64, 5),
            ends in prop::collection::vec((0usize..5, 0usize..5, 1.0..1e9f64), 1..20),
        ) {
            let rates = shared(&capacity, &ends);
            for (host, capacity) in capacity.iter().enumerate() {
                let sum = |way: usize| -> f64 {
                    let at = |end: &&(usize, usize, f64)| [end.0, end.1][way] == host;
                    ends.iter().zip(&rates).filter(|(end, _)| at(end)).map(|(_, rate)| rate).sum()
                };
                prop_assert!(sum(OUT) <= capacity * (1.0 + 1e-6));
                prop_assert!(sum(IN) <= capacity * (1.0 + 1e-6));
            }
            for (index, &(from, to, cap)) in ends.iter().enumerate() {
                let used = |way: usize, host: usize| -> f64 {
                    let at = |end: &(usize, usize, f64)| [end.0, end.1][way] == host;
                    (0..ends.len()).filter(|i| at(&ends[*i])).map(|i| rates[i]).sum()
                };
                let most_at = |way: usize, host: usize| {
                    let at = |end: &(usize, usize, f64)| [end.0, end.1][way] == host;
                    (0..ends.len()).filter(|i| at(&ends[*i])).all(|i| rates[i] <= rates[index] * (1.0 + 1e-6))
                };
                // Bottleneck condition of max-min fairness.
                let held = rates[index] >= cap * (1.0 - 1e-6)
                    || (used(OUT, from) >= capacity[from] * (1.0 - 1e-6) && most_at(OUT, from))
                    || (used(IN, to) >= capacity[to] * (1.0 - 1e-6) && most_at(IN, to));
                prop_assert!(held, "flow {index} of {ends:?} at {rates:?}");
            }
        }
    }
}
