//! Live migrations of `OpenStack` guests one after the other, on Ceph and on local disks: how long
//! Nova took for each.
//!
//! Says nothing of bytes, downtime or what the guests wrote: the set has durations only.

use serde::Deserialize;
use whimbrel_core::units::{Bytes, Span};

use crate::{error::DatasetError, manifest::locate, public::read_table};

/// Name of the set in the manifest.
pub const NAME: &str = "osic-nova-2017";

const FILE: &str = "nova_live_migration_durations.csv.gz";

/// Nothing in the set took longer than a day.
const SECONDS_MAX: f64 = 86_400.0;

/// A guest's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// 2 vCPUs, 4 GiB.
    Small,
    /// 4 vCPUs, 8 GiB.
    Medium,
    /// 8 vCPUs, 16 GiB.
    Large,
}

impl Flavour {
    /// Its memory.
    pub fn memory(self) -> Bytes {
        match self {
            Self::Small => Bytes::mib(4 << 10),
            Self::Medium => Bytes::mib(8 << 10),
            Self::Large => Bytes::mib(16 << 10),
        }
    }
}

/// One migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NovaMigration {
    /// The guest's size.
    pub flavour: Flavour,
    /// Through libvirt's own connection instead of one of QEMU's.
    pub tunnelled: bool,
    /// The disk was on Ceph and stayed where it was.
    pub shared_storage: bool,
    /// From the request to the end, as Nova has it.
    pub duration: Span,
}

#[derive(Deserialize)]
struct Row {
    file: String,
    flavor: Flavour,
    tunneling: String,
    duration_s: f64,
}

/// Every migration of the set, in the order of its file.
///
/// # Errors
/// [`DatasetError`] when the set is not on this machine, or is not what it should be.
pub fn read() -> Result<Vec<NovaMigration>, DatasetError> {
    let dir = locate(NAME).ok_or(DatasetError::PublicAbsent { name: NAME })?;
    let path = dir.join(FILE);
    let refused =
        |message: String| DatasetError::Public { path: DatasetError::shown(&path), message };
    let rows = read_table::<Row>(&path)?.into_iter().enumerate();
    rows.map(|(number, row)| {
        migration(&row).map_err(|what| refused(format!("line {}: {what}", number + 2)))
    })
    .collect()
}

fn migration(row: &Row) -> Result<NovaMigration, String> {
    let seconds = row.duration_s;
    if !(seconds > 0.0 && seconds <= SECONDS_MAX) {
        return Err(format!("duration_s is {seconds}, not above 0 and up to {SECONDS_MAX}"));
    }
    Ok(NovaMigration {
        flavour: row.flavor,
        tunnelled: match row.tunneling.as_str() {
            "on" => true,
            "off" => false,
            other => return Err(format!("tunneling is {other:?}, neither on nor off")),
        },
        shared_storage: row.file.contains("shared_storage"),
        duration: Span::from_seconds_f64(seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tunneling: &str, duration_s: f64) -> Row {
        let file = "lvm_tun_on_shared_storage_sml".to_owned();
        Row { file, flavor: Flavour::Large, tunneling: tunneling.to_owned(), duration_s }
    }

    #[test]
    fn rows_become_migrations_or_are_refused() {
        let read = migration(&row("on", 95.1)).unwrap();
        assert!(read.tunnelled && read.shared_storage);
        assert_eq!(
            (read.flavour.memory(), read.duration),
            (Bytes::mib(16 << 10), Span::from_millis(95_100))
        );
        assert!(migration(&row("maybe", 1.0)).unwrap_err().contains("maybe"));
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(migration(&row("on", nonsense)).unwrap_err().contains("duration_s"));
        }
    }

    #[test]
    fn the_set_is_read_whole() {
        match read() {
            Ok(migrations) => {
                assert_eq!(migrations.len(), 4627);
                assert_eq!(migrations.iter().filter(|one| one.shared_storage).count(), 2386);
            }
            Err(DatasetError::PublicAbsent { name }) => eprintln!("skipped: no {name} here"),
            Err(error) => panic!("{error}"),
        }
    }
}
