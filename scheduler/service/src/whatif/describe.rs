//! A change in words, for people and for pages.

use whimbrel_core::units::{Bytes, BytesPerSecond, Span};
use whimbrel_simulator::{
    Band,
    whatif::{Changes, NewHost, Percent},
};

/// What is different from today, a line each; empty where nothing is.
pub fn describe(changes: &Changes) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(changes.remove_hosts.iter().map(|host| format!("host {host} goes for good")));
    lines.extend(changes.remove_racks.iter().map(|rack| format!("rack {rack} goes for good")));
    lines.extend(changes.add_hosts.iter().map(new_host));
    lines.extend(changes.add_like.iter().map(|add| {
        let hosts = if add.count == 1 { "host comes" } else { "hosts come" };
        format!("{} {hosts}, as large as {}", add.count, add.like)
    }));
    lines.extend(
        changes.add_racks.iter().map(|add| {
            format!("rack {} comes, with hosts like those of rack {}", add.name, add.like)
        }),
    );
    lines.extend(changes.resize.iter().map(|resize| {
        let vcpus = resize.vcpus.map_or_else(String::new, |vcpus| format!(" and {vcpus} vCPUs"));
        format!("{} gets {}{vcpus}", resize.vm, resize.memory.human())
    }));
    let grow = &changes.grow;
    let grown: [(&str, Percent); 4] = [
        ("CPU that every guest wants", grow.cpu),
        ("memory that every guest dirties", grow.dirty),
        ("memory of every guest, with what is in it", grow.memory),
        ("number of guests", grow.guests),
    ];
    let grown = grown.into_iter().filter(|(_, by)| !by.is_none());
    lines.extend(grown.map(|(what, by)| format!("{what}: {:+} %", by.get())));
    lines.extend(changes.drain.iter().map(|host| format!("host {host} is emptied")));
    lines.extend(
        changes.deadline.map(|deadline| format!("the moves have {} for it", deadline.human())),
    );
    lines.extend(changes.lose.as_ref().map(|loss| {
        format!("host {} loses its power {} after the begin", loss.host, loss.at.human())
    }));
    lines
}

fn new_host(new: &NewHost) -> String {
    let bandwidth =
        new.bandwidth.map_or_else(String::new, |b: BytesPerSecond| format!(", {}", b.human()));
    let cores = new.cpu.as_cores_f64();
    format!("host {} comes: {cores} cores, {}{bandwidth}", new.name, new.memory.human())
}

/// `12.5 s (11.0 s .. 13.0 s)`: the median, the least and the 95th percentile; one of them where
/// they read the same.
pub fn spans(band: Option<Band<Span>>) -> Option<String> {
    band.map(|b| of_band(&b, Span::human))
}

/// The same of sizes.
pub fn sizes(band: Option<Band<Bytes>>) -> Option<String> {
    band.map(|b| of_band(&b, Bytes::human))
}

/// The same of thousandths of a core-second, in core-seconds.
pub fn core_seconds(band: Option<Band<u64>>) -> Option<String> {
    band.map(|b| of_band(&b, |milli| format!("{:.1}", milli as f64 / 1e3)))
}

fn of_band<T: Copy>(band: &Band<T>, text: impl Fn(T) -> String) -> String {
    if text(band.min) == text(band.p95) {
        return text(band.median);
    }
    format!("{} ({} .. {})", text(band.median), text(band.min), text(band.p95))
}
