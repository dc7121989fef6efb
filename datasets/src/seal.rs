//! A seal that shows whether a part is what was written.
//!
//! Parquet has no checksum over the whole file, and a library that decodes damaged bytes may
//! return wrong rows, ask for absurd amounts of memory or panic. So 80 bytes stand between the
//! last data page and the footer: a mark and the SHA-256 of everything else. Pages are addressed
//! by offsets from the file's start and the footer by its distance from the end (Apache Parquet
//! format, "File format"), hence every other reader skips the gap.
//!
//! Never here: protection against people who write a matching seal. It finds accidents.

use whimbrel_core::digest::Digest;

/// First and last four bytes of every Parquet file.
const MAGIC: &[u8] = b"PAR1";
/// Length of the footer (4 bytes, little-endian) and the magic after it.
const TAIL_LENGTH: usize = 8;
const MARK: &[u8] = b"WHIMBREL-SEAL-1:";
const SEAL_LENGTH: usize = MARK.len() + 64;

/// The Parquet file `bytes` with its seal.
pub(crate) fn seal(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (pages, footer) = bytes.split_at_checked(footer_start(bytes)?).ok_or("has no footer")?;
    let digest = Digest::of_bytes(bytes);
    Ok([pages, MARK, digest.as_str().as_bytes(), footer].concat())
}

/// The Parquet file within `sealed`, or what shows that it is not whole.
pub(crate) fn unseal(sealed: &[u8]) -> Result<Vec<u8>, String> {
    let footer_at = footer_start(sealed)?;
    let (before, footer) = sealed.split_at_checked(footer_at).ok_or("has no footer")?;
    let no_seal = "has no seal before its footer";
    let seal_at = before.len().checked_sub(SEAL_LENGTH).ok_or(no_seal)?;
    let (pages, block) = before.split_at_checked(seal_at).ok_or(no_seal)?;
    let digest = block.strip_prefix(MARK).ok_or(no_seal)?;
    let bytes = [pages, footer].concat();
    if Digest::of_bytes(&bytes).as_str().as_bytes() == digest {
        Ok(bytes)
    } else {
        Err("its bytes do not match its seal".to_owned())
    }
}

/// Where the footer begins.
fn footer_start(bytes: &[u8]) -> Result<usize, String> {
    let length = bytes.len();
    if !bytes.starts_with(MAGIC) {
        return Err(format!("{length} bytes that do not begin with PAR1, no Parquet file"));
    }
    let Some((_, tail)) = bytes.split_last_chunk::<TAIL_LENGTH>() else {
        return Err(format!("is cut off after {length} bytes"));
    };
    let (footer_length, magic) = tail.split_at(TAIL_LENGTH - MAGIC.len());
    if magic != MAGIC {
        return Err(format!("is cut off after {length} bytes: does not end with PAR1"));
    }
    let footer_length =
        footer_length.iter().rev().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
    length
        .checked_sub(TAIL_LENGTH)
        .and_then(|rest| rest.checked_sub(footer_length))
        .filter(|start| *start >= MAGIC.len())
        .ok_or_else(|| format!("claims a footer of {footer_length} bytes in a file of {length}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parquet_like() -> Vec<u8> {
        [MAGIC, b"pages pages", b"footer", &6u32.to_le_bytes(), MAGIC].concat()
    }

    #[test]
    fn a_sealed_file_comes_back_as_it_was() {
        let sealed = seal(&parquet_like()).unwrap();
        assert_eq!(sealed.len(), parquet_like().len() + SEAL_LENGTH);
        assert_eq!(unseal(&sealed), Ok(parquet_like()));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let sealed = seal(&parquet_like()).unwrap();
        for length in 0..sealed.len() {
            assert!(unseal(&sealed[..length]).is_err(), "cut to {length}");
        }
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[index] ^= 1 << bit;
                assert!(unseal(&changed).is_err(), "byte {index}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_file_without_a_seal_is_refused() {
        assert_eq!(unseal(&parquet_like()), Err("has no seal before its footer".to_owned()));
        assert!(unseal(b"").is_err());
        assert!(unseal(b"PAR1").is_err());
        assert!(seal(b"PAR1PAR1").is_err());
    }
}
