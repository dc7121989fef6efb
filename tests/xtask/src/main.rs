//! `cargo xtask`: reads the command line, runs one task, says how it went.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use xtask::{Task, workspace_root};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = Task::parse(&words).and_then(|task| task.run(&workspace_root()));
    // There is nobody left to tell when the terminal itself is gone.
    match outcome {
        Ok(report) => {
            let _ = write!(io::stdout(), "{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
