//! Today beside then, as tables: the cluster, each host, and what each loss would strand.
//!
//! Never here: figures of single runs.

use std::collections::BTreeSet;

use whimbrel_core::HostId;
use whimbrel_simulator::whatif::HostUse;

use crate::{
    report::markup::{NONE, each, esc},
    whatif::{
        Answer, Side,
        describe::{core_seconds, sizes, spans},
    },
};

fn table(class: &str, heads: &[&str], rows: &str) -> String {
    let heads = each(heads, |head| format!("<th class=\"n\">{}</th>", esc(head)));
    format!(
        "<div class=\"scroll\"><table class=\"{class}\"><thead><tr><th></th>{heads}</tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}

fn row(name: &str, cells: &[String]) -> String {
    let cells = each(cells, |cell| format!("<td class=\"n\">{}</td>", esc(cell)));
    format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", esc(name))
}

/// The cluster and each host.
pub(super) fn tables(answer: &Answer) -> String {
    let (today, then) = (&answer.today.headroom, &answer.then.headroom);
    let percent = |share: whimbrel_core::units::Share| format!("{:.0} %", share.get() * 100.0);
    let cores = |cpu: whimbrel_core::units::MilliCores| format!("{:.2} cores", cpu.as_cores_f64());
    let of_cluster = [
        ("Hosts in service", today.hosts.to_string(), then.hosts.to_string()),
        ("Guests", today.guests.to_string(), then.guests.to_string()),
        ("Memory for guests in use", percent(today.memory_used), percent(then.memory_used)),
        ("Memory free", today.memory_free.human(), then.memory_free.human()),
        (
            "Largest guest that fits",
            today.memory_free_largest.human(),
            then.memory_free_largest.human(),
        ),
        ("vCPUs free", today.vcpus_free.to_string(), then.vcpus_free.to_string()),
        ("CPU free until overload", cores(today.cpu_free), cores(then.cpu_free)),
        ("Bytes sent by the moves", NONE.to_owned(), shown(sizes(answer.spread.sent))),
        ("Time of the moves", NONE.to_owned(), shown(spans(answer.spread.makespan))),
    ];
    let rows = each(of_cluster, |(name, today, then)| row(name, &[today, then]));
    let heads = [
        "Guests today",
        "then",
        "Memory today",
        "then",
        "CPU today",
        "then",
        "Contention today, core-s",
        "then",
        "Overload today",
        "then",
    ];
    let hosts = each(host_names(answer), |host| row(host.as_str(), &host_cells(answer, host)));
    format!(
        "{}<h3>Each host</h3>{}<p class=\"note\">! busier than the policy wants.</p>",
        table("snug", &["Today", "Then"], &rows),
        table("many", &heads, &hosts)
    )
}

fn shown(text: Option<String>) -> String {
    text.unwrap_or_else(|| NONE.to_owned())
}

fn host_names(answer: &Answer) -> BTreeSet<&HostId> {
    answer.today.hosts.iter().chain(&answer.then.hosts).map(|host| &host.host).collect()
}

fn host_cells(answer: &Answer, host: &HostId) -> [String; 10] {
    let sides = [&answer.today, &answer.then];
    let of = |cell: &dyn Fn(&HostUse) -> String| {
        sides.map(|side| {
            let found = side.headroom.by_host.iter().find(|one| one.host == *host);
            shown(found.map(cell))
        })
    };
    let [guests, guests_then] = of(&|one| one.guests.to_string());
    let [memory, memory_then] = of(&|one| {
        let part = one.memory.as_f64() / one.memory_limit.as_f64().max(1.0) * 100.0;
        format!("{part:.0} %")
    });
    let [cpu, cpu_then] = of(&|one| {
        let part = one.cpu.get() as f64 / (one.cpu_limit.get() as f64).max(1.0) * 100.0;
        format!("{part:.0} %{}", if one.overloaded { " !" } else { "" })
    });
    let today = answer.today.hosts.iter().find(|one| one.host == *host);
    let then = answer.spread.hosts.get(host);
    [
        guests,
        guests_then,
        memory,
        memory_then,
        cpu,
        cpu_then,
        shown(today.map(|one| format!("{:.1}", one.contention_core_seconds))),
        shown(then.and_then(|one| core_seconds(one.contention_core_milliseconds))),
        shown(today.map(|one| one.overload.human())),
        shown(then.and_then(|one| spans(one.overload))),
    ]
}

/// What the loss of each host would strand.
pub(super) fn losses(answer: &Answer) -> String {
    let words = |side: &Side, host: &HostId| -> String {
        let Some(loss) = side.losses.iter().find(|loss| loss.host == *host) else {
            return NONE.to_owned();
        };
        if loss.stranded.is_empty() {
            return format!("nobody of {}", loss.guests);
        }
        let names: Vec<&str> = loss.stranded.iter().map(|one| one.vm.as_str()).collect();
        let sure = if loss.proven { "" } else { " (not proven)" };
        format!("{} of {}: {}{sure}", names.len(), loss.guests, names.join(", "))
    };
    let rows = each(host_names(answer), |host| {
        let (today, then) = (words(&answer.today, host), words(&answer.then, host));
        let strands = |text: &str| if text.contains(':') { " class=\"bad\"" } else { "" };
        format!(
            "<tr><th scope=\"row\">{}</th><td{}>{}</td><td{}>{}</td></tr>\n",
            esc(host.as_str()),
            strands(&today),
            esc(&today),
            strands(&then),
            esc(&then)
        )
    });
    format!(
        "<div class=\"scroll\"><table class=\"many\"><thead><tr><th>Lost host</th>\
         <th>Strands today</th><th>Strands then</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}
