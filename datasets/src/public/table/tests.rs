//! What a declared layout accepts and how it refuses.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

static NAMED: Layout = Layout {
    delimiter: b';',
    header: true,
    decimal_comma: true,
    columns: &[
        Column { name: "when", place: Place::Named(&["Timestamp"]), unit: Unit::Moment },
        Column { name: "cores", place: Place::Named(&["CPU cores"]), unit: Unit::Cores },
        Column { name: "memory", place: Place::IfNamed(&["Memory"]), unit: Unit::Kib },
    ],
};

static PLACED: Layout = Layout {
    delimiter: b',',
    header: false,
    decimal_comma: false,
    columns: &[
        Column { name: "vm", place: Place::At(1), unit: Unit::Text },
        Column { name: "at", place: Place::At(0), unit: Unit::Seconds },
        Column { name: "cpu", place: Place::At(2), unit: Unit::Percent },
    ],
};

fn table(text: &[u8], layout: &'static Layout) -> Result<Table, TraceError> {
    Table::open(Lines::new(Box::new(Cursor::new(text.to_vec())), "t.csv".into()), layout)
}

fn refusal(text: &str, layout: &'static Layout) -> String {
    let read = || -> Result<(), TraceError> {
        let mut table = table(text.as_bytes(), layout)?;
        while table.advance()? {
            for (index, column) in layout.columns.iter().enumerate() {
                if column.unit == Unit::Text {
                    table.text(index)?;
                } else {
                    table.number(index)?;
                }
            }
        }
        Ok(())
    };
    read().unwrap_err().to_string()
}

#[test]
fn named_columns_are_found_in_any_order_and_units_become_base_units() {
    let text = "\"CPU cores\";\t\"Timestamp\"\n\"2,5\";\t04.11.2015 00:03:38\n\n";
    let mut table = table(text.as_bytes(), &NAMED).unwrap();
    assert!(table.advance().unwrap());
    assert_eq!(table.number(0), Ok(1_446_595_418e6));
    assert_eq!(table.number(1), Ok(2500.0));
    assert_eq!(table.maybe(2), Ok(None), "a column that the file does not have");
    assert!(!table.advance().unwrap());
}

#[test]
fn moments_come_in_three_forms() {
    assert_eq!(moment(b"1376314846"), Some(1_376_314_846e6));
    assert_eq!(moment(b"1376314846000"), Some(1_376_314_846e6));
    assert_eq!(moment(b"2000-03-01T00:00:00Z"), Some(951_868_800e6));
    assert_eq!(moment(b"29.02.2016 23:59:59"), Some(1_456_790_399e6));
    let none: [&[u8]; 6] = [b"0", b"-5", b"NaN", b"1e300", b"30.13.2015 00:00:00", b"12:00:00"];
    for text in none {
        assert_eq!(moment(text), None, "{}", excerpt(text));
    }
}

#[test]
fn faults_are_named_by_file_row_and_column() {
    let of = |rows: &str| refusal(rows, &PLACED);
    assert!(of("0,a,5\n1,b,x\n").contains("t.csv: row 2: column cpu: 'x' is not percent"));
    assert!(of("0,a,NaN\n").contains("column cpu: 'NaN' is not percent"));
    assert!(of("0,a,inf\n").contains("'inf' is not percent"));
    assert!(of("0,a,-1\n").contains("-1 is outside 0 to 100000 percent"));
    assert!(of("1e18,a,1\n").contains("column at: 1e18 is outside"));
    assert!(of("0,,1\n").contains("column vm: a name of 0 bytes"));
    assert!(of("0,a,\n").contains("column cpu: is empty"));
    assert!(of("0,a,1\n\n1,a,1\n").contains("row 2: is empty, and rows follow"));
    let delimiter = of("0;a;5\n");
    assert!(delimiter.contains("has 1 fields, the layout needs 3: '0;a;5'"), "{delimiter}");
    assert!(delimiter.contains("(hint: fields are separated by ','"), "{delimiter}");
    let headless = refusal("04.11.2015 00:03:38;2;3\n", &NAMED);
    assert!(headless.contains("row 1: has no column when"), "{headless}");
    assert!(headless.contains("the first row names the columns"), "{headless}");
}

#[test]
fn a_million_columns_are_refused() {
    let wide = refusal(&",".repeat(60_000), &PLACED);
    assert!(wide.contains("row 1: has more than 256 columns"), "{wide}");
    let wider = refusal(&",".repeat(1_000_000), &PLACED);
    assert!(wider.contains("longer than 65536 bytes"), "{wider}");
}

proptest! {
    #[test]
    fn days_count_up_by_one(year in 1971_u32..2200, month in 1_u32..=12, day in 1_u32..=27) {
        prop_assert_eq!(days(year, month, day) + 1, days(year, month, day + 1));
        let last = if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
        prop_assert!((28..=31).contains(&(last - days(year, month, 1))));
    }

    #[test]
    fn no_bytes_make_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for layout in [&PLACED, &NAMED] {
            let Ok(mut table) = table(&bytes, layout) else { continue };
            while let Ok(true) = table.advance() {
                for column in 0..layout.columns.len() {
                    if let Ok(Some(number)) = table.maybe(column) {
                        prop_assert!(number.is_finite());
                    }
                    let _ = table.text(column);
                }
            }
        }
    }
}
