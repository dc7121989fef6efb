//! A matrix of balancers over a small trace.

use super::*;

/// Nine guests for two days, in `PlanetLab`'s layout.
fn trace() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("20260101")).unwrap();
    for guest in 0..9_u64 {
        let lines: Vec<String> =
            (0..2 * 288).map(|step| ((guest * 13 + step / 2 * 47) % 101).to_string()).collect();
        let file = root.path().join("20260101").join(format!("guest-{guest}"));
        std::fs::write(file, lines.join("\n")).unwrap();
    }
    root
}

const TEXT: &str = r#"
kind = "balance"
overload_above = 0.7
bandwidth = "1000 MiB/s"
[trace]
layout = "planetlab"
data = "."
days = 1
hosts = 3
[change.half]
cpu = 0.5
memory = 0.6
[policy.none]
balancer = "none"
[policy.ours]
balancer = "whimbrel"
every = "15 min"
[policy.rested]
balancer = "whimbrel"
demand = "last"
balance = { gain_factor = 1.0 }
[policy.restless]
balancer = "whimbrel"
demand = "last"
balance = { cooldown = "0 s", gain_factor = 1.0 }
"#;

fn refusal(text: &str) -> String {
    let base = trace();
    let ready = BalanceMatrix::parse(text, base.path()).and_then(BalanceMatrix::ready);
    ready.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn ours_rests_as_its_policy_says_and_the_same_cell_has_the_same_figures() {
    let root = trace();
    let read = || BalanceMatrix::parse(TEXT, root.path()).unwrap().ready().unwrap();
    let (one, two) = (read(), read());
    let mut by_policy = BTreeMap::new();
    for cell in one.axes.cells() {
        let figures = one.work.figures(&cell).unwrap();
        assert_eq!(figures, two.work.figures(&cell).unwrap());
        by_policy.insert(cell.policy, figures);
    }
    let of = |policy: &str, figure: &str| by_policy[policy][figure];
    assert!(of("none", "moves") < 0.5 && of("none", "overload_host_minutes") > 0.0);
    assert!(of("rested", "moves") > 0.5, "{by_policy:?}");
    assert!(of("rested", "moved_again_within_hour") < 0.5, "{by_policy:?}");
    assert!(of("ours", "moved_again_within_hour") < 0.5, "{by_policy:?}");
    assert!(of("restless", "moved_again_within_hour") > 0.5, "{by_policy:?}");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    assert!(refusal(&TEXT.replace("\"none\"", "\"nobody\"")).contains("nobody"));
    assert!(refusal(&TEXT.replace("15 min", "7 min")).contains("multiple"));
    assert!(
        refusal(&TEXT.replace("gain_factor = 1.0", "gain_factor = 0.1")).contains("gain_factor")
    );
    assert!(refusal(&TEXT.replace("data = \".\"", "set = \"nowhere\"")).contains("nowhere"));
}
