//! Whether the pages of a foreign Parquet column are built so that they can be decoded: counts and
//! sizes that are none, or larger than what is there, would be asked of the memory by the decoder.
//!
//! Reads the headers of pages only (Apache Parquet format, `parquet.thrift`, `PageHeader`, in
//! Thrift's compact protocol). Encodings other than plain values and dictionaries are refused: theirs
//! carry counts of their own within the data.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek as _, SeekFrom},
    ops::Range,
};

/// Largest page, packed or not, in bytes; writers' defaults are about a MiB.
const PAGE_MAX: i64 = 1 << 28;

/// Longest header of a page; statistics of text columns stand in it.
const HEADER_MAX: u64 = 1 << 16;

/// Deepest structure within a header; the format has three.
const DEPTH_MAX: u8 = 8;

/// Plain, by dictionary (old and new), run lengths, bits: `Encoding` in `parquet.thrift`.
const ENCODINGS: [i64; 5] = [0, 2, 3, 4, 8];

/// Whole numbers of a header by the field of the page and the field within it, 0 for its own.
type Numbers = BTreeMap<(i64, i64), i64>;

/// Checks the pages of a column of `rows` values that lie at `place` of `file`.
pub(crate) fn check(file: &mut File, place: Range<u64>, rows: usize) -> Result<(), String> {
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    if place.start > place.end || place.end > length {
        return Err(format!("a column lies at bytes {place:?} of {length}"));
    }
    let rows = i64::try_from(rows).map_err(|e| e.to_string())?;
    let (mut at, mut values) = (place.start, 0_i64);
    while values < rows {
        let mut header = Vec::new();
        file.seek(SeekFrom::Start(at)).map_err(|e| e.to_string())?;
        let most = HEADER_MAX.min(place.end.saturating_sub(at));
        file.take(most).read_to_end(&mut header).map_err(|e| e.to_string())?;
        let mut thrift = Thrift { rest: &header };
        let mut numbers = Numbers::new();
        let read = thrift.structure(0, 0, &mut numbers);
        read.ok_or_else(|| format!("no header of a page stands at byte {at}"))?;
        let used = (header.len() - thrift.rest.len()) as u64;
        let page = Page::new(&numbers, rows).ok_or_else(|| {
            format!("the page at byte {at} has a size, a count or an encoding that is not read")
        })?;
        at = at.saturating_add(used).saturating_add(page.size);
        if at > place.end {
            return Err(format!("the page at byte {at} ends beyond its column"));
        }
        values += page.values;
    }
    if values == rows {
        return Ok(());
    }
    Err(format!("a column has {values} values, its group {rows} rows"))
}

/// A page whose numbers can be meant.
struct Page {
    /// Bytes behind the header.
    size: u64,
    /// Values of the column, 0 for a dictionary.
    values: i64,
}

impl Page {
    fn new(numbers: &Numbers, rows: i64) -> Option<Self> {
        let of = |page: i64, field: i64| numbers.get(&(page, field)).copied();
        let within = |number: Option<i64>, most: i64| number.filter(|n| (0..=most).contains(n));
        let unpacked = within(of(2, 0), PAGE_MAX)?;
        let size = within(of(3, 0), PAGE_MAX)?;
        // Fields of the three kinds of pages: data, dictionary, data of version 2.
        let (page, encoding) = match of(1, 0)? {
            0 => (5, of(5, 2)),
            2 => (7, of(7, 2)),
            3 => (8, of(8, 4)),
            _ => return None,
        };
        encoding.filter(|encoding| ENCODINGS.contains(encoding))?;
        let values =
            within(of(page, 1), if page == 7 { unpacked.saturating_mul(8) } else { rows })?;
        if page == 8 {
            within(of(8, 2), values)?;
            within(of(8, 3), values)?;
            let levels = within(of(8, 5), size)?.saturating_add(within(of(8, 6), size)?);
            within(Some(levels), size.min(unpacked))?;
        }
        let size = u64::try_from(size).ok()?;
        Some(Self { size, values: if page == 7 { 0 } else { values } })
    }
}

/// Bytes in Thrift's compact protocol (Apache Thrift, "Thrift Compact protocol encoding").
struct Thrift<'a> {
    rest: &'a [u8],
}

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number whose sign stands in its lowest bit.
    fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// Reads a structure; whole numbers of the first two levels go into `numbers`.
    fn structure(&mut self, depth: u8, outer: i64, numbers: &mut Numbers) -> Option<()> {
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == 0 {
                return Some(());
            }
            field = match head >> 4 {
                0 => self.zigzag()?,
                delta => field.checked_add(delta.into())?,
            };
            match kind {
                3..=6 => {
                    let number = if kind == 3 { i64::from(self.byte()?) } else { self.zigzag()? };
                    match depth {
                        0 => numbers.insert((field, 0), number),
                        1 => numbers.insert((outer, field), number),
                        _ => None,
                    };
                }
                _ => self.pass_over(kind, depth, field, numbers)?,
            }
        }
    }

    /// Passes over a value that is no whole number.
    fn pass_over(&mut self, kind: u8, depth: u8, field: i64, numbers: &mut Numbers) -> Option<()> {
        match kind {
            // True and false stand in the field's head.
            1 | 2 => Some(()),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            12 if depth < DEPTH_MAX => self.structure(depth + 1, field, numbers),
            // Lists and maps stand in no header that is read.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// A header: type, sizes, then the fields of a data page.
    fn header(kind: u8, unpacked: i64, packed: i64, values: i64, encoding: u8) -> Vec<u8> {
        let zigzag = |number: i64| {
            let mut rest = ((number << 1) ^ (number >> 63)) as u64;
            let mut bytes = Vec::new();
            while rest >= 0x80 {
                bytes.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            bytes
        };
        let delta = if kind == 0 { 0x2c } else { 0x4c };
        [
            vec![0x15, kind << 1, 0x15],
            zigzag(unpacked),
            vec![0x15],
            zigzag(packed),
            vec![delta, 0x15],
            zigzag(values),
            vec![0x15, encoding << 1, 0, 0],
        ]
        .concat()
    }

    fn checked(bytes: &[u8], rows: usize) -> Result<(), String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        check(&mut file, 0..bytes.len() as u64, rows)
    }

    #[test]
    fn sound_pages_pass_and_others_do_not() {
        let dictionary = [header(2, 8, 3, 2, 0), vec![0; 3]].concat();
        let data = |values| [header(0, 40, 4, values, 8), vec![0; 4]].concat();
        assert_eq!(checked(&[dictionary, data(6), data(4)].concat(), 10), Ok(()));
        assert!(checked(&data(9), 10).unwrap_err().contains("no header of a page stands"));
        for values in [-1, 11, i64::from(i32::MAX)] {
            assert!(checked(&data(values), 10).unwrap_err().contains("a count"), "{values}");
        }
        for wrong in [
            header(0, -1, 4, 10, 0),
            header(0, 40, -1, 10, 0),
            header(0, 1 << 40, 4, 10, 0),
            header(0, 40, 4, 10, 5),
            header(1, 40, 4, 10, 0),
        ] {
            assert!(checked(&[wrong, vec![0; 4]].concat(), 10).is_err());
        }
        assert!(checked(&header(0, 40, 400, 10, 0), 10).unwrap_err().contains("beyond its column"));
        let mut file = tempfile::tempfile().unwrap();
        assert!(check(&mut file, 5..9, 1).unwrap_err().contains("of 0"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = checked(&bytes, 10);
            let _ = checked(&[header(0, 40, 4, 5, 0), bytes].concat(), 10);
        }
    }
}
