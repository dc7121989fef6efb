//! The goal `even` beside Ganeti's hbal, on one made-up cluster and by hbal's own score.
//!
//! The plan may have as many moves as hbal's and no more. hbal is the program as Debian ships it; it
//! reads the cluster in Ganeti's text form, with a file of dynamic use. Its weights are given to
//! the planner: CPU load 1, free memory and memory load together 2, vCPUs by CPUs 1. hbal predicts
//! nothing, so that no prediction is timed here either.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::Path,
    process::{self, Command},
};

use whimbrel_benches::{
    cluster::Cluster,
    cpu_time::{of_ended_children, seconds_each},
};
use whimbrel_core::{
    Domain, Goal, HostId, Predictor,
    predict::{MigrationRequest, PredictError, Prediction},
    units::{Share, Span},
};

use crate::{figure::Found, planner::lasting};

const HOSTS: usize = 20;
const VMS: usize = 500;

/// CPU time is counted in hundredths of a second: what is shorter is done this often.
const TIMES: u32 = 20;

/// A score below this is good enough at once: hbal says what it read and moves nothing.
const ANY_SCORE: &str = "1e9";

/// Every migration takes a second.
struct Second;

impl Predictor for Second {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        Ok(lasting(Span::from_seconds(1), request))
    }
}

pub(crate) fn measure(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let mut cluster = crowded();
    let before = of_ended_children()?;
    let its = hbal(&cluster, &cluster.snapshot.domains, &[])?;
    let its_seconds = of_ended_children()?.saturating_sub(before).as_secs_f64();
    let its_score: f64 =
        after(&its, "Cluster score improved from ").ok_or("hbal improved nothing")?;
    cluster.policy.limits.moves_max =
        after(&its, "Solution length=").ok_or("hbal told no moves")?;
    let request = cluster.request(Goal::Even, &Second);
    let plan = whimbrel_planner::plan(&request)?;
    let seconds = seconds_each(TIMES, || whimbrel_planner::plan(&request))?;
    let mut end = cluster.snapshot.domains.clone();
    let moves: BTreeMap<_, _> = plan.moves().map(|(_, one)| (&one.vm, &one.to)).collect();
    for domain in &mut end {
        if let Some(to) = moves.get(&domain.vm) {
            domain.host = (*to).clone();
        }
    }
    let ours = hbal(&cluster, &end, &["-l", "0", "-e", ANY_SCORE])?;
    let our_score: f64 = after(&ours, "Initial score: ").ok_or("hbal told no score")?;
    found.put("hbal_cpu_ratio_20_hosts", its_seconds / seconds);
    found.put("hbal_score_ratio_20_hosts", our_score / its_score);
    Ok(())
}

/// Twenty hosts, every fourth VM on the first five of them.
fn crowded() -> Cluster {
    let mut cluster = Cluster::new(HOSTS, VMS);
    let hosts: Vec<HostId> = cluster.snapshot.hosts.keys().cloned().collect();
    for (number, domain) in cluster.snapshot.domains.iter_mut().enumerate() {
        let host = if number % 4 == 0 { number / 4 % (HOSTS / 4) } else { number % HOSTS };
        domain.host = hosts[host].clone();
    }
    cluster.snapshot.normalise();
    let policy = &mut cluster.policy;
    policy.limits.memory_reserve = Share::ZERO;
    (policy.even.cpu, policy.even.memory, policy.even.vcpus) = (1.0, 2.0, 1.0);
    cluster
}

/// What hbal prints of `cluster` with its VMs as `domains` have them.
fn hbal(cluster: &Cluster, domains: &[Domain], options: &[&str]) -> Result<String, Box<dyn Error>> {
    let folder = env::temp_dir().join(format!("whimbrel-hbal-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let printed = printed(cluster, domains, options, &folder);
    fs::remove_dir_all(&folder)?;
    printed
}

fn printed(
    cluster: &Cluster,
    domains: &[Domain],
    options: &[&str],
    folder: &Path,
) -> Result<String, Box<dyn Error>> {
    let (text, used) = (folder.join("cluster.txt"), folder.join("use.txt"));
    let (hosts, guests, load) = forms(cluster, domains);
    fs::write(&text, format!("group|uuid-group|preferred||\n\n{hosts}\n{guests}\n"))?;
    fs::write(&used, load)?;
    let mut command = Command::new("hbal");
    command.arg("-t").arg(&text).arg("-U").arg(&used).args(options);
    let ended = command
        .output()
        .map_err(|error| format!("hbal: {error} (hint: it is in Debian's ganeti-htools)"))?;
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// Nodes and instances in Ganeti's text form, and the file of dynamic use.
fn forms(cluster: &Cluster, domains: &[Domain]) -> (String, String, String) {
    let (mut nodes, mut instances, mut load) = (String::new(), String::new(), String::new());
    for (index, (id, host)) in cluster.snapshot.hosts.iter().enumerate() {
        let guests = domains.iter().filter(|domain| domain.host == *id);
        let used: u64 = guests.map(|domain| domain.memory.get() >> 20).sum();
        let memory = host.memory.get() >> 20;
        let (free, master) = (memory.saturating_sub(used), if index == 0 { "M" } else { "N" });
        let cores = host.cpu.as_cores_f64();
        // Writing into a string never fails.
        let _ = writeln!(
            nodes,
            "{id}|{memory}|0|{free}|2000000|2000000|{cores}|{master}|uuid-group|1||N|0|1|1.0"
        );
    }
    for domain in domains {
        let (vm, on, memory) = (&domain.vm, &domain.host, domain.memory.get() >> 20);
        let vcpus = domain.vcpus;
        let _ = writeln!(instances, "{vm}|{memory}|20480|{vcpus}|running|Y|{on}||rbd||1|1|N");
        let Some(host) = cluster.snapshot.hosts.get(on) else { continue };
        let cpu = domain.cpu_used.unwrap_or_default().as_cores_f64() / host.cpu.as_cores_f64();
        let memory = domain.memory.as_f64() / host.memory.as_f64();
        let _ = writeln!(load, "{vm} {cpu:.6} {memory:.6} 0 0");
    }
    (nodes, instances, load)
}

/// The last number in the line of `text` that begins with `beginning`.
fn after<T: std::str::FromStr>(text: &str, beginning: &str) -> Option<T> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(beginning))?;
    line.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_a_line_is_read() {
        let text = "Cluster score improved from 2.42776063 to 0.14551391\nSolution length=98\n";
        assert_eq!(after::<f64>(text, "Cluster score improved from "), Some(0.145_513_91));
        assert_eq!(after::<usize>(text, "Solution length="), Some(98));
        assert_eq!(after::<usize>(text, "Moves: "), None);
    }

    #[test]
    fn the_forms_name_everybody_once() {
        let cluster = crowded();
        let (nodes, instances, load) = forms(&cluster, &cluster.snapshot.domains);
        assert_eq!((nodes.lines().count(), instances.lines().count()), (HOSTS, VMS));
        assert_eq!(load.lines().count(), VMS);
        assert!(nodes.lines().all(|line| line.split('|').count() == 15));
        assert!(instances.lines().all(|line| line.split('|').count() == 13));
    }
}
