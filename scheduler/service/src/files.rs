//! Reading and writing the files that people exchange: policies, plans, snapshots.
//!
//! Every error names the file. Writing goes through a temporary file, so that a reader never sees
//! half a plan.

use std::{
    fmt::Write as _,
    fs,
    io::{ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
};

use whimbrel_core::{
    Plan, Policy, Snapshot,
    plan::{FORMAT, Move, PlanError},
};

use crate::Failure;

/// Largest file that is read as text: a plan of 100,000 moves is about 100 MB.
const TEXT_SIZE_MAX: u64 = 256 << 20;

/// Reads a text file.
///
/// # Errors
/// [`Failure`] naming the file.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let fault = |e: std::io::Error| read_fault(path, &e);
    let size = fs::metadata(path).map_err(fault)?.len();
    if size > TEXT_SIZE_MAX {
        return Err(too_large(&format!("{size} bytes")).about(path.display()));
    }
    // A device has no size, and a file may grow while it is read.
    let mut text = String::new();
    let file = fs::File::open(path).map_err(fault)?;
    file.take(TEXT_SIZE_MAX + 1).read_to_string(&mut text).map_err(fault)?;
    if text.len() as u64 > TEXT_SIZE_MAX {
        return Err(too_large("more bytes").about(path.display()));
    }
    Ok(text)
}

/// A TOML file that is not what it should be; `hint` says where one is that is.
pub(crate) fn misread(error: &toml::de::Error, hint: &str) -> Failure {
    let said = error.to_string();
    Failure::invalid(format!("{} (hint: {hint})", said.trim_end()))
}

fn too_large(found: &str) -> Failure {
    Failure::invalid(format!(
        "{found}, the limit is {TEXT_SIZE_MAX} (hint: check that this is the file that is meant)"
    ))
}

fn read_fault(path: &Path, error: &std::io::Error) -> Failure {
    let failure = match error.kind() {
        ErrorKind::NotFound => Failure::not_found(format!("{error} (hint: check the path)")),
        ErrorKind::IsADirectory => Failure::invalid("is a directory (hint: name a file in it)"),
        ErrorKind::InvalidData => Failure::invalid(
            "is not text in UTF-8 (hint: check that this is the file that is meant)",
        ),
        _ => Failure::invalid(format!("{error} (hint: check its owner and its permissions)")),
    };
    failure.about(path.display())
}

/// Writes `content` whole or not at all, creating the directory when it is missing.
///
/// # Errors
/// [`Failure`] naming the file.
pub fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let fault = |e: std::io::Error| {
        let hint = "(hint: check the path, its owner and the free space)";
        Failure::unavailable(format!("cannot be written: {e} {hint}")).about(path.display())
    };
    if path.is_dir() {
        return Err(fault(ErrorKind::IsADirectory.into()));
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(fault)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial: PathBuf = path.with_file_name(name);
    let written = fs::File::create(&partial)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        // What was begun is of no use to anybody; that it stays is not worth a second error.
        let _ = fs::remove_file(&partial);
        fault(error)
    })
}

/// Reads and checks a policy; the documented defaults where there is no file.
///
/// # Errors
/// [`Failure`] naming file, key and limit.
pub fn read_policy(path: Option<&Path>) -> Result<Policy, Failure> {
    let Some(path) = path else { return Ok(Policy::default()) };
    let text = read_text(path)?;
    let policy: Policy =
        toml::from_str(&text).map_err(|e| Failure::invalid(e).about(path.display()))?;
    policy.check_ranges().map_err(|e| Failure::invalid(e).about(path.display()))?;
    Ok(policy)
}

/// Reads a plan file and verifies its digest.
///
/// # Errors
/// [`Failure`] naming the file.
pub fn read_plan(path: &Path) -> Result<Plan, Failure> {
    parse_plan(&read_text(path)?).map_err(|e| e.about(path.display()))
}

/// Reads a plan from its text and verifies its digest.
///
/// # Errors
/// [`Failure`] naming the line and key, or both digests.
pub fn parse_plan(text: &str) -> Result<Plan, Failure> {
    let written: toml::Table = toml::from_str(text).map_err(Failure::invalid)?;
    // Another version's plan may have keys that this one does not know: its format is the fault.
    let format = written.get("format").and_then(toml::Value::as_integer);
    if let Some(found) = format.and_then(|f| u32::try_from(f).ok()).filter(|f| *f != FORMAT) {
        return Err(Failure::invalid(PlanError::Format { found }));
    }
    let plan: Plan = toml::from_str(text).map_err(Failure::invalid)?;
    plan.verify().map_err(Failure::invalid)?;
    // The digest covers what a plan has; this finds what it does not have. Serde lets unknown keys
    // pass where a variant has no fields.
    if toml::Table::try_from(&plan).is_ok_and(|own| own == written) {
        Ok(plan)
    } else {
        Err(Failure::invalid(
            "plan has keys that no plan has (hint: a plan cannot be edited; plan again)",
        ))
    }
}

/// A plan as its file: a summary for people, then the plan itself.
///
/// # Errors
/// [`Failure`] when the plan cannot be written as TOML.
pub fn plan_text(plan: &Plan) -> Result<String, Failure> {
    let mut text = format!("# Whimbrel plan {}: {}\n#\n", plan.id(), plan.goal);
    for one in &plan.moves {
        let _ = writeln!(text, "# at {}: {}", one.begins.human(), summary(one));
    }
    if plan.is_empty() {
        text.push_str("# nothing to do\n");
    }
    text.push_str("#\n# A plan is not edited: its digest would not match. Change the policy and plan again.\n\n");
    text.push_str(&toml::to_string(plan).map_err(Failure::invalid)?);
    Ok(text)
}

fn summary(one: &Move) -> String {
    let p = &one.predicted;
    format!(
        "{}: {} -> {}, {} ({} .. {}), {}, downtime {}; {}",
        one.vm,
        one.from,
        one.to,
        p.total_time.p50.human(),
        p.total_time.p05.human(),
        p.total_time.p95.human(),
        p.transferred.p50.human(),
        p.downtime.p50.human(),
        one.reason
    )
}

/// Reads a snapshot from JSON.
///
/// # Errors
/// [`Failure`] naming the file, the place and what contradicts itself.
pub fn read_snapshot(path: &Path) -> Result<Snapshot, Failure> {
    let text = read_text(path)?;
    let mut snapshot: Snapshot =
        serde_json::from_str(&text).map_err(|e| json_fault(&e).about(path.display()))?;
    snapshot.normalise();
    snapshot.placement().map_err(|e| Failure::invalid(e).about(path.display()))?;
    Ok(snapshot)
}

/// The place first, so that a hint stays the end of the message.
fn json_fault(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let fault = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let hint = if error.is_eof() {
        " (hint: the file is cut off; write it again with whimbrel inventory --save)"
    } else {
        ""
    };
    Failure::invalid(format!("line {line}, column {column}: {fault}{hint}"))
}

/// Writes a snapshot as JSON.
///
/// # Errors
/// [`Failure`] naming the file.
pub fn write_snapshot(path: &Path, snapshot: &Snapshot) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(snapshot).map_err(Failure::invalid)?;
    write(path, &json)
}
