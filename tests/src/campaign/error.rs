//! Why a campaign stops.

use std::path::Path;

use thiserror::Error;
use whimbrel::Failure;
use whimbrel_core::{
    ids::{NameError, OrderId, VmId},
    ports::SinkError,
};
use whimbrel_datasets::DatasetError;
use whimbrel_lab::LabError;

/// Why a campaign stops before its end. What is recorded stays, and it can be taken up again.
#[derive(Debug, Error)]
pub enum CampaignError {
    /// A guest does not hold what it wrote.
    #[error(
        "guest {vm} lost {bad_pages} pages in the migration {order} (hint: its serial log names \
         the pages; nothing else was begun after it)"
    )]
    LostPages {
        /// The guest.
        vm: VmId,
        /// Its last migration.
        order: OrderId,
        /// How many pages.
        bad_pages: u64,
    },
    /// The directory belongs to another campaign.
    #[error("{path} holds the campaign of seed {held}, not of {asked} (hint: name another one)")]
    OtherSeed {
        /// The directory.
        path: String,
        /// Its seed.
        held: u64,
        /// The seed that was asked for.
        asked: u64,
    },
    /// The campaign was begun without compressed channels.
    #[error("{path} says that no channels are compressed (hint: name another directory)")]
    OtherChannels {
        /// The campaign's facts.
        path: String,
    },
    /// The hosts' libvirt compresses no channels.
    #[error(
        "host {host} runs libvirt {version}, which compresses no channels: 9.4 or newer does \
         (hint: start the lab with WHIMBREL_LAB_LIBVIRT=11.3)"
    )]
    OldLibvirt {
        /// The host.
        host: String,
        /// What it runs.
        version: String,
    },
    /// The campaign's own facts cannot be read or written.
    #[error("{path}: {message} (hint: check free space, permissions and the file)")]
    Facts {
        /// The file.
        path: String,
        /// What was tried.
        message: String,
    },
    /// The link was not measured.
    #[error(
        "the link could not be measured: {message} (hint: look at the lab with whimbrel-lab status)"
    )]
    Link {
        /// Why.
        message: String,
    },
    /// The hosts do not come back.
    #[error(
        "the lab broke down {times} times in a row: {message} (hint: start a new one, then this again)"
    )]
    Lab {
        /// How often.
        times: u32,
        /// The last time.
        message: String,
    },
    /// A thread of the recorder itself broke.
    #[error("a thread that looked after {vm} broke (hint: this is a fault in the recorder)")]
    Thread {
        /// The guest.
        vm: VmId,
    },
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The laboratory.
    #[error("{source} (hint: {})", .source.hint())]
    Laboratory {
        /// What the lab says.
        #[from]
        source: LabError,
    },
    /// The store.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Samples were not stored.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The connection to the hosts.
    #[error("{0}")]
    Setup(#[from] Failure),
}

impl CampaignError {
    /// What `error` says of the file or directory at `path`.
    pub fn facts(path: &Path, error: &dyn std::error::Error) -> Self {
        Self::Facts { path: path.display().to_string(), message: error.to_string() }
    }
}
