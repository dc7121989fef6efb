//! Which cells one of several workers does.

use std::{fmt, path::PathBuf, str::FromStr};

/// One of `of` parts of a matrix, counted from 1. Every cell is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

/// Most shards of one matrix.
const SHARDS_MAX: usize = 1_000_000;

impl Default for Shard {
    /// All cells.
    fn default() -> Self {
        Self { number: 1, of: 1 }
    }
}

impl Shard {
    /// Whether the cell at `index` belongs to it. Neighbours go to different shards, so that an
    /// expensive combination is shared out.
    pub fn has(self, index: usize) -> bool {
        index % self.of == self.number - 1
    }

    /// The name of its file.
    pub fn file(self) -> PathBuf {
        PathBuf::from(format!("shard-{}-of-{}.parquet", self.number, self.of))
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (number, of) = text.split_once('/')?;
            let (number, of): (usize, usize) = (number.parse().ok()?, of.parse().ok()?);
            let fits = of <= SHARDS_MAX && (1..=of).contains(&number);
            fits.then_some(Self { number, of })
        };
        parse().ok_or_else(|| {
            format!("{text:?} is not one of several shards (hint: 1/8 is the first of eight, 8/8 the last)")
        })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}
