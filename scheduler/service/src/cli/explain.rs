//! `--explain`: what a prediction rests on, for people.

use whimbrel_core::{
    HostId, Prediction, VmId,
    cluster::DirtyReading,
    units::{Bytes, Span},
};
use whimbrel_models::{
    choose::describe,
    predictor::{ContentFrom, CurveFrom, Explained},
};

use super::table::band;
use crate::advice::Explanation;

/// Spreads below this part are not worth a word.
const WORTH_TELLING: f64 = 0.005;

/// Prints what the prediction for one target rests on.
pub(super) fn print(vm: &VmId, to: &HostId, told: &Explanation, prediction: &Prediction) {
    say!("{vm} to {to}, {}:", describe(&told.settings));
    known(told);
    rule(&told.rests_on, told, prediction);
    outcome(&told.rests_on, prediction);
    for caveat in &prediction.caveats {
        say!("  note: {caveat}");
    }
}

fn known(told: &Explanation) {
    let rests_on = &told.rests_on;
    say!("  what is known");
    if told.readings.is_empty() {
        say!("    readings   none");
    }
    let windows = told.readings.chunk_by(|(a, _), (b, _)| a.window == b.window);
    for (index, readings) in windows.enumerate() {
        let head = if index == 0 { "readings" } else { "" };
        say!("    {head:<10} {}", of_window(readings));
    }
    let points: Vec<_> = rests_on
        .unique
        .iter()
        .map(|(window, bytes)| format!("{} in {}", bytes.human(), window.human()))
        .collect();
    let from = match rests_on.curve_from {
        CurveFrom::Readings => "fitted to the readings",
        CurveFrom::PastMigrations => "seen in past migrations",
        CurveFrom::ReadingsAndPastMigrations => "fitted to readings and past migrations",
        CurveFrom::SimilarGuests => "as of similar guests, nothing was read",
        CurveFrom::Assumed => "assumed, nothing was read",
        CurveFrom::Paused => "its vCPUs do not run",
    };
    say!("    dirtying   {} ({from})", points.join(", "));
    let from = match rests_on.content_from {
        ContentFrom::EarlierMigration => "as sent in its last migration",
        ContentFrom::ResidentMemory => "guessed from the memory of its process",
        ContentFrom::GivenMemory => "guessed from the memory that it was given",
    };
    say!("    content    {} ({from})", rests_on.content.human());
    let from = if told.path_measured { "measured" } else { "assumed by the policy" };
    say!("    path       {} ({from}), QEMU {}", told.path_bandwidth.human(), told.qemu);
}

/// The newest of the readings of one window, and the range of those before it.
fn of_window(readings: &[(DirtyReading, Span)]) -> String {
    let Some((newest, age)) = readings.iter().min_by_key(|(_, age)| *age) else {
        return String::new();
    };
    let told = format!(
        "{} dirtied within {}, {} ago",
        newest.unique.human(),
        newest.window.human(),
        age.human()
    );
    let earlier = || readings.iter().filter(|(r, _)| r != newest).map(|(r, _)| r.unique);
    match (earlier().count(), earlier().min(), earlier().max()) {
        (count, Some(least), Some(most)) if count > 0 => {
            format!("{told}; {} .. {} in {count} before", least.human(), most.human())
        }
        _ => told,
    }
}

fn rule(rests_on: &Explained, told: &Explanation, prediction: &Prediction) {
    say!("  what QEMU does with that, if all is as expected");
    let held = if rests_on.capped { "its cap" } else { "the path" };
    say!(
        "    first pass {} of content at {}, which {held} sets: {}",
        rests_on.content.human(),
        rests_on.stream.human(),
        rests_on.first_pass.human()
    );
    say!(
        "    threshold  it switches over once {} or less are left: what {} carry",
        rests_on.threshold.human(),
        told.settings.downtime_limit.human()
    );
    say!(
        "    rounds     {} bitmap reads in {}; the last round takes {} and dirties {}",
        rests_on.bitmap_reads,
        rests_on.copying.human(),
        rests_on.last_round.human(),
        rests_on.last_dirtied.human()
    );
    match prediction.stall {
        Some(stall) => say!(
            "    stall      rounds may stop getting shorter at {}, with {} dirtied again in each; \
             a downtime limit of {} would end that",
            stall.round.human(),
            stall.remaining.human(),
            stall.downtime_limit_needed.human()
        ),
        None => say!("    stall      none: rounds get shorter until the rest fits"),
    }
}

fn outcome(rests_on: &Explained, prediction: &Prediction) {
    say!("  what comes of it, with what is uncertain drawn at random");
    let p = prediction;
    say!("    converges  in {:.0} % of cases", p.converges.get() * 100.0);
    say!(
        "    time       {} ({}), {} of it before the first page",
        p.total_time.p50.human(),
        band(&p.total_time, Span::human),
        rests_on.fixed_cost.human()
    );
    say!("    sent       {} ({})", p.transferred.p50.human(), band(&p.transferred, Bytes::human));
    say!("    downtime   {} ({})", p.downtime.p50.human(), band(&p.downtime, Span::human));
    if let Some(impact) = &p.impact {
        say!(
            "    guest      loses {:.0} % of its work meanwhile; its users see a gap of {} ({})",
            impact.throughput_loss.get() * 100.0,
            impact.service_gap.p50.human(),
            band(&impact.service_gap, Span::human)
        );
    }
    let spreads: Vec<_> = rests_on
        .spreads
        .iter()
        .filter(|(_, spread)| *spread >= WORTH_TELLING)
        .map(|(name, spread)| format!("{name} by about {:.0} %", spread * 100.0))
        .collect();
    say!("    band       5 % to 95 %; what may differ: {}", spreads.join(", "));
    match rests_on.learnt_from {
        0 => say!("    learnt     nothing yet: constants are defaults"),
        1 => say!("    learnt     from 1 migration of this cluster"),
        several => say!("    learnt     from {several} migrations of this cluster"),
    }
    say!("    time-out   give it up after {}", p.timeout().human());
}
