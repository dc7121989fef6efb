//! Public traces by name: licence, source, files and where they lie below a data directory.
//!
//! The list is `datasets/manifest.toml`, built into the program. Never here: fetching, copying or
//! reading a trace; none is part of the project.

use std::{
    env,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use whimbrel_core::units::Bytes;

use crate::{error::DatasetError, public::TRACE_LAYOUTS};

mod check;

pub use check::{FileCheck, FileState, check_file};

/// Environment variable that names the directory of the public traces.
pub const PUBLIC_DATA_VARIABLE: &str = "WHIMBREL_PUBLIC_DATA";

const MANIFEST: &str = include_str!("../manifest.toml");

/// Stands for the number in the names of numbered files.
const NUMBER: &str = "{n}";

/// Most files that one entry may stand for.
const NUMBERED_MAX: u32 = 10_000;

/// A public trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicSet {
    /// Its name, unique in the manifest.
    pub name: String,
    /// What it holds.
    pub what: String,
    /// Its licence as an SPDX identifier, or words where it has none.
    pub licence: String,
    /// Where it comes from and whom to cite.
    pub source: String,
    /// Its directory, relative to the directory of public traces.
    pub path: PathBuf,
    /// The layout that it is read by; sets of migrations have none.
    pub layout: Option<String>,
    /// Its parts, where it cannot be read as one trace.
    #[serde(default)]
    pub parts: Vec<String>,
    /// What has to be done by hand to get it.
    pub get: String,
    /// Its files, as far as their names are known.
    #[serde(default, rename = "file")]
    pub files: Vec<PublicFile>,
}

/// A file of a public trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicFile {
    /// Its name, relative to the set's directory.
    pub name: String,
    /// Its size, where it is known.
    pub size: Option<Bytes>,
    /// Its SHA-256 in lower-case hexadecimal, where it is known.
    pub sha256: Option<String>,
    /// Where it can be got, where that is a plain address.
    pub address: Option<String>,
    /// How many files it stands for, numbered from 1; one where there is none.
    #[serde(default, skip_serializing)]
    pub numbered: Option<u32>,
}

impl PublicSet {
    /// Size of its files together; `None` where one of them is not known.
    pub fn size(&self) -> Option<Bytes> {
        let sizes: Option<Vec<Bytes>> = self.files.iter().map(|file| file.size).collect();
        sizes.filter(|sizes| !sizes.is_empty()).map(|sizes| sizes.into_iter().sum())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    set: Vec<PublicSet>,
}

/// Every public trace that is known, by name.
///
/// # Errors
/// [`DatasetError::Manifest`] when the manifest is not well-formed.
pub fn manifest() -> Result<Vec<PublicSet>, DatasetError> {
    parse(MANIFEST)
}

/// Directory of the set called `name`: `None` when the manifest does not list it, when
/// `WHIMBREL_PUBLIC_DATA` is not set or when the directory is not there.
pub fn locate(name: &str) -> Option<PathBuf> {
    locate_below(Path::new(&env::var_os(PUBLIC_DATA_VARIABLE)?), name)
}

fn locate_below(root: &Path, name: &str) -> Option<PathBuf> {
    let set = manifest().ok()?.into_iter().find(|set| set.name == name)?;
    Some(root.join(set.path)).filter(|path| path.is_dir())
}

fn parse(text: &str) -> Result<Vec<PublicSet>, DatasetError> {
    let refuse = |message: String| DatasetError::Manifest { message };
    let mut sets = match toml::from_str::<Manifest>(text) {
        Ok(manifest) => manifest.set,
        Err(error) => return Err(refuse(error.to_string().trim_end().to_owned())),
    };
    for (index, set) in sets.iter_mut().enumerate() {
        let of_set = |what: String| refuse(format!("set {index}, {}: {what}", set.name));
        if !stays_below(&set.path) {
            return Err(of_set(format!("path {} leaves the data", set.path.display())));
        }
        let known = |layout: &str| TRACE_LAYOUTS.iter().any(|known| known.name == layout);
        if let Some(layout) = set.layout.as_deref().filter(|layout| !known(layout)) {
            return Err(of_set(format!("no layout is called {layout}")));
        }
        let mut files = Vec::new();
        for file in &set.files {
            expand(file, &mut files).map_err(of_set)?;
        }
        set.files = files;
    }
    sets.sort_by(|a, b| a.name.cmp(&b.name));
    let twice =
        sets.windows(2).find(|pair| pair.first().map(|s| &s.name) == pair.last().map(|s| &s.name));
    match twice.and_then(|pair| pair.first()) {
        Some(set) => Err(refuse(format!("set {} is listed twice", set.name))),
        None => Ok(sets),
    }
}

fn stays_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Puts the files that `file` stands for behind `files`.
fn expand(file: &PublicFile, files: &mut Vec<PublicFile>) -> Result<(), String> {
    if !stays_below(Path::new(&file.name)) {
        return Err(format!("file {} leaves the set", file.name));
    }
    let hexadecimal = |sum: &str| sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(sum) = file.sha256.as_deref().filter(|sum| !hexadecimal(sum)) {
        return Err(format!("file {}: {sum} is no SHA-256", file.name));
    }
    let Some(count) = file.numbered else {
        files.push(file.clone());
        return Ok(());
    };
    if count > NUMBERED_MAX || !file.name.contains(NUMBER) {
        return Err(format!("file {}: cannot stand for {count} files", file.name));
    }
    let of = |text: &str, number: u32| text.replace(NUMBER, &number.to_string());
    files.extend((1..=count).map(|number| PublicFile {
        name: of(&file.name, number),
        address: file.address.as_ref().map(|address| of(address, number)),
        numbered: None,
        ..file.clone()
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_well_formed() {
        let sets = manifest().unwrap();
        assert_eq!(sets.len(), 15);
        for set in &sets {
            let words = [&set.licence, &set.source, &set.get, &set.what];
            assert!(words.iter().all(|text| !text.is_empty()), "{}", set.name);
            assert!(set.layout.is_some() || set.size().is_some(), "{}", set.name);
        }
        let azure = sets.iter().find(|set| set.name == "azure-v2").unwrap();
        assert_eq!((azure.files.len(), azure.size()), (196, None));
        assert!(azure.files[195].address.as_ref().unwrap().contains("file-195-of-195"));
        let opendc = sets.iter().find(|set| set.name == "opendc").unwrap();
        assert_eq!(opendc.size(), Some(Bytes::new(3_742_781)));
    }

    #[test]
    fn every_layout_of_a_public_set_has_one() {
        let sets = manifest().unwrap();
        for layout in TRACE_LAYOUTS.iter().filter(|l| !["telemetry", "whimbrel"].contains(&l.name))
        {
            assert!(
                sets.iter().any(|set| set.layout.as_deref() == Some(layout.name)),
                "{layout:?}"
            );
        }
    }

    #[test]
    fn wrong_manifests_are_refused_by_name() {
        let set = |name: &str, path: &str, more: &str| {
            format!(
                "[[set]]\nname = \"{name}\"\nwhat = \"w\"\nlicence = \"l\"\nsource = \"s\"\n\
                 path = \"{path}\"\nget = \"g\"\n{more}\n"
            )
        };
        let refusal = |text: &str| parse(text).unwrap_err().to_string();
        assert!(parse(&set("a", "a", "")).is_ok());
        let twice = refusal(&(set("a", "a", "") + &set("b", "b", "") + &set("a", "b", "")));
        assert!(twice.contains("set a is listed twice"), "{twice}");
        assert!(refusal(&set("a", "../a", "")).contains("leaves the data"));
        assert!(refusal(&set("a", "/a", "")).contains("leaves the data"));
        assert!(refusal(&set("a", "a", "layout = \"x\"")).contains("no layout is called x"));
        let file = |more: &str| set("a", "a", &format!("[[set.file]]\n{more}"));
        assert!(refusal(&file("name = \"../x\"")).contains("leaves the set"));
        assert!(refusal(&file("name = \"x\"\nsha256 = \"00\"")).contains("is no SHA-256"));
        assert!(refusal(&file("name = \"x\"\nnumbered = 3")).contains("stand for 3 files"));
        assert!(parse("[[set]]\nname = \"a\"").is_err());
    }

    #[test]
    fn sets_are_found_where_they_lie() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(locate_below(root.path(), "planetlab"), None);
        std::fs::create_dir(root.path().join("planetlab")).unwrap();
        let found = locate_below(root.path(), "planetlab");
        assert_eq!(found, Some(root.path().join("planetlab")));
        assert_eq!(locate_below(root.path(), "no-such-set"), None);
    }
}
