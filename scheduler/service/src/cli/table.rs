//! Tables for people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use whimbrel_core::predict::Quantiles;

/// A borderless table with `heads`; columns whose head begins with `>` are aligned to the right.
pub(super) fn table<H: AsRef<str>>(heads: &[H]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.as_ref().trim_start_matches('>')));
    for (index, head) in heads.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if head.as_ref().starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

/// A value, or a dash where there is none.
pub(super) fn or_dash<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// The 90 % band of a predicted quantity: `2.1 s .. 8.8 s`.
pub(super) fn band<T: Copy>(quantiles: &Quantiles<T>, text: impl Fn(T) -> String) -> String {
    format!("{} .. {}", text(quantiles.p05), text(quantiles.p95))
}
