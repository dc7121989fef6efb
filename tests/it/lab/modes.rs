//! Every way to migrate: a guest that writes all the time goes from host to host, and loses
//! nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use whimbrel_core::{
    cluster::CompletedStats,
    migration::MoveState,
    ports::Entry,
    settings::{Compression, MigrationSettings, Mode, Throttle, Transport},
    units::{Bytes, BytesPerSecond, Span},
};

use super::bed::Bed;

/// What the guest rewrites: half of what the stream carries, so that a plain pre-copy converges
/// and the others have something to do.
const RATE_KIB_PER_SECOND: u32 = 12 * 1024;

/// A name, how to migrate, and what QEMU's figures must show of it.
type Way = (&'static str, MigrationSettings, fn(&CompletedStats) -> bool);

fn plain() -> MigrationSettings {
    MigrationSettings {
        bandwidth_limit: Some(BytesPerSecond::mib(24)),
        downtime_limit: Span::from_millis(100),
        ..MigrationSettings::default()
    }
}

fn ways() -> [Way; 6] {
    let throttle = Throttle { initial_percent: 60, increment_percent: 30 };
    let slowed = MigrationSettings { mode: Mode::AutoConverge, throttle, ..plain() };
    // Little above what the guest rewrites: pre-copy would take some seconds after its first pass,
    // so that the switch cannot come too late on a busy machine.
    let bandwidth_limit = Some(BytesPerSecond::mib(14));
    let post = MigrationSettings { mode: Mode::PostCopy, bandwidth_limit, ..plain() };
    let at_once = MigrationSettings { reads_before_post_copy: 0, ..post.clone() };
    let compression = Compression::Xbzrle { cache: Bytes::mib(64) };
    let delta = MigrationSettings { compression, ..plain() };
    let several = MigrationSettings { channels: 2, transport: Transport::Tls, ..plain() };
    [
        ("plain", plain(), |stats| stats.iterations > 1 && stats.post_copy_requests == 0),
        ("auto-converge", slowed, |stats| stats.iterations > 1),
        ("post-copy", post, |stats| stats.post_copy_requests > 0),
        ("post-copy-at-once", at_once, |stats| stats.post_copy_requests > 0),
        ("xbzrle", delta, |stats| stats.delta.pages > 0),
        ("channels-tls", several, |stats| stats.transferred > Bytes::mib(24)),
    ]
}

/// One guest, in each way once.
pub(super) fn carry(bed: &Bed) {
    bed.start_at(RATE_KIB_PER_SECOND, "h1", "goes");
    let mut host = "h1".to_owned();
    for (name, settings, shows) in ways() {
        let (state, said, stats) = go(bed, &mut host, name, &settings);
        assert_eq!(state, MoveState::Settled, "{name}: {said}");
        let stats = stats.unwrap();
        assert!(shows(&stats), "{name}: {stats:?}");
        eprintln!(
            "          {name:17} took {}, downtime {}, sent {} in {} reads",
            stats.total_time.human(),
            stats.downtime.human(),
            stats.transferred.human(),
            stats.iterations,
        );
    }
    // libvirt compresses channels from 9.4 on; an older one says so, and the guest stays.
    let settings = MigrationSettings { channels: 2, compression: Compression::Zstd, ..plain() };
    let (state, said, _) = go(bed, &mut host, "zstd", &settings);
    let refused = state == MoveState::Failed && said.contains("compression");
    assert!(state == MoveState::Settled || refused, "{state:?}: {said}");
    bed.stop(&["goes"]);
}

/// Moves the guest off its host, looks at all of its pages, and tells how the move ended.
fn go(
    bed: &Bed,
    host: &mut String,
    name: &str,
    settings: &MigrationSettings,
) -> (MoveState, String, Option<CompletedStats>) {
    let policy = format!("{name}.toml");
    bed.write_policy(name, |policy| policy.migration = settings.clone());
    let plan = bed.plan_drain_at(RATE_KIB_PER_SECOND, host, &policy, "way.toml");
    bed.apply("way.toml", &policy);
    let last = bed.journal().into_iter().rev().find_map(|record| match record.entry {
        Entry::Became { state, detail, stats, .. } => Some((state, detail, stats)),
        _ => None,
    });
    let last = last.unwrap();
    if last.0 == MoveState::Settled {
        *host = plan.moves().next().unwrap().1.to.to_string();
    }
    bed.is_whole_on("goes", host);
    last
}

/// Once the guest runs at its target, Ctrl-C neither brings it back nor harms it.
pub(super) fn no_way_back(bed: &Bed) {
    let settings = MigrationSettings {
        mode: Mode::PostCopy,
        reads_before_post_copy: 0,
        // The rest takes some seconds.
        bandwidth_limit: Some(BytesPerSecond::mib(4)),
        ..plain()
    };
    bed.write_policy("no-way-back", |policy| policy.migration = settings);
    bed.start("h1", "gone");
    let plan = bed.plan_drain("h1", "no-way-back.toml", "plan.toml");
    let to = plan.moves().next().unwrap().1.to.to_string();
    let running = bed.begin("plan.toml", "no-way-back.toml");
    let until = Instant::now() + Duration::from_secs(10);
    while bed.lab.find_guest("gone").unwrap() != to {
        assert!(Instant::now() < until, "it never switched");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(bed.migrates("gone", "h1"), "it ended too soon to mean anything");
    running.interrupt();
    let ran = running.finish();
    assert!(ran.stdout.contains("1 of 1 moves arrived"), "{ran:?}");
    bed.is_whole_on("gone", &to);
    bed.stop(&["gone"]);
}
