//! What a choice promises, on a predictor whose answers are known.

use std::cell::Cell;

use proptest::prelude::*;
use whimbrel_core::{
    cluster::{Domain, DomainState},
    ids::{HostId, VmId},
    predict::{Impact, Quantiles},
    settings::{Compression, Mode, QemuVersion},
    units::{Bytes, BytesPerSecond, Share, Timestamp},
};

use super::*;

/// A guest whose every page is written over and over: after the first pass `hot` MiB have to go
/// again for as long as the limit does not cover them.
#[derive(Debug, Clone)]
struct Toy {
    content_mib: f64,
    hot_mib: f64,
    rate_mib: f64,
    channel_mib: f64,
    /// What compression makes of the stream.
    ratio: f64,
    calls: Cell<u32>,
}

impl Predictor for Toy {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        self.calls.set(self.calls.get() + 1);
        let settings = request.settings;
        let vm = request.domain.vm.clone();
        settings.check(request.qemu).map_err(|conflict| PredictError::Conflict { vm, conflict })?;
        let mib = |rate: BytesPerSecond| rate.as_f64() / 1_048_576.0;
        let ratio = if settings.compression == Compression::None { 1.0 } else { self.ratio };
        let link = mib(request.path_bandwidth).min(f64::from(settings.channels) * self.channel_mib);
        let stream = settings.bandwidth_limit.map_or(link, |cap| link.min(mib(cap))) * ratio;
        let auto = settings.mode == Mode::AutoConverge;
        let limit = settings.downtime_limit.as_seconds_f64();
        let rate = if auto { self.rate_mib * 0.5 } else { self.rate_mib };
        let dirty = (rate * self.content_mib / stream).min(self.hot_mib);
        let rounds = (dirty / (stream * limit)).max(1.0).ln() / (stream / rate).max(1.01).ln();
        let hangs = rate >= stream && dirty > stream * limit && settings.mode != Mode::PostCopy;
        let again = if settings.mode == Mode::PostCopy { 0.0 } else { rounds.ceil() * dirty };
        let seconds = 1.0 + (self.content_mib + again) / stream;
        let downtime = if settings.mode == Mode::PostCopy {
            0.02
        } else {
            0.02 + dirty.min(stream * limit) / link
        };
        let band =
            |x: f64| Quantiles::from_array([0.8, 0.85, 0.95, 1.0, 1.05, 1.2, 1.3].map(|f| f * x));
        let loss = if auto { 0.3 } else { 0.04 };
        Ok(Prediction {
            model: "toy".to_owned(),
            converges: Share::clamped(if hangs { 0.0 } else { 1.0 }),
            total_time: band(seconds).map(Span::from_seconds_f64),
            transferred: band(self.content_mib + again)
                .map(|m| Bytes::new((m / ratio * 1_048_576.0) as u64)),
            downtime: band(downtime).map(Span::from_seconds_f64),
            impact: Some(Impact {
                throughput_loss: Share::clamped(loss),
                service_gap: band(downtime).map(Span::from_seconds_f64),
                faults: 0,
                fault_stall: Span::ZERO,
            }),
            stall: None,
            caveats: Vec::new(),
        })
    }
}

fn toy(content_mib: f64, hot_mib: f64, rate_mib: f64, channel_mib: f64) -> Toy {
    Toy { content_mib, hot_mib, rate_mib, channel_mib, ratio: 1.6, calls: Cell::new(0) }
}

fn domain() -> Domain {
    Domain {
        vm: VmId::new("db1").unwrap(),
        uuid: String::new(),
        host: HostId::new("h1").unwrap(),
        state: DomainState::Running,
        observed_at: Timestamp::default(),
        vcpus: 4,
        memory: Bytes::mib(8192),
        resident: None,
        cpu_used: None,
        dirty: Vec::new(),
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}

fn request<'a>(domain: &'a Domain, settings: &'a MigrationSettings) -> MigrationRequest<'a> {
    MigrationRequest {
        to: None,
        domain,
        settings,
        path_bandwidth: BytesPerSecond::mib(1000),
        sharing: 1,
        qemu: QemuVersion::default(),
        now: Timestamp::default(),
        seed: 1,
    }
}

fn chosen(toy: &Toy, priorities: &Priorities, steady: bool) -> Choice {
    let (domain, settings) = (domain(), MigrationSettings::default());
    choose(toy, &request(&domain, &settings), steady, priorities, &Space::default()).unwrap()
}

#[test]
fn an_idle_guest_gets_the_plain_settings() {
    let idle = Toy { ratio: 1.0, ..toy(1000.0, 0.1, 1.0, 1000.0) };
    let choice = chosen(&idle, &Priorities::default(), true);
    assert_eq!(choice.settings, MigrationSettings::default());
    assert!(choice.misses.is_empty());
    assert!(choice.timeout > choice.prediction.total_time.p975);
    assert_eq!(choice.timeout.as_micros() % 1_000_000, 0);
}

#[test]
fn a_writer_above_the_link_is_slowed_down_or_compressed_and_post_copy_only_where_admitted() {
    let busy = toy(4000.0, 3000.0, 1200.0, 1000.0);
    let choice = chosen(&busy, &Priorities::default(), true);
    assert_ne!(choice.settings.mode, Mode::PostCopy);
    assert!(choice.rejected.iter().any(|one| one.why == Why::PostCopyAvoided));
    let safety = Safety::PostCopyOverSteadyLinks;
    let open = Priorities { safety, ..Preset::Fast.priorities() };
    let steady = chosen(&busy, &open, true);
    assert_eq!(steady.settings.mode, Mode::PostCopy);
    let shaky = chosen(&busy, &open, false);
    assert_ne!(shaky.settings.mode, Mode::PostCopy);
    assert!(shaky.rejected.iter().any(|one| one.why == Why::LinkNotSteady));
}

#[test]
fn channels_are_opened_where_one_does_not_fill_the_link() {
    let choice = chosen(&toy(8000.0, 10.0, 5.0, 300.0), &Preset::Fast.priorities(), true);
    assert!(choice.settings.channels >= 4, "{:?}", choice.settings);
}

#[test]
fn presets_differ_as_their_names_say() {
    // Compression halves the traffic; downtime shrinks with the limit.
    let guest = toy(4000.0, 500.0, 300.0, 1000.0);
    let [fast, gentle, frugal] = [Preset::Fast, Preset::Gentle, Preset::Frugal]
        .map(|preset| chosen(&guest, &preset.priorities(), true));
    assert!(fast.prediction.total_time.p50 <= gentle.prediction.total_time.p50);
    assert!(gentle.prediction.downtime.p50 <= fast.prediction.downtime.p50);
    assert!(frugal.prediction.transferred.p50 <= gentle.prediction.transferred.p50);
}

#[test]
fn what_no_setting_keeps_is_said() {
    let deadline = Some(Span::from_millis(100));
    let priorities = Priorities { deadline, ..Priorities::default() };
    let choice = chosen(&toy(4000.0, 10.0, 5.0, 1000.0), &priorities, true);
    assert!(matches!(choice.misses[..], [Miss::Deadline { .. }]), "{:?}", choice.misses);
    assert!(choice.sentence.starts_with("nothing keeps the limits"), "{}", choice.sentence);
    assert!(choice.sentence.contains("past the deadline"), "{}", choice.sentence);
}

#[test]
fn a_hopeless_guest_gets_no_special_settings() {
    let hopeless = toy(8000.0, 8000.0, 9000.0, 1000.0);
    let choice = chosen(&hopeless, &Priorities::default(), true);
    assert!(matches!(choice.misses[..], [Miss::Converges { .. }]), "{:?}", choice.misses);
    assert_eq!(choice.settings, MigrationSettings::default());
}

#[test]
fn a_cheaper_hour_is_waited_for_and_a_deadline_cuts_the_wait() {
    let guest = toy(8000.0, 10.0, 5.0, 1000.0);
    let (domain, settings) = (domain(), MigrationSettings::default());
    let now = request(&domain, &settings);
    let busy =
        MigrationRequest { to: None, path_bandwidth: BytesPerSecond::mib(100), ..now.clone() };
    let occasions = [
        Occasion { starts_in: Span::ZERO, request: busy, link_steady: true },
        Occasion { starts_in: Span::from_seconds(600), request: now, link_steady: true },
    ];
    let when = |deadline| {
        let priorities = Priorities { deadline, ..Priorities::default() };
        choose_when(&guest, &occasions, &priorities, &Space::default()).unwrap().starts_in
    };
    assert_eq!(when(None), Span::from_seconds(600));
    assert_eq!(when(Some(Span::from_seconds(300))), Span::ZERO);
    let none = choose_when(&guest, &[], &Priorities::default(), &Space::default());
    assert_eq!(none, Err(ChooseError::NoOccasion));
}

#[test]
fn the_sentence_has_figures_and_the_runner_up() {
    let choice = chosen(&toy(1000.0, 100.0, 50.0, 1000.0), &Priorities::default(), true);
    assert!(choice.sentence.starts_with("pre-copy over 1 channel"), "{}", choice.sentence);
    assert!(choice.sentence.contains("; "), "{}", choice.sentence);
    assert!(choice.sentence.contains(" would "), "{}", choice.sentence);
}

#[test]
fn the_space_is_large_and_little_of_it_is_predicted() {
    let (domain, settings) = (domain(), MigrationSettings::default());
    let points = Space::default().points(&request(&domain, &settings));
    assert_eq!(points.len(), 480);
    assert!(points.iter().all(|point| point.check(QemuVersion::default()).is_ok()));
    let mut most = 0;
    for rate in [1.0, 50.0, 200.0, 700.0, 1500.0] {
        for channel in [100.0, 300.0, 1000.0] {
            for preset in [Preset::Balanced, Preset::Gentle, Preset::Fast, Preset::Frugal] {
                let guest = toy(8000.0, 3000.0, rate, channel);
                let priorities = Priorities { safety: Safety::Free, ..preset.priorities() };
                chosen(&guest, &priorities, true);
                most = most.max(guest.calls.get());
            }
        }
    }
    println!("at most {most} predictions for {} points", points.len());
    assert!(most <= 250, "{most}");
}

fn priorities() -> impl Strategy<Value = Priorities> {
    let presets = [Preset::Balanced, Preset::Gentle, Preset::Fast, Preset::Frugal];
    let preset = prop::sample::select(presets.to_vec());
    let safety = [Safety::AvoidPostCopy, Safety::PostCopyOverSteadyLinks, Safety::Free];
    let limit = |range| prop::option::of(range);
    (preset, prop::sample::select(safety.to_vec()), limit(1000u64..60_000), limit(20u64..2000))
        .prop_map(|(preset, safety, deadline, downtime)| Priorities {
            safety,
            deadline: deadline.map(Span::from_millis),
            downtime_max: downtime.map(Span::from_millis),
            ..preset.priorities()
        })
}

fn guest() -> impl Strategy<Value = Toy> {
    (100.0..8000.0f64, 1.0..4000.0f64, 1.0..2000.0f64, 100.0..1500.0f64)
        .prop_map(|(content, hot, rate, channel)| toy(content, hot.min(content), rate, channel))
}

proptest! {
    #[test]
    fn no_conflict_no_needless_miss_and_the_same_again(
        guest in guest(), priorities in priorities(), steady in any::<bool>(), new in any::<bool>(),
    ) {
        let (domain, settings) = (domain(), MigrationSettings::default());
        let qemu = if new { QemuVersion::new(10, 1) } else { QemuVersion::default() };
        let request = MigrationRequest { qemu, ..request(&domain, &settings) };
        let space = Space::default();
        let choice = choose(&guest, &request, steady, &priorities, &space).unwrap();
        prop_assert_eq!(choice.settings.check(qemu), Ok(()));
        let may_post_copy = priorities.safety == Safety::Free
            || (priorities.safety == Safety::PostCopyOverSteadyLinks && steady);
        prop_assert!(may_post_copy || choice.settings.mode != Mode::PostCopy);
        let again = choose(&guest, &request, steady, &priorities, &space).unwrap();
        prop_assert_eq!(&again, &choice);

        let mut least = f64::INFINITY;
        for point in space.points(&request) {
            if point.mode == Mode::PostCopy && !may_post_copy {
                continue;
            }
            let asked = MigrationRequest { to: None, settings: &point, ..request.clone() };
            let prediction = guest.predict(&asked).unwrap();
            if verdict::misses(&priorities, Span::ZERO, &prediction).is_empty() {
                prop_assert!(choice.misses.is_empty(), "{point:?} keeps what {:?} misses", choice.misses);
                least = least.min(verdict::cost(&priorities, &point, &prediction));
            }
        }
        if choice.misses.is_empty() {
            prop_assert!(choice.cost <= least * 1.05, "{} for {least}", choice.cost);
        }
    }
}
