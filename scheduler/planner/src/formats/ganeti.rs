//! Ganeti's text form, which `hbal -t` and its siblings read, and the file of dynamic use beside it.
//!
//! Five sections with an empty line between them: groups, nodes, instances, cluster tags, policies;
//! fields are separated by `|` (Ganeti 3.0, htools/Ganeti/HTools/Backend/Text.hs). Dynamic use
//! (`hbal -U`) has a line for each instance: name, then CPU, memory, disk and network, each as a part of
//! a node.
//!
//! Here it becomes the plain form and is made of it. Memory, vCPUs, exclusion tags and use are kept;
//! disks' sizes, spindles and networks are not. What has no counterpart is named.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// What the file of dynamic use calls full, in MB/s: a storage network and a network of 10 Gb/s.
const DISK_MB_PER_SECOND: f64 = 1000.0;
const NETWORK_MB_PER_SECOND: f64 = 1250.0;

/// Cluster tags that begin so name a prefix of exclusion tags.
const EXCLUSION: &str = "htools:iextags:";

/// vCPUs that one core may carry where no policy says it: Ganeti's default.
const VCPU_RATIO: f64 = 4.0;
