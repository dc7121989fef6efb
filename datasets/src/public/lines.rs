//! Lines of a file, none longer than the limit, each with its number.

use super::{error::TraceError, files::Bytes, limits::LINE_MAX};

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// The lines of one file, without their ends.
pub(crate) struct Lines {
    bytes: Bytes,
    file: String,
    row: u64,
    line: Vec<u8>,
}

impl Lines {
    /// The lines of `bytes`; messages call them `file`.
    pub(crate) fn new(bytes: Bytes, file: String) -> Self {
        Self { bytes, file, row: 0, line: Vec::new() }
    }

    /// What messages call the file.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Number of the line that was read last, from 1; 0 before the first.
    pub(crate) fn row(&self) -> u64 {
        self.row
    }

    /// The line that was read last.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Reads the next line; false after the last.
    pub(crate) fn advance(&mut self) -> Result<bool, TraceError> {
        self.line.clear();
        let mut ended = false;
        while !ended {
            let block = self.bytes.fill_buf().map_err(|error| TraceError::Damaged {
                file: self.file.clone(),
                row: self.row,
                what: error.to_string(),
            })?;
            if block.is_empty() {
                if self.line.is_empty() {
                    return Ok(false);
                }
                break;
            }
            let end = block.iter().position(|byte| *byte == b'\n');
            let part = block.get(..end.unwrap_or(block.len())).unwrap_or_default();
            let fits = self.line.len() + part.len() <= LINE_MAX;
            if fits {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.bytes.consume(used);
            if !fits {
                return Err(TraceError::TooLarge {
                    file: self.file.clone(),
                    row: self.row.saturating_add(1),
                    what: format!("is longer than {LINE_MAX} bytes"),
                });
            }
            ended = end.is_some();
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if self.row == 0 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        self.row = self.row.saturating_add(1);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn lines(text: &[u8]) -> Lines {
        // A small buffer, so that lines cross its border.
        Lines::new(Box::new(BufReader::with_capacity(3, Cursor::new(text.to_vec()))), "f".into())
    }

    #[test]
    fn ends_and_marks_are_no_part_of_a_line() {
        let mut lines = lines(b"\xef\xbb\xbfone\r\n\ntwo");
        let mut all = Vec::new();
        while lines.advance().unwrap() {
            all.push((lines.row(), String::from_utf8(lines.line().to_vec()).unwrap()));
        }
        assert_eq!(all, [(1, "one".into()), (2, String::new()), (3, "two".into())]);
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let mut lines = lines(&[b"ok\n".to_vec(), vec![b'x'; LINE_MAX + 1]].concat());
        assert!(lines.advance().unwrap());
        let error = lines.advance().unwrap_err().to_string();
        assert!(error.contains("f: row 2: is longer than 65536 bytes (hint:"), "{error}");
        let mut longest = self::lines(&vec![b'x'; LINE_MAX]);
        assert!(longest.advance().unwrap());
    }
}
