//! The program `whimbrel`.

use std::process::ExitCode;

fn main() -> ExitCode {
    whimbrel::cli::run(std::env::args_os())
}
