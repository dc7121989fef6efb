//! The table of figures in README.md, between two markers.
//!
//! Everything outside the markers stays as it is, byte for byte.

use std::{fmt::Write as _, ops::Range};

use crate::figure::Line;

const BEGIN: &str = "<!-- figures:begin -->";
const END: &str = "<!-- figures:end -->";

/// The place between the markers.
///
/// # Errors
/// What is wrong with the markers.
pub(crate) fn find(text: &str) -> Result<Range<usize>, String> {
    let only = |marker: &str| match text.matches(marker).count() {
        1 => Ok(text.find(marker).unwrap_or_default()),
        count => Err(format!(
            "README.md has {marker:?} {count} times (hint: once each, {BEGIN} before {END})"
        )),
    };
    let (begin, end) = (only(BEGIN)? + BEGIN.len(), only(END)?);
    if begin > end {
        return Err(format!("README.md has {END} before {BEGIN} (hint: turn them round)"));
    }
    Ok(begin..end)
}

/// `text` with a table of `lines` between the markers.
///
/// # Errors
/// As [`find`].
pub(crate) fn with_table(text: &str, lines: &[Line]) -> Result<String, String> {
    let place = find(text)?;
    let mut changed = text.to_owned();
    changed.replace_range(place, &table(lines));
    Ok(changed)
}

fn table(lines: &[Line]) -> String {
    let mut table =
        String::from("\n| Figure | Value | Unit | Target | Holds |\n|---|---:|---|---|---|\n");
    for line in lines {
        let value = line.value.map_or("not measured".to_owned(), |value| value.to_string());
        let target = line.target.as_deref().unwrap_or("none");
        let holds = match line.holds {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        // Writing into a text cannot fail.
        let _ =
            writeln!(table, "| `{}` | {value} | {} | {target} | {holds} |", line.figure, line.unit);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::FIGURES;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = format!("# W\n\n{BEGIN}\nold\n{END}\nrest\n");
        let lines = [FIGURES[0].line(Some(4.0), "", "c"), FIGURES[1].line(None, "r", "c")];
        let changed = with_table(&text, &lines).unwrap();
        assert_eq!(
            changed,
            format!(
                "# W\n\n{BEGIN}\n| Figure | Value | Unit | Target | Holds |\n|---|---:|---|---|---|\n\
                 | `demo_seconds` | 4 | s | < 60 | yes |\n\
                 | `demo_peak_memory_mib` | not measured | MiB | none |  |\n{END}\nrest\n"
            )
        );
        assert_eq!(with_table(&changed, &lines).unwrap(), changed, "again is the same");
    }

    #[test]
    fn missing_doubled_and_turned_markers_are_named() {
        for text in ["", BEGIN, END, &format!("{END}{BEGIN}"), &format!("{BEGIN}{BEGIN}{END}")] {
            assert!(find(text).unwrap_err().contains("hint"), "{text}");
        }
    }
}
