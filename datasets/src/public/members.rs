//! A set's files one after the other, whether they lie in directories or in archives.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use super::{
    error::TraceError,
    files::{self, Bytes, Tally},
    limits::FILES_MAX,
    tar::Archive,
};

const ARCHIVES: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".tar.zst"];

/// A file of a set.
pub(crate) struct Member {
    /// Its path within the set or the archive, with `/` between folders.
    pub(crate) path: String,
    /// What messages call it.
    pub(crate) shown: String,
    /// Its unpacked bytes.
    pub(crate) bytes: Bytes,
}

/// The files of a set whose names are wanted.
pub(crate) struct Members {
    root: PathBuf,
    waiting: VecDeque<PathBuf>,
    archive: Option<(String, Archive)>,
    wanted: fn(&str) -> bool,
    tally: Tally,
    given: usize,
    total: u64,
}

impl Members {
    /// The files of the set at `root`, a directory, an archive or a single file. `wanted` is asked
    /// about the last part of each name.
    pub(crate) fn open(
        root: &Path,
        wanted: fn(&str) -> bool,
        tally: &Tally,
    ) -> Result<Self, TraceError> {
        Self::of(root, wanted, |name| is_archive(name) || wanted(name), tally)?
            .ok_or_else(|| TraceError::absent(root, "holds no file of this set"))
    }

    /// The files of the set at `root` that are called as wanted, and those in archives that are
    /// called so themselves; `None` where there is none.
    pub(crate) fn only(
        root: &Path,
        wanted: fn(&str) -> bool,
        tally: &Tally,
    ) -> Result<Option<Self>, TraceError> {
        Self::of(root, wanted, wanted, tally)
    }

    fn of(
        root: &Path,
        wanted: fn(&str) -> bool,
        stored: impl Fn(&str) -> bool,
        tally: &Tally,
    ) -> Result<Option<Self>, TraceError> {
        let waiting = files::below(root, stored)?;
        if waiting.is_empty() {
            return Ok(None);
        }
        let total = files::total(&waiting);
        let (root, tally) = (root.to_owned(), tally.clone());
        let waiting = waiting.into();
        Ok(Some(Self { root, waiting, archive: None, wanted, tally, given: 0, total }))
    }

    /// Size of the stored files together in bytes.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The next file; what was left of the one before is passed over.
    pub(crate) fn advance(&mut self) -> Result<Option<Member>, TraceError> {
        loop {
            if let Some(member) = self.packed()? {
                return Ok(Some(member));
            }
            let Some(path) = self.waiting.pop_front() else { return Ok(None) };
            let shown = TraceError::shown(&path);
            let bytes = files::open(&path, &self.tally)?;
            if is_archive(&path.to_string_lossy()) {
                self.archive = Some((shown, Archive::new(bytes)));
                continue;
            }
            self.count()?;
            let inside = path.strip_prefix(&self.root).ok().filter(|p| !p.as_os_str().is_empty());
            let inside = inside.unwrap_or(&path).to_string_lossy().into_owned();
            return Ok(Some(Member { path: inside, shown, bytes }));
        }
    }

    /// The next wanted file of the open archive.
    fn packed(&mut self) -> Result<Option<Member>, TraceError> {
        while let Some((file, archive)) = &mut self.archive {
            let next = archive.advance().map_err(|error| TraceError::Damaged {
                file: file.clone(),
                row: 0,
                what: error.to_string(),
            })?;
            let Some((path, bytes)) = next else {
                self.archive = None;
                break;
            };
            let shown = format!("{file}: {path}");
            let last = path.rsplit('/').next().unwrap_or_default();
            if (self.wanted)(last) {
                self.count()?;
                return Ok(Some(Member { path, shown, bytes }));
            }
        }
        Ok(None)
    }

    fn count(&mut self) -> Result<(), TraceError> {
        self.given += 1;
        if self.given <= FILES_MAX {
            return Ok(());
        }
        Err(TraceError::TooLarge {
            file: TraceError::shown(&self.root),
            row: 0,
            what: format!("has more than {FILES_MAX} files"),
        })
    }
}

fn is_archive(name: &str) -> bool {
    ARCHIVES.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _};

    use super::{super::tar::tests::pack, *};

    #[test]
    fn archives_and_files_are_read_alike() {
        let root = tempfile::tempdir().unwrap();
        let packed = pack(&[("d/1.csv", b"one"), ("d/README", b"no"), ("d/2.csv", b"two")]);
        fs::write(root.path().join("b.tar.zst"), zstd::encode_all(&packed[..], 1).unwrap())
            .unwrap();
        fs::write(root.path().join("a.csv"), b"plain").unwrap();
        fs::write(root.path().join("notes.txt"), b"no").unwrap();
        let tally = Tally::default();
        let mut members =
            Members::open(root.path(), |name| files::ends_in(name, "csv"), &tally).unwrap();
        let mut all = Vec::new();
        while let Some(mut member) = members.advance().unwrap() {
            let mut text = String::new();
            member.bytes.read_to_string(&mut text).unwrap();
            all.push((member.path, text));
        }
        let expected = [("a.csv", "plain"), ("d/1.csv", "one"), ("d/2.csv", "two")];
        assert_eq!(all, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
        assert_eq!(tally.get(), members.total());
    }

    #[test]
    fn a_set_without_files_and_a_foreign_archive_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let empty = Members::open(root.path(), |_| true, &Tally::default());
        assert!(empty.err().unwrap().to_string().contains("holds no file"));
        fs::write(root.path().join("x.tar"), [b'x'; 2000]).unwrap();
        let mut members = Members::open(root.path(), |_| true, &Tally::default()).unwrap();
        let error = members.advance().err().unwrap().to_string();
        assert!(error.contains("x.tar") && error.contains("is no tar archive"), "{error}");
    }
}
