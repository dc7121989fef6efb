//! Advice during 50 recorded migrations of real QEMU: how early stalls are called, and how often
//! wrongly.
//!
//! Reads the public recordings where `WHIMBREL_PUBLIC_DATA` names them, and says that it was
//! skipped elsewhere. Each migration is followed look by look, as if it were running.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads recordings and may panic"
)]

use std::{collections::BTreeMap, io::Read as _};

use whimbrel_core::{
    cluster::JobProgress,
    ids::{HostId, VmId},
    settings::{MigrationSettings, Mode},
    telemetry::JobSample,
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};
use whimbrel_models::online::{Context, Proposal, State, advise};

const RECORDINGS: &str = "lordwicked_qemu_mig/samples.csv.gz";

type Runs = BTreeMap<(String, String), Vec<JobSample>>;

fn runs() -> Option<Runs> {
    let path = std::path::PathBuf::from(std::env::var_os("WHIMBREL_PUBLIC_DATA")?).join(RECORDINGS);
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let heads: Vec<&str> = lines.next()?.split(',').collect();
    let mut runs = Runs::new();
    for line in lines {
        let row: BTreeMap<&str, &str> = heads.iter().copied().zip(line.split(',')).collect();
        // Looks at the end carry no counters.
        if row["status"] == "active" && !row["remaining"].is_empty() {
            let run = (row["scenario"].to_owned(), row["run"].to_owned());
            runs.entry(run).or_default().push(look(&row));
        }
    }
    Some(runs)
}

fn look(row: &BTreeMap<&str, &str>) -> JobSample {
    let whole = |name: &str| row[name].parse::<f64>().unwrap_or_default() as u64;
    let elapsed = Span::from_millis(whole("total_time_ms"));
    JobSample {
        at: Timestamp::from_micros(1_800_000_000_000_000) + elapsed,
        host: HostId::new("h1").unwrap(),
        vm: VmId::new("db1").unwrap(),
        progress: JobProgress {
            elapsed,
            remaining: Bytes::new(whole("remaining")),
            transferred: Bytes::new(whole("transferred")),
            total: Bytes::mib(8192),
            bandwidth: BytesPerSecond::new(whole("mbps") * 125_000),
            dirty_rate: BytesPerSecond::new(whole("dirty_pages_rate") * 4096),
            iteration: whole("dirty_sync_count"),
            normal_pages: whole("normal"),
            zero_pages: whole("duplicate"),
            throttle_percent: whole("cpu_throttle_pct") as u8,
            ..JobProgress::default()
        },
    }
}

/// What a migration was told while it ran.
#[derive(Debug, Default)]
struct Told {
    looks: u32,
    /// Seconds after the job's begin.
    first_pass_ended: Option<f64>,
    first_stall: Option<f64>,
    /// Looks after the first stall that took it back.
    taken_back: u32,
    proposals: BTreeMap<String, u32>,
}

fn told(samples: &[JobSample], mode: Mode) -> Told {
    let settings = MigrationSettings { mode, ..MigrationSettings::default() };
    let context = Context {
        known: &[],
        downtime_max: Span::from_millis(300),
        may_throttle: false,
        may_post_copy: false,
        link_steady: true,
        link_losses: 0,
        time_left: None,
    };
    let mut told = Told::default();
    for end in 1..=samples.len() {
        let seen = &samples[..end];
        let seconds = seen[end - 1].progress.elapsed.as_seconds_f64();
        if seen[end - 1].progress.iteration > 1 {
            told.first_pass_ended.get_or_insert(seconds);
        }
        let Some(advice) = advise(seen, &settings, &context) else { continue };
        told.looks += 1;
        let name = match advice.propose {
            Proposal::Wait { .. } => "wait",
            Proposal::RaiseDowntimeLimit { .. } => "raise",
            Proposal::Throttle => "throttle",
            Proposal::SwitchToPostCopy => "post-copy",
            Proposal::Abort => "abort",
        };
        *told.proposals.entry(name.to_owned()).or_default() += 1;
        match advice.state {
            State::Stalled { .. } => {
                told.first_stall.get_or_insert(seconds);
            }
            State::Advancing { .. } if told.first_stall.is_some() => told.taken_back += 1,
            State::Advancing { .. } => {}
        }
    }
    told
}

#[test]
fn stalls_are_called_early_and_only_where_they_are() {
    let Some(runs) = runs() else {
        println!("skipped: WHIMBREL_PUBLIC_DATA names no directory with {RECORDINGS}");
        return;
    };
    for ((scenario, run), samples) in &runs {
        // Post-copy from the start, and a guest that was paused, have no rounds.
        if scenario.starts_with("Post") || scenario.starts_with("Stop") {
            continue;
        }
        let auto = scenario.starts_with("Auto");
        let told = told(samples, if auto { Mode::AutoConverge } else { Mode::PreCopy });
        let first_pass = told.first_pass_ended.unwrap();
        let late = told.first_stall.map(|at| at - first_pass);
        println!(
            "{scenario} {run}: first pass {first_pass:.1} s, stall told {late:.1?} s later, \
             taken back at {} looks of {}, {:?}",
            told.taken_back, told.looks, told.proposals
        );
        match scenario.as_str() {
            "Precopy_Nonconvergent_16T" => assert!(late.is_some_and(|late| late < 15.0)),
            "Precopy_Nonconvergent_OnlyReads_16T" => assert!(late.is_some_and(|late| late < 4.0)),
            // These end by themselves.
            _ => assert!(late.is_none() && told.proposals.keys().eq(["wait"])),
        }
    }
}
