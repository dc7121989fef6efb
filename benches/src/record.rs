//! A record of bulk statistics with the keys that a KVM host has: what libvirt hands over for one
//! running domain with two virtual CPUs, two disks and one network interface.
//!
//! Keys are those of `virConnectGetAllDomainStats` (libvirt-domain.h) for the groups that the
//! collector asks for, and the per-CPU statistics that KVM adds since libvirt 8.9. Values are made
//! up; texts and keys are owned by the record, as libvirt's are.

use whimbrel_collector::stats::Value;

/// Keys and values in the order in which libvirt gives them.
pub type Record = Vec<(String, Value<'static>)>;

const VCPUS: u64 = 2;
const DISKS: u64 = 2;

const BALLOON: [&str; 14] = [
    "current",
    "maximum",
    "swap_in",
    "swap_out",
    "major_fault",
    "minor_fault",
    "unused",
    "available",
    "usable",
    "last-update",
    "disk_caches",
    "hugetlb_pgalloc",
    "hugetlb_pgfail",
    "rss",
];

/// What KVM counts for each virtual CPU (`kvm_vcpu_stats_desc` in Linux' arch/x86/kvm/x86.c).
const KVM: [&str; 40] = [
    "halt_successful_poll.sum",
    "halt_attempted_poll.sum",
    "halt_poll_invalid.sum",
    "halt_wakeup.sum",
    "halt_poll_success_ns.sum",
    "halt_poll_fail_ns.sum",
    "halt_wait_ns.sum",
    "blocking.cur",
    "pf_taken.sum",
    "pf_fixed.sum",
    "pf_emulate.sum",
    "pf_spurious.sum",
    "pf_fast.sum",
    "pf_mmio_spte_created.sum",
    "pf_guest.sum",
    "tlb_flush.sum",
    "invlpg.sum",
    "exits.sum",
    "io_exits.sum",
    "mmio_exits.sum",
    "signal_exits.sum",
    "irq_window_exits.sum",
    "nmi_window_exits.sum",
    "l1d_flush.sum",
    "halt_exits.sum",
    "request_irq_exits.sum",
    "irq_exits.sum",
    "host_state_reload.sum",
    "fpu_reload.sum",
    "insn_emulation.sum",
    "insn_emulation_fail.sum",
    "hypercalls.sum",
    "irq_injections.sum",
    "nmi_injections.sum",
    "req_event.sum",
    "nested_run.sum",
    "directed_yield_attempted.sum",
    "directed_yield_successful.sum",
    "preemption_reported.sum",
    "preemption_other.sum",
];

const NET: [&str; 8] =
    ["rx.bytes", "rx.pkts", "rx.errs", "rx.drop", "tx.bytes", "tx.pkts", "tx.errs", "tx.drop"];

const DISK: [&str; 11] = [
    "rd.reqs",
    "rd.bytes",
    "rd.times",
    "wr.reqs",
    "wr.bytes",
    "wr.times",
    "fl.reqs",
    "fl.times",
    "allocation",
    "capacity",
    "physical",
];

/// The record of a running domain; `seed` tells the values of one domain from another's.
pub fn record(seed: u64) -> Record {
    let mut record = Record::new();
    let mut put = |key: String, value: Value<'static>| record.push((key, value));
    let count = |place: usize| Value::UInt((seed + 1) * 4096 * (place as u64 + 1));
    put("state.state".to_owned(), Value::Int(1));
    put("state.reason".to_owned(), Value::Int(1));
    for (place, key) in ["time", "user", "system"].iter().enumerate() {
        put(format!("cpu.{key}"), count(place));
    }
    for key in BALLOON {
        // KiB: 1 GiB to 8 GiB.
        put(format!("balloon.{key}"), Value::UInt((1 + seed % 8) << 20));
    }
    put("vcpu.current".to_owned(), Value::UInt(VCPUS));
    put("vcpu.maximum".to_owned(), Value::UInt(VCPUS));
    for cpu in 0..VCPUS {
        put(format!("vcpu.{cpu}.state"), Value::Int(1));
        put(format!("vcpu.{cpu}.halted"), Value::Bool(false));
        for (place, key) in ["time", "wait", "delay"].iter().chain(&KVM).enumerate() {
            put(format!("vcpu.{cpu}.{key}"), count(place));
        }
    }
    put("net.count".to_owned(), Value::UInt(1));
    put("net.0.name".to_owned(), Value::Text("vnet0"));
    for (place, key) in NET.iter().enumerate() {
        put(format!("net.0.{key}"), count(place));
    }
    put("block.count".to_owned(), Value::UInt(DISKS));
    for disk in 0..DISKS {
        put(format!("block.{disk}.name"), Value::Text("vda"));
        put(format!("block.{disk}.path"), Value::Text("vms/disk-of-this-vm"));
        put(format!("block.{disk}.backingIndex"), Value::UInt(1));
        for (place, key) in DISK.iter().enumerate() {
            put(format!("block.{disk}.{key}"), count(place));
        }
    }
    put("dirtyrate.calc_status".to_owned(), Value::Int(0));
    put("dirtyrate.calc_start_time".to_owned(), Value::Int(0));
    put("dirtyrate.calc_period".to_owned(), Value::Int(0));
    put("dirtyrate.megabytes_per_second".to_owned(), Value::Int(20));
    put("dirtyrate.calc_mode".to_owned(), Value::Text("page-sampling"));
    record
}

/// Changes the value of `key`, where the record has it.
pub fn set(record: &mut Record, key: &str, value: Value<'static>) {
    for (_, old) in record.iter_mut().filter(|(known, _)| known == key) {
        *old = value;
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_collector::stats::parse_domain;

    use super::*;

    #[test]
    fn every_figure_of_a_domain_is_in_the_record() {
        let record = record(7);
        assert_eq!(record.len(), 155);
        let (status, stats) =
            parse_domain(record.iter().map(|(key, value)| (key.as_str(), *value)));
        assert!(status.unwrap().is_active());
        assert_eq!(stats.vcpus, Some(2));
        let sizes = [stats.memory, stats.memory_max, stats.resident];
        let traffic = [stats.block_read, stats.block_written, stats.net_received, stats.net_sent];
        assert!(sizes.iter().chain(&traffic).all(Option::is_some), "{stats:?}");
        assert!(stats.cpu_time.is_some() && stats.dirty.is_some());
    }
}
