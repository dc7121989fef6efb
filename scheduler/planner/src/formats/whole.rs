//! An [`Input`] as a file: one line that says which format it is and what its content must digest
//! to, then the content.
//!
//! The digest is of the text and not of the values, so that an input stays readable when a later
//! version knows more keys, each with its default. JSON and not TOML, as policies and plans are: a
//! seed may be larger than TOML's integers, and tables in lists repeat their names.

use serde::Deserialize;
use whimbrel_core::digest::Digest;

use super::{fault::FormatError, lines, plain::COST_MAX};
use crate::input::Input;

/// The version that is written and read.
const VERSION: u32 = 1;

/// The key that tells this form from all others.
pub(super) const MARK: &str = "\"whimbrel_input\"";

/// What is written between the first line and the content, and after it.
const BEGIN: &str = "\"input\":\n";
const END: &str = "\n}\n";

const AGAIN: &str = "a saved input is not edited; save it again, or change a plain one";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    whimbrel_input: u32,
    digest: String,
}

/// `input` as its file.
pub(super) fn write(input: &Input) -> Result<String, FormatError> {
    let content = lines::text(input)
        .map_err(|error| FormatError::json(&error, 0, "this is a fault of the program"))?;
    let rest = [BEGIN, &content, END].concat();
    let digest = Digest::of_bytes(rest.as_bytes());
    Ok(format!("{{{MARK}: {VERSION}, \"digest\": \"{digest}\",\n{rest}"))
}

/// The input that `text` holds, if nobody changed it.
pub(super) fn read(text: &str) -> Result<Input, FormatError> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim_end().strip_suffix(',').map(|open| format!("{open}}}"));
    let head: Head = first
        .and_then(|closed| serde_json::from_str(&closed).ok())
        .ok_or_else(|| changed("it does not begin with its version and its digest alone"))?;
    if head.whimbrel_input != VERSION {
        let what = format!("its version is {}, this program reads {VERSION}", head.whimbrel_input);
        return Err(FormatError::new("line 1", what, "save it again with this program"));
    }
    let digest = Digest::of_bytes(rest.as_bytes());
    if digest.as_str() != head.digest {
        let stated: String = head.digest.chars().take(16).collect();
        let computed = digest.short();
        return Err(changed(&format!("it states digest {stated}, its content has {computed}")));
    }
    let content = rest
        .strip_prefix(BEGIN)
        .and_then(|content| content.strip_suffix(END))
        .ok_or_else(|| changed("its content is not where it was written"))?;
    let input: Input =
        serde_json::from_str(content).map_err(|error| FormatError::json(&error, 2, AGAIN))?;
    check(&input)?;
    Ok(input)
}

fn changed(what: &str) -> FormatError {
    FormatError::new("line 1", format!("the input was changed or cut off: {what}"), AGAIN)
}

fn check(input: &Input) -> Result<(), FormatError> {
    match input.costs.iter().find(|(_, cost)| !(0.0..=COST_MAX).contains(*cost)) {
        None => Ok(()),
        Some((vm, cost)) => {
            let what = format!("cost {cost} of {vm} is not from 0 to {COST_MAX}");
            Err(FormatError::new("costs", what, AGAIN))
        }
    }
}
