//! Plans an instance of the peers' plain form (or a saved input, or Ganeti's text) and says what it
//! took, as they do.
//!
//!     cargo run --release -p whimbrel-benches --features planning --bin whimbrel-planning -- \
//!         c.json --placement ours.json
//!
//! One line of JSON on stdout; the placement is for `peers judge`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{
    collections::BTreeMap, error::Error, fs, hint::black_box, process::ExitCode, time::Instant,
};

use serde_json::json;
use whimbrel_benches::{again, cpu_time};
use whimbrel_core::{Goal, Plan, Snapshot, check, units::Share};
use whimbrel_planner::{
    formats::{self, Problem},
    input::Input,
};

mod even;
mod placing;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

const USAGE: &str = "usage: whimbrel-planning FILE [--placement FILE] [--overload-above SHARE] \
    [--evenness CPU,MEMORY] [--goal even|powersave] [--host-failures COUNT] [--reserve-may-sleep] \
    [--gain-min SHARE] [--moves-max N] [--at-once N] [--times N] \
    [--capacity MIB,VCPUS [--one-by-one]] [--again PART]";

/// What stands on the command line after the file.
struct Options<'a>(&'a [String]);

impl Options<'_> {
    /// What follows `name`.
    fn of(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|option| option == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|option| option == name)
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [file, options @ ..] = arguments else { return Err(USAGE.into()) };
    let options = Options(options);
    let text = fs::read_to_string(file)?;
    let used = fs::read_to_string(format!("{file}.dynu")).ok();
    let read = formats::read(&text, used.as_deref())?;
    let name = match &read.problem {
        Problem::Plain(plain) => plain.name.clone(),
        Problem::Whole(_) => file.clone(),
    };
    let (mut input, _) = read.input()?;
    change(&mut input, &text, &options)?;
    if let Some(spec) = options.of("--capacity") {
        println!("{}", placing::capacity(&input, &name, spec, options.has("--one-by-one"))?);
        return Ok(());
    }
    let (begin, before) = (Instant::now(), cpu_time::of_this_process()?);
    // CPU time is counted in hundredths of a second: means are told of what is shorter.
    let times: u32 = options.of("--times").map_or(Ok(1), str::parse)?;
    for _ in 1..times {
        black_box(input.replay().outcome?);
    }
    let plan = input.replay().outcome?;
    let times = f64::from(times.max(1));
    let cpu = cpu_time::of_this_process()?.saturating_sub(before).as_secs_f64() / times;
    let wall = begin.elapsed().as_secs_f64() / times;
    let notes = check::check(&plan, &input.snapshot, &input.policy, input.now)?;
    if let Some(path) = options.of("--placement") {
        let domains = input.snapshot.domains.iter();
        let mut place: BTreeMap<_, _> = domains.map(|d| (d.vm.clone(), d.host.clone())).collect();
        place.extend(plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())));
        fs::write(path, json!({ "placement": place }).to_string())?;
    }
    let score = plan.report.terms.iter().find(|term| term.name == "unevenness_score");
    let line = json!({
        "instance": name,
        "tool": "whimbrel",
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "found_by": plan.report.found_by,
        "gap": plan.report.gap,
        "makespan_seconds": plan.report.makespan.as_seconds_f64(),
        "moves": plan.moves().count(),
        "score_before": score.map(|score| score.before),
        "score_after": score.map(|score| score.after),
        "remarks": plan.report.remarks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "checker_passes": check::passes(&notes),
    });
    println!("{line}");
    options.of("--again").map_or(Ok(()), |part| print_again(&input, &plan, part.parse()?))
}

/// Changes what the options change.
fn change(input: &mut Input, text: &str, options: &Options<'_>) -> Result<(), Box<dyn Error>> {
    let policy = &mut input.policy;
    if let Some(count) = options.of("--host-failures") {
        policy.limits.host_failures = count.parse()?;
    }
    policy.powersave.reserve_may_sleep = options.has("--reserve-may-sleep");
    if let Some(text) = options.of("--evenness") {
        let (cpu, memory) = text.split_once(',').ok_or("--evenness takes CPU,MEMORY")?;
        policy.balance.cpu_evenness = Share::clamped(cpu.parse()?);
        policy.balance.memory_evenness = Share::clamped(memory.parse()?);
    }
    if let Some(share) = options.of("--overload-above") {
        policy.balance.overload_above = Share::clamped(share.parse()?);
    }
    match options.of("--goal") {
        None => {}
        Some("even") => {
            input.goal = Goal::Even;
            policy.even = even::as_hbal(text)?;
        }
        Some("powersave") => input.goal = Goal::Powersave,
        Some(other) => return Err(format!("--goal {other}: even or powersave").into()),
    }
    if let Some(share) = options.of("--gain-min") {
        policy.even.gain_min = share.parse()?;
    }
    if let Some(moves) = options.of("--moves-max") {
        policy.limits.moves_max = moves.parse()?;
    }
    if let Some(count) = options.of("--at-once") {
        policy.limits.migrations_total = count.parse()?;
    }
    Ok(())
}

/// How much of `plan` stays when every demand changes by up to `part`.
fn print_again(input: &Input, plan: &Plan, part: f64) -> Result<(), Box<dyn Error>> {
    for told in [false, true] {
        let solve = |snapshot: Snapshot, outlook| {
            let now = snapshot.taken_at;
            Input { snapshot, outlook, now, ..input.clone() }.replay().outcome
        };
        let gain_factor = input.policy.balance.gain_factor;
        let of = (&input.snapshot, plan);
        let again::Kept { moves, guests, value } =
            again::kept(of, (part, told), gain_factor, solve)?;
        let line = json!({
            "knows_first_plan": told,
            "moves_kept_share": moves,
            "guests_kept_share": guests,
            "value_ratio": value,
        });
        println!("{line}");
    }
    Ok(())
}
