//! Public traces by name: licence, source and where they lie below a data directory.
//!
//! The list is `datasets/manifest.toml`, built into the program. Never here: fetching, copying or
//! reading a trace; none is part of the project.

use std::{
    env,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;
use whimbrel_core::units::Bytes;

use crate::error::DatasetError;

/// Environment variable that names the directory of the public traces.
pub const PUBLIC_DATA_VARIABLE: &str = "WHIMBREL_PUBLIC_DATA";

const MANIFEST: &str = include_str!("../manifest.toml");

/// A public trace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// Size of its stored files together.
    pub size: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    set: Vec<PublicSet>,
}

/// Every public trace that is known.
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
    let refuse = |message: String| Err(DatasetError::Manifest { message });
    let sets = match toml::from_str::<Manifest>(text) {
        Ok(manifest) => manifest.set,
        Err(error) => return refuse(error.to_string().trim_end().to_owned()),
    };
    for (index, set) in sets.iter().enumerate() {
        if sets.iter().take(index).any(|other| other.name == set.name) {
            return refuse(format!("set {} is listed twice", set.name));
        }
        if !set.path.components().all(|part| matches!(part, Component::Normal(_))) {
            return refuse(format!(
                "set {}: path {} leaves the data",
                set.name,
                set.path.display()
            ));
        }
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_well_formed() {
        let sets = manifest().unwrap();
        assert_eq!(sets.len(), 7);
        for set in sets {
            assert!(!set.licence.is_empty() && !set.source.is_empty(), "{}", set.name);
            assert!(set.size > Bytes::ZERO, "{}", set.name);
        }
    }

    #[test]
    fn wrong_manifests_are_refused_by_name() {
        let set = |name: &str, path: &str| {
            format!(
                "[[set]]\nname = \"{name}\"\nwhat = \"w\"\nlicence = \"l\"\nsource = \"s\"\n\
                 path = \"{path}\"\nsize = \"1 B\"\n"
            )
        };
        assert!(parse(&set("a", "a")).is_ok());
        let twice = parse(&(set("a", "a") + &set("a", "b"))).unwrap_err().to_string();
        assert!(twice.contains("set a is listed twice"), "{twice}");
        assert!(parse(&set("a", "../a")).is_err());
        assert!(parse(&set("a", "/a")).is_err());
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
