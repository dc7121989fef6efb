//! The migrations of `LordWicked`'s thesis: 8 GiB of `PostgreSQL` under KVM on one host, ten
//! scenarios, five runs of each, `query-migrate` every 0.2 s.
//!
//! Each scenario is a guest of its own here, and its runs are that guest's migrations: runs 1 to 3
//! teach, runs 4 and 5 judge. No dirty readings were taken before a start and the process's size
//! is not known, so what is known of a guest is its past. Times of day were not kept; runs are an
//! hour apart here, in their order.
//!
//! Left out: scenarios that switch to post-copy after so many seconds, in the midst of a pass and
//! with another cap behind the switch, which [`MigrationSettings`] cannot say.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use whimbrel_core::{
    cluster::{CompletedStats, DirtyReading, JobProgress},
    ids::{HostId, OrderId, VmId},
    settings::{MigrationSettings, Mode, QemuVersion},
    telemetry::{JobSample, MigrationRecord, MigrationTrace},
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span, Timestamp},
};

use super::read_table;
use crate::{error::DatasetError, manifest::locate};

/// Its name in the manifest.
pub const NAME: &str = "lordwicked-qemu-mig";

/// The guest's memory.
const MEMORY: Bytes = Bytes::mib(8192);

/// QEMU's default, which all scenarios but post-copy ran with.
const CAP: BytesPerSecond = BytesPerSecond::mib(128);

/// Runs up to this one teach, later ones judge.
const LEARN_RUNS: u32 = 3;

/// When the first run is said to have begun: July 2026, as the set was published.
const FIRST: Timestamp = Timestamp::from_micros(1_783_000_000_000_000);

/// Between two runs.
const APART_MICROS: u64 = 3_600_000_000;

/// The set, divided.
#[derive(Debug, Clone, PartialEq)]
pub struct LordWicked {
    /// Runs 1 to 3 of every scenario, by their beginning.
    pub learn: Vec<MigrationTrace>,
    /// Runs 4 and 5.
    pub judged: Vec<MigrationTrace>,
}

/// What a scenario was.
struct Scenario {
    name: &'static str,
    mode: Mode,
    /// Whether it ended only because its load did.
    censored: bool,
    /// Whether the guest stood still.
    paused: bool,
}

const fn scenario(name: &'static str, mode: Mode, censored: bool, paused: bool) -> Scenario {
    Scenario { name, mode, censored, paused }
}

/// Scenarios that settings can say.
const SCENARIOS: [Scenario; 7] = [
    scenario("Autoconverge_16T", Mode::AutoConverge, false, false),
    scenario("Postcopy_16T", Mode::PostCopy, false, false),
    scenario("Postcopy_4T", Mode::PostCopy, false, false),
    scenario("Precopy_Convergent", Mode::PreCopy, false, false),
    scenario("Precopy_Nonconvergent_16T", Mode::PreCopy, true, false),
    scenario("Precopy_Nonconvergent_OnlyReads_16T", Mode::PreCopy, true, false),
    scenario("Stop_Copy_4T", Mode::PreCopy, false, true),
];

/// One line of `runs.csv.gz`.
#[derive(Deserialize)]
struct Run {
    scenario: String,
    #[serde(rename = "run")]
    number: u32,
    total_time_ms: u64,
    setup_time_ms: u64,
    downtime_ms: u64,
    transferred: u64,
    normal_pages: u64,
    zero_pages: u64,
    dirty_sync_count: u64,
    postcopy_requests: u64,
    max_cpu_throttle: Option<f64>,
}

/// One line of `samples.csv.gz`; QEMU leaves fields out before the first and after the last page.
#[derive(Deserialize)]
struct Look {
    scenario: String,
    run: u32,
    total_time_ms: Option<u64>,
    remaining: Option<u64>,
    transferred: Option<u64>,
    normal: Option<u64>,
    duplicate: Option<u64>,
    dirty_pages_rate: Option<f64>,
    dirty_sync_count: Option<u64>,
    mbps: Option<f64>,
    postcopy_requests: Option<u64>,
    cpu_throttle_pct: Option<f64>,
}

/// Where the set lies.
///
/// # Errors
/// [`DatasetError::PublicAbsent`].
pub fn directory() -> Result<PathBuf, DatasetError> {
    locate(NAME).ok_or(DatasetError::PublicAbsent { name: NAME })
}

/// Reads the set in `dir`.
///
/// # Errors
/// [`DatasetError::Public`] naming the file that is not as it was published.
pub fn read(dir: &Path) -> Result<LordWicked, DatasetError> {
    let runs: Vec<Run> = read_table(&dir.join("runs.csv.gz"))?;
    let looks: Vec<Look> = read_table(&dir.join("samples.csv.gz"))?;
    let mut looks_of: BTreeMap<(&str, u32), Vec<&Look>> = BTreeMap::new();
    for look in &looks {
        looks_of.entry((&look.scenario, look.run)).or_default().push(look);
    }
    let mut set = LordWicked { learn: Vec::new(), judged: Vec::new() };
    for (at, run) in runs.iter().enumerate() {
        let known = SCENARIOS.iter().find(|scenario| scenario.name == run.scenario);
        let looks = looks_of.get(&(run.scenario.as_str(), run.number));
        if let Some(trace) = known.and_then(|scenario| {
            let looks = looks.map(Vec::as_slice).unwrap_or_default();
            trace(scenario, run, (at % SCENARIOS.len()) as u64, looks)
        }) {
            let part = if run.number <= LEARN_RUNS { &mut set.learn } else { &mut set.judged };
            part.push(trace);
        }
    }
    set.learn.sort_by_key(|trace| trace.record.at);
    set.judged.sort_by_key(|trace| trace.record.at);
    Ok(set)
}

/// One run; `None` where its names are none.
fn trace(scenario: &Scenario, run: &Run, offset: u64, looks: &[&Look]) -> Option<MigrationTrace> {
    let (vm, host) = (VmId::new(scenario.name).ok()?, HostId::new("source").ok()?);
    let hours = u64::from(run.number).saturating_mul(100).saturating_add(offset);
    let at = FIRST + Span::from_micros(hours.saturating_mul(APART_MICROS));
    let standing =
        DirtyReading { window: Span::from_seconds(1), unique: Bytes::ZERO, measured_at: at };
    let wall = Span::from_millis(run.total_time_ms);
    let record = MigrationRecord {
        arrived: !scenario.censored,
        failure: scenario.censored.then(|| {
            "did not converge before its load ended, after which no run is judged".to_owned()
        }),
        dirty_before: if scenario.paused { vec![standing] } else { Vec::new() },
        qemu: Some(QemuVersion::new(10, 1)),
        wall,
        stats: (!scenario.censored).then(|| stats(run)),
        ..MigrationRecord::beginning(
            OrderId::new(&format!("{}-{}", scenario.name, run.number)).ok()?,
            at,
            vm.clone(),
            host.clone(),
            HostId::new("target").ok()?,
            settings(scenario.mode),
            MEMORY,
        )
    };
    let samples = looks
        .iter()
        .filter_map(|look| {
            let progress = progress(look)?;
            Some(JobSample {
                at: at + progress.elapsed,
                host: host.clone(),
                vm: vm.clone(),
                progress,
            })
        })
        .collect();
    Some(MigrationTrace { record, samples })
}

/// QEMU's defaults; post-copy switched at once and ran without a cap.
fn settings(mode: Mode) -> MigrationSettings {
    let post_copy = mode == Mode::PostCopy;
    MigrationSettings {
        mode,
        bandwidth_limit: (!post_copy).then_some(CAP),
        reads_before_post_copy: u32::from(!post_copy),
        ..MigrationSettings::default()
    }
}

fn stats(run: &Run) -> CompletedStats {
    let sending = run.total_time_ms.saturating_sub(run.setup_time_ms).max(1) as f64 / 1e3;
    CompletedStats {
        total_time: Span::from_millis(run.total_time_ms),
        downtime: Span::from_millis(run.downtime_ms),
        setup_time: Span::from_millis(run.setup_time_ms),
        transferred: Bytes::new(run.transferred),
        normal_pages: run.normal_pages,
        zero_pages: run.zero_pages,
        iterations: run.dirty_sync_count,
        bandwidth: BytesPerSecond::new((run.transferred as f64 / sending).round() as u64),
        throttle_percent: percent(run.max_cpu_throttle),
        post_copy_requests: run.postcopy_requests,
        ..CompletedStats::default()
    }
}

/// `None` for a look without figures.
fn progress(look: &Look) -> Option<JobProgress> {
    let page = GUEST_PAGE.as_f64();
    let rate =
        |bytes: Option<f64>| BytesPerSecond::new(bytes.unwrap_or(0.0).max(0.0).round() as u64);
    Some(JobProgress {
        elapsed: Span::from_millis(look.total_time_ms?),
        remaining: Bytes::new(look.remaining?),
        transferred: Bytes::new(look.transferred?),
        total: MEMORY,
        bandwidth: rate(look.mbps.map(|megabits| megabits * 1e6 / 8.0)),
        dirty_rate: rate(look.dirty_pages_rate.map(|pages| pages * page)),
        iteration: look.dirty_sync_count?,
        normal_pages: look.normal?,
        zero_pages: look.duplicate?,
        throttle_percent: percent(look.cpu_throttle_pct),
        post_copy_requests: look.postcopy_requests.unwrap_or(0),
        ..JobProgress::default()
    })
}

fn percent(of: Option<f64>) -> u8 {
    of.unwrap_or(0.0).clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const RUNS: &str = "scenario,run,n_samples,status,total_time_ms,setup_time_ms,downtime_ms,ram_total,transferred,precopy_bytes,downtime_bytes,postcopy_bytes,normal_pages,zero_pages,dirty_sync_count,postcopy_requests,mbps_final,max_cpu_throttle,first_throttle_t_ms,max_dirty_pages_rate,median_dirty_pages_rate,last_expected_downtime_ms
Autoconverge_16T,1,226,completed,44918,1,13,8607571968,6112528086,6073324863,38779526,0,1486394,1326593,22,0,1088.6,40,38573,30221,16481.0,412
Postcopy_Late_16T_5s,1,34,completed,6291,2,12,8607571968,2956618268,689643892,0,2266309806,717169,1410142,2,970,3761.0,,,,,300
Precopy_Nonconvergent_16T,4,560,completed,111946,1,32,8607571968,15173220725,15136890192,35899868,0,3694116,1347348,190,0,1084.3,,,40091,32592,518
Stop_Copy_4T,5,73,completed,14025,3,22,8607571968,1916593673,0,1916172937,0,463311,1638147,3,0,1093.4,,,,,300
";
    const LOOKS: &str = "scenario,run,t_since_run_start_s,status,total_time_ms,setup_ms,expected_downtime_ms,downtime_ms,remaining,transferred,precopy_bytes,downtime_bytes,postcopy_bytes,normal,duplicate,dirty_pages_rate,dirty_sync_count,mbps,pages_per_second,postcopy_requests,cpu_throttle_pct
Autoconverge_16T,1,111.966,active,201,1,300,,8559022080,30868634,30925661,0,0,7526,4327,16481.0,1,1082.0,35530,0,20.0
Autoconverge_16T,1,266.11,completed,,,,,,,,,,,,,,,,,
";

    fn written(runs: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("runs.csv.gz", runs), ("samples.csv.gz", LOOKS)] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            let mut gzip = GzEncoder::new(file, Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            gzip.finish().unwrap();
        }
        dir
    }

    #[test]
    fn runs_become_traces_of_their_scenarios_guest() {
        let set = read(written(RUNS).path()).unwrap();
        assert_eq!((set.learn.len(), set.judged.len()), (1, 2), "post-copy in midst of a pass");
        let slowed = &set.learn[0];
        assert_eq!(slowed.record.settings.mode, Mode::AutoConverge);
        assert_eq!(slowed.record.settings.bandwidth_limit, Some(CAP));
        let stats = slowed.record.stats.unwrap();
        assert_eq!((stats.total_time, stats.throttle_percent), (Span::from_millis(44_918), 40));
        assert_eq!(slowed.samples.len(), 1, "a look without figures shows nothing");
        let progress = slowed.samples[0].progress;
        assert_eq!(progress.dirty_rate, BytesPerSecond::new(16_481 * 4096));
        assert_eq!(progress.throttle_percent, 20);
        let hung = &set.judged[0].record;
        assert_eq!((hung.arrived, hung.stats), (false, None));
        assert!(hung.failure.as_ref().unwrap().contains("did not converge"));
        assert_eq!(set.judged[1].record.dirty_before[0].unique, Bytes::ZERO, "it stood still");
    }

    #[test]
    fn foreign_files_are_named() {
        let error = read(written("a,b\n1,2\n").path()).unwrap_err().to_string();
        assert!(error.contains("runs.csv.gz") && error.contains("hint"), "{error}");
        let error = read(Path::new("/no/such/set")).unwrap_err().to_string();
        assert!(error.contains("runs.csv.gz") && error.contains("cannot open"), "{error}");
    }

    #[test]
    fn the_published_set_is_read_whole() {
        let Ok(dir) = directory() else {
            println!("SKIPPED: {NAME} is not below WHIMBREL_PUBLIC_DATA");
            return;
        };
        let set = read(&dir).unwrap();
        assert_eq!((set.learn.len(), set.judged.len()), (21, 14));
        let all = || set.learn.iter().chain(&set.judged);
        assert!(all().all(|trace| trace.samples.len() > 5));
        assert_eq!(all().filter(|trace| !trace.record.arrived).count(), 10);
    }
}
