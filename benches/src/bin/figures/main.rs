//! `whimbrel-figures [--readme] [GROUP...]`: measures the headline figures anew and prints each as
//! one line of JSON; `--check-readme` looks for the table's place in README.md and measures
//! nothing.
//!
//! Exit codes: 0 every figure was measured and none misses its target, 1 otherwise, 2 error.
//! Never reuses an earlier measurement, and writes nothing but its scratch files in the target
//! directory and, with `--readme`, the table in README.md.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{error::Error, fs, process::ExitCode};

use crate::{
    figure::{FIGURES, Found, Group, Line},
    places::Places,
};

mod balancers;
mod child;
mod demo;
mod figure;
mod goals;
mod hbal;
mod lab;
mod places;
mod planner;
mod predictions;
mod readme;
mod reality;
mod simulation;
mod timings;

/// What is said to whoever asks for something else.
const USAGE: &str = "usage: whimbrel-figures [--readme | --check-readme] \
                     [timings] [predictions] \
                     [simulation] [reality] [demo] [lab]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Does what the arguments ask for; whether every figure is as it should be.
fn run(arguments: &[String]) -> Result<bool, Box<dyn Error>> {
    let places = Places::new()?;
    if arguments == ["--check-readme"] {
        readme::find(&fs::read_to_string(places.readme())?)?;
        return Ok(true);
    }
    let (into_readme, groups) = understand(arguments).ok_or(USAGE)?;
    if into_readme {
        // Before ten minutes are spent in vain.
        readme::find(&fs::read_to_string(places.readme())?)?;
    }
    let mut lines = Vec::new();
    for group in groups {
        for line in measured(group, &places) {
            println!("{}", serde_json::to_string(&line)?);
            lines.push(line);
        }
    }
    if into_readme {
        let text = fs::read_to_string(places.readme())?;
        fs::write(places.readme(), readme::with_table(&text, &lines)?)?;
    }
    Ok(lines.iter().all(Line::is_well))
}

/// Whether the table is wanted, and of which groups figures are; `None` for other words, and for
/// a table of some figures only.
fn understand(arguments: &[String]) -> Option<(bool, Vec<Group>)> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Some((false, Group::ALL.to_vec())),
        ["--readme"] => Some((true, Group::ALL.to_vec())),
        words => {
            let groups = words.iter().map(|word| Group::named(word));
            Some((false, groups.collect::<Option<Vec<_>>>()?))
        }
    }
}

/// Every figure of `group`, with a reason where it could not be measured.
fn measured(group: Group, places: &Places) -> Vec<Line> {
    eprintln!("measuring: {}", group.name());
    let mut found = Found::default();
    let outcome = match group {
        Group::Timings => timings::measure(places, &mut found),
        Group::Predictions => predictions::measure(places, &mut found),
        Group::Simulation => simulation::measure(places, &mut found),
        Group::Reality => reality::measure(places, &mut found),
        Group::Demo => demo::measure(places, &mut found),
        Group::Lab => lab::measure(places, &mut found),
    };
    let reason = outcome.err().map_or_else(|| "nothing to judge".to_owned(), |e| e.to_string());
    let command = places.command(group.name());
    let figures = FIGURES.iter().filter(|figure| figure.group == group);
    figures.map(|figure| figure.line(found.get(figure.name), &reason, &command)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood_or_refused() {
        let understood = |words: &[&str]| {
            understand(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(understood(&[]), Some((false, Group::ALL.to_vec())));
        assert_eq!(understood(&["--readme"]), Some((true, Group::ALL.to_vec())));
        assert_eq!(understood(&["lab", "demo"]), Some((false, vec![Group::Lab, Group::Demo])));
        assert_eq!(understood(&["--readme", "lab"]), None, "a table with holes");
        assert_eq!(understood(&["all"]), None);
    }
}
