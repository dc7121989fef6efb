//! Policies that others have, in the study's world: by what is published of them.
//!
//! They look at computing alone, as the reference does, unless they say otherwise. Never here: the
//! heuristics of Beloglazov and Buyya, and ours.

mod draft;
mod packing;
mod proxmox;
mod watcher;

pub(super) use packing::{Fit, Packing};
pub(super) use proxmox::Proxmox;
pub(super) use watcher::Watcher;
