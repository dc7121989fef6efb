//! The lab's network: one namespace with a bridge, one namespace per host, a veth pair to each.
//!
//! In a host the far end is called `nic` and is a port of the host's own bridge `br0`, so that guests'
//! taps reach the other hosts. The near end is `nic-h1` in the lab's namespace. Nothing has an uplink.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::config::LabConfig;
use crate::error::{LabError, file_error};
use crate::program::Program;

/// Slowest and fastest shaping, in megabytes per second: below, libvirt's keepalives time out.
const SHAPE_LIMITS_MEGABYTES_PER_SECOND: (f64, f64) = (0.1, 10_000.0);

fn ip(namespace: &str, words: &str) -> Result<String, LabError> {
    Program::new("ip").args(["-n", namespace]).args(words.split_whitespace()).run()
}

fn tc(namespace: &str, words: &str) -> Result<String, LabError> {
    Program::new("tc").args(["-n", namespace]).args(words.split_whitespace()).run()
}

fn add_namespace(config: &LabConfig, namespace: &str) -> Result<(), LabError> {
    let etc = LabConfig::netns_etc(namespace);
    fs::create_dir_all(&etc).map_err(file_error("create", &etc))?;
    let hosts = etc.join("hosts");
    fs::write(&hosts, config.hosts_file()).map_err(file_error("write", &hosts))?;
    Program::new("ip").args(["netns", "add", namespace]).run()?;
    ip(namespace, "link set lo up")?;
    ip(namespace, "link add br0 type bridge forward_delay 0 stp_state 0")?;
    Ok(())
}

/// Makes every namespace, bridge and veth pair of the lab.
pub(crate) fn create(config: &LabConfig) -> Result<(), LabError> {
    let lab = config.namespace();
    add_namespace(config, &lab)?;
    ip(&lab, &format!("addr add {}/24 dev br0", config.lab_address()))?;
    ip(&lab, "link set br0 up")?;
    for number in 1..=config.host_count {
        let host = format!("h{number}");
        let namespace = config.host_namespace(&host);
        add_namespace(config, &namespace)?;
        ip(&lab, &format!("link add nic-{host} type veth peer name nic netns {namespace}"))?;
        ip(&lab, &format!("link set nic-{host} master br0 up"))?;
        ip(&namespace, "link set nic master br0 up")?;
        ip(&namespace, &format!("addr add {}/24 dev br0", config.host_address(number)))?;
        ip(&namespace, "link set br0 up")?;
    }
    Ok(())
}

/// True when the namespace exists under its name.
pub(crate) fn namespace_exists(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

/// Ids of the processes that run in a namespace.
pub(crate) fn processes_in(namespace: &str) -> Vec<u32> {
    let pids = Program::new("ip").args(["netns", "pids", namespace]).run().unwrap_or_default();
    pids.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Removes a namespace with everything in it; nothing happens when there is none.
pub(crate) fn delete_namespace(namespace: &str) -> Result<(), LabError> {
    if namespace_exists(namespace) {
        Program::new("ip").args(["netns", "del", namespace]).run()?;
    }
    let etc = LabConfig::netns_etc(namespace);
    if etc.exists() {
        fs::remove_dir_all(&etc).map_err(file_error("remove", &etc))?;
    }
    Ok(())
}

/// Cuts a host's cable, or plugs it in again.
pub(crate) fn set_link(config: &LabConfig, host: &str, up: bool) -> Result<(), LabError> {
    let state = if up { "up" } else { "down" };
    ip(&config.namespace(), &format!("link set nic-{host} {state}")).map(drop)
}

/// Limits what a host sends to `megabytes_per_second` (10^6 bytes, with all headers), or lifts the
/// limit. What it receives is limited by its peers' own links.
pub(crate) fn shape(
    config: &LabConfig,
    host: &str,
    megabytes_per_second: Option<f64>,
) -> Result<(), LabError> {
    let namespace = config.host_namespace(host);
    let Some(rate) = megabytes_per_second else {
        return match shaped_megabytes_per_second(config, host)? {
            Some(_) => tc(&namespace, "qdisc del dev nic root").map(drop),
            None => Ok(()),
        };
    };
    let (least, most) = SHAPE_LIMITS_MEGABYTES_PER_SECOND;
    if !(least..=most).contains(&rate) {
        let problem = format!("{rate} is not {least} to {most}");
        return Err(LabError::setting("--megabytes-per-second", problem));
    }
    // A bucket of 10 ms, but never less than one 64-KiB segment, which would not pass at all.
    let bits_per_second = rate * 8e6;
    let burst_bytes = (rate * 1e4).max(131_072.0);
    let words = format!(
        "qdisc replace dev nic root tbf rate {bits_per_second:.0}bit burst {burst_bytes:.0} latency 100ms"
    );
    tc(&namespace, &words).map(drop)
}

/// The limit on what a host sends, in megabytes per second, if there is one.
pub(crate) fn shaped_megabytes_per_second(
    config: &LabConfig,
    host: &str,
) -> Result<Option<f64>, LabError> {
    let listing = tc(&config.host_namespace(host), "-j qdisc show dev nic")?;
    Ok(parse_shape(&listing))
}

/// False when the host's cable is cut.
pub(crate) fn link_is_up(config: &LabConfig, host: &str) -> Result<bool, LabError> {
    Ok(parse_link_up(&ip(&config.namespace(), &format!("-j link show nic-{host}"))?))
}

fn parse_shape(listing: &str) -> Option<f64> {
    let listing: Value = serde_json::from_str(listing).ok()?;
    let tbf = listing.as_array()?.iter().find(|qdisc| qdisc["kind"] == "tbf")?;
    // tc prints bytes per second here, whatever the unit that it was given.
    tbf["options"]["rate"].as_f64().map(|bytes_per_second| bytes_per_second / 1e6)
}

fn parse_link_up(listing: &str) -> bool {
    let listing: Value = serde_json::from_str(listing).unwrap_or_default();
    let flags = listing[0]["flags"].as_array().cloned().unwrap_or_default();
    flags.iter().any(|flag| flag == "UP")
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn listings() {
        let tbf = r#"[{"kind":"tbf","handle":"8001:","options":{"rate":30000000,"burst":300000}}]"#;
        assert!((parse_shape(tbf).unwrap() - 30.0).abs() < 1e-9);
        assert_eq!(parse_shape(r#"[{"kind":"noqueue","options":{}}]"#), None);
        assert_eq!(parse_shape("[]"), None);
        assert!(parse_link_up(r#"[{"ifname":"nic-h1","flags":["BROADCAST","UP","LOWER_UP"]}]"#));
        assert!(!parse_link_up(r#"[{"ifname":"nic-h1","flags":["BROADCAST"]}]"#));
        assert!(!parse_link_up(""));
    }
}
