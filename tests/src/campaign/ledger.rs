//! What of a campaign is done, from what its directory holds; nothing else is remembered.
//!
//! A row is done when its migration is in the store, and given up when it broke three times; the
//! reason then stands in `campaign.toml`, beside the seed and what was measured of the link.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    ids::{OrderId, VmId},
    units::BytesPerSecond,
};
use whimbrel_datasets::TelemetryReader;

use super::{behaviours::Planned, error::CampaignError, repeats::Repeat, settings::Row};

/// The facts' file in the campaign's directory.
pub const FACTS_FILE: &str = "campaign.toml";

/// A row that breaks is tried again so often before it is given up.
const RETRIES: u32 = 2;

/// What is kept beside the rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    /// Seed of every choice.
    seed: u64,
    /// Whether some migrations compress their channels; none until somebody has said so.
    #[serde(default)]
    compressed_channels: Option<bool>,
    /// What a link without a limit was measured to carry, before the first row.
    path_bandwidth: Option<BytesPerSecond>,
    /// Rows that were given up, and why.
    #[serde(default)]
    skipped: BTreeMap<OrderId, String>,
    /// What the rows of a guest that are alike have in common, since the first of them.
    #[serde(default)]
    repeats: BTreeMap<VmId, Repeat>,
}

/// What is done and what is left.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    facts: Facts,
    done: BTreeSet<OrderId>,
    broken: BTreeMap<OrderId, u32>,
}

impl Ledger {
    /// The ledger of the campaign in `directory`, whatever its seed.
    ///
    /// # Errors
    /// [`CampaignError::Facts`] when there is none.
    pub fn read(directory: &Path) -> Result<Self, CampaignError> {
        let path = directory.join(FACTS_FILE);
        let text = fs::read_to_string(&path).map_err(|e| CampaignError::facts(&path, &e))?;
        let facts: Facts = toml::from_str(&text).map_err(|e| CampaignError::facts(&path, &e))?;
        Self::open(directory, facts.seed)
    }

    /// The ledger of the campaign of `seed` in `directory`, which may not exist yet.
    ///
    /// # Errors
    /// [`CampaignError::OtherSeed`]; else when the directory cannot be read.
    pub fn open(directory: &Path, seed: u64) -> Result<Self, CampaignError> {
        let path = directory.join(FACTS_FILE);
        let mut facts = Facts { seed, ..Facts::default() };
        if path.exists() {
            let text = fs::read_to_string(&path).map_err(|e| CampaignError::facts(&path, &e))?;
            facts = toml::from_str(&text).map_err(|e| CampaignError::facts(&path, &e))?;
        }
        if facts.seed != seed {
            let path = directory.display().to_string();
            return Err(CampaignError::OtherSeed { path, held: facts.seed, asked: seed });
        }
        let mut done = BTreeSet::new();
        if directory.join("migrations").is_dir() {
            let records = TelemetryReader::open(directory)?.migrations()?;
            done.extend(records.into_iter().map(|record| record.id));
        }
        Ok(Self { path, facts, done, broken: BTreeMap::new() })
    }

    /// Whether some migrations compress their channels: what was `asked` for at first.
    ///
    /// # Errors
    /// [`CampaignError::OtherChannels`] when that is now asked for and was not at first;
    /// [`CampaignError::Facts`] when it cannot be written.
    pub fn compressed_channels(&mut self, asked: bool) -> Result<bool, CampaignError> {
        let Some(held) = self.facts.compressed_channels else {
            self.facts.compressed_channels = Some(asked);
            return self.write().map(|()| asked);
        };
        if asked && !held {
            return Err(CampaignError::OtherChannels { path: self.path.display().to_string() });
        }
        Ok(held)
    }

    /// What the rows of `vm` that are alike have in common, once one of them has begun.
    pub fn repeat(&self, vm: &VmId) -> Option<&Repeat> {
        self.facts.repeats.get(vm)
    }

    /// Keeps how the first of the rows of `vm` that are alike began.
    ///
    /// # Errors
    /// [`CampaignError::Facts`] when it cannot be written.
    pub fn set_repeat(&mut self, vm: &VmId, repeat: Repeat) -> Result<(), CampaignError> {
        self.facts.repeats.insert(vm.clone(), repeat);
        self.write()
    }

    /// What a link without a limit carries, once it was measured.
    pub fn path_bandwidth(&self) -> Option<BytesPerSecond> {
        self.facts.path_bandwidth
    }

    /// Keeps what a link without a limit carries.
    ///
    /// # Errors
    /// [`CampaignError::Facts`] when it cannot be written.
    pub fn set_path_bandwidth(&mut self, bandwidth: BytesPerSecond) -> Result<(), CampaignError> {
        self.facts.path_bandwidth = Some(bandwidth);
        self.write()
    }

    /// The rows of `guest` that are still to be done, in their order.
    pub fn remaining(&self, guest: &Planned) -> Vec<Row> {
        let settled = |id| self.done.contains(id) || self.facts.skipped.contains_key(id);
        guest.rows.iter().filter(|row| !settled(&row.id)).cloned().collect()
    }

    /// How many rows are done.
    pub fn done(&self) -> usize {
        self.done.len()
    }

    /// Rows that were given up, and why.
    pub fn skipped(&self) -> &BTreeMap<OrderId, String> {
        &self.facts.skipped
    }

    /// Notes that the row is in the store.
    pub fn note_done(&mut self, id: &OrderId) {
        self.done.insert(id.clone());
    }

    /// Notes that the row broke; it is given up when that was once too often.
    ///
    /// # Errors
    /// [`CampaignError::Facts`] when that cannot be written.
    pub fn note_broken(&mut self, id: &OrderId, reason: &str) -> Result<(), CampaignError> {
        let times = self.broken.entry(id.clone()).or_default();
        *times += 1;
        if *times <= RETRIES {
            return Ok(());
        }
        self.facts.skipped.insert(id.clone(), reason.to_owned());
        self.write()
    }

    fn write(&self) -> Result<(), CampaignError> {
        let text =
            toml::to_string(&self.facts).map_err(|e| CampaignError::facts(&self.path, &e))?;
        // Replaced whole: a killed recorder leaves the one before.
        let beside = self.path.with_extension("new");
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory).map_err(|e| CampaignError::facts(directory, &e))?;
        }
        fs::write(&beside, text).map_err(|e| CampaignError::facts(&beside, &e))?;
        fs::rename(&beside, &self.path).map_err(|e| CampaignError::facts(&self.path, &e))
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        telemetry::MigrationRecord,
        units::{Bytes, Span, Timestamp},
    };
    use whimbrel_datasets::TelemetryStore;

    use super::*;
    use crate::campaign::behaviours;

    fn record(row: &Row, guest: &Planned) -> MigrationRecord {
        MigrationRecord {
            arrived: true,
            wall: Span::from_seconds(3),
            ..MigrationRecord::beginning(
                row.id.clone(),
                Timestamp::from_micros(1_800_000_000_000_000),
                guest.vm.clone(),
                "h1".parse().unwrap(),
                "h2".parse().unwrap(),
                row.settings.clone(),
                Bytes::mib(48),
            )
        }
    }

    #[test]
    fn what_is_stored_is_not_done_again() {
        let directory = tempfile::tempdir().unwrap();
        let guest = behaviours::draw(1, false).unwrap().remove(4);
        let mut ledger = Ledger::open(directory.path(), 1).unwrap();
        assert_eq!(ledger.remaining(&guest), guest.rows);
        let mut store = TelemetryStore::create(directory.path()).unwrap();
        store.append_migrations(&[record(&guest.rows[1], &guest)]).unwrap();
        ledger.note_done(&guest.rows[1].id);
        let again = Ledger::open(directory.path(), 1).unwrap();
        for ledger in [ledger, again] {
            let rows = ledger.remaining(&guest);
            assert_eq!((rows.len(), ledger.done()), (guest.rows.len() - 1, 1));
            assert!(rows.iter().all(|row| row.id != guest.rows[1].id));
        }
    }

    #[test]
    fn a_row_is_given_up_when_it_broke_three_times() {
        let directory = tempfile::tempdir().unwrap();
        let guest = behaviours::draw(1, false).unwrap().remove(0);
        let mut ledger = Ledger::open(directory.path(), 1).unwrap();
        ledger.set_path_bandwidth(BytesPerSecond::mib(300)).unwrap();
        for time in 1..=3 {
            assert_eq!(ledger.remaining(&guest).len(), guest.rows.len(), "time {time}");
            ledger.note_broken(&guest.rows[0].id, "host h2 does not answer").unwrap();
        }
        let again = Ledger::open(directory.path(), 1).unwrap();
        assert_eq!(again.remaining(&guest), guest.rows[1..]);
        assert_eq!(again.skipped()[&guest.rows[0].id], "host h2 does not answer");
        assert_eq!(again.path_bandwidth(), Some(BytesPerSecond::mib(300)));
    }

    #[test]
    fn what_was_decided_at_first_stays() {
        let directory = tempfile::tempdir().unwrap();
        let vm: VmId = "b003".parse().unwrap();
        let (from, to) = ("h2".parse().unwrap(), "h3".parse().unwrap());
        let repeat = Repeat { from, to, phase_millis: Some(12_345) };
        let mut ledger = Ledger::open(directory.path(), 1).unwrap();
        assert!(ledger.compressed_channels(true).unwrap());
        ledger.set_repeat(&vm, repeat.clone()).unwrap();
        let mut again = Ledger::open(directory.path(), 1).unwrap();
        assert_eq!(again.repeat(&vm), Some(&repeat));
        // Whoever takes it up need not say it again.
        assert!(again.compressed_channels(false).unwrap());
        let other = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(other.path(), 1).unwrap();
        assert!(!ledger.compressed_channels(false).unwrap());
        assert!(matches!(
            ledger.compressed_channels(true),
            Err(CampaignError::OtherChannels { .. })
        ));
    }

    #[test]
    fn a_directory_of_another_seed_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(directory.path(), 1).unwrap();
        ledger.set_path_bandwidth(BytesPerSecond::mib(300)).unwrap();
        let message = Ledger::open(directory.path(), 2).unwrap_err().to_string();
        assert!(message.contains("seed 1, not of 2"), "{message}");
    }
}
