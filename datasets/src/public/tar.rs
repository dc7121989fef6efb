//! Files within a tar archive, one after the other, without unpacking it.
//!
//! Reads what POSIX ustar, its pax extension and GNU tar write for plain files (POSIX.1-2017,
//! "pax", "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"). Directories, links and
//! devices are passed over; nothing is ever written or followed.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::{Arc, Mutex, PoisonError},
};

use super::files::Bytes;

const BLOCK: usize = 512;

/// Longest extended header: a name of 64 KiB is no name.
const EXTENDED_MAX: u64 = 1 << 16;

/// An archive that is read from front to back.
pub(crate) struct Archive {
    state: Arc<Mutex<State>>,
}

struct State {
    bytes: Bytes,
    /// Bytes of the present file that were not read yet, and of its padding.
    left: u64,
    padding: u64,
    /// Which file is present; one that is not present any more has ended.
    present: u64,
}

/// A file of an archive, until the next one is asked for.
struct Part {
    state: Arc<Mutex<State>>,
    number: u64,
}

impl Archive {
    /// Reads the archive `bytes`.
    pub(crate) fn new(bytes: Bytes) -> Self {
        let state = State { bytes, left: 0, padding: 0, present: 0 };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The next plain file: its name within the archive and its bytes. What was left of the one
    /// before is passed over.
    pub(crate) fn advance(&mut self) -> io::Result<Option<(String, Bytes)>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = state.next_file()? else { return Ok(None) };
        let part = Part { state: Arc::clone(&self.state), number: state.present };
        Ok(Some((name, Box::new(BufReader::with_capacity(1 << 15, part)))))
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.present != self.number || state.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(state.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = state.bytes.read(buffer.get_mut(..most).unwrap_or_default())?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "ends within a file"));
        }
        state.left -= count as u64;
        Ok(count)
    }
}

impl State {
    fn next_file(&mut self) -> io::Result<Option<String>> {
        let mut longer_name = None;
        loop {
            self.pass_over()?;
            let mut header = [0; BLOCK];
            if !self.fill(&mut header)? {
                return Ok(None);
            }
            if header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let head = Head::parse(&header)?;
            self.left = head.size;
            self.padding = head.size.next_multiple_of(BLOCK as u64) - head.size;
            match head.kind {
                b'L' => longer_name = Some(text(&self.extended()?)),
                b'x' => longer_name = path_of(&self.extended()?).or(longer_name),
                b'0' | 0 => {
                    self.present = self.present.wrapping_add(1);
                    return Ok(Some(longer_name.unwrap_or(head.name)));
                }
                _ => longer_name = None,
            }
        }
    }

    /// Passes over the rest of the present file.
    fn pass_over(&mut self) -> io::Result<()> {
        let mut rest = self.left.saturating_add(self.padding);
        while rest > 0 {
            let count = self.bytes.fill_buf()?.len();
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "ends within a file"));
            }
            let used = usize::try_from(rest).unwrap_or(usize::MAX).min(count);
            self.bytes.consume(used);
            rest -= used as u64;
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// Fills `header`; false where the archive ends before it.
    fn fill(&mut self, header: &mut [u8; BLOCK]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            let count = self.bytes.read(header.get_mut(filled..).unwrap_or_default())?;
            match (count, filled) {
                (0, 0) => return Ok(false),
                (0, _) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "ends in a header"));
                }
                _ => filled += count,
            }
        }
        Ok(true)
    }

    /// The content of an extended header.
    fn extended(&mut self) -> io::Result<Vec<u8>> {
        if self.left > EXTENDED_MAX {
            let what = format!("has a name of {} bytes, more than {EXTENDED_MAX}", self.left);
            return Err(io::Error::other(what));
        }
        let mut content = Vec::new();
        (&mut self.bytes).take(self.left).read_to_end(&mut content)?;
        self.left = self.left.saturating_sub(content.len() as u64);
        Ok(content)
    }
}

/// What a header says.
struct Head {
    name: String,
    size: u64,
    kind: u8,
}

impl Head {
    fn parse(header: &[u8; BLOCK]) -> io::Result<Self> {
        let part = |from: usize, length: usize| header.get(from..from + length).unwrap_or_default();
        // The sum takes its own eight bytes as blanks.
        let sum: u64 = header
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        if octal(part(148, 8)) != Some(sum) {
            return Err(io::Error::other("is no tar archive, or its header is damaged"));
        }
        let size = octal(part(124, 12)).ok_or_else(|| {
            io::Error::other("has a file whose size is not written in octal digits")
        })?;
        let (prefix, name) = (text(part(345, 155)), text(part(0, 100)));
        let ustar = part(257, 6) == b"ustar\0";
        let name = if ustar && !prefix.is_empty() { format!("{prefix}/{name}") } else { name };
        Ok(Self { name, size, kind: header.get(156).copied().unwrap_or(0) })
    }
}

/// A number in octal digits with blanks and zero bytes around it, below 2^53.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches([' ', '\0']);
    if digits.is_empty() || !digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return None;
    }
    u64::from_str_radix(digits, 8).ok().filter(|number| *number < 1 << 53)
}

/// The text before the first zero byte.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}

/// The record `path` of a pax header: lines of `LENGTH KEY=VALUE`.
fn path_of(header: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(header);
    let record = text.lines().find_map(|line| line.split_once(' ')?.1.strip_prefix("path="));
    record.map(ToOwned::to_owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// An archive of `files` in GNU's form of ustar.
    pub(crate) fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut packed = Vec::new();
        for (name, content) in files {
            if name.len() > 100 {
                member(&mut packed, "././@LongLink", b'L', &[name.as_bytes(), b"\0"].concat());
            }
            member(&mut packed, &name[..name.len().min(100)], b'0', content);
        }
        packed.extend([0; 2 * BLOCK]);
        packed
    }

    fn member(packed: &mut Vec<u8>, name: &str, kind: u8, content: &[u8]) {
        let mut header = [0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar  \0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        packed.extend(header);
        packed.extend(content);
        packed.resize(packed.len().next_multiple_of(BLOCK), 0);
    }

    fn archive(bytes: &[u8]) -> Archive {
        Archive::new(Box::new(Cursor::new(bytes.to_vec())))
    }

    fn whole(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let (mut archive, mut files) = (archive(bytes), Vec::new());
        while let Some((name, mut part)) = archive.advance()? {
            let mut content = Vec::new();
            part.read_to_end(&mut content)?;
            files.push((name, content));
        }
        Ok(files)
    }

    #[test]
    fn files_come_in_the_order_of_the_archive() {
        let long = format!("deep/{}", "x".repeat(200));
        let packed = pack(&[("a/b", b"one"), ("a/empty", b""), (&long, &[7; 1000])]);
        let files = whole(&packed).unwrap();
        assert_eq!(files[0], ("a/b".to_owned(), b"one".to_vec()));
        assert_eq!(files[1], ("a/empty".to_owned(), vec![]));
        assert_eq!(files[2], (long, vec![7; 1000]));
        assert_eq!(files.len(), 3);
    }

    #[test]
    fn what_is_not_read_is_passed_over() {
        let packed = pack(&[("a", &[1; 5000]), ("b", b"2")]);
        let mut archive = archive(&packed);
        let (_, mut first) = archive.advance().unwrap().unwrap();
        let (name, mut second) = archive.advance().unwrap().unwrap();
        let mut content = Vec::new();
        first.read_to_end(&mut content).unwrap();
        assert!(content.is_empty(), "it is over");
        second.read_to_end(&mut content).unwrap();
        assert_eq!((name.as_str(), content.as_slice()), ("b", &b"2"[..]));
        assert!(archive.advance().unwrap().is_none());
    }

    #[test]
    fn a_pax_header_gives_the_next_name() {
        assert_eq!(path_of(b"30 mtime=1.5\n14 path=a/b c\n"), Some("a/b c".to_owned()));
        assert_eq!(path_of(b"nothing"), None);
    }

    proptest! {
        #[test]
        fn stumps_are_noticed(cut in 1_usize..3000) {
            let packed = pack(&[("a", &[1; 700]), ("b", &[2; 900])]);
            let files = whole(&packed[..cut.min(packed.len())]);
            // 512 bytes of header and two blocks of the first file, then the second's.
            let whole_files = match cut { 1536 => 1, c if c >= 3072 => 2, _ => 0 };
            prop_assert!(files.map_or(true, |files| files.len() == whole_files));
        }

        #[test]
        fn no_bytes_make_it_fall_over(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            places in proptest::collection::vec((0_usize..3000, any::<u8>()), 1..6),
        ) {
            let _ = whole(&bytes);
            let mut packed = pack(&[("a", &[1; 700]), (&"n".repeat(150), &[2; 900])]);
            for (place, byte) in places {
                packed[place] = byte;
            }
            let _ = whole(&packed);
        }
    }
}
