//! Running the program in a directory of its own, and looking at what it said and wrote.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Output},
    time::SystemTime,
};

use tempfile::TempDir;
use whimbrel_core::{Plan, Snapshot};
use whimbrel_tests::command::free_of_settings;

use crate::fixture;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_whimbrel-under-test");

/// A directory that the program runs in.
pub(crate) struct Place {
    directory: TempDir,
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// An empty one.
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// One with the fixture's cluster in `snapshot.json`.
    pub(crate) fn with_snapshot() -> Self {
        let place = Self::empty();
        place.write_snapshot("snapshot.json", &fixture::snapshot());
        place
    }

    /// One with `snapshot.json` and a plan to drain h1 of it in `plan.toml`.
    pub(crate) fn with_plan() -> Self {
        let place = Self::with_snapshot();
        place
            .run(&["plan", "drain", "h1", "--snapshot", "snapshot.json", "--out", "plan.toml"])
            .ends_with(0);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write_snapshot(&self, name: &str, snapshot: &Snapshot) {
        self.write(name, serde_json::to_string_pretty(snapshot).unwrap());
    }

    pub(crate) fn plan(&self, name: &str) -> Plan {
        whimbrel::files::read_plan(&self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        free_of_settings(&mut command, self.directory.path());
        command.arg0("whimbrel").args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Runs and insists that it is an error that says so and changes nothing.
    pub(crate) fn refuses(&self, arguments: &[&str]) -> Ran {
        self.refused(&mut self.command(arguments))
    }

    /// [`Place::refuses`] with a variable in the environment.
    pub(crate) fn refuses_with(
        &self,
        (name, value): (&str, impl AsRef<OsStr>),
        arguments: &[&str],
    ) -> Ran {
        self.refused(self.command(arguments).env(name, value))
    }

    fn refused(&self, command: &mut Command) -> Ran {
        let before = self.files();
        let ran = Ran::of(&command.output().unwrap());
        ran.ends_with(2);
        assert!(ran.stdout.is_empty(), "{ran:#?}");
        assert!(ran.stderr.starts_with("error: "), "{ran:#?}");
        assert!(!ran.stderr.contains("(hint: "), "a hint stands on its own line: {ran:#?}");
        assert_eq!(self.files(), before, "{ran:#?}");
        ran
    }

    /// Every file with what would give a change away.
    fn files(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.directory.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let data = fs::metadata(&path).unwrap();
                if data.is_dir() {
                    open.push(path.clone());
                }
                found.insert(path, (data.len(), data.modified().unwrap()));
            }
        }
        found
    }
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Insists on parts of what stands on stderr.
    #[track_caller]
    pub(crate) fn names(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing: {}", self.stderr);
        }
        self
    }

    /// Insists on a hint, on a line of its own, that says `part`.
    #[track_caller]
    pub(crate) fn hints(&self, part: &str) -> &Self {
        let hint = self.stderr.lines().find_map(|line| line.strip_prefix("hint: "));
        assert!(hint.is_some_and(|hint| hint.contains(part)), "no hint {part:?}: {}", self.stderr);
        self
    }

    /// Stdout as JSON, and nothing else on it.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}
