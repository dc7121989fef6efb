//! `whimbrel-growth simulator|planner [DIRECTORY]`: measures what one of them costs at rising sizes
//! and writes `simulator.csv` and `simulator.svg`, or `planner.csv` and `planner.svg`, into the
//! directory, `target/growth` unless another is named.
//!
//! Exit codes: 0 measured, 2 error. Never reads a trace or an earlier measurement.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use whimbrel_benches::growth::{self, Curve, PLANNER, SUBJECTS, Subject};

mod picture;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let usage = "usage: whimbrel-growth simulator|planner [DIRECTORY]";
    let mut arguments = std::env::args_os().skip(1);
    let of = arguments.next().and_then(|of| of.into_string().ok()).ok_or(usage)?;
    let subjects: &'static [Subject] = match of.as_str() {
        "simulator" => &SUBJECTS,
        "planner" => &PLANNER,
        _ => return Err(usage.into()),
    };
    let directory = arguments.next().map_or_else(|| PathBuf::from("target/growth"), PathBuf::from);
    if arguments.next().is_some() {
        return Err(usage.into());
    }
    // Before a minute is spent in vain.
    fs::create_dir_all(&directory)?;
    let mut curves = Vec::new();
    for subject in subjects {
        eprintln!("measuring: {}, by {}", subject.name, subject.counts);
        curves.push(growth::measure(subject)?);
    }
    println!("{:>8}  {:>8}  curve", "exponent", "n log n");
    for curve in &curves {
        let exponents = [curve.exponent(), curve.exponent_of_n_log_n()].map(shown);
        println!("{:>8}  {:>8}  {}", exponents[0], exponents[1], full_name(curve));
    }
    write(&directory.join(format!("{of}.csv")), &table(&curves)?)?;
    write(&directory.join(format!("{of}.svg")), &picture::of(&curves)?)
}

/// Writes a file and says so.
fn write(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    fs::write(path, text)?;
    println!("{}", path.display());
    Ok(())
}

fn full_name(curve: &Curve) -> String {
    format!("{}, by {}", curve.subject.name, curve.subject.counts)
}

/// An exponent with two decimals.
fn shown(exponent: Option<f64>) -> String {
    exponent.map_or_else(|| "none".to_owned(), |exponent| format!("{exponent:.2}"))
}

/// Every point of every curve as a row.
fn table(curves: &[Curve]) -> Result<String, std::fmt::Error> {
    let mut rows = "curve,counts,size,cpu_seconds,exponent,n_log_n_exponent\n".to_owned();
    for curve in curves {
        let (name, counts) = (curve.subject.name, curve.subject.counts);
        let [own, n_log_n] = [curve.exponent(), curve.exponent_of_n_log_n()].map(shown);
        for point in &curve.points {
            let (size, seconds) = (point.size, point.seconds);
            writeln!(rows, "\"{name}\",\"{counts}\",{size},{seconds:.6},{own},{n_log_n}")?;
        }
    }
    Ok(rows)
}
