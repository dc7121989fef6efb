//! Records telemetry and migrations of the lab's nine guests: `whimbrel-record DIRECTORY [MINUTES]
//! [MIGRATIONS]`, inside the lab's network namespace.
//!
//! Guests, targets and settings are drawn from a fixed seed. Each migration is a plan of one move
//! that the engine executes, with the prediction that was made before it began, and after each
//! one the guest is asked whether every page of its memory is as it wrote it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{
    error::Error,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use whimbrel::{
    files,
    wiring::{self, Keep},
};
use whimbrel_core::{
    Cluster, Domain, Goal, HostId, Move, Plan, Policy, Predictor, Snapshot,
    digest::Digest,
    migration::MoveState,
    plan::{AtOnce, Parent, PlanReport, Reason},
    predict::MigrationRequest,
    settings::{MigrationSettings, Mode, Transport},
    telemetry::{MigrationRecord, MigrationTrace},
    units::{BytesPerSecond, Span},
};
use whimbrel_datasets::{INVENTORY_FILE, TelemetryStore};
use whimbrel_engine::{Engine, EngineSettings};
use whimbrel_lab::Lab;
use whimbrel_models::{ReplayPredictor, train::learn};
use whimbrel_tests::{
    draw::Draw,
    drive::{self, MemoryJournal},
    lab_cluster,
};

/// Seed of every choice.
const SEED: u64 = 20_260_301;

/// Each guest has been measured in each window by then.
const WARM_UP: Duration = Duration::from_secs(100);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(directory) = arguments.first() else {
        eprintln!("usage: whimbrel-record DIRECTORY [MINUTES] [MIGRATIONS]");
        return ExitCode::from(2);
    };
    let number = |index: usize, default: u64| {
        arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    match record(Path::new(directory), number(1, 36), number(2, 66)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn record(directory: &Path, minutes: u64, migrations: u64) -> Result<(), Box<dyn Error>> {
    let lab = Lab::from_environment()?;
    lab_cluster::start_guests(&lab)?;
    let scratch = directory.join("unused-state");
    let mut config = lab_cluster::configure(&lab, &scratch)?;
    directory.clone_into(&mut config.collect.telemetry_directory);
    let mut cluster = wiring::cluster(&config, Keep::Telemetry)?;
    let mut store = TelemetryStore::create(directory)?;
    files::write(&directory.join(INVENTORY_FILE), lab_cluster::inventory(&lab).as_bytes())?;
    let begun = Instant::now();
    println!("warming up for {} s", WARM_UP.as_secs());
    drive::idle(&mut cluster, WARM_UP);

    let mut choices = Choices(Draw::new(SEED));
    let mut history: Vec<MigrationRecord> = Vec::new();
    let whole = Duration::from_secs(minutes * 60);
    for number in 0..migrations {
        let executed = one_migration(&lab, &mut cluster, &mut choices, &history, number)?;
        store.append_migrations(&executed)?;
        history.extend(executed);
        // What is left of the time, spread over what is left to do.
        let left = whole.saturating_sub(begun.elapsed());
        let rest = u32::try_from(migrations - number).unwrap_or(u32::MAX);
        drive::idle(
            &mut cluster,
            (left / rest).clamp(Duration::from_secs(2), Duration::from_secs(40)),
        );
    }
    let brought = bring_home(&lab, &mut cluster, &history)?;
    store.append_migrations(&brought)?;
    history.extend(brought);
    drive::idle(&mut cluster, WARM_UP.max(whole.saturating_sub(begun.elapsed())));
    drop(cluster);
    std::fs::remove_dir_all(&scratch)?;
    let arrived = history.iter().filter(|record| record.arrived).count();
    println!(
        "{} migrations, {arrived} arrived, in {:.0} min",
        history.len(),
        begun.elapsed().as_secs_f64() / 60.0
    );
    Ok(())
}

fn one_migration(
    lab: &Lab,
    cluster: &mut dyn Cluster,
    choices: &mut Choices,
    history: &[MigrationRecord],
    number: u64,
) -> Result<Vec<MigrationRecord>, Box<dyn Error>> {
    let snapshot = cluster.observe();
    let Some((domain, to)) = choices.domain_and_target(&snapshot) else {
        return Err("no host has room for any guest".into());
    };
    let plan = single_move(domain, &to, &snapshot, choices.settings(), history, number)?;
    execute(lab, cluster, plan)
}

/// Puts every guest back on the host that it started on, so that the recording ends with the
/// placement that demonstrations plan from.
fn bring_home(
    lab: &Lab,
    cluster: &mut dyn Cluster,
    history: &[MigrationRecord],
) -> Result<Vec<MigrationRecord>, Box<dyn Error>> {
    let mut records = Vec::new();
    // A guest may have to wait until another has left its host.
    for pass in 0..4 {
        for (home, spec) in lab_cluster::guests() {
            let snapshot = cluster.observe();
            let home = HostId::new(home)?;
            let away =
                snapshot.domains.iter().find(|d| d.vm.as_str() == spec.name && d.host != home);
            if let Some(domain) =
                away.filter(|domain| room(&snapshot, &home) >= domain.memory.get())
            {
                let settings = MigrationSettings {
                    bandwidth_limit: Some(BytesPerSecond::mib(60)),
                    ..Policy::default().migration
                };
                let plan = single_move(domain, &home, &snapshot, settings, history, pass)?;
                records.extend(execute(lab, cluster, plan)?);
            }
        }
    }
    Ok(records)
}

fn room(snapshot: &Snapshot, host: &HostId) -> u64 {
    let used: u64 =
        snapshot.domains.iter().filter(|d| d.host == *host).map(|d| d.memory.get()).sum();
    snapshot.hosts[host].memory.get().saturating_sub(used)
}

/// Executes a plan of one move and asks the guest whether it lost anything.
fn execute(
    lab: &Lab,
    cluster: &mut dyn Cluster,
    plan: Plan,
) -> Result<Vec<MigrationRecord>, Box<dyn Error>> {
    let mut journal = MemoryJournal::default();
    let mut engine = Engine::start(plan, EngineSettings::default(), cluster.now(), &mut journal)?;
    let execution = drive::to_the_end(&mut engine, cluster, &mut journal)?;
    let one = &execution.moves[0];
    let vm = &one.vm;
    if one.state == MoveState::Unknown {
        return Err(format!("{vm} is in an unknown state: {}", one.detail).into());
    }
    let guest = lab.verify_guest(vm.as_str())?;
    if guest.bad_pages > 0 {
        return Err(format!("{vm} lost {} pages", guest.bad_pages).into());
    }
    let predicted = &one.predicted;
    println!(
        "{vm:9} {} -> {}  {:?}  predicted {} ({:.0} %), measured {}  {}",
        one.from,
        one.to,
        one.state,
        predicted.total_time.p50.human(),
        predicted.converges.get() * 100.0,
        one.stats.map_or_else(|| "-".to_owned(), |stats| stats.total_time.human()),
        one.detail,
    );
    Ok(execution.records)
}

fn single_move(
    domain: &Domain,
    to: &HostId,
    snapshot: &Snapshot,
    settings: MigrationSettings,
    history: &[MigrationRecord],
    seed: u64,
) -> Result<Plan, Box<dyn Error>> {
    let policy = Policy::default();
    let past: Vec<MigrationTrace> = history.iter().cloned().map(MigrationTrace::from).collect();
    let predictor = ReplayPredictor { model: learn(&past) };
    let predicted = predictor.predict(&MigrationRequest {
        to: Some(to),
        domain,
        settings: &settings,
        path_bandwidth: policy.limits.path_bandwidth,
        sharing: 1,
        now: snapshot.taken_at,
        seed,
        qemu: snapshot.qemu_between(&domain.host, to),
    })?;
    let parent = Parent {
        snapshot: Digest::of(snapshot),
        snapshot_taken_at: snapshot.taken_at,
        policy: Digest::of(&policy),
        seed,
    };
    let makespan = predicted.total_time.p50;
    let one = Move {
        vm: domain.vm.clone(),
        uuid: domain.uuid.clone(),
        from: domain.host.clone(),
        to: to.clone(),
        after: Vec::new(),
        alone: false,
        not_before: None,
        ends_before: None,
        begins: Span::ZERO,
        // Long enough to see that a migration stalls, short enough to record many.
        timeout: Span::from_seconds(40),
        reason: Reason::HostDrained,
        settings,
        predicted,
    };
    let report = PlanReport {
        found_by: "drawn".to_owned(),
        gap: None,
        makespan,
        terms: Vec::new(),
        remarks: Vec::new(),
    };
    let goal = Goal::drain(domain.host.clone());
    let at_once = AtOnce::new(1, 1);
    Ok(Plan::seal(goal, parent, report, (at_once, vec![one]), Vec::new()))
}

/// What is drawn for each migration.
struct Choices(Draw);

impl Choices {
    /// A running domain and another host with room for it.
    fn domain_and_target<'a>(&mut self, snapshot: &'a Snapshot) -> Option<(&'a Domain, HostId)> {
        let possible: Vec<(&Domain, &HostId)> = snapshot
            .domains
            .iter()
            .flat_map(|domain| snapshot.hosts.keys().map(move |host| (domain, host)))
            .filter(|(domain, host)| {
                domain.host != **host && room(snapshot, host) >= domain.memory.get()
            })
            .collect();
        (!possible.is_empty()).then(|| self.0.of(&possible)).map(|(d, host)| (d, host.clone()))
    }

    fn settings(&mut self) -> MigrationSettings {
        let caps = [6, 8, 10, 12, 16, 20, 30, 40, 60];
        MigrationSettings {
            mode: Mode::PreCopy,
            transport: self.0.of(&[Transport::Tcp, Transport::Tls]),
            bandwidth_limit: Some(BytesPerSecond::mib(self.0.of(&caps))),
            downtime_limit: Span::from_millis(self.0.of(&[100, 300, 500])),
            ..MigrationSettings::default()
        }
    }
}
