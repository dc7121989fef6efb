//! The cluster before and after: memory and CPU of each host, stacked by VM.
//!
//! VMs that move are coloured, the same in both columns; those that stay are grey, so that the
//! eye finds what changes. All bars of a figure share one scale. A VM that two hosts claim is
//! drawn on both: the figure shows the snapshot, it does not judge it.

use std::{collections::BTreeMap, ops::Add};

use whimbrel_core::{
    Domain, Host, HostId, HostState, Snapshot, VmId,
    units::{Bytes, MilliCores},
};

use super::{WIDTH, image, palette, text_width};
use crate::report::{
    markup::{counted, each, esc, joined, nothing, shortened},
    model::ReportModel,
};

/// Hosts in one figure; those that the plan touches come first.
const HOSTS_MAX: usize = 12;
/// Moving VMs in the key; the table of moves has all.
const KEY_MAX: usize = 21;
const LABEL: f64 = 132.0;
const GAP: f64 = 34.0;
const COLUMN: f64 = (WIDTH - LABEL - GAP) / 2.0;
const HEAD: f64 = 26.0;
const ROW: f64 = 50.0;
const BAR: f64 = 24.0;
/// From a row's top to its bar: the usage stands above it.
const BAR_TOP: f64 = 19.0;

#[derive(Clone, Copy, PartialEq)]
enum Resource {
    Memory,
    Cpu,
}

impl Resource {
    fn used(self, domain: &Domain) -> f64 {
        match self {
            Self::Memory => domain.memory.as_f64(),
            Self::Cpu => domain.cpu_used.unwrap_or_default().get() as f64,
        }
    }

    fn capacity(self, host: &Host) -> f64 {
        match self {
            Self::Memory => host.memory.as_f64(),
            Self::Cpu => host.cpu.get() as f64,
        }
    }

    fn text(self, amount: f64) -> String {
        match self {
            Self::Memory => Bytes::new(amount as u64).human(),
            Self::Cpu => {
                format!("{:.1} cores", MilliCores::new(amount as u64).as_cores_f64())
            }
        }
    }

    /// Part of the capacity at which the policy's mark stands.
    fn mark(self, model: &ReportModel) -> f64 {
        match self {
            Self::Memory => 1.0 - model.memory_reserve.get(),
            Self::Cpu => model.overload_above.get(),
        }
    }
}

/// What all bars of one figure have in common.
struct Figure<'a> {
    resource: Resource,
    /// User units for one unit of the resource.
    scale: f64,
    mark: f64,
    movers: BTreeMap<&'a VmId, usize>,
}

/// Both figures and their key.
pub(crate) fn figures(model: &ReportModel) -> String {
    let (hosts, left_out) = chosen_hosts(model);
    if hosts.is_empty() {
        return nothing("The snapshot has no hosts.");
    }
    let movers: BTreeMap<_, _> =
        model.movers().into_iter().enumerate().map(|(at, vm)| (vm, at)).collect();
    let memory = figure(model, Resource::Memory, &hosts, movers.clone());
    let cpu = figure(model, Resource::Cpu, &hosts, movers);
    let others = if left_out > 0 {
        let hosts = counted(left_out, "other host");
        format!("<p class=\"note\">{hosts} not shown: no move touches them.</p>")
    } else {
        String::new()
    };
    let unread = |s: &Snapshot| living(s).filter(|d| d.cpu_used.is_none()).count();
    let idle = match unread(&model.before).max(unread(&model.after)) {
        0 => String::new(),
        count => {
            let vms = counted(count, "VM");
            format!("<p class=\"note\">{vms} without a CPU reading, counted as idle.</p>")
        }
    };
    format!("<h3>Memory</h3>{memory}<h3>CPU</h3>{cpu}{}{others}{idle}", key(model))
}

fn living(snapshot: &Snapshot) -> impl Iterator<Item = &Domain> {
    snapshot.domains.iter().filter(|domain| domain.state.lives_here())
}

/// Hosts to show in their own order, and how many are left out.
fn chosen_hosts(model: &ReportModel) -> (Vec<&HostId>, usize) {
    let touched = model.touched_hosts();
    let mut all: Vec<_> = model.before.hosts.keys().collect();
    all.extend(model.after.hosts.keys().filter(|h| !model.before.hosts.contains_key(h)));
    let total = all.len();
    all.sort_by_key(|host| (!touched.contains(host), *host));
    all.truncate(HOSTS_MAX);
    all.sort();
    let left_out = total - all.len();
    (all, left_out)
}

fn figure<'a>(
    model: &'a ReportModel,
    resource: Resource,
    hosts: &[&HostId],
    movers: BTreeMap<&'a VmId, usize>,
) -> String {
    let both = [&model.before, &model.after];
    let longest = both
        .iter()
        .flat_map(|snapshot| hosts.iter().map(|host| extent(snapshot, host, resource)))
        .fold(1.0, f64::max);
    let figure = Figure { resource, scale: COLUMN / longest, mark: resource.mark(model), movers };
    let mut body = format!(
        "<text class=\"b\" x=\"{LABEL}\" y=\"14\">Before</text>\
         <text class=\"b\" x=\"{:.1}\" y=\"14\">After</text>\n",
        LABEL + COLUMN + GAP
    );
    for (at, host) in hosts.iter().enumerate() {
        let top = HEAD + at as f64 * ROW;
        body += &label(model, host, top);
        for (column, snapshot) in both.iter().enumerate() {
            let left = LABEL + column as f64 * (COLUMN + GAP);
            body += &figure.bar(snapshot, host, (left, top));
        }
    }
    let what = if resource == Resource::Memory { "Memory" } else { "CPU" };
    let title = format!("{what} of each host by VM, before and after the plan");
    let drawing = image("chart", &title, (WIDTH, HEAD + hosts.len() as f64 * ROW), &body);
    format!("<figure class=\"wide scroll\">{drawing}</figure>")
}

fn extent(snapshot: &Snapshot, host: &HostId, resource: Resource) -> f64 {
    let capacity = snapshot.hosts.get(host).map_or(0.0, |h| resource.capacity(h));
    let used: f64 = living(snapshot).filter(|d| d.host == *host).map(|d| resource.used(d)).sum();
    capacity.max(used)
}

/// The host's name, and below it what is special about it.
fn label(model: &ReportModel, host: &HostId, top: f64) -> String {
    let state = match model.before.hosts.get(host).map(|h| h.state) {
        _ if model.plan.goal.emptied().any(|emptied| emptied == host) => "being emptied",
        Some(HostState::Maintenance) => "maintenance",
        Some(HostState::Unreachable) => "does not answer",
        Some(HostState::Up) => "",
        None => "new",
    };
    let middle = top + BAR_TOP + BAR / 2.0;
    let lift = if state.is_empty() { 4.0 } else { -3.0 };
    format!(
        "<text class=\"b\" x=\"0\" y=\"{:.1}\"><title>{}</title>{}</text>\
         <text class=\"m s\" x=\"0\" y=\"{:.1}\">{state}</text>\n",
        middle + lift,
        esc(host.as_str()),
        esc(&shortened(host.as_str(), 16)),
        middle + 12.0
    )
}

impl Figure<'_> {
    fn bar(&self, snapshot: &Snapshot, host: &HostId, (left, top): (f64, f64)) -> String {
        let Some(stated) = snapshot.hosts.get(host) else {
            return String::new();
        };
        let capacity = self.resource.capacity(stated);
        let mut domains: Vec<_> = living(snapshot).filter(|d| d.host == *host).collect();
        domains.sort_by_key(|d| (self.movers.get(&d.vm).map_or(0, |at| at + 1), &d.vm));
        let used = domains.iter().map(|d| self.resource.used(d)).fold(0.0, f64::add);
        let y = top + BAR_TOP;
        let mut x = left;
        let segments = each(domains, |domain| {
            let width = self.resource.used(domain) * self.scale;
            let segment = self.segment(domain, (x, y), width);
            x += width;
            segment
        });
        let (track, reserve, mark) = self.frame(capacity, (left, y));
        format!("{}{track}{reserve}{segments}{mark}\n", self.usage(used, capacity, (left, top)))
    }

    /// Capacity, what the policy keeps free of guests, and where that begins.
    fn frame(&self, capacity: f64, (left, y): (f64, f64)) -> (String, String, String) {
        let (length, from) = (capacity * self.scale, capacity * self.mark * self.scale);
        let rect = |x: f64, width: f64, fill: &str| {
            let width = width.max(0.0);
            format!(
                "<rect {fill} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
            )
        };
        let at = left + from;
        let mark = format!(
            "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
            y - 3.0,
            y + BAR + 3.0
        );
        let reserve = rect(at, length - from, "fill=\"url(#reserve)\"");
        (rect(left, length, "class=\"track\""), reserve, mark)
    }

    fn usage(&self, used: f64, capacity: f64, (left, top): (f64, f64)) -> String {
        let part = if capacity > 0.0 {
            format!(" · {:.0} %", used / capacity * 100.0)
        } else {
            String::new()
        };
        format!(
            "<text class=\"m s\" x=\"{left:.1}\" y=\"{:.1}\">{}{part}</text>",
            top + 12.0,
            joined(&self.resource.text(used), " of ", &self.resource.text(capacity))
        )
    }

    fn segment(&self, domain: &Domain, (x, y): (f64, f64), width: f64) -> String {
        let mover = self.movers.get(&domain.vm).copied();
        let (class, text) = match mover {
            Some(at) => {
                let k = at % palette::SERIES;
                (format!("k{k}"), palette::text_on(k))
            }
            None => ("stay".to_owned(), "on-stay"),
        };
        let name = domain.vm.as_str();
        let box_of = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"");
        let pattern = mover.and_then(pattern).map_or_else(String::new, |pattern| {
            format!("<rect {box_of} fill=\"url(#{pattern})\"/>")
        });
        let fitting = ((width - 5.0) / text_width(1, 11.0)).max(0.0) as usize;
        let shown = if fitting >= 6 || fitting >= name.chars().count() {
            let (x, y) = (x + width / 2.0, y + BAR / 2.0 + 4.0);
            let label = esc(&shortened(name, fitting));
            format!("<text class=\"s c {text}\" x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>")
        } else {
            String::new()
        };
        // Edges would hide what is thinner than they are.
        let edge = if width >= 4.0 { " edge" } else { "" };
        format!(
            "<g><title>{}: {}</title><rect class=\"{class}{edge}\" {box_of}/>{pattern}{shown}</g>",
            esc(name),
            self.resource.text(self.resource.used(domain))
        )
    }
}

/// The pattern that tells the mover at `index` from an earlier one of the same colour.
fn pattern(index: usize) -> Option<&'static str> {
    match index / palette::SERIES % 3 {
        0 => None,
        1 => Some("rising"),
        _ => Some("dots"),
    }
}

/// Definitions that the bars refer to; once in a page.
pub(crate) const PATTERNS: &str = "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>\
<pattern id=\"reserve\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><path d=\"M0 6L6 0\" style=\"stroke:var(--muted);stroke-width:.9\"/></pattern>\
<pattern id=\"rising\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\"><path d=\"M0 7L7 0\" style=\"stroke:#fff;stroke-width:1.6;stroke-opacity:.65\"/></pattern>\
<pattern id=\"dots\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\"><circle cx=\"3.5\" cy=\"3.5\" r=\"1.5\" style=\"fill:#fff;fill-opacity:.65\"/></pattern>\
</defs></svg>\n";

fn swatch(inner: &str) -> String {
    format!("<svg viewBox=\"0 0 22 14\" aria-hidden=\"true\">{inner}</svg>")
}

fn key(model: &ReportModel) -> String {
    let rect = |fill: &str| format!("<rect width=\"22\" height=\"14\" rx=\"2\" {fill}/>");
    let mut first: BTreeMap<&VmId, (&HostId, &HostId)> = BTreeMap::new();
    for (_, one) in model.plan.moves() {
        first.entry(&one.vm).and_modify(|ends| ends.1 = &one.to).or_insert((&one.from, &one.to));
    }
    let movers = model.movers();
    let shown = each(movers.iter().enumerate().take(KEY_MAX), |(at, vm)| {
        let colour = rect(&format!("class=\"k{}\"", at % palette::SERIES));
        let pattern =
            pattern(at).map_or_else(String::new, |p| rect(&format!("fill=\"url(#{p})\"")));
        let ends = first.get(vm).map_or_else(String::new, |(from, to)| {
            format!(" {} → {}", esc(from.as_str()), esc(to.as_str()))
        });
        format!("<span>{}{}{ends}</span>", swatch(&format!("{colour}{pattern}")), esc(vm.as_str()))
    });
    let more = movers.len().saturating_sub(KEY_MAX);
    let more =
        if more > 0 { format!("<span>and {more} more in the table</span>") } else { String::new() };
    let reserve = format!("{}{}", rect("class=\"track\""), rect("fill=\"url(#reserve)\""));
    let mark = "<line class=\"mark\" x1=\"11\" x2=\"11\" y1=\"0\" y2=\"14\"/>";
    format!(
        "<div class=\"key\">{shown}{more}<span>{}stays</span>\
         <span>{}not for guests (memory) or overloaded (CPU), by policy</span>\
         <span>{}where that begins: memory {:.0} %, CPU {:.0} %</span></div>",
        swatch(&rect("class=\"stay\"")),
        swatch(&reserve),
        swatch(mark),
        (1.0 - model.memory_reserve.get()) * 100.0,
        model.overload_above.get() * 100.0
    )
}
