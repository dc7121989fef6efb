//! The tables of terms: the objective before and after, and beside other ways to plan.
//!
//! A term's name ends with its unit; the tables take it apart and write values as people read
//! them.

use whimbrel_core::units::Bytes;

use super::{
    markup::{NONE, each, esc, nothing, number},
    model::ReportModel,
};

/// Ends of names and what they stand for; longer ends come first.
const UNITS: [(&str, &str); 10] = [
    ("_core_seconds", "core-seconds"),
    ("_cores", "cores"),
    ("_guest_seconds", "guest-seconds"),
    ("_milliseconds", "ms"),
    ("_seconds", "s"),
    ("_bytes", "bytes"),
    ("_gib", "GiB"),
    ("_mib", "MiB"),
    ("_share", "% of the whole"),
    ("_percent", "%"),
];

/// A term's name without its unit, and the unit.
pub(crate) fn split(name: &str) -> (&str, &'static str) {
    let of = |(end, unit): &(&str, &'static str)| Some((name.strip_suffix(*end)?, *unit));
    UNITS.iter().find_map(of).filter(|(rest, _)| !rest.is_empty()).unwrap_or((name, ""))
}

pub(crate) fn heading(name: &str) -> String {
    let (rest, unit) = split(name);
    format!("{} <span class=\"unit\">{unit}</span>", esc(&rest.replace('_', " ")))
}

/// What a value of the term `name` is multiplied by to be in the unit that [`heading`] states.
pub(crate) fn factor(name: &str) -> f64 {
    if split(name).1 == "% of the whole" { 100.0 } else { 1.0 }
}

/// `value` of the term `name`, in the unit that [`heading`] states or with its own.
pub(crate) fn amount(name: &str, value: f64) -> String {
    match split(name).1 {
        "bytes" if value.is_finite() => {
            let sign = if value < 0.0 { "−" } else { "" };
            format!("{sign}{}", Bytes::new(value.abs() as u64).human())
        }
        _ => number(value * factor(name)),
    }
}

/// The objective's terms before and after.
pub(crate) fn objective(model: &ReportModel) -> String {
    let report = &model.plan.report;
    if report.terms.is_empty() {
        return nothing("The plan states no objective.");
    }
    let rows = each(&report.terms, |term| {
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            heading(&term.name),
            amount(&term.name, term.before),
            amount(&term.name, term.after),
            amount(&term.name, term.after - term.before)
        )
    });
    format!(
        "<div class=\"scroll\"><table class=\"snug\"><thead><tr><th>Term, lower is better</th><th class=\"n\">Before</th>\
         <th class=\"n\">After</th><th class=\"n\">Change</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// The plan beside other ways to do the same; the lowest of each row is marked.
pub(crate) fn comparison(model: &ReportModel) -> String {
    let columns = &model.comparison;
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in columns.iter().flat_map(|column| &column.terms) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return nothing("Not compared with other ways to plan it.");
    }
    let head = each(columns, |column| format!("<th class=\"n\">{}</th>", esc(&column.name)));
    let rows = each(names, |name| {
        let values: Vec<Option<f64>> = columns
            .iter()
            .map(|c| c.terms.iter().find(|(n, _)| n == name).map(|(_, v)| *v))
            .collect();
        let best = values.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let cells = each(values, |value| match value {
            Some(v) if v <= best => format!("<td class=\"n best\">{} ◂</td>", amount(name, v)),
            Some(v) => format!("<td class=\"n\">{}&nbsp;&nbsp;</td>", amount(name, v)),
            None => format!("<td class=\"n\">{NONE}&nbsp;&nbsp;</td>"),
        });
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", heading(name))
    });
    format!(
        "<div class=\"scroll\"><table class=\"snug\"><thead><tr><th>Term, lower is better</th>{head}</tr></thead>\
         <tbody>{rows}</tbody></table></div><p class=\"note\">◂ lowest of its row.</p>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_taken_from_names() {
        assert_eq!(split("overload_core_seconds"), ("overload", "core-seconds"));
        assert_eq!(split("moves"), ("moves", ""));
        assert_eq!(split("_bytes"), ("_bytes", ""));
        assert_eq!(amount("migration_bytes", -1_610_612_736.0), "−1.5 GiB");
        assert_eq!(amount("utilisation_max_share", 0.8125), "81.2");
        assert_eq!(amount("migration_bytes", f64::NAN), NONE);
    }
}
