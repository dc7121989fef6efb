//! How far a judgement is: a bar for people who watch, a line a model for logs.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows a judgement as it goes.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of `steps` predictions over all models.
    pub(super) fn new(steps: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:24!} [{bar:28}] {pos}/{len} {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(steps as u64).with_style(style.progress_chars("=> "))
        });
        Self { bar }
    }

    /// The next model begins.
    pub(super) fn of(&mut self, name: &str) {
        match &self.bar {
            Some(bar) => bar.set_prefix(name.to_owned()),
            None => eprintln!("judging: {name}"),
        }
    }

    /// One more migration was judged.
    pub(super) fn step(&mut self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
