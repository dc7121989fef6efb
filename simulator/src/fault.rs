//! What may go wrong, scripted by time.
//!
//! A host is on three networks: the controller and the hosts' daemons talk over *management*,
//! memory travels over *migration*, and images are read and written over *storage*. Each may fail
//! alone.
//!
//! Never here: what a fault does to the cluster (`cluster::disturb`), how often one strikes (`rates`),
//! or when (`draws`).

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    ids::{HostId, VmId},
    units::{BytesPerSecond, Span},
};

mod draws;
mod rates;
mod script;

pub use rates::{FaultRates, RateError};

/// One of the networks that a host is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plane {
    /// Between the controller and the hosts' daemons, and among those.
    Management,
    /// Between QEMU at a migration's source and QEMU at its target.
    Migration,
    /// Between the hosts and Ceph.
    Storage,
}

impl Plane {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Management, Self::Migration, Self::Storage];
}

fn all_planes() -> Vec<Plane> {
    Plane::ALL.to_vec()
}

fn truthful() -> u32 {
    100
}

/// A fault and when it happens, counted from the simulation's start.
///
/// One that `lasts` passes by itself; without that it stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// A host's kernel dies, and with it every process; its power stays on.
    HostCrash {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// It answers again, empty, after this; never by itself when absent.
        #[serde(default)]
        returns: Option<Span>,
    },
    /// A host loses its power, and with it every process on it. It stays off.
    PowerCut {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
    },
    /// A host is cut off from networks. On management it falls silent, and calls and migrations
    /// through its daemon fail once the keepalive has run out; on migration its streams stand
    /// still; on storage its guests' I/O does. Its guests run on.
    LinkCut {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// From which networks; all of them when absent.
        #[serde(default = "all_planes")]
        networks: Vec<Plane>,
        /// Mended after this.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// Groups of hosts do not reach each other. The controller and Ceph are with the first group,
    /// and so is every host that no group names.
    Partition {
        /// When.
        at: Span,
        /// The groups.
        groups: Vec<Vec<HostId>>,
        /// On which networks; all of them when absent.
        #[serde(default = "all_planes")]
        networks: Vec<Plane>,
        /// Mended after this.
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
        /// As before after this.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// A host's libvirtd answers nobody. Guests run on and pages flow; what needs the daemon (to
    /// begin, to hand over, to cancel, to report) waits.
    DaemonHang {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// It answers again after this.
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
    /// A host refuses every guest that a migration brings.
    RefuseArrivals {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// It takes guests again after this.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// A domain's migration stops moving from then on, without an error. It can be cancelled.
    StuckMigration {
        /// From when.
        at: Span,
        /// Which domain.
        vm: VmId,
    },
    /// Readings of a host arrive late; their age is told with them.
    StaleReadings {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// How old what is seen is at least.
        age: Span,
        /// Fresh again after this.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// Readings of a domain are wrong by a factor. Its place is never reported wrong.
    LyingReadings {
        /// When.
        at: Span,
        /// Which domain.
        vm: VmId,
        /// What is reported of its dirty memory, in percent of the truth. Range 0..=100000.
        #[serde(default = "truthful")]
        dirty_percent: u32,
        /// What is reported of its CPU, in percent of the truth. Range 0..=100000.
        #[serde(default = "truthful")]
        cpu_percent: u32,
        /// True again after this.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// A host's power controller fails.
    BmcFailure {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// It takes requests and does nothing; without this it refuses them.
        #[serde(default)]
        silent: bool,
        /// It works again after this.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// Ceph serves nobody: guests' I/O stands still, and no image is handed over.
    CephOutage {
        /// When.
        at: Span,
        /// It serves again after this.
        #[serde(default)]
        lasts: Option<Span>,
    },
    /// Ceph is slow: opening an image and handing one over takes longer.
    SlowCeph {
        /// When.
        at: Span,
        /// By how much, each time.
        delay: Span,
        /// As before after this.
        #[serde(default)]
        lasts: Option<Span>,
    },
}

/// When a fault happens: shared or mutable, as the fault is.
macro_rules! moment {
    ($fault:expr) => {
        match $fault {
            Fault::HostCrash { at, .. }
            | Fault::PowerCut { at, .. }
            | Fault::LinkCut { at, .. }
            | Fault::Partition { at, .. }
            | Fault::SlowLink { at, .. }
            | Fault::DaemonHang { at, .. }
            | Fault::RefuseMigration { at, .. }
            | Fault::RefuseArrivals { at, .. }
            | Fault::StuckMigration { at, .. }
            | Fault::StaleReadings { at, .. }
            | Fault::LyingReadings { at, .. }
            | Fault::BmcFailure { at, .. }
            | Fault::CephOutage { at, .. }
            | Fault::SlowCeph { at, .. } => at,
        }
    };
}

/// The host that a fault strikes, where it strikes one: shared or mutable, as the fault is.
macro_rules! struck_host {
    ($fault:expr) => {
        match $fault {
            Fault::HostCrash { host, .. }
            | Fault::PowerCut { host, .. }
            | Fault::LinkCut { host, .. }
            | Fault::SlowLink { host, .. }
            | Fault::DaemonHang { host, .. }
            | Fault::RefuseArrivals { host, .. }
            | Fault::StaleReadings { host, .. }
            | Fault::BmcFailure { host, .. } => Some(host),
            _ => None,
        }
    };
}

impl Fault {
    /// When it happens.
    pub fn at(&self) -> Span {
        *moment!(self)
    }

    /// The same fault, this much later.
    #[must_use]
    pub fn later(mut self, by: Span) -> Self {
        *moment!(&mut self) += by;
        self
    }

    /// How long it lasts, where it passes by itself.
    pub fn lasts(&self) -> Option<Span> {
        match self {
            Self::LinkCut { lasts, .. }
            | Self::Partition { lasts, .. }
            | Self::SlowLink { lasts, .. }
            | Self::DaemonHang { lasts, .. }
            | Self::RefuseArrivals { lasts, .. }
            | Self::StaleReadings { lasts, .. }
            | Self::LyingReadings { lasts, .. }
            | Self::BmcFailure { lasts, .. }
            | Self::CephOutage { lasts, .. }
            | Self::SlowCeph { lasts, .. } => *lasts,
            Self::HostCrash { .. }
            | Self::PowerCut { .. }
            | Self::RefuseMigration { .. }
            | Self::StuckMigration { .. } => None,
        }
    }

    /// The host that it strikes, where it strikes one.
    pub fn host(&self) -> Option<&HostId> {
        struck_host!(self)
    }

    /// The same fault on another host, where it strikes one.
    #[must_use]
    pub fn on(mut self, other: &HostId) -> Self {
        if let Some(host) = struck_host!(&mut self) {
            host.clone_from(other);
        }
        self
    }

    /// Every host that it names.
    pub fn hosts(&self) -> impl Iterator<Item = &HostId> {
        let groups = match self {
            Self::Partition { groups, .. } => groups.as_slice(),
            _ => &[],
        };
        self.host().into_iter().chain(groups.iter().flatten())
    }

    /// The domain that it strikes, where it strikes one.
    pub fn vm(&self) -> Option<&VmId> {
        match self {
            Self::RefuseMigration { vm, .. }
            | Self::StuckMigration { vm, .. }
            | Self::LyingReadings { vm, .. } => Some(vm),
            _ => None,
        }
    }
}
