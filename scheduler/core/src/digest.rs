//! Digests that tie a plan to the snapshot and policy that it was made from.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a value's canonical JSON, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Digest of `value`. Struct fields keep their declared order and maps are ordered, so equal
    /// values have equal digests on every machine.
    pub fn of(value: &impl Serialize) -> Self {
        // Whimbrel's values have string keys and finite numbers, so this cannot fail; should one
        // ever do, the text of the failure is digested and no comparison will match.
        let json = serde_json::to_vec(value).unwrap_or_else(|e| e.to_string().into_bytes());
        Self::of_bytes(&json)
    }

    /// Digest of raw bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 digits, enough to name a thing.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
