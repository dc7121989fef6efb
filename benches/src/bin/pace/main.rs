//! `whimbrel-pace`: drains of forty guests in the simulator with the number at one time that the
//! planner chooses, beside fixed numbers, as a table.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::process::ExitCode;

use whimbrel_benches::pace::{FIXED, race};
use whimbrel_core::units::Span;

fn main() -> ExitCode {
    let raced = match race() {
        Ok(raced) => raced,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let fixed: Vec<String> = FIXED.iter().map(|number| format!("{number} |")).collect();
    println!(
        "| guests | link | all memory once | chosen | alone | predicted | simulated | {} to the best |",
        fixed.join(" ")
    );
    println!("|---|---:|---:|---:|---:|---:|---:|{}---:|", "---:|".repeat(FIXED.len()));
    for one in &raced {
        let told = |makespan: Option<Span>| makespan.map_or("does not end".to_owned(), Span::human);
        let fixed: Vec<String> = one.fixed.iter().map(|way| told(way.makespan)).collect();
        let ratio = one.over_best_fixed().map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {ratio} |",
            one.name,
            one.link.human(),
            Span::from_seconds_f64(one.link_seconds).human(),
            one.chosen.at_once,
            one.alone,
            one.predicted.human(),
            told(one.chosen.makespan),
            fixed.join(" | "),
        );
    }
    ExitCode::SUCCESS
}
