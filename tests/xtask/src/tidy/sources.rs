//! Rust files: their length, the length of their functions, and whether they begin with docs.
//!
//! Reads text as `rustfmt` leaves it: a function ends with a brace under its own first line.
//! Generated code is left out.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::Finding;
use crate::TaskError;

const FILE_LINES_MAX: usize = 500;
const FILE_LINES_WARNED: usize = 350;
const FUNCTION_LINES_MAX: usize = 70;

/// Folders that hold nothing that a person wrote.
const LEFT_OUT: [&str; 2] = ["target", "generated"];

/// Every finding in the Rust files under `root`.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let mut findings = Vec::new();
    for path in files(root, |path| path.extension() == Some(OsStr::new("rs")))? {
        let text = fs::read_to_string(&path).map_err(|e| TaskError::file(&path, e))?;
        findings.extend(check_text(&shown(root, &path), &text));
    }
    Ok(findings)
}

/// `path` as a person in the workspace writes it.
pub(super) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Files under `root` that are wanted, in order.
pub(super) fn files(root: &Path, wanted: fn(&Path) -> bool) -> Result<Vec<PathBuf>, TaskError> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).map_err(|e| TaskError::file(&folder, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| TaskError::file(&folder, e))?;
            let kind = entry.file_type().map_err(|e| TaskError::file(&entry.path(), e))?;
            let path = entry.path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if kind.is_dir() && !name.starts_with('.') && !LEFT_OUT.contains(&name) {
                open.push(path);
            } else if kind.is_file() && wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn check_text(place: &str, text: &str) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().collect();
    let mut findings = Vec::new();
    let mut find = |fatal, place: String, message| findings.push(Finding { fatal, place, message });
    if !lines.first().is_some_and(|line| line.starts_with("//!")) {
        let message = "does not begin with `//!`: what it does, and what it never does";
        find(true, place.to_owned(), message.to_owned());
    }
    let count = lines.len();
    if count > FILE_LINES_WARNED {
        let message = format!("{count} lines, wanted {FILE_LINES_WARNED}, limit {FILE_LINES_MAX}");
        find(count > FILE_LINES_MAX, place.to_owned(), message);
    }
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
        let length = function_length(lines.get(index..).unwrap_or_default());
        if length > FUNCTION_LINES_MAX {
            let message = format!("{length} lines, limit {FUNCTION_LINES_MAX}: `{}`", line.trim());
            find(true, format!("{place}:{}", index + 1), message);
        }
    }
    findings
}

/// Whether a function's signature begins on this line.
fn is_function(line: &str) -> bool {
    let before_name = line.trim_start().split_once("fn ").map(|(before, _)| before);
    before_name.is_some_and(|before| {
        before.split_whitespace().all(|word| {
            let visibility = word.starts_with("pub") || word.ends_with(')');
            visibility || matches!(word, "async" | "const" | "unsafe" | "extern" | "\"C\"")
        })
    })
}

/// Lines from a signature to the brace that ends the body; 0 where there is no body.
fn function_length(lines: &[&str]) -> usize {
    let Some(first) = lines.first() else { return 0 };
    let indent = first.len() - first.trim_start().len();
    for (index, line) in lines.iter().enumerate() {
        let same_indent = line.len() - line.trim_start().len() == indent;
        let text = line.trim();
        if same_indent && (text.starts_with('}') || text.ends_with('}')) {
            return index + 1;
        }
        if same_indent && text.ends_with(';') {
            return 0;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        check_text("a.rs", text).iter().map(ToString::to_string).collect()
    }

    fn function(head: &str, body_lines: usize) -> String {
        format!("    {head} {{\n{}    }}\n", "        step();\n".repeat(body_lines))
    }

    #[test]
    fn a_file_without_docs_is_found() {
        assert!(found("use x;\n")[0].starts_with("error: a.rs: does not begin"));
        assert!(found("")[0].starts_with("error: a.rs: does not begin"));
        assert_eq!(found("//! Fine.\n"), [""; 0]);
    }

    #[test]
    fn long_files_are_warned_of_and_then_refused() {
        let file = |lines: usize| format!("//! Docs.\n{}", "x\n".repeat(lines - 1));
        assert_eq!(found(&file(350)), [""; 0]);
        assert!(found(&file(351))[0].starts_with("warning: a.rs: 351 lines"));
        assert!(found(&file(500))[0].starts_with("warning"));
        assert!(found(&file(501))[0].starts_with("error"));
    }

    #[test]
    fn long_functions_are_found_whatever_their_head() {
        for head in [
            "fn f()",
            "pub fn f()",
            "pub(super) async fn f()",
            "pub(in super::super) fn f()",
            "const unsafe extern \"C\" fn f()",
            "fn f(\n        x: u8,\n    ) -> u8\n    where\n        T: X,\n   ",
        ] {
            assert_eq!(found(&format!("//! D.\n{}", function(head, 60))), [""; 0], "{head}");
            let long = found(&format!("//! D.\n{}", function(head, 70)));
            assert!(long.len() == 1 && long[0].starts_with("error: a.rs:2: 7"), "{head}: {long:?}");
        }
    }

    #[test]
    fn functions_without_a_body_end_at_once() {
        let text = "//! D.\ntrait T {\n    fn f(&self);\n    fn g(\n        &self,\n    ) -> u8;\n    fn h() {}\n";
        assert_eq!(found(&format!("{text}{}}}\n", "    // more\n".repeat(80))), [""; 0]);
    }

    #[test]
    fn generated_and_built_files_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["src", "src/generated", "target/debug", ".git"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("a.rs"), "no docs\n").unwrap();
        }
        let places: Vec<_> =
            check(root.path()).unwrap().into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["src/a.rs"]);
    }
}
