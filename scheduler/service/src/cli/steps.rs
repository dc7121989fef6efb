//! How far a long piece of work is: a bar for people who watch; for logs a line where a part of it
//! begins that has a name.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows steps as they are taken.
pub(crate) struct Steps {
    what: &'static str,
    bar: Option<ProgressBar>,
}

impl Steps {
    /// Of `steps` steps of `what`.
    pub(crate) fn new(what: &'static str, steps: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:24!} [{bar:28}] {pos}/{len} {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(steps).with_style(style.progress_chars("=> "));
            bar.set_prefix(what);
            bar
        });
        Self { what, bar }
    }

    /// The part called `name` begins.
    pub(crate) fn part(&mut self, name: &str) {
        match &self.bar {
            Some(bar) => bar.set_prefix(name.to_owned()),
            None => eprintln!("{}: {name}", self.what),
        }
    }

    /// One more is done.
    pub(crate) fn step(&mut self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
