//! Model files: what is written comes back, and everything else is refused by name.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{
    digest::Digest,
    units::{Bytes, Span, Timestamp},
};
use whimbrel_models::{
    Model,
    file::{ModelFile, ModelFileError, VERSION, Window},
};

/// As a program before model files wrote it.
const VERSION_0: &str = r#"{"learnt_from":12,"fixed_cost":"540 ms","fixed_cost_spread":0.2,
"efficiency":0.93,"efficiency_spread":0.02,"downtime_constant":"30 ms","resident_overhead":"46 MiB",
"non_zero_of_resident":0.97,"non_zero_of_resident_spread":0.12,"non_zero_of_memory":0.7,
"non_zero_of_memory_spread":0.35,"level_spread_fresh":0.03,"level_spread_hour":0.3,
"unread_rate":"8 MiB/s","unread_spread":1.5,"time_residual":0.06,"bytes_residual":0.03,
"downtime_residual":1.0,"guests":{"web-1":{"non_zero":"30 MiB","memory":"64 MiB","migrations":3}}}"#;

const NAME: &str = "models/current.json";

fn model() -> ModelFile<Model> {
    ModelFile {
        learnt_by: env!("CARGO_PKG_VERSION").to_owned(),
        window: Some(Window {
            first: Timestamp::from_micros(1_700_000_000_000_000),
            last: Timestamp::from_micros(1_700_000_900_000_000),
        }),
        counts: BTreeMap::from([("migrations".to_owned(), 72), ("guests".to_owned(), 9)]),
        metrics: BTreeMap::from([("time_error_median_share".to_owned(), 0.1)]),
        data: Some(Digest::of(&["a", "b"])),
        parameters: Model { learnt_from: 72, ..Model::default() },
    }
}

fn read(text: &str) -> Result<ModelFile<Model>, ModelFileError> {
    ModelFile::from_text(NAME, text)
}

#[test]
fn what_is_written_comes_back() {
    let text = model().to_text(NAME).unwrap();
    assert_eq!(read(&text).unwrap(), model());
    assert_eq!(read(&text).unwrap().to_text(NAME).unwrap(), text);
}

#[test]
fn white_space_is_no_damage() {
    let text = model().to_text(NAME).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read(&serde_json::to_string_pretty(&value).unwrap()).unwrap(), model());
}

#[test]
fn a_changed_figure_is_damage() {
    let text = model().to_text(NAME).unwrap();
    for (from, to) in [
        ("\"guests\":9", "\"guests\":8"),
        ("\"time_error_median_share\":0.1", "\"time_error_median_share\":0.01"),
        ("\"time_spread\":0.06", "\"time_spread\":0.07"),
        ("\"version\":1", "\"version\":0"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let refusal = read(&changed).unwrap_err();
        assert!(matches!(refusal, ModelFileError::Damaged { .. }), "{refusal}");
        assert!(refusal.to_string().starts_with(NAME), "{refusal}");
        assert!(refusal.to_string().contains("hint"), "{refusal}");
    }
}

#[test]
fn a_later_version_is_refused_with_its_number() {
    let later = r#"{"format":"whimbrel-model","version":7,"something":"else"}"#;
    let refusal = read(later).unwrap_err();
    assert_eq!(refusal, ModelFileError::Newer { file: NAME.to_owned(), found: 7, known: VERSION });
    assert!(refusal.to_string().contains("version 7"), "{refusal}");
}

#[test]
fn a_plain_calibration_is_version_0() {
    let lifted = read(VERSION_0).unwrap();
    let model = &lifted.parameters;
    assert_eq!((model.learnt_from, model.guests.len()), (12, 1));
    assert!((model.rates.of_cap.value - 0.93).abs() < 1e-9);
    assert_eq!(model.costs.fixed, Span::from_millis(540));
    assert_eq!(model.guests.values().next().unwrap().non_zero, Some(Bytes::mib(30)));
    assert_eq!(lifted.counts, BTreeMap::from([("migrations".to_owned(), 12)]));
    assert_eq!((lifted.window, lifted.data.clone()), (None, None));
    let text = lifted.to_text(NAME).unwrap();
    assert!(text.contains("\"version\":1"), "written as the present version");
    assert_eq!(read(&text).unwrap(), lifted);
}

#[test]
fn other_files_are_refused() {
    for (text, expected) in [
        (r#"{"format":"some-table","version":1}"#, "some-table"),
        (r#"{"hosts":[]}"#, "no plain calibration"),
        (r#"{"learnt_from":3,"efficency":1}"#, "fixed_cost"),
        ("[]", "no plain calibration"),
    ] {
        let refusal = read(text).unwrap_err();
        assert!(matches!(refusal, ModelFileError::Foreign { .. }), "{refusal}");
        assert!(refusal.to_string().contains(expected), "{refusal}");
    }
}

#[test]
fn parameters_of_another_shape_are_unsuitable() {
    let text = model().to_text(NAME).unwrap();
    let refusal = ModelFile::<Vec<f64>>::from_text(NAME, &text).unwrap_err();
    assert!(matches!(refusal, ModelFileError::Unsuitable { .. }), "{refusal}");
}

#[test]
fn figures_that_are_not_finite_are_not_written() {
    let mut wrong = model();
    wrong.metrics.insert("coverage_share".to_owned(), f64::NAN);
    assert!(wrong.to_text(NAME).unwrap_err().to_string().contains("coverage_share"));
    let mut wrong = model();
    wrong.parameters.costs.time_spread = f64::INFINITY;
    assert!(matches!(wrong.to_text(NAME), Err(ModelFileError::Unwritable { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_cut_file_is_read(part in 0.0f64..1.0) {
        let text = model().to_text(NAME).unwrap();
        let end = (part * (text.len() - 2) as f64) as usize;
        prop_assert!(read(&text[..end]).is_err());
    }

    #[test]
    fn no_changed_byte_changes_the_model(at in 0usize..10_000, byte in 32u8..127) {
        let mut bytes = model().to_text(NAME).unwrap().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(found) = read(&String::from_utf8(bytes).unwrap()) {
            prop_assert_eq!(found, model());
        }
    }
}
