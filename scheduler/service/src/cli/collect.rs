//! `whimbrel collect`: the hosts, again and again, into telemetry.

use whimbrel_core::units::Span;

use super::{Common, Ending};
use crate::Failure;

/// Arguments of `collect`.
#[derive(Debug, clap::Args)]
pub(super) struct CollectArguments {
    /// End after this time; Ctrl-C ends it too
    #[arg(long = "for", value_name = "SPAN")]
    duration: Option<Span>,
    /// Show the table but keep nothing
    #[arg(long)]
    keep_nothing: bool,
}

#[cfg(not(feature = "libvirt"))]
pub(super) fn run(_common: &Common, _own: &CollectArguments) -> Result<Ending, Failure> {
    Err(super::without_libvirt())
}

#[cfg(feature = "libvirt")]
pub(super) fn run(common: &Common, own: &CollectArguments) -> Result<Ending, Failure> {
    use std::{io::IsTerminal as _, thread, time::Duration};

    use whimbrel_core::{Cluster as _, HostState};
    use whimbrel_datasets::Inventory;

    use crate::{
        config::Config,
        wiring::{self, Keep},
    };

    let config = Config::load(&common.config, &common.set)?;
    let keep = if own.keep_nothing { Keep::Nothing } else { Keep::Telemetry };
    let mut cluster = wiring::cluster(&config, keep)?;
    super::interrupt::watch();
    let begun = cluster.now();
    let terminal = std::io::stdout().is_terminal();
    let mut next_line = begun;
    let mut capacities = Inventory::default();
    while super::interrupt::count() == 0 {
        thread::sleep(Duration::from_millis(200));
        let snapshot = cluster.observe();
        let now = snapshot.taken_at;
        if own.duration.is_some_and(|duration| now.since(begun) >= duration) {
            break;
        }
        if now < next_line {
            continue;
        }
        next_line = now + config.collect.period;
        let seen = Inventory::of(&snapshot);
        if keep == Keep::Telemetry && seen != capacities {
            // So that the recording can be planned on later, by itself.
            seen.write(&config.collect.telemetry_directory).map_err(Failure::unavailable)?;
            capacities = seen;
        }
        let health = cluster.health();
        if terminal {
            // Home, then clear what is below: the table is redrawn in place.
            say!("\x1b[H\x1b[J");
            super::inventory::print(&snapshot);
            say!("\nsince {}; Ctrl-C ends it", now.since(begun).human());
        } else {
            let up = health.iter().filter(|one| one.state != HostState::Unreachable).count();
            say!("{now} {up} of {} hosts answer, {} domains", health.len(), snapshot.domains.len());
        }
        for one in health.iter().filter(|one| one.state == HostState::Unreachable) {
            tracing::warn!(host = %one.host, "does not answer: {}", one.error.as_deref().unwrap_or("no reason is known"));
        }
    }
    Ok(Ending::Done)
}
