//! `whimbrel dataset fetch`: how to get a set, and with --run curl gets it.
//!
//! The program itself speaks to no server. What is there is never overwritten; what curl left half
//! goes on where it stopped.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Serialize;
use whimbrel_datasets::{FileState, PublicFile, PublicSet, check_file};

use super::{Common, Ending, Format, directory, print_json, set_called};
use crate::Failure;

/// Arguments of `dataset fetch`.
#[derive(Debug, clap::Args)]
pub(super) struct FetchArguments {
    /// Name of the set
    #[arg(value_name = "SET")]
    set: String,
    /// Only this file of it; may be given again
    #[arg(long = "file", value_name = "NAME")]
    files: Vec<String>,
    /// Run the commands; files without an address are left to you
    #[arg(long)]
    run: bool,
}

/// How to get a set, as JSON tells it.
#[derive(Debug, Serialize)]
struct Way<'a> {
    set: &'a str,
    licence: &'a str,
    source: &'a str,
    by_hand: &'a str,
    directory: PathBuf,
    files: Vec<Step<'a>>,
}

/// How to get a file.
#[derive(Debug, Serialize)]
struct Step<'a> {
    file: &'a PublicFile,
    present: bool,
    commands: Vec<String>,
}

pub(super) fn run(
    common: &Common,
    own: &FetchArguments,
    data: Option<&Path>,
) -> Result<Ending, Failure> {
    let set = set_called(&own.set)?;
    let target = directory(data)?.join(&set.path);
    for name in &own.files {
        if !set.files.iter().any(|file| file.name == *name) {
            return Err(Failure::not_found(format!(
                "{} has no file {name} (hint: `whimbrel dataset fetch {}` lists them)",
                set.name, set.name
            )));
        }
    }
    let wanted = |file: &&PublicFile| own.files.is_empty() || own.files.contains(&file.name);
    let files: Vec<&PublicFile> = set.files.iter().filter(wanted).collect();
    if own.run {
        return fetch(&set, &files, &target);
    }
    let step = |file: &&'_ PublicFile| target.join(&file.name).exists();
    let files = files
        .iter()
        .map(|file| Step { file, present: step(file), commands: commands(file, &target) })
        .collect();
    let way = Way {
        set: &set.name,
        licence: &set.licence,
        source: &set.source,
        by_hand: &set.get,
        directory: target,
        files,
    };
    match common.output {
        Format::Json => print_json(&way)?,
        Format::Table => print(&way),
    }
    Ok(Ending::Done)
}

fn print(way: &Way<'_>) {
    say!("# {}: licence: {}", way.set, way.licence);
    say!("# source: {}", way.source);
    say!("# by hand: {}", way.by_hand);
    for step in &way.files {
        if step.present {
            say!("# {} is there (hint: `whimbrel dataset check {}`)", step.file.name, way.set);
        } else if step.commands.is_empty() {
            say!("# {} has no address of its own: see \"by hand\"", step.file.name);
        }
        for command in step.commands.iter().filter(|_| !step.present) {
            say!("{command}");
        }
    }
}

/// What a shell has to be told to get `file`.
fn commands(file: &PublicFile, target: &Path) -> Vec<String> {
    let Some(address) = &file.address else { return Vec::new() };
    let path = target.join(&file.name);
    let (whole, half) = (quoted(&path), quoted(&half(&path)));
    let folder = quoted(path.parent().unwrap_or(target));
    let mut commands = vec![
        format!("mkdir -p {folder}"),
        format!(
            "curl --fail --location --continue-at - --output {half} {}",
            quoted(Path::new(address))
        ),
    ];
    if let Some(sum) = &file.sha256 {
        commands.push(format!("echo {sum}'  '{half} | sha256sum --check"));
    }
    commands.push(format!("mv --no-clobber {half} {whole}"));
    commands
}

/// Where a file lies until it is whole.
fn half(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// `path` as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn fetch(set: &PublicSet, files: &[&PublicFile], target: &Path) -> Result<Ending, Failure> {
    say!("{}: licence: {}", set.name, set.licence);
    let mut left = false;
    for file in files {
        let path = target.join(&file.name);
        if path.exists() {
            say!("{} is there", file.name);
        } else if let Some(address) = &file.address {
            fetch_file(file, address, &path)?;
            say!("{} is got", file.name);
        } else {
            left = true;
            say!("{} has no address of its own", file.name);
        }
    }
    if left || files.is_empty() {
        say!("by hand: {}", set.get);
        return Ok(Ending::No);
    }
    Ok(Ending::Done)
}

fn fetch_file(file: &PublicFile, address: &str, path: &Path) -> Result<(), Failure> {
    let failed = |what: &str, error: &io::Error| {
        Failure::unavailable(format!(
            "{}: {what}: {error} (hint: check free space and permissions)",
            path.display()
        ))
    };
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|e| failed("cannot create its folder", &e))?;
    let half = half(path);
    let status = Command::new("curl")
        .args(["--fail", "--location", "--continue-at", "-", "--output"])
        .arg(&half)
        .arg(address)
        .status()
        .map_err(|error| Failure::unavailable(format!("curl: {error} (hint: install curl)")))?;
    if !status.success() {
        return Err(Failure::unavailable(format!(
            "{address}: curl ended with {status} (hint: run it again, it goes on where it stopped; \
             or get the file by hand)"
        )));
    }
    let got = PublicFile {
        name: half.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        ..file.clone()
    };
    let check = check_file(folder, &got, |_| {});
    if !matches!(check.state, FileState::Good | FileState::Unknown) {
        return Err(Failure::invalid(format!(
            "{}: {} (hint: it is not the published file; remove it and get it again)",
            half.display(),
            check.why.as_deref().unwrap_or("is gone")
        )));
    }
    // A link, not a rename: a rename would replace a file that came meanwhile.
    fs::hard_link(&half, path).map_err(|e| failed("cannot give it its name", &e))?;
    fs::remove_file(&half).map_err(|e| failed("cannot remove the half file", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(sum: Option<&str>) -> PublicFile {
        PublicFile {
            name: "d/it's.gz".to_owned(),
            size: None,
            sha256: sum.map(ToOwned::to_owned),
            address: Some("https://example.org/a?b=1&c".to_owned()),
            numbered: None,
        }
    }

    #[test]
    fn commands_are_whole_words_for_a_shell() {
        let all = commands(&file(Some("00ff")), Path::new("/data"));
        assert_eq!(all[0], "mkdir -p '/data/d'");
        assert!(
            all[1].ends_with(r"--output '/data/d/it'\''s.gz.part' 'https://example.org/a?b=1&c'")
        );
        assert!(all[2].starts_with("echo 00ff'  '"), "{}", all[2]);
        assert!(all[3].starts_with("mv --no-clobber"));
        let by_hand = PublicFile { address: None, ..file(None) };
        assert!(commands(&by_hand, Path::new("/data")).is_empty());
    }

    #[test]
    fn what_curl_brings_is_checked_before_it_gets_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::write(&source, b"abc").unwrap();
        let path = dir.path().join("d/it's.gz");
        let address = format!("file://{}", source.display());
        if Command::new("curl").arg("--version").output().is_err() {
            println!("SKIPPED: curl is not installed");
            return;
        }
        let wrong = fetch_file(&file(Some(&"0".repeat(64))), &address, &path).unwrap_err();
        assert!(wrong.message.contains("published with 000"), "{}", wrong.message);
        assert!(!path.exists());
        fs::remove_file(half(&path)).unwrap();
        fetch_file(&file(None), &address, &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        let there = fetch_file(&file(None), &address, &path).unwrap_err();
        assert!(there.message.contains("cannot give it its name"), "{}", there.message);
    }
}
