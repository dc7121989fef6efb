//! What cells have in common: it is read or computed once, and known by what its files are.
//!
//! Never here: what a cell comes to.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use whimbrel_core::digest::Digest;

use crate::Failure;

/// Recordings, traces and plans that are kept at hand.
const KEPT: usize = 8;

/// What takes long to make, made once and kept while it is among the last that were asked for.
pub(super) struct Kept<T>(Mutex<VecDeque<(String, Slot<T>)>>);

/// Filled by the first who needs it; the others wait.
pub(super) type Slot<T> = Arc<OnceLock<Result<T, Failure>>>;

impl<T> Kept<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// The place of what is called `key`.
    pub(super) fn slot(&self, key: &str) -> Slot<T> {
        // Whoever panicked while it held the lock left a queue that is whole.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = kept.iter().find(|(name, _)| name == key) {
            return Arc::clone(slot);
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        let slot = Slot::default();
        kept.push_back((key.to_owned(), Arc::clone(&slot)));
        slot
    }
}

/// What the files below `root` are known by: their names and sizes. They are written once.
///
/// # Errors
/// [`Failure`] naming the folder that cannot be listed.
pub(super) fn identity(root: &Path) -> Result<Digest, Failure> {
    let mut listed = Vec::new();
    list(root, root, &mut listed)?;
    listed.sort();
    Ok(Digest::of(&listed))
}

fn list(root: &Path, folder: &Path, found: &mut Vec<(String, u64)>) -> Result<(), Failure> {
    let fault = |error: std::io::Error| {
        Failure::not_found(format!("cannot be listed: {error} (hint: check the path)"))
            .about(folder.display())
    };
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_dir() {
            list(root, &path, found)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            found.push((name, std::fs::metadata(&path).map_err(fault)?.len()));
        }
    }
    Ok(())
}
