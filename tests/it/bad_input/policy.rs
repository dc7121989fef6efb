//! Faults in the policy's numbers and keys.

use super::DRAIN;
use crate::program::{Place, Ran};

const MIGRATION: &str = "[migration]\nmode = \"pre-copy\"\ntransport = \"tcp\"\n";

pub(super) fn refused(text: &str) -> Ran {
    let place = Place::with_snapshot();
    place.write("policy.toml", text);
    place.refuses(&[&DRAIN[..], &["--policy", "policy.toml"]].concat())
}

fn limit(line: &str) -> Ran {
    let ran = refused(&format!("[limits]\n{line}\n"));
    ran.names(&["policy.toml"]);
    ran
}

#[test]
fn an_unknown_key_anywhere() {
    refused("colour = 1\n").names(&["policy.toml", "line 1", "colour", "`limits`"]);
    limit("colour = 1").names(&["line 2", "colour", "moves_max"]);
    refused(&format!("{MIGRATION}downtime_limit = \"300 ms\"\ncolour = 1\n")).names(&[
        "policy.toml",
        "line 5",
        "colour",
        "bandwidth_limit",
    ]);
    refused("[[rule]]\nkind = \"pin\"\nname = \"a\"\nvms = []\nhosts = []\ncolour = 1\n")
        .names(&["policy.toml", "colour"]);
    refused("[[rule]]\nkind = \"pinn\"\nname = \"a\"\nvms = []\n").names(&[
        "policy.toml",
        "line 2",
        "pinn",
        "anti-affinity",
    ]);
}

#[test]
fn a_wrong_unit() {
    limit("snapshot_age_max = \"10 MiB\"").names(&["line 2", "not a unit of a span"]).hints("min");
    limit("path_bandwidth = \"100 MiB\"").names(&["line 2", "not a unit of a rate"]).hints("MiB/s");
}

#[test]
fn a_negative_or_absurd_quantity() {
    limit("snapshot_age_max = \"-1 s\"").names(&["line 2", "-1 s", "starts at 0"]).hints("sign");
    limit("snapshot_age_max = \"400 d\"").names(&["line 2", "400 d", "366 d"]).hints("unit");
    limit("path_bandwidth = \"9000 GiB/s\"").names(&["line 2", "1 TiB/s"]).hints("unit");
    limit("moves_max = -3").names(&["line 2", "moves_max", "-3"]);
    limit("moves_max = 99999999999").names(&["line 2", "moves_max", "99999999999"]);
}

#[test]
fn a_bare_number() {
    limit("snapshot_age_max = 10").names(&["line 2", "\"10\" has no unit"]).hints("300 ms");
    limit("path_bandwidth = 10").names(&["line 2", "\"10\" has no unit"]).hints("60 MiB/s");
}

#[test]
fn what_is_not_a_number() {
    for value in ["nan", "inf", "-inf"] {
        limit(&format!("memory_reserve = {value}")).names(&["line 2", "share"]).hints("0 to 1");
        limit(&format!("cpu_overcommit = {value}"))
            .names(&["limits.cpu_overcommit", "out of range"])
            .hints("0.1 to 100");
        refused(&format!("[balance]\ngain_factor = {value}\n"))
            .names(&["policy.toml", "balance.gain_factor"])
            .hints("1 to 1000");
    }
}

#[test]
fn every_range_has_two_ends() {
    let cases = [
        ("limits", "memory_reserve", ["0.96", "1.0"], "0 to 0.95"),
        ("limits", "cpu_overcommit", ["0.09", "100.1"], "0.1 to 100"),
        ("limits", "moves_max", ["0", "100001"], "1 to 100000"),
        ("limits", "migrations_per_host", ["0", "65"], "1 to 64"),
        ("limits", "migrations_total", ["0", "1025"], "1 to 1024"),
        ("balance", "horizon", ["\"999 ms\"", "\"8 d\""], "1 s to 7 d"),
        ("balance", "migration_weight", ["-0.1", "100.1"], "0 to 100"),
        ("balance", "downtime_weight", ["-0.1", "10001.0"], "0 to 10000"),
        ("balance", "gain_factor", ["0.9", "1000.1"], "1 to 1000"),
        ("balance", "demand_quantile", ["0.04", "0.96"], "0.05 to 0.95"),
    ];
    for (section, key, values, range) in cases {
        for value in values {
            refused(&format!("[{section}]\n{key} = {value}\n"))
                .names(&["policy.toml", &format!("{section}.{key}"), "out of range"])
                .hints(range);
        }
    }
}

#[test]
fn settings_that_no_hypervisor_takes() {
    for value in ["0 s", "2001 s"] {
        refused(&format!("{MIGRATION}downtime_limit = \"{value}\"\n"))
            .names(&["policy.toml", "migration.downtime_limit"])
            .hints("1 ms to 2000 s");
    }
    refused(&format!("{MIGRATION}downtime_limit = \"1 s\"\nbandwidth_limit = \"1 KiB/s\"\n"))
        .names(&["policy.toml", "migration.bandwidth_limit"])
        .hints("1 MiB/s or more");
    limit("path_bandwidth = \"1 B/s\"").names(&["limits.path_bandwidth"]).hints("1 KiB/s");
    let settings = [
        ("compression = \"zstd\"", "migration.compression", "2 channels"),
        ("compression = { xbzrle = { cache = \"5000 B\" } }", "migration.compression", "64 MiB"),
        ("channels = 0", "migration.channels", "1 to 255"),
        ("throttle = { initial_percent = 0, increment_percent = 10 }", "migration.throttle", "20"),
    ];
    for (line, key, hint) in settings {
        refused(&format!("{MIGRATION}downtime_limit = \"1 s\"\n{line}\n"))
            .names(&["policy.toml", key])
            .hints(hint);
    }
}

#[test]
fn half_a_section() {
    refused(MIGRATION).names(&["policy.toml", "line 1", "downtime_limit"]);
}
