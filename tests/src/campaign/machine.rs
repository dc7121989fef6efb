//! How busy this machine is, and how much of that is not the lab: what else runs beside a campaign
//! stretches its migrations, and no model can foresee it.
//!
//! Reads `/proc` only. The lab's are the processes in its network namespaces, the recorder among
//! them, and the kernel's own threads; what interrupts cost is nobody's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use whimbrel_core::units::MilliCores;
use whimbrel_lab::Lab;

/// Time between two readings.
const PERIOD: Duration = Duration::from_secs(2);

/// Flag of the kernel's own threads in `/proc/PID/stat` (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Where network namespaces have their names.
const NAMESPACES: &str = "/run/netns";

/// Who used the machine, looked at now and then.
#[derive(Debug)]
pub struct Machine {
    lab: BTreeSet<u64>,
    read_at: Option<Instant>,
    last: Reading,
    used: MilliCores,
    others: [f64; 2],
}

/// Counters since the machine's boot, in ticks.
#[derive(Debug, Clone, Default, PartialEq)]
struct Reading {
    /// Over all CPUs, idle time included.
    all: u64,
    cpus: u64,
    /// Spent in programs and for them.
    busy: u64,
    /// Of that, by process: the lab's.
    lab: BTreeMap<u64, u64>,
}

impl Machine {
    /// The machine on which `lab` is.
    pub fn of(lab: &Lab) -> Self {
        let config = lab.config();
        let hosts = config.hosts().into_iter().map(|host| config.host_namespace(&host));
        let number =
            |name: String| Some(fs::metadata(Path::new(NAMESPACES).join(name)).ok()?.ino());
        let lab = hosts.chain([config.namespace()]).filter_map(number).collect();
        Self {
            lab,
            read_at: None,
            last: Reading::default(),
            used: MilliCores::default(),
            others: [0.0; 2],
        }
    }

    /// Reads the counters, unless that was done a moment ago.
    pub fn look(&mut self) {
        if self.read_at.is_some_and(|at| at.elapsed() < PERIOD) {
            return;
        }
        let reading = self.read();
        if self.read_at.is_some() {
            let (used, other) = reading.since(&self.last);
            self.used = used;
            self.others = [self.others[1], other];
        }
        self.read_at = Some(Instant::now());
        self.last = reading;
    }

    /// What everything together used between the last two readings.
    pub fn used(&self) -> MilliCores {
        self.used
    }

    /// The share of the machine that was used by others than the lab: the lesser of the last two
    /// readings, since one in which a process of the lab ended counts that as another's.
    pub fn others_share(&self) -> f64 {
        self.others[0].min(self.others[1])
    }

    fn read(&self) -> Reading {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let mut reading = parse_machine(&text);
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let Some((ticks, kernel)) = parse_process(&stat) else { continue };
            let namespace = || fs::metadata(entry.path().join("ns/net")).map(|data| data.ino());
            if kernel || namespace().is_ok_and(|number| self.lab.contains(&number)) {
                reading.lab.insert(pid, ticks);
            }
        }
        reading
    }
}

impl Reading {
    /// What was used since `earlier`, and the share of the machine that others than the lab used.
    fn since(&self, earlier: &Self) -> (MilliCores, f64) {
        let all = self.all.saturating_sub(earlier.all).max(1) as f64;
        let busy = self.busy.saturating_sub(earlier.busy) as f64;
        let of = |(pid, ticks): (&u64, &u64)| {
            ticks.saturating_sub(earlier.lab.get(pid).copied().unwrap_or(0))
        };
        let lab: u64 = self.lab.iter().map(of).sum();
        let used = busy / all * self.cpus as f64 * 1000.0;
        (MilliCores::new(used as u64), ((busy - lab as f64) / all).max(0.0))
    }
}

/// Reads `/proc/stat`.
fn parse_machine(text: &str) -> Reading {
    let cpus = text.lines().filter(|line| line.starts_with("cpu")).count().saturating_sub(1) as u64;
    let total = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = total.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests' time is in user's.
    let all = ticks.iter().take(8).sum();
    let busy = ticks.iter().take(3).sum();
    Reading { all, cpus, busy, lab: BTreeMap::new() }
}

/// Reads `/proc/PID/stat`: its ticks, and whether it is a thread of the kernel.
fn parse_process(stat: &str) -> Option<(u64, bool)> {
    // The command's name is in parentheses and may itself hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((number(11)? + number(12)?, number(6)? & KERNEL_THREAD != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_lab_did_not_use_is_others() {
        let before = parse_machine("cpu  100 50 30 800 10 5 5 0 0 0\ncpu0 1\ncpu1 1\nintr 7\n");
        assert_eq!((before.cpus, before.all, before.busy), (2, 1000, 180));
        let with = |all, busy, lab: &[(u64, u64)]| Reading {
            all,
            busy,
            cpus: 2,
            lab: lab.iter().copied().collect(),
        };
        let before = Reading { lab: [(7, 40), (8, 10)].into_iter().collect(), ..before };
        // 240 of 400 ticks: 100 by a process that goes on, 40 by a new one, the rest by others.
        let (used, others) = with(1400, 420, &[(7, 140), (9, 40)]).since(&before);
        assert_eq!(used, MilliCores::new(1200));
        assert!((others - 0.25).abs() < 1e-9, "{others}");
        // Whoever ends leaves nothing to subtract; the share never falls below nothing.
        assert!(with(1400, 190, &[(7, 90)]).since(&before).1.abs() < 1e-9);
    }

    #[test]
    fn processes_are_read_whatever_their_names() {
        let rest = "S 1 1 1 0 -1 2129984 9 0 0 0 30 12 0 0 20 0 1 0 500";
        assert_eq!(parse_process(&format!("42 (a) b) (c) {rest}")), Some((42, true)));
        let rest = rest.replace("2129984", "4194560");
        assert_eq!(parse_process(&format!("42 (qemu) {rest}")), Some((42, false)));
        assert_eq!(parse_process("42 (qemu) S 1"), None);
    }
}
