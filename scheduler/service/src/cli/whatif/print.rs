//! The answer to a question as tables for people.

use whimbrel_core::units::{Bytes, MilliCores, Share};
use whimbrel_simulator::whatif::Headroom;

use crate::{
    cli::table::{or_dash, table},
    whatif::{
        Answer, Side,
        describe::{core_seconds, describe, sizes, spans},
    },
};

/// Moves, reasons and new guests that are listed.
const LINES_MAX: usize = 40;

/// Prints verdict, both sides, hosts and moves.
pub(super) fn print(answer: &Answer) {
    if !answer.intent.is_empty() {
        say!("{}", answer.intent);
    }
    let lines = describe(&answer.changes);
    if lines.is_empty() && !answer.policy_changed {
        say!("what if: nothing changes");
    }
    for line in &lines {
        say!("what if: {line}");
    }
    if answer.policy_changed {
        say!("what if: another policy");
    }
    if answer.fits() {
        say!("it fits");
    }
    for reason in answer.against.iter().take(LINES_MAX) {
        say!("it does not fit: {reason}");
    }
    if answer.against.len() > LINES_MAX {
        say!("it does not fit: and {} more", answer.against.len() - LINES_MAX);
    }
    if !(answer.homeless.is_empty() && answer.stuck.is_empty()) {
        say!(
            "note: guests without a place, and those that cannot get away, count as stopped below"
        );
    }
    if !answer.proven {
        say!("note: the search for places ended before it could prove that there are none");
    }
    say!("\n{}", sides(answer));
    loss("today", &answer.today);
    loss("then", &answer.then);
    say!("\n{}", hosts(answer));
    moves(answer);
}

fn sides(answer: &Answer) -> comfy_table::Table {
    let mut rows = table(&["", ">today", ">then"]);
    let (today, then) = (&answer.today, &answer.then);
    let mut row = |name: &str, of: &dyn Fn(&Headroom) -> String| {
        rows.add_row([name.to_owned(), of(&today.headroom), of(&then.headroom)]);
    };
    row("hosts in service", &|side| side.hosts.to_string());
    row("guests", &|side| side.guests.to_string());
    row("memory for guests in use", &|side| percent(side.memory_used));
    row("memory free", &|side| side.memory_free.human());
    row("largest guest that fits", &|side| side.memory_free_largest.human());
    row("vCPUs free", &|side| side.vcpus_free.to_string());
    row("CPU free until overload", &|side| cores(side.cpu_free));
    let contention = |side: &Side| {
        let sum: f64 = side.hosts.iter().map(|host| host.contention_core_seconds).sum();
        format!("{sum:.1}")
    };
    rows.add_row([
        format!("contention in {}, core-seconds", answer.horizon.human()),
        contention(today),
        or_dash(core_seconds(answer.spread.contention_core_milliseconds), |text| text),
    ]);
    rows
}

fn percent(share: Share) -> String {
    format!("{:.0} %", share.get() * 100.0)
}

fn cores(cpu: MilliCores) -> String {
    format!("{:.2} cores", cpu.as_cores_f64())
}

/// Whose loss would strand whom.
fn loss(when: &str, side: &Side) {
    if side.survives_any_loss() {
        say!("N+1 {when}: kept, the loss of any one host strands nobody");
        return;
    }
    for one in side.losses.iter().filter(|one| !one.stranded.is_empty()) {
        let names: Vec<&str> = one.stranded.iter().map(|guest| guest.vm.as_str()).collect();
        let found = if one.proven { "strands" } else { "seems to strand" };
        say!(
            "N+1 {when}: not kept, the loss of {} {found} {} of {}: {}",
            one.host,
            names.len(),
            one.guests,
            names.join(", ")
        );
    }
}

fn hosts(answer: &Answer) -> comfy_table::Table {
    let heads = [
        "host",
        ">guests",
        ">then",
        ">memory",
        ">then",
        ">cpu",
        ">then",
        ">contention",
        ">then",
        ">overload",
        ">then",
    ];
    let mut rows = table(&heads);
    let names = answer.today.hosts.iter().chain(&answer.then.hosts).map(|host| &host.host);
    let names: std::collections::BTreeSet<_> = names.collect();
    for name in names {
        let mut cells = vec![name.to_string()];
        let use_of =
            |side: &Side| side.headroom.by_host.iter().find(|one| one.host == *name).cloned();
        let simulated = |side: &Side| side.hosts.iter().find(|one| one.host == *name).cloned();
        let uses = [use_of(&answer.today), use_of(&answer.then)];
        cells
            .extend(uses.each_ref().map(|one| or_dash(one.as_ref(), |one| one.guests.to_string())));
        cells.extend(
            uses.each_ref()
                .map(|one| or_dash(one.as_ref(), |one| of_limit(one.memory, one.memory_limit))),
        );
        cells.extend(uses.each_ref().map(|one| {
            let mark = |one: &whimbrel_simulator::whatif::HostUse| {
                let mark = if one.overloaded { " !" } else { "" };
                format!("{}{mark}", cores(one.cpu))
            };
            or_dash(one.as_ref(), mark)
        }));
        let spread = answer.spread.hosts.get(name);
        let today = simulated(&answer.today);
        cells.push(or_dash(today.as_ref(), |one| format!("{:.1}", one.contention_core_seconds)));
        cells.push(or_dash(
            spread.and_then(|one| core_seconds(one.contention_core_milliseconds)),
            |text| text,
        ));
        cells.push(or_dash(today.as_ref(), |one| one.overload.human()));
        cells.push(or_dash(spread.and_then(|one| one.overload), |band| band.median.human()));
        rows.add_row(cells);
    }
    rows
}

fn of_limit(used: Bytes, limit: Bytes) -> String {
    let share = Share::clamped(used.as_f64() / limit.as_f64().max(1.0));
    format!("{} ({})", used.human(), percent(share))
}

fn moves(answer: &Answer) {
    let (plan, spread) = (&answer.plan, &answer.spread);
    let count = plan.moves().count();
    for (vm, host) in answer.started.iter().take(LINES_MAX) {
        say!("starts: {vm} on {host}");
    }
    if count == 0 {
        say!("no guest has to move");
    } else {
        say!("moves: {count} ({})", plan.report.found_by);
        for (_, one) in plan.moves().take(LINES_MAX) {
            say!("  {} {} -> {}: {}", one.vm, one.from, one.to, one.reason);
        }
        if count > LINES_MAX {
            say!("  and {} more", count - LINES_MAX);
        }
    }
    say!("simulator: {} runs of {}", spread.runs, answer.horizon.human());
    if count > 0 {
        let by = match answer.changes.deadline {
            Some(deadline) => format!("every move arrived within {}", deadline.human()),
            None => "every move arrived".to_owned(),
        };
        say!("simulator: {by} in {}", percent(spread.in_time));
        for (name, band) in [
            ("from begin to end", spans(spread.makespan)),
            ("longest downtime", spans(spread.longest_downtime)),
            ("sent", sizes(spread.sent)),
        ] {
            say!("simulator: {name} {}", or_dash(band, |text| text));
        }
    }
    if let (Some(loss), Some(down)) = (&answer.changes.lose, spread.down) {
        say!(
            "simulator: {} takes {} guests down ({} .. {}); nobody is stranded in {}",
            loss.host,
            down.median,
            down.min,
            down.p95,
            percent(spread.nobody_stranded)
        );
    }
    for note in &answer.notes {
        say!("checker: {note}");
    }
}
