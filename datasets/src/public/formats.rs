//! The layouts of traces that can be read, by name.

use std::path::Path;

use whimbrel_core::trace::Size;

use super::{
    alibaba, azure_packing, azure_v1, azure_v2, bitbrains_parquet, converted, error::TraceError,
    gcd, google2019, gwa, huawei, opendc, planetlab, rows::TraceRows, sap, telemetry,
};

/// What a reader has to be told where a set does not say it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceOptions {
    /// What 100 %, or 1, of CPU and memory is; the layout's own default otherwise. Layouts that
    /// have cores and bytes pass over it.
    pub whole: Option<Size>,
    /// The part of the set that is wanted: a day (`planetlab`), a folder (`opendc`), `container` or
    /// `machine` (`alibaba-2018`). All, or the first there is, otherwise.
    pub part: Option<String>,
}

type Open = fn(&Path, &TraceOptions) -> Result<TraceRows, TraceError>;

/// A layout that can be read.
#[derive(Debug, Clone, Copy)]
pub struct TraceLayout {
    /// Its name.
    pub name: &'static str,
    /// What it holds, in a few words.
    pub what: &'static str,
    open: Open,
}

const fn layout(name: &'static str, what: &'static str, open: Open) -> TraceLayout {
    TraceLayout { name, what, open }
}

/// Every layout, by name.
pub const TRACE_LAYOUTS: [TraceLayout; 15] = [
    layout("alibaba-2018", "usage of containers or machines", alibaba::open),
    layout("azure-packing-2020", "lives, as parts of machines (SQLite)", azure_packing::open),
    layout("azure-v1-arrivals", "lives", azure_v1::open),
    layout("azure-v2", "lives, CPU every 5 min", azure_v2::open),
    layout("bitbrains", "CPU and memory every 5 min, a file a guest", gwa::bitbrains),
    layout("bitbrains-parquet", "CPU and memory every 5 min", bitbrains_parquet::open),
    layout("gcd", "CPU and memory every 5 min, in percent", gcd::open),
    layout("google-2019", "usage every 5 min, as parts of machines", google2019::open),
    layout("huawei-east-1", "lives", huawei::open),
    layout("materna", "CPU and memory every 5 min, a file a guest", gwa::materna),
    layout("opendc", "lives and CPU (Parquet)", opendc::open),
    layout("planetlab", "CPU every 5 min, in percent", planetlab::open),
    layout("sap-2025", "CPU, in percent", sap::open),
    layout("telemetry", "our own telemetry", telemetry::open),
    layout("whimbrel", "a trace that was converted", converted::open),
];

/// Opens the trace at `path`, a directory or a file of `layout`. What follows is read row by row.
///
/// # Errors
/// [`TraceError`] when there is no such layout, or `path` does not hold what the layout needs.
pub fn open_trace(
    layout: &str,
    path: &Path,
    options: &TraceOptions,
) -> Result<TraceRows, TraceError> {
    if !path.exists() {
        return Err(TraceError::absent(path, "no such file or directory"));
    }
    match TRACE_LAYOUTS.iter().find(|known| known.name == layout) {
        Some(known) => Ok((known.open)(path, options)?.of(path)),
        None => Err(TraceError::Layout {
            file: TraceError::shown(path),
            row: 0,
            what: format!("no layout is called {layout}"),
            hint: format!("one of {}", TRACE_LAYOUTS.map(|known| known.name).join(", ")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::Repair;

    #[test]
    fn the_readme_describes_every_layout_and_repair() {
        let readme = include_str!("../../README.md");
        for layout in TRACE_LAYOUTS {
            assert!(readme.contains(&format!("| `{}` | ", layout.name)), "{layout:?}");
        }
        assert!(TRACE_LAYOUTS.is_sorted_by_key(|layout| layout.name));
        let repairs = [
            Repair::Duplicate,
            Repair::Backwards,
            Repair::Missing,
            Repair::Invalid,
            Repair::Unknown,
            Repair::Short,
            Repair::Early,
            Repair::Gap,
        ];
        for repair in repairs {
            let word = serde_json::to_value(repair).unwrap();
            let row = format!("| `{}` | ", word.as_str().unwrap());
            assert!(readme.contains(&row), "{repair:?}");
        }
    }
}
