//! The program `whimbrel`, built here because tests of another package are not told where its
//! binary lies.

use std::process::ExitCode;

fn main() -> ExitCode {
    whimbrel::cli::run(std::env::args_os())
}
