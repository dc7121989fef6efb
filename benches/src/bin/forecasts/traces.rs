//! CPU use in percent, one value every five minutes, from the public traces as they lie.
//!
//! A sample that was not taken is NaN. Series are spread evenly over the trace, so that the choice
//! does not hang on an order.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use polars::prelude::{DataType, ParquetReader, SerReader as _};

type Read = Result<Vec<Vec<f64>>, Box<dyn Error>>;

/// At most `count` series of `trace` in `directory`.
pub(crate) fn read(trace: &str, directory: &Path, count: usize) -> Read {
    match trace {
        "planetlab" => archive(&directory.join("planetlab-comon-2011.tar.zst"), count),
        "google2011-gcd-vms" => archive(&directory.join("GCD_VMs.tar.gz"), count),
        _ => parquet(&directory.join("gwa-t-12-rnd-2013-07.parquet"), count),
    }
}

fn spread<T>(all: Vec<T>, count: usize) -> impl Iterator<Item = T> {
    let stride = (all.len() / count.max(1)).max(1);
    all.into_iter().step_by(stride).take(count)
}

/// An archive of text files, the CPU in the first column.
fn archive(path: &Path, count: usize) -> Read {
    let scratch = std::env::temp_dir().join(format!("whimbrel-forecasts-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let unpacked = Command::new("tar").arg("-C").arg(&scratch).arg("-xf").arg(path).status();
    let read = unpacked.map_err(Box::from).and_then(|status| {
        if !status.success() {
            return Err(Box::from(format!("tar: {status} (hint: tar needs zstd)")));
        }
        let mut files = Vec::new();
        list(&scratch, &mut files)?;
        files.sort();
        spread(files, count).map(|file| column(&file)).collect()
    });
    fs::remove_dir_all(&scratch)?;
    read
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn column(file: &Path) -> Result<Vec<f64>, Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    let first = |line: &str| line.split_whitespace().next().and_then(|word| word.parse().ok());
    Ok(text.lines().map(|line| first(line).unwrap_or(f64::NAN)).collect())
}

/// Bitbrains' Parquet: used MHz of the provisioned ones, put on the grid.
fn parquet(path: &Path, count: usize) -> Read {
    let columns = ["vm", "t_s", "cap_mhz", "cpu_mhz"].map(str::to_owned).to_vec();
    let frame = ParquetReader::new(fs::File::open(path)?).with_columns(Some(columns)).finish()?;
    let column = |name: &str| -> Result<Vec<f64>, Box<dyn Error>> {
        let values = frame.column(name)?.cast(&DataType::Float64)?;
        Ok(values.f64()?.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    };
    let (vms, times) = (column("vm")?, column("t_s")?);
    let (provisioned, used) = (column("cap_mhz")?, column("cpu_mhz")?);
    let first = times.iter().copied().fold(f64::MAX, f64::min);
    let mut series: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (((vm, time), provisioned), used) in vms.iter().zip(&times).zip(&provisioned).zip(&used) {
        let place = ((time - first) / 300.0).round() as usize;
        let own = series.entry(*vm as u64).or_default();
        if own.len() <= place {
            own.resize(place + 1, f64::NAN);
        }
        if let Some(cell) = own.get_mut(place).filter(|_| *provisioned > 0.0) {
            *cell = 100.0 * used / provisioned;
        }
    }
    Ok(spread(series.into_values().collect(), count).collect())
}
