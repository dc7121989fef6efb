//! How much of a host guests may have under a policy.
//!
//! Never here: who has it.

use whimbrel_core::units::{Bytes, MilliCores, Share};

/// Memory of a host with `memory`, of which `reserve` is left free.
pub(crate) fn usable_memory(memory: Bytes, reserve: Share) -> Bytes {
    Bytes::new((memory.as_f64() * (1.0 - reserve.get())) as u64)
}

/// Most vCPUs on a host with `cpu`, `overcommit` of them a core: whole ones, as guests have them.
pub(crate) fn most_vcpus(cpu: MilliCores, overcommit: f64) -> u64 {
    (cpu.as_cores_f64() * overcommit) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_is_left() {
        let third = Share::clamped(1.0 / 3.0);
        assert_eq!(usable_memory(Bytes::new(100), third), Bytes::new(66));
        assert_eq!(usable_memory(Bytes::new(100), Share::ZERO), Bytes::new(100));
        assert_eq!(most_vcpus(MilliCores::new(2500), 1.5), 3);
    }
}
