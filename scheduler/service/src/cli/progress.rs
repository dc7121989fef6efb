//! Progress of an execution: bars for people who watch, lines for logs.

use std::{collections::BTreeMap, io::IsTerminal as _};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use whimbrel_core::{ids::OrderId, migration::MoveState};
use whimbrel_engine::{Execution, MoveView};

use super::executed::word;

/// Shows an execution as it goes.
pub(super) struct Progress {
    bars: Option<MultiProgress>,
    of_move: BTreeMap<OrderId, ProgressBar>,
    last: BTreeMap<OrderId, (MoveState, String)>,
}

impl Progress {
    /// Bars when stderr is a terminal, lines otherwise.
    pub(super) fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, of_move: BTreeMap::new(), last: BTreeMap::new() }
    }

    /// Shows `execution` as it stands.
    pub(super) fn show(&mut self, execution: &Execution) {
        for one in &execution.moves {
            if self.bars.is_some() {
                self.show_bar(one);
            }
            let now = (one.state, one.detail.clone());
            if self.last.get(&one.id) != Some(&now) {
                if self.bars.is_none() {
                    eprintln!("{}", line(one));
                }
                self.last.insert(one.id.clone(), now);
            }
        }
    }

    fn show_bar(&mut self, one: &MoveView) {
        let Some(bars) = &self.bars else { return };
        if one.state == MoveState::Planned {
            return;
        }
        let bar = self.of_move.entry(one.id.clone()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(one.predicted.transferred.p50.get().max(1)));
            bar.set_style(style());
            bar
        });
        if let Some(progress) = one.progress {
            // The prediction is the length; where it was too low the bar grows with what is sent.
            let expected = one.predicted.transferred.p50.get();
            bar.set_length(expected.max((progress.transferred + progress.remaining).get()));
            bar.set_position(progress.transferred.get());
        }
        bar.set_prefix(format!("{} {} -> {}", one.vm, one.from, one.to));
        if one.state.is_final() {
            if one.state == MoveState::Settled {
                bar.set_position(bar.length().unwrap_or(0));
            }
            bar.finish_with_message(ending(one));
        } else {
            bar.set_message(format!(
                "{} of {}",
                word(one.state),
                one.predicted.total_time.p50.human()
            ));
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:24!} [{bar:28}] {bytes:>10} {elapsed:>4}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// One move as a line of a log.
fn line(one: &MoveView) -> String {
    let place = format!("{}: {} -> {}: {}", one.vm, one.from, one.to, word(one.state));
    match one.state {
        MoveState::Accepted => {
            let time = &one.predicted.total_time;
            format!(
                "{place}, {} expected ({} .. {})",
                time.p50.human(),
                time.p05.human(),
                time.p95.human()
            )
        }
        MoveState::Settled => format!("{place}, {}", ending(one)),
        _ if one.detail.is_empty() => place,
        _ => format!("{place}: {}", one.detail),
    }
}

fn ending(one: &MoveView) -> String {
    match (one.state, one.stats) {
        (MoveState::Settled, Some(stats)) => format!(
            "{} ({} predicted), {}, downtime {}",
            stats.total_time.human(),
            one.predicted.total_time.p50.human(),
            stats.transferred.human(),
            stats.downtime.human()
        ),
        (state, _) if one.detail.is_empty() => word(state).to_owned(),
        (state, _) => format!("{}: {}", word(state), one.detail),
    }
}
