//! One domain on one host: what the executing adapter asks of it.
//!
//! Every method is one libvirt call. None decides anything, retries or interprets an error: a call
//! that failed may nevertheless have happened, and only the next snapshot tells.

use std::ops::BitOr;

use virt::{
    connect::Connect,
    domain::{Domain, MigrateParameters},
    error::Error as VirtError,
    sys,
};
use whimbrel_core::{
    DomainState, VmId,
    cluster::CompletedStats,
    settings::{Compression, Throttle},
    units::{BytesPerSecond, Span},
};

use super::{
    completions::Completions,
    error::{ConnectionError, FailureKind, kind_of},
    raw,
};
use crate::{
    jobs::{JobLook, parse_completed, parse_current},
    stats::Status,
};

/// A domain that was found by name and has the UUID that was asked for.
#[derive(Debug, Clone)]
pub struct DomainHandle {
    pub(super) connect: Connect,
    pub(super) domain: Domain,
    pub(super) vm: VmId,
    pub(super) uri: String,
}

/// How to migrate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationCall {
    /// libvirt URI of the target. With [`MigrationFlags::PEER_TO_PEER`] the *source host* opens
    /// it, so names and certificates must hold there.
    pub destination: String,
    /// Where QEMU connects to, such as `tcp://10.0.0.2`; `None` lets the target's libvirt choose.
    pub data_uri: Option<String>,
    /// The flags.
    pub flags: MigrationFlags,
    /// Cap on the stream, rounded up to whole MiB/s (libvirt's unit); `None` sets no cap.
    pub bandwidth_limit: Option<BytesPerSecond>,
    /// Cap on the background stream after a switch to post-copy, rounded likewise; `None` sets no
    /// cap.
    pub post_copy_bandwidth_limit: Option<BytesPerSecond>,
    /// Streams, with [`MigrationFlags::PARALLEL`]; `None` leaves their number to QEMU.
    pub parallel_connections: Option<u8>,
    /// Steps of the throttle, with [`MigrationFlags::AUTO_CONVERGE`]; `None` leaves them to QEMU.
    pub throttle: Option<Throttle>,
    /// What is done to pages, with [`MigrationFlags::COMPRESSED`].
    pub compression: Compression,
}

/// An OR of `VIR_MIGRATE_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationFlags(u32);

impl MigrationFlags {
    /// The guest runs on meanwhile.
    pub const LIVE: Self = Self(sys::VIR_MIGRATE_LIVE);
    /// The source's libvirtd speaks to the target's; the call survives the loss of our connection.
    pub const PEER_TO_PEER: Self = Self(sys::VIR_MIGRATE_PEER2PEER);
    /// QEMU's native TLS protects the stream.
    pub const TLS: Self = Self(sys::VIR_MIGRATE_TLS);
    /// The definition becomes persistent at the target.
    pub const PERSIST_DESTINATION: Self = Self(sys::VIR_MIGRATE_PERSIST_DEST);
    /// The definition is removed at the source.
    pub const UNDEFINE_SOURCE: Self = Self(sys::VIR_MIGRATE_UNDEFINE_SOURCE);
    /// An I/O error of the guest meanwhile ends the migration.
    pub const ABORT_ON_ERROR: Self = Self(sys::VIR_MIGRATE_ABORT_ON_ERROR);
    /// vCPUs are slowed while the guest dirties too much.
    pub const AUTO_CONVERGE: Self = Self(sys::VIR_MIGRATE_AUTO_CONVERGE);
    /// The migration may be switched to post-copy; nothing switches it by itself.
    pub const POST_COPY: Self = Self(sys::VIR_MIGRATE_POSTCOPY);
    /// Pages are compressed.
    pub const COMPRESSED: Self = Self(sys::VIR_MIGRATE_COMPRESSED);
    /// Pages travel over several streams.
    pub const PARALLEL: Self = Self(sys::VIR_MIGRATE_PARALLEL);
}

impl BitOr for MigrationFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl DomainHandle {
    /// Its name.
    pub fn vm(&self) -> &VmId {
        &self.vm
    }

    /// State on this host now.
    ///
    /// # Errors
    /// [`ConnectionError::Failed`].
    pub fn state(&self) -> Result<DomainState, ConnectionError> {
        let (state, reason) =
            raw::state(&self.domain).map_err(|error| self.failed("state", &error))?;
        let status = Status { state: state.into(), reason: reason.into() };
        Ok(status.resolve(self.job()?, true))
    }

    /// Whether its definition outlives it on this host.
    ///
    /// # Errors
    /// [`ConnectionError::Failed`].
    pub fn is_persistent(&self) -> Result<bool, ConnectionError> {
        self.domain.is_persistent().map_err(|error| self.failed("persistence", &error))
    }

    /// What the host says about a migration of it now.
    ///
    /// # Errors
    /// [`ConnectionError::Failed`].
    pub fn job(&self) -> Result<JobLook, ConnectionError> {
        job_look(&self.domain).map_err(|error| self.failed("job statistics", &error))
    }

    /// Figures of its last migration, and keeps them there; `None` when the host has none. libvirt
    /// has them at the target; at the source as well if the domain is persistent there.
    ///
    /// # Errors
    /// [`ConnectionError::Failed`].
    pub fn completed_job(&self) -> Result<Option<CompletedStats>, ConnectionError> {
        let flags = sys::VIR_DOMAIN_JOB_STATS_COMPLETED | sys::VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED;
        let (job_type, params) = raw::job_stats(&self.domain, flags)
            .map_err(|error| self.failed("completed job statistics", &error))?;
        Ok(parse_completed(job_type.into(), params.values()))
    }

    /// Listens for the end of its migrations from this host from now on.
    ///
    /// # Errors
    /// [`ConnectionError::Failed`].
    pub fn listen(&self) -> Result<Completions, ConnectionError> {
        Completions::of(&self.connect, &self.domain)
            .map_err(|error| self.failed("listening for its jobs", &error))
    }

    /// Gives the running job up. What happened meanwhile is seen in the next snapshot.
    ///
    /// # Errors
    /// [`ConnectionError::Failed`], of kind [`FailureKind::InvalidState`] when no job runs.
    pub fn abort_job(&self) -> Result<(), ConnectionError> {
        raw::abort_job(&self.domain).map_err(|error| self.failed("abort", &error))
    }

    /// Sets the downtime limit of its migrations, in whole milliseconds, 1 ms at least.
    ///
    /// # Errors
    /// [`ConnectionError::Failed`].
    pub fn set_max_downtime(&self, downtime: Span) -> Result<(), ConnectionError> {
        self.domain
            .migrate_set_max_downtime(downtime.as_millis().max(1), 0)
            .map_err(|error| self.failed("downtime limit", &error))
    }

    /// Migrates it. Returns when the migration has ended: call it from a thread of its own, on a
    /// [`Connection`](super::Connection) of its own (libvirtd serves five calls of one connection
    /// at a time, and this one lasts).
    ///
    /// # Errors
    /// [`ConnectionError`]; the migration may nevertheless have happened.
    pub fn migrate(&self, call: &MigrationCall) -> Result<(), ConnectionError> {
        let texts = [Some(&call.destination), call.data_uri.as_ref()];
        if let Some(uri) = texts.into_iter().flatten().find(|text| text.contains('\0')) {
            return Err(ConnectionError::BadUri { uri: uri.clone() });
        }
        self.domain
            .migrate_to_uri3(Some(&call.destination), parameters(call), call.flags.0)
            .map_err(|error| self.failed("migration", &error))
    }

    /// Asks for the switch of its running migration to post-copy. Returns at once; the switch
    /// follows when QEMU next looks. From here on there is no way back.
    ///
    /// # Errors
    /// [`ConnectionError::Failed`], when no migration runs yet or it was begun without
    /// [`MigrationFlags::POST_COPY`].
    pub fn start_post_copy(&self) -> Result<(), ConnectionError> {
        raw::start_post_copy(&self.domain)
            .map_err(|error| self.failed("switch to post-copy", &error))
    }

    fn failed(&self, what: &str, error: &VirtError) -> ConnectionError {
        let call = format!("{}: {what} of {}", self.uri, self.vm);
        ConnectionError::of_call(call, error, &self.connect)
    }
}

/// The call in libvirt's parameters.
fn parameters(call: &MigrationCall) -> MigrateParameters {
    let (compression, cache) = match call.compression {
        Compression::None => (None, None),
        Compression::Xbzrle { cache } => (Some("xbzrle"), Some(cache.get())),
        Compression::Zlib => (Some("zlib"), None),
        Compression::Zstd => (Some("zstd"), None),
    };
    MigrateParameters {
        bandwidth: call.bandwidth_limit.map(mib_per_second),
        bandwidth_postcopy: call.post_copy_bandwidth_limit.map(mib_per_second),
        uri: call.data_uri.clone(),
        parallel_connections: call.parallel_connections.map(i32::from),
        auto_converge_initial: call.throttle.map(|throttle| throttle.initial_percent.into()),
        auto_converge_increment: call.throttle.map(|throttle| throttle.increment_percent.into()),
        compression: compression.map(str::to_owned),
        compression_xbzrle_cache: cache,
        ..MigrateParameters::default()
    }
}

/// libvirt's unit of bandwidth; 0 would mean no cap.
fn mib_per_second(limit: BytesPerSecond) -> u64 {
    limit.get().div_ceil(1 << 20).max(1)
}

/// What a host says about a migration of `domain`. At the target of a migration libvirt refuses
/// with `VIR_ERR_OPERATION_INVALID` ("available only on the source host").
pub(super) fn job_look(domain: &Domain) -> Result<JobLook, VirtError> {
    match raw::job_stats(domain, 0) {
        Ok((job_type, params)) => Ok(parse_current(job_type.into(), params.values())),
        Err(error) if kind_of(&error) == FailureKind::InvalidState => {
            let at_target = error.message().contains("source host");
            Ok(if at_target { JobLook::AtTarget } else { JobLook::Unknown })
        }
        Err(error) if kind_of(&error) == FailureKind::Unsupported => Ok(JobLook::Unknown),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_never_no_cap() {
        assert_eq!(mib_per_second(BytesPerSecond::ZERO), 1);
        assert_eq!(mib_per_second(BytesPerSecond::mib(60)), 60);
        assert_eq!(mib_per_second(BytesPerSecond::new(60_000_000)), 58);
    }
}
