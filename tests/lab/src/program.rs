//! Running other programs and keeping what they said when they fail.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::error::LabError;

/// Lines of standard error that an error message carries.
const KEPT_LINES: usize = 6;

/// A program to be run to its end, without input.
pub(crate) struct Program(Command);

impl Program {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self::from(Command::new(program))
    }

    /// `ip netns exec NAMESPACE PROGRAM`.
    pub(crate) fn in_namespace(namespace: &str, program: &str) -> Self {
        Self::new("ip").args(["netns", "exec", namespace, program])
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }

    /// Runs it; answers its standard output.
    pub(crate) fn run(mut self) -> Result<String, LabError> {
        self.0.stdin(Stdio::null());
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        let command = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        let failed = |status: String, stderr: String| LabError::Program {
            command: command.clone(),
            status,
            stderr,
        };
        let output = self
            .0
            .output()
            .map_err(|error| failed("could not be started".to_owned(), error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let kept = &lines[lines.len().saturating_sub(KEPT_LINES)..];
        Err(failed(output.status.to_string(), kept.join("; ")))
    }
}

impl From<Command> for Program {
    /// Makes sure that the system's own tools are found: not every user's path has them.
    fn from(mut command: Command) -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"));
        // Messages are matched and shown, so they are to be in one language.
        command.env("LC_ALL", "C.UTF-8");
        Self(command)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn failures_carry_the_command_and_its_words() {
        assert_eq!(Program::new("echo").args(["a", "b"]).run().unwrap(), "a b\n");
        let error = Program::new("sh").args(["-c", "echo no >&2; exit 3"]).run().unwrap_err();
        assert_eq!(error.to_string(), "`sh -c echo no >&2; exit 3` failed (exit status: 3): no");
        let error = Program::new("/no/such/program").run().unwrap_err();
        assert!(error.to_string().contains("could not be started"), "{error}");
    }
}
