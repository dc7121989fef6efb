//! Adapters that write: to hosts and to the journal. Only `wiring` names them.

#[cfg(feature = "libvirt")]
pub(crate) mod libvirt_call;
#[cfg(feature = "libvirt")]
pub(crate) mod libvirt_cluster;
#[cfg(feature = "libvirt")]
pub(crate) mod sqlite_journal;
