//! The program itself: exit codes of `whatif`, files that it writes, and sweeps that are killed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/recorded");

fn whimbrel(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command.current_dir(folder).args(arguments);
    for name in ["WHIMBREL_POLICY", "WHIMBREL_MODEL", "WHIMBREL_ENDPOINT"] {
        command.env_remove(name);
    }
    command
}

fn asked(folder: &Path, arguments: &[&str]) -> Output {
    let all = [&["whatif", "--data", RECORDED, "--seeds", "2"], arguments].concat();
    whimbrel(folder, &all).output().unwrap()
}

#[test]
fn exit_codes_say_whether_it_fits() {
    let folder = tempfile::tempdir().unwrap();
    let code = |arguments: &[&str]| asked(folder.path(), arguments).status.code();
    assert_eq!(code(&["--remove-host", "h1"]), Some(0));
    assert_eq!(code(&["--remove-host", "h1,h2"]), Some(1));
    for arguments in [
        &["--remove-host", "h9"][..],
        &["--remove-host", "h1,h2,h3"],
        &["--grow=-100%"],
        &["--figures", "x.txt"],
        &["--jobs", "0"],
        &["--drain", "h1", "--deadline", "0s"],
    ] {
        let output = asked(folder.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty() && said.contains("error: "), "{arguments:?}: {said}");
    }
}

#[test]
fn what_nobody_can_mean_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("question.toml", "colour = 3\n");
    file("scenario.toml", "");
    file("matrix.toml", "");
    let policy = format!("{RECORDED}/policy.toml");
    for (arguments, part) in [
        (&["whatif", "--data", RECORDED, "--drain", "h1,h1"][..], "h1 is named twice in drain"),
        (&["whatif", "--data", RECORDED, "--remove-host", "h1,h2,h1"], "twice in remove_hosts"),
        (&["whatif", "--data", RECORDED, "--rack", "r1=h1,h1"], "twice in rack r1"),
        (&["whatif", "--data", RECORDED, "--horizon", "0 s"], "shows nothing"),
        (&["whatif", "--data", RECORDED, "--moment", "2199-01-01T00:00:00Z"], "no host answered"),
        (&["whatif", "--data", &policy], "is no directory"),
        (&["whatif", "question.toml"], "whatif --help"),
        (&["simulate", "--scenario", "scenario.toml"], "tests/scenarios"),
        (&["sweep", "run", "matrix.toml"], "sweep --help"),
        (&["sweep", "merge", "nowhere"], "check the path"),
        (&["dataset", "convert", "no/such/trace", "--to", "x"], "check the path"),
        (&["dataset", "convert", ".", "--to", "x"], "--layout"),
    ] {
        let output = whimbrel(folder.path(), arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("hint: ") && said.contains(part), "{arguments:?}: {said}");
    }
}

#[test]
fn the_same_question_as_a_file_has_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "data = {RECORDED:?}\nseeds = 9\n[change]\nremove_hosts = [\"h1\"]\ngrow = \"20 %\"\n"
    );
    fs::write(folder.path().join("q.toml"), text).unwrap();
    let json = ["whatif", "--output", "json", "--seeds", "2"];
    let flags = ["--data", RECORDED, "--remove-host", "h1", "--grow", "20%"];
    let by_flags = whimbrel(folder.path(), &[&json[..], &flags].concat()).output().unwrap();
    let by_file = whimbrel(folder.path(), &[&json[..], &["q.toml"]].concat()).output().unwrap();
    assert_eq!(by_file.status.code(), Some(0), "{}", String::from_utf8_lossy(&by_file.stderr));
    assert!(!by_file.stdout.is_empty() && by_flags.stdout == by_file.stdout);
}

#[test]
fn figures_and_page_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--drain",
        "h1",
        "--figures",
        "f.csv",
        "--figures",
        "f.parquet",
        "--report",
        "r.html",
        "--timelines",
        "t.csv",
    ];
    assert_eq!(asked(folder.path(), &flags).status.code(), Some(0));
    let csv = fs::read_to_string(folder.path().join("f.csv")).unwrap();
    assert!(csv.starts_with("cell,kind,trace,policy,change,seed,") && csv.lines().count() == 3);
    let parquet = whimbrel_datasets::ResultSet::read(&folder.path().join("f.parquet")).unwrap();
    assert_eq!(parquet.csv(), csv);
    let timelines = fs::read_to_string(folder.path().join("t.csv")).unwrap();
    assert!(
        timelines.starts_with("side,host,until_seconds,cpu_wanted_cores,cpu_used_cores\ntoday,h1,")
    );
    assert!(timelines.contains("\nthen,h3,"));
    let page = fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(page.contains("whimbrel whatif --data") && page.contains("Hosts over time"));
}

/// A matrix of 400 cells, a second or two of work.
fn matrix(folder: &Path) -> PathBuf {
    let text = format!(
        "seeds = 200\nhorizon = \"30 min\"\n[trace.recorded]\ndata = {RECORDED:?}\n[policy.beside]\n\
         [change.h1-goes]\nremove_hosts = [\"h1\"]\n[change.today]\n"
    );
    let path = folder.join("m.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_sweep_that_is_killed_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    matrix(folder.path());
    let run = |out: &str, jobs: &str| {
        whimbrel(folder.path(), &["sweep", "run", "m.toml", "--out", out, "--jobs", jobs])
    };
    let file = folder.path().join("killed/shard-1-of-1.parquet");
    let mut child = run("killed", "1").stdout(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while !file.exists() && begin.elapsed() < Duration::from_mins(2) {
        std::thread::sleep(Duration::from_millis(5));
    }
    // On Unix this is SIGKILL: the program has no chance to tidy up.
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = whimbrel_datasets::ResultSet::read(&file).unwrap().rows.len();
    assert!(kept > 0, "what is done is written out in time");
    let output = run("killed", "2").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains(&format!("{} cells done, {kept} were done before", 400 - kept)),
        "{said}"
    );
    assert!(run("whole", "2").output().unwrap().status.success());
    let merged = |from: &str| {
        let out = format!("{from}.csv");
        let merge = ["sweep", "merge", from, "--out", &out];
        assert_eq!(whimbrel(folder.path(), &merge).output().unwrap().status.code(), Some(0));
        fs::read(folder.path().join(out)).unwrap()
    };
    assert!(merged("killed") == merged("whole"), "a kill changes no figure");
}

#[test]
fn missing_cells_are_listed_and_nothing_is_written_unasked() {
    let folder = tempfile::tempdir().unwrap();
    matrix(folder.path());
    let run = ["sweep", "run", "m.toml", "--out", "r", "--shard", "40/40"];
    assert_eq!(whimbrel(folder.path(), &run).output().unwrap().status.code(), Some(0));
    let merge = ["sweep", "merge", "r", "--out", "a.csv"];
    let output = whimbrel(folder.path(), &merge).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("missing: recorded/beside/h1-goes/1\n") && said.contains("370 more"),
        "{said}"
    );
    assert!(!folder.path().join("a.csv").exists());
    let partial = [&merge[..], &["--partial"]].concat();
    assert_eq!(whimbrel(folder.path(), &partial).output().unwrap().status.code(), Some(1));
    assert!(folder.path().join("a.csv").exists());
}
