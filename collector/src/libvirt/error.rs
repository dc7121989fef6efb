//! Why a libvirt call gave nothing.

use thiserror::Error;
use virt::{
    connect::Connect,
    error::{Error as VirtError, ErrorNumber},
};
use whimbrel_core::{VmId, units::Span};

/// Why a connection or a call on it failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectionError {
    /// Not a text that libvirt could take.
    #[error("libvirt URI {uri:?} holds a NUL character (hint: write qemu+tls://HOST/system)")]
    BadUri {
        /// The URI.
        uri: String,
    },
    /// It took too long to open.
    #[error("{uri} did not open within {limit} (hint: is the host up and libvirtd listening?)")]
    TimedOut {
        /// The URI.
        uri: String,
        /// The limit.
        limit: Span,
    },
    /// Earlier attempts still hang in the operating system.
    #[error("{uri}: {limit} attempts to connect still hang (hint: they end by themselves)")]
    TooManyAttempts {
        /// The URI.
        uri: String,
        /// How many may hang.
        limit: usize,
    },
    /// It could not be opened.
    #[error("{uri} cannot be opened: {message} (hint: try virsh -c {uri} version)")]
    NotOpened {
        /// The URI.
        uri: String,
        /// libvirt's words.
        message: String,
    },
    /// The last attempts failed, the next is not due.
    #[error("{uri} did not open lately, next attempt in {wait} (hint: see the error before this)")]
    BackingOff {
        /// The URI.
        uri: String,
        /// Time to the next attempt.
        wait: Span,
    },
    /// The process has no event loop for keepalive.
    #[error(
        "libvirt's event loop did not start: {message} (hint: was a connection opened before?)"
    )]
    NoEventLoop {
        /// libvirt's words.
        message: String,
    },
    /// The host has no such domain.
    #[error("domain {vm} is not on {uri} (hint: take a fresh snapshot)")]
    NoDomain {
        /// The domain.
        vm: VmId,
        /// Where it was looked for.
        uri: String,
    },
    /// Another machine has the name.
    #[error(
        "domain {vm} on {uri} has UUID {found}, not {expected} \
         (hint: it is another machine under the same name; nothing was done)"
    )]
    OtherDomain {
        /// The domain.
        vm: VmId,
        /// Where it was looked for.
        uri: String,
        /// The UUID that was asked for.
        expected: String,
        /// The UUID that it has.
        found: String,
    },
    /// A call failed on an open connection.
    #[error("{call}: {message} (hint: the host's libvirtd log says more)")]
    Failed {
        /// What was called, with its object.
        call: String,
        /// libvirt's words.
        message: String,
        /// What kind of failure.
        kind: FailureKind,
    },
}

/// Failures that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The connection is of no more use; what was asked may nevertheless have happened.
    ConnectionLost,
    /// The domain's state does not permit it.
    InvalidState,
    /// The job was given up by an abort.
    Aborted,
    /// This libvirt or hypervisor cannot do it.
    Unsupported,
    /// Anything else.
    Other,
}

impl ConnectionError {
    /// The failure of `call` on `connect`.
    ///
    /// Whether the connection is lost is asked of the client library, not read from the error: the
    /// source of a peer-to-peer migration reports the loss of *its* connection in the same words.
    pub(super) fn of_call(call: String, error: &VirtError, connect: &Connect) -> Self {
        let alive = connect.is_alive().unwrap_or(false);
        let kind = if alive { kind_of(error) } else { FailureKind::ConnectionLost };
        Self::Failed { call, message: error.message().to_owned(), kind }
    }

    /// Whether the connection is of no more use.
    pub fn connection_lost(&self) -> bool {
        match self {
            Self::NoDomain { .. } | Self::OtherDomain { .. } => false,
            Self::Failed { kind, .. } => *kind == FailureKind::ConnectionLost,
            _ => true,
        }
    }
}

/// The kind of an error that came over a living connection.
pub(super) fn kind_of(error: &VirtError) -> FailureKind {
    let code = error.code();
    if code.is(ErrorNumber::OperationInvalid) {
        FailureKind::InvalidState
    } else if code.is(ErrorNumber::OperationAborted) {
        FailureKind::Aborted
    } else if code.is(ErrorNumber::NoSupport) || code.is(ErrorNumber::OperationUnsupported) {
        FailureKind::Unsupported
    } else {
        FailureKind::Other
    }
}
