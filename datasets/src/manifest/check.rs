//! Whether a file of a public trace is the published one: its size and its SHA-256.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use whimbrel_core::units::Bytes;

use super::PublicFile;

/// What a stored file was found to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileCheck {
    /// Its name in the manifest.
    pub name: String,
    /// How it compares.
    pub state: FileState,
    /// Its size, where it is there.
    pub size: Option<Bytes>,
    /// Its SHA-256, where it was read.
    pub sha256: Option<String>,
    /// What the manifest or the system says against it.
    pub why: Option<String>,
}

/// How a stored file compares with the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// Not there.
    Absent,
    /// Of another size or content than the published one, or not readable.
    Wrong,
    /// There; the manifest does not know its sum.
    Unknown,
    /// The published one.
    Good,
}

/// Compares `file` of the set in `directory` with the manifest; `seen` is told how many bytes were
/// read on the way.
pub fn check_file(directory: &Path, file: &PublicFile, mut seen: impl FnMut(u64)) -> FileCheck {
    let path = directory.join(&file.name);
    let mut check = FileCheck {
        name: file.name.clone(),
        state: FileState::Absent,
        size: None,
        sha256: None,
        why: None,
    };
    let Ok(found) = fs::metadata(&path) else { return check };
    check.size = Some(Bytes::new(found.len()));
    check.state = FileState::Wrong;
    if let Some(size) = file.size.filter(|size| size.get() != found.len()) {
        check.why = Some(format!("has {} bytes, published with {}", found.len(), size.get()));
        return check;
    }
    let sum = match sum(&path, &mut seen) {
        Ok(sum) => sum,
        Err(error) => {
            check.why = Some(error.to_string());
            return check;
        }
    };
    check.state = match &file.sha256 {
        None => FileState::Unknown,
        Some(published) if *published == sum => FileState::Good,
        Some(published) => {
            check.why = Some(format!("has SHA-256 {sum}, published with {published}"));
            FileState::Wrong
        }
    };
    check.sha256 = Some(sum);
    check
}

fn sum(path: &Path, seen: &mut impl FnMut(u64)) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut digest, mut block) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        digest.update(block.get(..count).unwrap_or_default());
        seen(count as u64);
    }
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: Option<u64>, sha256: Option<&str>) -> PublicFile {
        PublicFile {
            name: "a".to_owned(),
            size: size.map(Bytes::new),
            sha256: sha256.map(ToOwned::to_owned),
            address: None,
            numbered: None,
        }
    }

    #[test]
    fn size_and_sum_tell_whether_it_is_the_published_one() {
        // FIPS 180-2, appendix B.1.
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let dir = tempfile::tempdir().unwrap();
        let state = |file: &PublicFile| check_file(dir.path(), file, |_| {}).state;
        assert_eq!(state(&file(None, None)), FileState::Absent);
        fs::write(dir.path().join("a"), b"abc").unwrap();
        assert_eq!(state(&file(None, None)), FileState::Unknown);
        assert_eq!(state(&file(Some(3), Some(ABC))), FileState::Good);
        assert_eq!(state(&file(Some(4), Some(ABC))), FileState::Wrong);
        let other = check_file(dir.path(), &file(Some(3), Some(&"0".repeat(64))), |_| {});
        assert!(other.why.unwrap().contains(ABC));
    }
}
