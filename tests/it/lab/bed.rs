//! A lab with its configuration, taken down whatever happens.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use whimbrel::{config::Config, wiring};
use whimbrel_core::{
    Plan, Policy, Snapshot,
    cluster::DirtyReading,
    ports::{Journal as _, Record},
    settings::Transport,
    telemetry::MigrationRecord,
    units::{Bytes, BytesPerSecond, Span},
};
use whimbrel_datasets::TelemetryReader;
use whimbrel_lab::{GuestSpec, Lab, LabConfig, Load, Order, capability, lab_or_skip};
use whimbrel_tests::{command::free_of_settings, lab_cluster};

use super::running::Running;
use crate::program::{PROGRAM, Ran};

/// Working set of [`Bed::start`]'s guests.
const WORKING_SET_MIB: u32 = 24;
/// What calm guests rewrite.
const CALM_KIB_PER_SECOND: u32 = 256;

/// A lab and a directory that the program runs in.
pub(super) struct Bed {
    pub(super) lab: Lab,
    directory: TempDir,
    config: Config,
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.lab.down(&mut |line| eprintln!("{line}"));
        let _ = fs::remove_dir_all(&self.lab.config().state_dir);
    }
}

impl Bed {
    /// Brings it up; `None` where the machine cannot hold a lab.
    pub(super) fn up(test_name: &str) -> Option<Self> {
        if capability().is_err() {
            // Says so, or fails where nothing may be skipped.
            assert!(lab_or_skip(test_name).is_none());
            return None;
        }
        let name = format!("whimbrel-it-{}", std::process::id());
        let state_dir = std::env::temp_dir().join(&name);
        let config =
            LabConfig { name, state_dir, subnet: "10.79.0".into(), host_count: 3, libvirt: None };
        let lab = Lab::new(config).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let config = lab_cluster::configure(&lab, directory.path()).unwrap();
        // From here on whatever was started is taken down.
        let bed = Self { lab, directory, config };
        bed.lab.up(false, &mut |_| {}).unwrap();
        fs::write(bed.path("policy.toml"), lab_cluster::policy()).unwrap();
        bed.policy("fast", Transport::Tcp, 24, Span::from_seconds(600));
        // At this rate a guest of Bed::start takes more than 12 s.
        bed.policy("slow", Transport::Tcp, 2, Span::from_seconds(600));
        // And twice as long: so that others can be tried meanwhile on a machine that is busy.
        bed.policy("slower", Transport::Tcp, 1, Span::from_seconds(600));
        bed.policy("fast-tls", Transport::Tls, 24, Span::from_seconds(600));
        bed.policy("impatient", Transport::Tcp, 24, Span::from_seconds(1));
        Some(bed)
    }

    fn policy(&self, name: &str, transport: Transport, mib_per_second: u64, age_max: Span) {
        self.write_policy(name, |policy| {
            policy.migration.transport = transport;
            policy.migration.bandwidth_limit = Some(BytesPerSecond::mib(mib_per_second));
            policy.limits.snapshot_age_max = age_max;
        });
    }

    /// Writes the lab's policy with a change, as `NAME.toml`.
    pub(super) fn write_policy(&self, name: &str, change: impl FnOnce(&mut Policy)) {
        let mut policy: Policy = toml::from_str(lab_cluster::policy()).unwrap();
        change(&mut policy);
        fs::write(self.path(&format!("{name}.toml")), toml::to_string(&policy).unwrap()).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.command(PROGRAM);
        free_of_settings(&mut command, self.directory.path());
        command.args(arguments);
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// `apply PLAN --execute` under `policy`.
    pub(super) fn apply(&self, plan: &str, policy: &str) -> Ran {
        self.run(&["apply", plan, "--execute", "--policy", policy])
    }

    /// The same, begun and left to itself; comes back once its first migration copies.
    pub(super) fn begin(&self, plan: &str, policy: &str) -> Running {
        let arguments = ["apply", plan, "--execute", "--policy", policy];
        let mut running = Running::start(&mut self.command(&arguments));
        running.wait_for(": copying");
        running
    }

    /// Starts a calm guest: 24 MiB that it writes slowly.
    pub(super) fn start(&self, host: &str, name: &str) {
        self.start_at(CALM_KIB_PER_SECOND, host, name);
    }

    /// Starts a guest that rewrites its 24 MiB at a rate, here and there.
    pub(super) fn start_at(&self, kib_per_second: u32, host: &str, name: &str) {
        let load = Load {
            working_set_mib: Some(WORKING_SET_MIB),
            rate_kib_per_second: Some(kib_per_second),
            order: Some(Order::Random),
            ..Load::default()
        };
        let spec = GuestSpec { memory_mib: 64, load, ..GuestSpec::mini(name) };
        self.lab.start_guest(host, &spec).unwrap();
    }

    pub(super) fn stop(&self, names: &[&str]) {
        for name in names {
            self.lab.stop_guest(name).unwrap();
        }
    }

    /// A plan to drain `host` of guests of [`Bed::start`], from a look at the hosts right now.
    pub(super) fn plan_drain(&self, host: &str, policy: &str, out: &str) -> Plan {
        self.plan_drain_at(CALM_KIB_PER_SECOND, host, policy, out)
    }

    /// The same of guests of [`Bed::start_at`]. What they dirty at
    /// most is known and need not be measured.
    pub(super) fn plan_drain_at(
        &self,
        kib_per_second: u32,
        host: &str,
        policy: &str,
        out: &str,
    ) -> Plan {
        self.run(&["inventory", "--watch", "0 s", "--save", "seen.json"]).ends_with(0);
        let mut seen: Snapshot =
            serde_json::from_slice(&fs::read(self.path("seen.json")).unwrap()).unwrap();
        let at = seen.taken_at;
        let reading = |seconds: u64| DirtyReading {
            window: Span::from_seconds(seconds),
            unique: Bytes::new(seconds * u64::from(kib_per_second) * 1024)
                .min(Bytes::mib(WORKING_SET_MIB.into())),
            measured_at: at,
        };
        for domain in &mut seen.domains {
            domain.dirty = [1, 2, 4, 8].map(reading).to_vec();
        }
        fs::write(self.path("seen.json"), serde_json::to_vec(&seen).unwrap()).unwrap();
        let drain = ["plan", "drain", host, "--snapshot", "seen.json", "--out", out];
        self.run(&[&drain[..], &["--policy", policy]].concat()).ends_with(0);
        whimbrel::files::read_plan(&self.path(out)).unwrap()
    }

    /// Every sighting of every guest, running or not, by guest.
    pub(super) fn whereabouts(&self) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for host in self.lab.status().unwrap().hosts {
            for guest in host.guests {
                let place = match guest.state.as_str() {
                    "running" => host.name.clone(),
                    other => format!("{} ({other})", host.name),
                };
                found.entry(guest.name).or_default().push(place);
            }
        }
        found
    }

    /// Insists that the guest runs on `host` and nowhere else, and lost nothing.
    #[track_caller]
    pub(super) fn is_whole_on(&self, guest: &str, host: &str) {
        assert_eq!(self.whereabouts().get(guest), Some(&vec![host.to_owned()]), "{guest}");
        self.is_whole(guest);
    }

    /// Insists that every page of the guest is as it wrote it, and that it goes on writing.
    #[track_caller]
    pub(super) fn is_whole(&self, guest: &str) {
        let before = self.lab.guest_stat(guest).unwrap();
        assert_eq!(self.lab.verify_guest(guest).unwrap().bad_pages, 0, "{guest}");
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let after = self.lab.guest_stat(guest).unwrap();
            assert_eq!(after.bad_pages, 0, "{guest}");
            if after.uptime_milliseconds > before.uptime_milliseconds {
                return;
            }
            assert!(Instant::now() < until, "{guest} stands still");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether a migration of `guest` runs on `host`.
    pub(super) fn migrates(&self, guest: &str, host: &str) -> bool {
        let job = self.lab.virsh(host, &["domjobinfo", guest]).unwrap();
        job.lines().any(|line| line.starts_with("Job type:") && !line.trim_end().ends_with("None"))
    }

    /// The journal, which no running program may hold open.
    pub(super) fn journal(&self) -> Vec<Record> {
        wiring::journal(&self.config).unwrap().records().unwrap()
    }

    /// Records of migrations that the program kept.
    pub(super) fn migrations(&self) -> Vec<MigrationRecord> {
        let directory = &self.config.collect.telemetry_directory;
        TelemetryReader::open(directory).unwrap().migrations().unwrap()
    }

    pub(super) fn telemetry(&self) -> TelemetryReader {
        TelemetryReader::open(&self.config.collect.telemetry_directory).unwrap()
    }
}
