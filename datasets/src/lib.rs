//! Stores telemetry and migration records as Parquet, and reads them back as core's own rows.
//!
//! Data flow: [`TelemetryStore`] takes batches and records, checks every value against its column
//! in [`schema`] and writes sealed, immutable parts; [`TelemetryReader`] checks the seal, the
//! schema and every value again and returns rows ordered by time; [`SnapshotSource`] turns them
//! into the cluster as it was at a given moment; [`TelemetryReader::traces`] joins migrations with
//! what was seen of them, [`Campaign`] adds what their guests did. [`manifest`] names public traces
//! that are read where they lie, and [`public`] reads them: migrations whole, guests and their use
//! row by row. [`SyntheticTrace`] draws guests, [`DirtyModel`] says how fast they dirty memory, and
//! [`place`] makes telemetry of both. [`ResultSet`] keeps what simulated cells came to. The layout on disk is documented in
//! `datasets/README.md`.
//!
//! Never here: guesses for missing values (null stays `None`), data of the public traces, clocks.
//! No other package of the workspace uses polars.

mod campaign;
mod dirtying;
mod error;
mod frame;
pub mod import;
mod inventory;
mod manifest;
mod merge;
mod partition;
mod placing;
pub mod public;
mod reader;
mod replay;
mod results;
mod rows;
pub mod schema;
mod seal;
mod synthetic;
mod traces;
mod writer;

pub use campaign::{BEHAVIOURS_FILE, Behaviour, Campaign, CampaignSet, write_behaviours};
pub use dirtying::{
    DirtyModel, DirtyObservation, RECORDED as RECORDED_DIRTYING, unique as unique_dirty,
};
pub use error::DatasetError;
pub use inventory::{HostCapacity, INVENTORY_FILE, Inventory};
pub use manifest::{
    FileCheck, FileState, PUBLIC_DATA_VARIABLE, PublicFile, PublicSet, check_file, locate, manifest,
};
pub use merge::merge_parts;
pub use placing::{PlaceError, Placed, Placing, place};
pub use reader::TelemetryReader;
pub use replay::SnapshotSource;
pub use results::{PlainTable, ResultRow, ResultSet};
pub use rows::GuestCheck;
pub use synthetic::{SyntheticError, SyntheticTrace};
pub use writer::{FlushLimits, TelemetryStore};
