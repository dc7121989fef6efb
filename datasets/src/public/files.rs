//! The files of a set: which there are, in a fixed order, and their unpacked bytes.
//!
//! A file may be plain, gzip or zstd; what it is is read from its first bytes, not from its name.
//! Directories are walked in the order of their names, byte by byte, so that guests get the same
//! numbers on every machine. Links are not followed out of a set, and unpacked bytes are counted
//! against the packed ones, so that a bomb ends as an error.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::bufread::MultiGzDecoder;

use super::{
    error::TraceError,
    limits::{DEPTH_MAX, FILES_MAX, RATIO_FROM, RATIO_MAX, WINDOW_LOG_MAX},
};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// How many bytes of the stored files were read so far; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<AtomicU64>);

impl Tally {
    /// Bytes read so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The unpacked bytes of a file.
pub(crate) type Bytes = Box<dyn BufRead + Send>;

/// Opens `path` and unpacks what is packed.
pub(crate) fn open(path: &Path, tally: &Tally) -> Result<Bytes, TraceError> {
    let refused = |error: io::Error| TraceError::absent(path, format!("cannot open: {error}"));
    let file = File::open(path).map_err(refused)?;
    if !file.metadata().map_err(refused)?.is_file() {
        return Err(TraceError::absent(path, "is no file"));
    }
    let own = Tally::default();
    let counted = Counted { inner: file, own: own.clone(), all: tally.clone() };
    let mut packed = BufReader::with_capacity(1 << 16, counted);
    let start = packed.fill_buf().map_err(refused)?;
    let (gzip, zstd) = (start.starts_with(GZIP), start.starts_with(ZSTD));
    let plain: Box<dyn Read + Send> = if gzip {
        Box::new(MultiGzDecoder::new(packed))
    } else if zstd {
        let mut decoder = zstd::Decoder::with_buffer(packed).map_err(refused)?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(refused)?;
        Box::new(decoder)
    } else {
        return Ok(Box::new(packed));
    };
    let measured = Measured { inner: plain, packed: own, unpacked: 0 };
    Ok(Box::new(BufReader::with_capacity(1 << 16, measured)))
}

/// Counts what is read of a stored file.
struct Counted<R> {
    inner: R,
    own: Tally,
    all: Tally,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.own.add(count as u64);
        self.all.add(count as u64);
        Ok(count)
    }
}

/// Refuses to unpack without end.
struct Measured {
    inner: Box<dyn Read + Send>,
    packed: Tally,
    unpacked: u64,
}

impl Read for Measured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.unpacked = self.unpacked.saturating_add(count as u64);
        let allowed = self.packed.get().saturating_mul(RATIO_MAX).max(RATIO_FROM);
        if self.unpacked > allowed {
            return Err(io::Error::other(format!(
                "unpacks to more than {RATIO_MAX} times its size: {} bytes of {}",
                self.unpacked,
                self.packed.get()
            )));
        }
        Ok(count)
    }
}

/// The files below `root` (or `root` itself, when it is one) whose name `wanted` accepts, by their
/// path, byte by byte.
pub(crate) fn below(
    root: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<PathBuf>, TraceError> {
    if root.is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    let mut open = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let refused = |e: io::Error| TraceError::absent(&folder, format!("cannot list: {e}"));
        for entry in fs::read_dir(&folder).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let kind = entry.file_type().map_err(refused)?;
            if kind.is_dir() && depth < DEPTH_MAX {
                open.push((entry.path(), depth + 1));
            } else if kind.is_file() && entry.file_name().to_str().is_some_and(&wanted) {
                found.push(entry.path());
            }
            if found.len() > FILES_MAX || open.len() > FILES_MAX {
                return Err(TraceError::TooLarge {
                    file: TraceError::shown(root),
                    row: 0,
                    what: format!("has more than {FILES_MAX} files"),
                });
            }
        }
    }
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

/// Whether the ending of a file's name is this one.
pub(crate) fn ends_in(name: &str, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == ending)
}

/// The one file below `root` whose name is `stem` with any ending.
pub(crate) fn one(root: &Path, stem: &str) -> Result<PathBuf, TraceError> {
    let found = below(root, |name| name.split('.').next() == Some(stem))?;
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(TraceError::absent(root, format!("holds no {stem}.*"))),
        [first, second, ..] => Err(TraceError::absent(
            root,
            format!("holds {stem} twice: {} and {}", first.display(), second.display()),
        )),
    }
}

/// Size of `files` together in bytes.
pub(crate) fn total(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let file = written(bytes);
        let tally = Tally::default();
        let mut plain = Vec::new();
        open(file.path(), &tally).unwrap().read_to_end(&mut plain)?;
        assert_eq!(tally.get(), bytes.len() as u64);
        Ok(plain)
    }

    #[test]
    fn what_a_file_is_stands_in_its_first_bytes() {
        assert_eq!(read(b"plain").unwrap(), b"plain");
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(&gzip(b"gzip")).unwrap(), b"gzip");
        assert_eq!(read(&zstd::encode_all(&b"zstd"[..], 3).unwrap()).unwrap(), b"zstd");
        let two = [gzip(b"two "), gzip(b"members")].concat();
        assert_eq!(read(&two).unwrap(), b"two members");
    }

    #[test]
    fn bombs_and_stumps_end_as_errors() {
        let zeros = vec![0; (RATIO_FROM + (1 << 20)) as usize];
        let file = written(&gzip(&zeros));
        let mut plain = open(file.path(), &Tally::default()).unwrap();
        let error = io::copy(&mut plain, &mut io::sink()).unwrap_err().to_string();
        assert!(error.contains("times its size"), "{error}");
        let file = written(&zstd::encode_all(zeros.as_slice(), 19).unwrap());
        let mut plain = open(file.path(), &Tally::default()).unwrap();
        assert!(io::copy(&mut plain, &mut io::sink()).is_err());
        let stump = gzip(b"a longer text that is cut");
        assert!(read(&stump[..stump.len() - 9]).is_err());
        assert!(open(Path::new("/no/such/file"), &Tally::default()).is_err());
        assert!(open(Path::new("/"), &Tally::default()).is_err());
    }

    #[test]
    fn files_come_by_their_names_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("b")).unwrap();
        for name in ["b/x.csv", "a.csv", "B.csv", "skip.txt"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("/", root.path().join("c")).unwrap();
        let found = below(root.path(), |name| ends_in(name, "csv")).unwrap();
        let names: Vec<_> = found.iter().map(|p| p.strip_prefix(root.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("B.csv"), Path::new("a.csv"), Path::new("b/x.csv")]);
        assert!(one(root.path(), "x").unwrap().ends_with("b/x.csv"));
        assert!(one(root.path(), "y").unwrap_err().to_string().contains("holds no y.*"));
    }
}
