//! What may go wrong, scripted by time.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    ids::{HostId, VmId},
    units::{BytesPerSecond, Span},
};

/// A fault and when it happens, counted from the simulation's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// A host loses its power, and with it every process on it. It stays off.
    PowerCut {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
    },
    /// A host's network is cut: streams stand still at once; calls and streams over it fail, and
    /// the host counts as unreachable, once the keepalive has run out. Its guests run on.
    LinkCut {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// Mended after this; never when absent.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// A host's NIC carries less. The last one to strike holds; when one passes, the NIC is whole.
    SlowLink {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// What it carries in each direction.
        bandwidth: BytesPerSecond,
        /// As before after this; never when absent.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// The hypervisor refuses to migrate a domain from then on.
    RefuseMigration {
        /// From when.
        at: Span,
        /// Which domain.
        vm: VmId,
    },
    /// A domain's migration stops moving from then on, without an error. It can be cancelled.
    StuckMigration {
        /// From when.
        at: Span,
        /// Which domain.
        vm: VmId,
    },
}

impl Fault {
    /// When it happens.
    pub fn at(&self) -> Span {
        match self {
            Self::PowerCut { at, .. }
            | Self::LinkCut { at, .. }
            | Self::SlowLink { at, .. }
            | Self::RefuseMigration { at, .. }
            | Self::StuckMigration { at, .. } => *at,
        }
    }

    /// How long it lasts, where it passes by itself.
    pub fn lasts(&self) -> Option<Span> {
        match self {
            Self::LinkCut { lasts, .. } | Self::SlowLink { lasts, .. } => *lasts,
            Self::PowerCut { .. } | Self::RefuseMigration { .. } | Self::StuckMigration { .. } => {
                None
            }
        }
    }

    /// The host that it strikes, where it strikes one.
    pub fn host(&self) -> Option<&HostId> {
        match self {
            Self::PowerCut { host, .. }
            | Self::LinkCut { host, .. }
            | Self::SlowLink { host, .. } => Some(host),
            Self::RefuseMigration { .. } | Self::StuckMigration { .. } => None,
        }
    }

    /// The domain that it strikes, where it strikes one.
    pub fn vm(&self) -> Option<&VmId> {
        match self {
            Self::RefuseMigration { vm, .. } | Self::StuckMigration { vm, .. } => Some(vm),
            Self::PowerCut { .. } | Self::LinkCut { .. } | Self::SlowLink { .. } => None,
        }
    }
}
