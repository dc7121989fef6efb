//! Plans an instance of the peers' plain form (or a saved input, or Ganeti's text) and says what it
//! took, as they do.
//!
//!     cargo run --release -p whimbrel-benches --features planning --bin whimbrel-planning -- \
//!         c.json --placement ours.json
//!
//! One line of JSON on stdout; the placement is for `peers judge`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{collections::BTreeMap, error::Error, fs, process::ExitCode, time::Instant};

use serde_json::json;
use whimbrel_benches::cpu_time;
use whimbrel_core::{Goal, check, units::Share};
use whimbrel_planner::formats::{self, Problem};

mod again;
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

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [file, options @ ..] = arguments else {
        return Err("usage: whimbrel-planning FILE [--placement FILE] [--overload-above SHARE] [--evenness CPU,MEMORY] [--goal even|powersave] [--host-failures COUNT] [--reserve-may-sleep] [--gain-min SHARE] [--moves-max N] [--capacity MIB,VCPUS [--one-by-one]] [--again PART]".into());
    };
    let text = fs::read_to_string(file)?;
    let used = fs::read_to_string(format!("{file}.dynu")).ok();
    let read = formats::read(&text, used.as_deref())?;
    let name = match &read.problem {
        Problem::Plain(plain) => plain.name.clone(),
        Problem::Whole(_) => file.clone(),
    };
    let (mut input, _) = read.input()?;
    let option = |name: &str| {
        let at = options.iter().position(|option| option == name)?;
        options.get(at + 1)
    };
    if let Some(count) = option("--host-failures") {
        input.policy.limits.host_failures = count.parse()?;
    }
    input.policy.powersave.reserve_may_sleep =
        options.iter().any(|option| option == "--reserve-may-sleep");
    if let Some(text) = option("--evenness") {
        let (cpu, memory) = text.split_once(',').ok_or("--evenness takes CPU,MEMORY")?;
        input.policy.balance.cpu_evenness = Share::clamped(cpu.parse()?);
        input.policy.balance.memory_evenness = Share::clamped(memory.parse()?);
    }
    if let Some(share) = option("--overload-above") {
        input.policy.balance.overload_above = Share::clamped(share.parse()?);
    }
    match option("--goal").map(String::as_str) {
        None => {}
        Some("even") => {
            input.goal = Goal::Even;
            input.policy.even = even::as_hbal(&text)?;
        }
        Some("powersave") => input.goal = Goal::Powersave,
        Some(other) => return Err(format!("--goal {other}: even or powersave").into()),
    }
    if let Some(share) = option("--gain-min") {
        input.policy.even.gain_min = share.parse()?;
    }
    if let Some(moves) = option("--moves-max") {
        input.policy.limits.moves_max = moves.parse()?;
    }
    if let Some(spec) = option("--capacity") {
        let one_by_one = options.iter().any(|option| option == "--one-by-one");
        println!("{}", placing::capacity(&input, &name, spec, one_by_one)?);
        return Ok(());
    }
    let (begin, before) = (Instant::now(), cpu_time::of_this_process()?);
    let plan = input.replay().outcome?;
    let cpu = cpu_time::of_this_process()?.saturating_sub(before).as_secs_f64();
    let wall = begin.elapsed().as_secs_f64();
    let notes = check::check(&plan, &input.snapshot, &input.policy, input.now)?;
    let mut place: BTreeMap<_, _> =
        input.snapshot.domains.iter().map(|d| (d.vm.clone(), d.host.clone())).collect();
    place.extend(plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())));
    if let Some(path) = option("--placement") {
        fs::write(path, json!({ "placement": place }).to_string())?;
    }
    let score = plan.report.terms.iter().find(|term| term.name == "unevenness_score");
    let again = option("--again").map(|part| part.parse()).transpose()?;
    let again = again.map(|part: f64| {
        let kept = |told| again::kept(&input, &plan, part, told);
        Ok::<_, whimbrel_planner::PlanFailure>((kept(false)?, kept(true)?))
    });
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
    if let Some((unknown, known)) = again.transpose()? {
        for (told, kept) in [(false, unknown), (true, known)] {
            let again::Kept { moves, guests, value } = kept;
            let line = json!({
                "knows_first_plan": told,
                "moves_kept_share": moves,
                "guests_kept_share": guests,
                "value_ratio": value,
            });
            println!("{line}");
        }
    }
    Ok(())
}
