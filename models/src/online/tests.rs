//! Advice on simulated migrations whose end is known.

use whimbrel_core::{
    cluster::JobProgress,
    ids::{HostId, VmId},
    settings::Mode,
    units::{Bytes, BytesPerSecond},
};

use super::*;

const MIB: f64 = 1_048_576.0;
const BANDWIDTH_MIB: f64 = 100.0;
const CONTENT_MIB: f64 = 2000.0;

/// Looks every 0.2 s at a guest that rewrites `hot_mib` in order at `rate_mib` a second, over
/// 100 MiB/s with a limit of 300 ms; and whether it switched over.
fn migration(rate_mib: f64, hot_mib: f64, seconds: u32) -> (Vec<JobSample>, bool) {
    let threshold = BANDWIDTH_MIB * 0.3;
    let (mut remaining, mut sent, mut reads, mut since_read) = (CONTENT_MIB, 0.0, 1u64, 0.0);
    let mut samples = Vec::new();
    for tick in 0..seconds * 10 {
        if tick % 2 == 0 {
            samples.push(look(f64::from(tick) / 10.0, remaining, sent, reads));
        }
        let now = f64::min(BANDWIDTH_MIB * 0.1, remaining);
        remaining -= now;
        sent += now;
        since_read += 0.1;
        if remaining < threshold {
            remaining += (rate_mib * since_read).min(hot_mib);
            since_read = 0.0;
            reads += 1;
            if remaining < threshold {
                return (samples, true);
            }
        }
    }
    (samples, false)
}

fn look(seconds: f64, remaining_mib: f64, sent_mib: f64, iteration: u64) -> JobSample {
    let elapsed = Span::from_seconds_f64(seconds);
    let bytes = |mib: f64| Bytes::new((mib * MIB) as u64);
    JobSample {
        at: Timestamp::from_micros(1_800_000_000_000_000) + elapsed,
        host: HostId::new("h1").unwrap(),
        vm: VmId::new("db1").unwrap(),
        progress: JobProgress {
            elapsed,
            remaining: bytes(remaining_mib),
            transferred: bytes(sent_mib),
            total: bytes(CONTENT_MIB),
            bandwidth: BytesPerSecond::mib(100),
            iteration,
            normal_pages: (sent_mib * 256.0) as u64,
            ..JobProgress::default()
        },
    }
}

fn context() -> Context<'static> {
    Context {
        known: &[],
        downtime_max: Span::from_millis(500),
        may_throttle: false,
        may_post_copy: false,
        link_steady: false,
        link_losses: 0,
        time_left: None,
    }
}

fn advised(samples: &[JobSample], context: &Context<'_>) -> Advice {
    advise(samples, &MigrationSettings::default(), context).unwrap()
}

#[test]
fn a_guest_that_writes_slower_than_the_stream_gets_there_when_it_is_said() {
    let (samples, switched) = migration(40.0, 800.0, 120);
    assert!(switched);
    let end = samples.last().unwrap().progress.elapsed.as_seconds_f64();
    for seen in (0..samples.len()).filter(|n| samples[*n].progress.iteration > 2) {
        let advice = advised(&samples[..=seen], &context());
        let State::Advancing { left } = advice.state else { panic!("{advice:?}") };
        let actual = end - samples[seen].progress.elapsed.as_seconds_f64();
        let told = left.p50.as_seconds_f64();
        assert!((told - actual).abs() < 2.0 + actual * 0.25, "{told} s, in truth {actual} s");
        assert!(left.to_array().is_sorted());
    }
}

#[test]
fn a_hot_set_above_the_link_is_called_a_stall_at_its_fixed_point() {
    // U(t) = min(150 t, 200) MiB meets 100 t at 2 s.
    let (samples, switched) = migration(150.0, 200.0, 60);
    assert!(!switched);
    let advice = advised(&samples, &context());
    let State::Stalled { at, since } = advice.state else { panic!("{advice:?}") };
    assert!((at.round.as_seconds_f64() - 2.0).abs() < 0.3, "{at:?}");
    assert!((at.remaining.as_f64() / MIB - 200.0).abs() < 20.0, "{at:?}");
    let first_pass = 20.0;
    let told_after = since.since(samples[0].at).as_seconds_f64() - first_pass;
    assert!(told_after < 5.0, "two rounds of 2 s each, not {told_after} s");
}

#[test]
fn the_mildest_admitted_way_out_is_proposed() {
    let (samples, _) = migration(150.0, 200.0, 60);
    let long = Context { downtime_max: Span::from_seconds(4), may_throttle: true, ..context() };
    let Proposal::RaiseDowntimeLimit { to, then_expected } = advised(&samples, &long).propose
    else {
        panic!("{:?}", advised(&samples, &long))
    };
    assert!((Span::from_seconds(2)..=Span::from_seconds(3)).contains(&to), "{to}");
    assert!(then_expected < Span::from_seconds(8), "{then_expected}");
    let throttle = Context { may_throttle: true, may_post_copy: true, ..context() };
    assert_eq!(advised(&samples, &throttle).propose, Proposal::Throttle);
    let steady = Context { may_post_copy: true, link_steady: true, ..context() };
    assert_eq!(advised(&samples, &steady).propose, Proposal::SwitchToPostCopy);
    for shaky in [Context { link_losses: 1, ..steady }, Context { link_steady: false, ..steady }] {
        let advice = advised(&samples, &shaky);
        assert_eq!(advice.propose, Proposal::Abort);
        assert!(advice.reason.contains("too shaky"), "{}", advice.reason);
    }
}

#[test]
fn a_fresh_stall_is_watched_before_giving_up() {
    let (samples, _) = migration(150.0, 200.0, 26);
    assert!(matches!(advised(&samples, &context()).propose, Proposal::Wait { .. }));
}

#[test]
fn who_is_late_is_helped_or_given_up() {
    let (samples, _) = migration(60.0, 1500.0, 120);
    let seen = samples.iter().position(|s| s.progress.iteration > 2).unwrap();
    let soon = Context { time_left: Some(Span::from_seconds(1)), ..context() };
    assert_eq!(advised(&samples[..=seen], &soon).propose, Proposal::Abort);
    let long = Context { downtime_max: Span::from_seconds(30), ..soon };
    let advice = advised(&samples[..=seen], &long);
    assert!(
        matches!(advice.propose, Proposal::RaiseDowntimeLimit { .. } | Proposal::Abort),
        "{advice:?}"
    );
}

#[test]
fn auto_converge_is_left_to_throttle_and_post_copy_is_never_disturbed() {
    let (samples, _) = migration(150.0, 200.0, 60);
    for mode in [Mode::AutoConverge, Mode::PostCopy] {
        let settings = MigrationSettings { mode, ..MigrationSettings::default() };
        let none = Context { time_left: Some(Span::ZERO), ..context() };
        let advice = advise(&samples, &settings, &none).unwrap();
        assert!(matches!(advice.propose, Proposal::Wait { .. }), "{advice:?}");
    }
}

#[test]
fn absurd_looks_are_no_harm() {
    let settings = MigrationSettings::default();
    assert_eq!(advise(&[], &settings, &context()), None);
    let (samples, _) = migration(150.0, 200.0, 30);
    assert_eq!(advise(&samples[..1], &settings, &context()), None);
    let mut odd = samples.clone();
    odd.reverse();
    let _ = advise(&odd, &settings, &context());
    for sample in &mut odd {
        sample.progress.remaining = Bytes::new(u64::MAX);
        sample.progress.normal_pages = u64::MAX - sample.progress.normal_pages;
        sample.progress.iteration = u64::MAX - sample.progress.iteration;
        sample.progress.throttle_percent = 255;
    }
    let zero = MigrationSettings { downtime_limit: Span::ZERO, ..settings };
    let _ = advise(&odd, &zero, &context());
}
