//! Rows to Parquet bytes and back: with `results`, and `public::columns` for foreign files, the only
//! module that speaks to polars.
//!
//! Bytes are sealed after polars wrote them and unsealed before polars sees them, so that polars
//! decodes nothing but what this module wrote.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use polars::prelude::{
    Column as Series, DataFrame, KeyValueMetadata, NamedFrom as _, ParallelStrategy,
    ParquetCompression, ParquetReader, ParquetWriter, PolarsError, PolarsResult, SerReader as _,
    Series as Values,
};

use crate::{
    error::DatasetError,
    rows::{Cells, Row},
    schema::{Cell, Column, Fault, Kind, SCHEMA_VERSION, TABLE_KEY, Table, VERSION_KEY},
    seal::{seal, unseal},
};

/// The sealed Parquet file of `rows`, which were checked before.
pub(crate) fn encode<R: Row>(rows: &[R]) -> Result<Vec<u8>, String> {
    let mut stacks: Vec<Stack> =
        R::TABLE.columns.iter().map(|column| Stack::new(column.kind, rows.len())).collect();
    for row in rows {
        for (stack, cell) in stacks.iter_mut().zip(row.cells()) {
            stack.push(cell);
        }
    }
    let columns = R::TABLE
        .columns
        .iter()
        .zip(stacks)
        .map(|(column, stack)| stack.into_series(column.name))
        .collect();
    let labels = vec![
        (VERSION_KEY.to_owned(), SCHEMA_VERSION.to_string()),
        (TABLE_KEY.to_owned(), R::TABLE.name.to_owned()),
    ];
    let bytes = guarded(|| write(DataFrame::new(rows.len(), columns)?, labels))?;
    seal(&bytes)
}

pub(crate) fn write(mut frame: DataFrame, labels: Vec<(String, String)>) -> PolarsResult<Vec<u8>> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(labels)))
        .set_parallel(false)
        .finish(&mut frame)?;
    Ok(bytes)
}

/// The rows in the sealed Parquet file `sealed`, which was read from `path`.
pub(crate) fn decode<R: Row>(path: &Path, sealed: &[u8]) -> Result<Vec<R>, DatasetError> {
    let damaged = |what| DatasetError::Damaged { path: DatasetError::shown(path), what };
    let bytes = unseal(sealed).map_err(damaged)?;
    let (labels, frame) = guarded(|| read(bytes)).map_err(damaged)?;
    let version = check_labels(path, &labels, R::TABLE)?;
    let mut columns = Vec::with_capacity(R::TABLE.columns.len());
    for column in R::TABLE.columns {
        columns.push(cells_of(path, &frame, column, version)?);
    }
    let mut rows = Vec::with_capacity(frame.height());
    for row in 0..frame.height() {
        let cells = columns.iter_mut().map(|cells| cells.next().unwrap_or(Cell::Null)).collect();
        let taken = Cells::checked(R::TABLE, cells).and_then(|mut cells| R::from_cells(&mut cells));
        rows.push(taken.map_err(|fault| bad_value(path, row, fault))?);
    }
    Ok(rows)
}

/// The error for a value that was refused in `row` of `path`.
pub(crate) fn bad_value(path: &Path, row: usize, fault: Fault) -> DatasetError {
    DatasetError::BadValue {
        path: DatasetError::shown(path),
        column: fault.column.to_owned(),
        row,
        what: fault.what,
    }
}

pub(crate) type Labels = Vec<(String, Option<String>)>;

pub(crate) fn read(bytes: Vec<u8>) -> PolarsResult<(Labels, DataFrame)> {
    let mut reader = ParquetReader::new(Cursor::new(bytes)).read_parallel(ParallelStrategy::None);
    let pairs = reader.get_metadata()?.key_value_metadata().as_deref().unwrap_or_default();
    let labels = pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect();
    Ok((labels, reader.finish()?))
}

/// Runs `work` and turns a panic within polars into an error.
///
/// Last resort: the seal keeps damaged bytes away from polars, yet a file that carries a seal and
/// was made by another program may still hit an assertion in its decoder. Nothing of a panicked
/// call is used afterwards, hence unwind safety is given.
pub(crate) fn guarded<T>(work: impl FnOnce() -> PolarsResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error: PolarsError| format!("not readable: {error}")),
        Err(_) => Err("not readable: the Parquet library gave up on it".to_owned()),
    }
}

/// The file's version. Refuses later ones, and files of other tables.
fn check_labels(path: &Path, labels: &Labels, table: Table) -> Result<u32, DatasetError> {
    let label = |key: &str| {
        labels.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_deref())
    };
    let foreign = |what| DatasetError::Foreign { path: DatasetError::shown(path), what };
    let version: u32 = label(VERSION_KEY)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| foreign(format!("its metadata has no {VERSION_KEY}")))?;
    if version > SCHEMA_VERSION {
        let path = DatasetError::shown(path);
        return Err(DatasetError::NewerVersion { path, found: version, known: SCHEMA_VERSION });
    }
    match label(TABLE_KEY) {
        Some(name) if name == table.name => Ok(version),
        other => Err(foreign(format!(
            "is a part of table {}, expected {}",
            other.unwrap_or("(none named)"),
            table.name
        ))),
    }
}

type CellIterator<'a> = Box<dyn Iterator<Item = Cell<'a>> + 'a>;

/// The cells of `column` from top to bottom, in a file of schema version `version`.
fn cells_of<'a>(
    path: &Path,
    frame: &'a DataFrame,
    column: &Column,
    version: u32,
) -> Result<CellIterator<'a>, DatasetError> {
    if version < column.since {
        return Ok(Box::new(std::iter::repeat_n(column.cell_before(), frame.height())));
    }
    let series = frame.column(column.name).map_err(|_| DatasetError::MissingColumn {
        path: DatasetError::shown(path),
        column: column.name.to_owned(),
    })?;
    let wrong_type = |_| DatasetError::WrongType {
        path: DatasetError::shown(path),
        column: column.name.to_owned(),
        found: series.dtype().to_string(),
        expected: column.kind.type_name().to_owned(),
    };
    Ok(match column.kind {
        Kind::Flag => cells(series.bool().map_err(wrong_type)?.iter(), Cell::Flag),
        Kind::Share => cells(series.f64().map_err(wrong_type)?.iter(), Cell::Float),
        Kind::Text => cells(series.str().map_err(wrong_type)?.iter(), Cell::from),
        _ => cells(series.i64().map_err(wrong_type)?.iter(), |n: i64| Cell::Int(n.into())),
    })
}

fn cells<'a, T>(
    values: impl Iterator<Item = Option<T>> + 'a,
    make: impl Fn(T) -> Cell<'a> + 'a,
) -> CellIterator<'a> {
    Box::new(values.map(move |value| value.map_or(Cell::Null, &make)))
}

/// The values of one column on their way into a frame.
enum Stack {
    Ints(Vec<Option<i64>>),
    Floats(Vec<Option<f64>>),
    Flags(Vec<Option<bool>>),
    Texts(Vec<Option<String>>),
}

impl Stack {
    fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Flag => Self::Flags(Vec::with_capacity(rows)),
            Kind::Share => Self::Floats(Vec::with_capacity(rows)),
            Kind::Text => Self::Texts(Vec::with_capacity(rows)),
            _ => Self::Ints(Vec::with_capacity(rows)),
        }
    }

    /// Adds `cell`; the row was checked before, so a cell of another type cannot come.
    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Ints(values), Cell::Int(number)) => values.push(i64::try_from(number).ok()),
            (Self::Ints(values), _) => values.push(None),
            (Self::Floats(values), Cell::Float(number)) => values.push(Some(number)),
            (Self::Floats(values), _) => values.push(None),
            (Self::Flags(values), Cell::Flag(flag)) => values.push(Some(flag)),
            (Self::Flags(values), _) => values.push(None),
            (Self::Texts(values), Cell::Text(text)) => values.push(Some(text.into_owned())),
            (Self::Texts(values), _) => values.push(None),
        }
    }

    fn into_series(self, name: &str) -> Series {
        let name = name.into();
        match self {
            Self::Ints(values) => Values::new(name, values),
            Self::Floats(values) => Values::new(name, values),
            Self::Flags(values) => Values::new(name, values),
            Self::Texts(values) => Values::new(name, values),
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;
    use whimbrel_core::{telemetry::DirtySample, units::*};

    use super::*;

    fn samples(count: u64) -> Vec<DirtySample> {
        let sample = |n| DirtySample {
            at: Timestamp::from_micros(1_800_000_000_000_000 + n),
            host: format!("h{}", n % 7).parse().unwrap(),
            vm: format!("vm{n}").parse().unwrap(),
            window: Span::from_millis(400 + n),
            unique: Bytes::mib(n * n),
        };
        (0..count).map(sample).collect()
    }

    fn labels(version: &str, table: &str) -> Vec<(String, String)> {
        vec![(VERSION_KEY.into(), version.into()), (TABLE_KEY.into(), table.into())]
    }

    fn refusal(frame: DataFrame, labels: Vec<(String, String)>) -> String {
        let sealed = seal(&write(frame, labels).unwrap()).unwrap();
        let error = decode::<DirtySample>(Path::new("x.parquet"), &sealed).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("x.parquet: ") && message.contains("(hint: "), "{message}");
        message
    }

    fn frame() -> DataFrame {
        df!(
            "at_micros" => [1_800_000_000_000_000_i64, 1_800_000_000_000_001],
            "host" => ["h1", "h1"],
            "vm" => ["a", "b"],
            "window_micros" => [400_000_i64, 400_000],
            "unique_bytes" => [4096_i64, 8192],
        )
        .unwrap()
    }

    fn with(name: &str, values: Values) -> DataFrame {
        let mut frame = frame();
        frame.with_column(values.with_name(name.into()).into()).unwrap();
        frame
    }

    #[test]
    fn the_plain_frame_is_accepted() {
        let sealed = seal(&write(frame(), labels("1", "dirty")).unwrap()).unwrap();
        assert_eq!(decode::<DirtySample>(Path::new("x"), &sealed).unwrap().len(), 2);
    }

    #[test]
    fn versions_and_tables_are_told_apart() {
        let newer = refusal(frame(), labels("3", "dirty"));
        assert!(newer.contains("version 3, this program knows up to 2"), "{newer}");
        assert!(refusal(frame(), labels("1", "jobs")).contains("table jobs, expected dirty"));
        assert!(refusal(frame(), labels("one", "dirty")).contains(VERSION_KEY));
        assert!(refusal(frame(), vec![]).contains(VERSION_KEY));
    }

    #[test]
    fn columns_are_named_when_they_are_missing_or_of_another_type() {
        let missing = refusal(frame().drop("window_micros").unwrap(), labels("1", "dirty"));
        assert!(missing.contains("column window_micros is missing"), "{missing}");
        let floats = with("unique_bytes", Values::new("".into(), [1.0, f64::NAN]));
        let wrong = refusal(floats, labels("1", "dirty"));
        assert!(wrong.contains("column unique_bytes has type f64, expected i64"), "{wrong}");
        let texts = with("at_micros", Values::new("".into(), ["now", "then"]));
        assert!(refusal(texts, labels("1", "dirty")).contains("has type str, expected i64"));
    }

    #[test]
    fn values_are_named_with_their_row_and_limit() {
        let bad = |name: &str, value: Option<i64>| {
            let good = frame().column(name).unwrap().i64().unwrap().get(0);
            refusal(with(name, Values::new("".into(), [good, value])), labels("1", "dirty"))
        };
        assert!(bad("unique_bytes", Some(-1)).contains("unique_bytes, row 1: -1 is negative"));
        assert!(bad("unique_bytes", Some(1 << 51)).contains("over the limit, 1 PiB"));
        assert!(bad("unique_bytes", None).contains("is null"));
        assert!(bad("at_micros", Some(0)).contains("before 2000"));
        assert!(bad("at_micros", Some(i64::MAX)).contains("2199"));
        assert!(bad("window_micros", Some(i64::MAX)).contains("366 days"));
        let name = with("vm", Values::new("".into(), ["a", "../b"]));
        assert!(refusal(name, labels("1", "dirty")).contains("column vm, row 1: domain name"));
    }

    /// Bytes that another program damaged before sealing them reach polars: whatever it makes of
    /// them, a panic does not get out.
    #[test]
    fn a_panic_within_polars_stays_within() {
        let sealed = encode(&samples(200)).unwrap();
        let bytes = unseal(&sealed).unwrap();
        let mut refused = 0;
        // Primes, so that neither positions nor bits repeat in step.
        for round in 0..600 {
            let mut damaged = bytes.clone();
            let position = (round * 7919) % damaged.len();
            damaged[position] ^= 1 << (round % 8);
            if let Ok(resealed) = seal(&damaged) {
                refused += usize::from(decode::<DirtySample>(Path::new("x"), &resealed).is_err());
            }
        }
        assert!(refused > 100, "only {refused} of 600 changes were noticed without the seal");
    }
}
