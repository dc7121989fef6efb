//! Where things lie: the workspace, its programs, and files that a measurement leaves behind.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

/// Directories of one run.
#[derive(Debug)]
pub(crate) struct Places {
    root: PathBuf,
    programs: PathBuf,
}

impl Places {
    /// Programs lie beside this one, so that all of them were built alike.
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().unwrap_or(package).to_owned();
        let programs = env::current_exe()?.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self { root, programs })
    }

    /// The workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn readme(&self) -> PathBuf {
        self.root.join("README.md")
    }

    /// The recording that comes with the project.
    pub(crate) fn recorded(&self) -> PathBuf {
        self.root.join("datasets/recorded")
    }

    /// The measured migrations that come with the project.
    pub(crate) fn campaign(&self) -> PathBuf {
        self.root.join("datasets/campaign")
    }

    /// The measured drains that come with the project.
    pub(crate) fn drains(&self) -> PathBuf {
        self.root.join("datasets/drains")
    }

    /// A program of this workspace.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.programs.join(name);
        let hint = || format!("no program {} (hint: make figures builds it)", path.display());
        if path.is_file() { Ok(path) } else { Err(hint()) }
    }

    /// A new empty directory of this name in the target directory.
    pub(crate) fn scratch(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.programs.join("figures").join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// What a person types in the workspace to measure `group` again.
    pub(crate) fn command(&self, group: &str) -> String {
        let program = self.programs.join("whimbrel-figures");
        let shown = program.strip_prefix(&self.root).unwrap_or(&program);
        format!("{} {group}", shown.display())
    }
}
