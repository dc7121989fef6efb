//! Text into markup: escaping, lists of fragments and numbers for people.

use whimbrel_core::{
    predict::Quantiles,
    units::{Bytes, Span},
};

/// What a section shows that has nothing to show: a sentence that says so.
pub(crate) fn nothing(sentence: &str) -> String {
    format!("{NOTHING}{sentence}</p>")
}

/// Begin of what [`nothing`] makes.
pub(crate) const NOTHING: &str = "<p class=\"nothing\">";
/// Shown where there is no value.
pub(crate) const NONE: &str = "–";

/// `text` with everything escaped that markup gives a meaning, in element content and in quoted
/// attributes. Control and text-direction characters become U+FFFD: they could make the page show
/// something else than what is there.
pub(crate) fn esc(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

/// The fragment of every item, one after the other.
pub(crate) fn each<T>(
    items: impl IntoIterator<Item = T>,
    fragment: impl FnMut(T) -> String,
) -> String {
    items.into_iter().map(fragment).collect::<Vec<_>>().concat()
}

/// `text` cut to `chars` characters, the last one an ellipsis where something is missing. Not
/// escaped.
pub(crate) fn shortened(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars.saturating_sub(1)).chain(['…']).collect()
}

/// `1 move`, `2 moves`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A number without unit: whole numbers as they are, others with three significant digits below
/// 100 and whole above; thousands apart.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let size = value.abs();
    let decimals = match size {
        s if s >= 99.95 || s.fract() < 1e-9 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        _ => 3,
    };
    // "-0" would ask for an explanation.
    let text = format!("{size:.decimals$}");
    let sign =
        if value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) { "−" } else { "" };
    let whole = text.split('.').next().map_or(0, str::len);
    let grouped = each(text.chars().enumerate(), |(at, c)| {
        let gap = at > 0 && at < whole && (whole - at).is_multiple_of(3);
        if gap { format!("\u{202f}{c}") } else { c.to_string() }
    });
    format!("{sign}{grouped}")
}

/// `text` that no line breaks: a number stays with its unit. Not escaped.
pub(crate) fn solid(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// The 90 % band of a time.
pub(crate) fn span_band(of: &Quantiles<Span>) -> String {
    joined(&of.p05.human(), " – ", &of.p95.human())
}

/// The 90 % band of a size.
pub(crate) fn bytes_band(of: &Quantiles<Bytes>) -> String {
    joined(&of.p05.human(), " – ", &of.p95.human())
}

/// `9.9 – 20.6 s`: two amounts, with the unit once where both have it and only a number before.
pub(crate) fn joined(low: &str, joiner: &str, high: &str) -> String {
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other && !unit.contains(' ') => {
            format!("{number}{joiner}{high}")
        }
        _ => format!("{low}{joiner}{high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_is_text() {
        assert_eq!(
            esc("<a href='x'>\"&\u{202e}\u{0}"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-0.0001, "0.000"),
            (0.1234, "0.123"),
            (-1.5, "−1.50"),
            (12.34, "12.3"),
            (1234.5, "1\u{202f}234"),
            (4.0, "4"),
            (1e6, "1\u{202f}000\u{202f}000"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn bands_name_a_common_unit_once() {
        assert_eq!(joined("9.9 s", " – ", "20.6 s"), "9.9 – 20.6 s");
        assert_eq!(joined("900 ms", " – ", "1.2 s"), "900 ms – 1.2 s");
        assert_eq!(joined("2 min 05 s", " – ", "3 min 05 s"), "2 min 05 s – 3 min 05 s");
    }

    #[test]
    fn cut_names_say_so() {
        assert_eq!(shortened("database", 8), "database");
        assert_eq!(shortened("databases", 8), "databas…");
    }
}
