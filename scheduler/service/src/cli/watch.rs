//! Watching live hosts until every domain has been measured.

use std::{thread, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use whimbrel_core::{Cluster, DomainState, HostState, Snapshot, units::Span};
use whimbrel_datasets::SnapshotSource;

use crate::scene::{self, READINGS_ENOUGH};

/// Longest time that a host is given for its first answer.
const FIRST_ANSWER: Span = Span::from_seconds(10);

/// Observes until every running domain has readings (its own, or recent ones that were kept), or
/// `watch` is over. Says on stderr what it waits for.
pub(super) fn until_measured(
    cluster: &mut dyn Cluster,
    kept: Option<&SnapshotSource>,
    watch: Span,
) -> Snapshot {
    let begun = cluster.now();
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{spinner} {msg} [{bar:24}] {pos}/{len} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    loop {
        let mut snapshot = cluster.observe();
        if let Some(kept) = kept {
            scene::fill_in(&mut snapshot, kept);
        }
        let waited = snapshot.taken_at.since(begun);
        let silent = snapshot.hosts.values().filter(|h| h.state == HostState::Unreachable).count();
        let running: Vec<_> =
            snapshot.domains.iter().filter(|d| d.state == DomainState::Running).collect();
        let measured = running.iter().filter(|d| d.dirty.len() >= READINGS_ENOUGH).count();
        bar.set_length(running.len() as u64);
        bar.set_position(measured as u64);
        if silent > 0 && waited < FIRST_ANSWER {
            bar.set_message(format!("{silent} hosts have not answered yet"));
        } else if measured < running.len() && waited < watch {
            bar.set_message("measuring how fast guests dirty their memory");
        } else {
            bar.finish_and_clear();
            return snapshot;
        }
        thread::sleep(Duration::from_millis(250));
    }
}
