//! The cluster that demonstrations and recordings run on: three hosts, nine guests, each guest
//! dirtying its memory in another way.

use std::path::Path;

use whimbrel::{Failure, config::Config, files};
use whimbrel_lab::{GuestSpec, Lab, LabError, Load, Order, Phase, Shape};

/// What each host of the lab offers to guests. They share one machine, so that what they report
/// of themselves is the machine's.
pub const HOST_MEMORY: &str = "512 MiB";
/// Three such hosts leave more than a third of a machine of two cores to their hypervisors.
pub const HOST_CPU: &str = "400 millicores";

/// The nine guests with the host that each starts on. Working sets and rates are such that over a
/// link of some 10 MiB/s some guests converge at once, some late and some never.
pub fn guests() -> Vec<(&'static str, GuestSpec)> {
    let guest =
        |name: &str, memory_mib, load| GuestSpec { memory_mib, load, ..GuestSpec::mini(name) };
    let load = |working_set_mib, rate_kib_per_second, busy_percent| Load {
        working_set_mib: Some(working_set_mib),
        rate_kib_per_second: Some(rate_kib_per_second),
        busy_percent: Some(busy_percent),
        ..Load::default()
    };
    let sine = Shape::Sine { amplitude_kib_per_second: 6 * 1024, period_milliseconds: 120_000 };
    let square = Shape::Square { amplitude_kib_per_second: 8 * 1024, period_milliseconds: 180_000 };
    let phase =
        |start_milliseconds, rate_kib_per_second| Phase { start_milliseconds, rate_kib_per_second };
    let phases = Shape::Phases {
        phases: vec![phase(0, 512), phase(90_000, 12 * 1024), phase(150_000, 3 * 1024)],
        repeat_milliseconds: 240_000,
    };
    vec![
        ("h1", guest("idle", 48, load(16, 0, 0))),
        ("h1", guest("web-1", 64, load(24, 2 * 1024, 12))),
        (
            "h1",
            guest(
                "cache",
                96,
                Load { hot_mib: Some(4), hot_share_percent: Some(90), ..load(64, 10 * 1024, 16) },
            ),
        ),
        ("h1", guest("batch", 96, Load { shape: Some(phases), ..load(64, 0, 8) })),
        ("h2", guest("web-2", 64, load(24, 3 * 1024, 6))),
        (
            "h2",
            guest("database", 128, Load { order: Some(Order::Random), ..load(96, 6 * 1024, 8) }),
        ),
        ("h2", guest("queue", 48, Load { shape: Some(square), ..load(32, 9 * 1024, 4) })),
        ("h3", guest("sleeper", 96, Load { zero_percent: Some(60), ..load(24, 256, 1) })),
        ("h3", guest("daily", 64, Load { shape: Some(sine), ..load(40, 7 * 1024, 5) })),
    ]
}

/// Starts the guests that do not run yet.
///
/// # Errors
/// [`LabError`] of the first guest that does not start.
pub fn start_guests(lab: &Lab) -> Result<(), LabError> {
    for (host, spec) in guests() {
        if lab.find_guest(&spec.name).is_err() {
            lab.start_guest(host, &spec)?;
        }
    }
    Ok(())
}

/// The policy that the lab's cluster is planned under, as a policy file has it.
pub fn policy() -> &'static str {
    include_str!("policy.toml")
}

/// Writes the configuration of the lab's cluster into `directory` and reads it back.
///
/// # Errors
/// [`Failure`] when it cannot be written.
pub fn configure(lab: &Lab, directory: &Path) -> Result<Config, Failure> {
    let section = |host: String| {
        let uri = lab.tcp_uri(&host);
        format!(
            "\n[[host]]\nname = \"{host}\"\nuri = \"{uri}\"\nmemory = \"{HOST_MEMORY}\"\ncpu = \"{HOST_CPU}\"\n"
        )
    };
    let hosts: String = lab.host_names().into_iter().map(section).collect();
    let text = format!("[collect]\nperiod = \"2 s\"\n{hosts}");
    let path = directory.join("whimbrel.toml");
    files::write(&path, text.as_bytes())?;
    Config::load(&path, &[])
}

/// The capacities of the lab's hosts, as they stand beside recorded telemetry.
pub fn inventory(lab: &Lab) -> String {
    let section = |host: String| {
        format!("[hosts.{host}]\ncpu = \"{HOST_CPU}\"\nmemory = \"{HOST_MEMORY}\"\n")
    };
    lab.host_names().into_iter().map(section).collect::<Vec<_>>().join("\n")
}
