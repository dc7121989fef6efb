//! Lifts models of older versions to the present one, one version at a time.
//!
//! Each version but the present one has a function that makes the next one out of it. Never
//! guesses: what an older version did not keep is stated as not known.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use whimbrel_core::units::{Bytes, Span};

use super::VERSION;
use crate::guest::HISTORY_VERSION;

/// Makes a model of the next version out of one; `Err` says why it is none.
type Step = fn(Value) -> Result<Value, String>;

/// The step from each version, from 0.
const STEPS: [Step; VERSION as usize] = [from_plain_calibration];

/// `model` of `version` as the present version has it.
pub(super) fn to_present(version: u64, model: Value) -> Result<Value, String> {
    let first = usize::try_from(version).unwrap_or(usize::MAX);
    STEPS.iter().skip(first).try_fold(model, |model, step| step(model))
}

/// Constants of version 0: a calibration alone, without a name or a seal.
#[derive(Deserialize)]
struct PlainCalibration {
    learnt_from: usize,
    fixed_cost: Span,
    fixed_cost_spread: f64,
    efficiency: f64,
    efficiency_spread: f64,
    downtime_constant: Span,
    resident_overhead: Bytes,
    non_zero_of_resident: f64,
    non_zero_of_resident_spread: f64,
    non_zero_of_memory: f64,
    non_zero_of_memory_spread: f64,
    level_spread_fresh: f64,
    level_spread_hour: f64,
    time_residual: f64,
    bytes_residual: f64,
    downtime_residual: f64,
    guests: BTreeMap<String, PlainHistory>,
}

/// What version 0 kept of a guest.
#[derive(Deserialize)]
struct PlainHistory {
    non_zero: Bytes,
    memory: Bytes,
    migrations: u32,
}

fn from_plain_calibration(model: Value) -> Result<Value, String> {
    let old: PlainCalibration = serde_json::from_value(model)
        .map_err(|error| format!("it has no format, and is no plain calibration: {error}"))?;
    let rate = json!({ "value": old.efficiency, "spread": old.efficiency_spread });
    let guests: BTreeMap<String, Value> = old
        .guests
        .into_iter()
        .map(|(vm, PlainHistory { non_zero, memory, migrations })| {
            let history = json!({
                "version": HISTORY_VERSION,
                "memory": memory,
                "non_zero": non_zero,
                "migrations": migrations,
            });
            (vm, history)
        })
        .collect();
    let model = json!({
        "learnt_from": old.learnt_from,
        "rates": { "of_cap": rate, "of_link": rate },
        "costs": {
            "fixed": old.fixed_cost,
            "fixed_spread": old.fixed_cost_spread,
            "downtime": old.downtime_constant,
            "downtime_spread": old.downtime_residual,
            "time_spread": old.time_residual,
            "bytes_spread": old.bytes_residual,
        },
        "content": {
            "overhead": old.resident_overhead,
            "of_touched": old.non_zero_of_resident,
            "of_touched_spread": old.non_zero_of_resident_spread,
            "of_memory": old.non_zero_of_memory,
            "of_memory_spread": old.non_zero_of_memory_spread,
        },
        "level": { "fresh": old.level_spread_fresh, "hour": old.level_spread_hour },
        "guests": guests,
    });
    Ok(json!({
        "learnt_by": "0.1.0",
        "window": null,
        "counts": { "migrations": old.learnt_from },
        "metrics": {},
        "data": null,
        "parameters": model,
    }))
}
