//! How far the reading of a trace is: a bar for people who watch, nothing for logs.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// Rows between two looks at the bar: drawing costs more than reading.
const ROWS: u64 = 10_000;

/// A bar of bytes on stderr.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    rows: u64,
}

impl Bar {
    /// A bar for `name`, where stderr is a terminal.
    pub(super) fn new(name: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            bar.set_style(style());
            bar.set_prefix(name.to_owned());
            bar
        });
        Self { bar, rows: 0 }
    }

    /// A row was read, and with it `read` of `total` bytes.
    pub(super) fn row(&mut self, read: u64, total: u64) {
        self.rows += 1;
        if let Some(bar) = self.bar.as_ref().filter(|_| self.rows.is_multiple_of(ROWS)) {
            bar.set_length(total.max(read));
            bar.set_position(read);
            bar.set_message(format!("{} rows", self.rows));
        }
    }

    /// `bytes` more were read, of which `total` there are.
    pub(super) fn bytes(&self, bytes: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.inc(bytes);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:24!} [{bar:28}] {bytes:>10} {elapsed:>4}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
