//! Recorded telemetry that is damaged, foreign or not there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{fixture, program::Place};

const INVENTORY: [&str; 3] = ["inventory", "--telemetry", "recorded"];

fn recorded() -> Place {
    let place = Place::empty();
    fixture::telemetry(&place.path("recorded"));
    place
}

/// The first Parquet file of `table`.
fn part(place: &Place, table: &str) -> PathBuf {
    let first = |directory: &Path| fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    first(&first(&place.path("recorded").join(table)))
}

#[test]
fn a_truncated_part() {
    for table in ["hosts", "domains", "dirty"] {
        let place = recorded();
        let part = part(&place, table);
        let whole = fs::read(&part).unwrap();
        for length in [0, 3, whole.len() / 2, whole.len() - 1] {
            fs::write(&part, &whole[..length]).unwrap();
            let relative = part.strip_prefix(place.path("")).unwrap().display().to_string();
            place.refuses(&INVENTORY).names(&[&relative]).hints("the file is damaged");
        }
    }
}

#[test]
fn a_part_with_a_changed_byte() {
    let place = recorded();
    let part = part(&place, "dirty");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    place.refuses(&INVENTORY).names(&["recorded/dirty"]).hints("the file is damaged");
}

#[test]
fn an_empty_directory() {
    let place = Place::empty();
    fs::create_dir(place.path("recorded")).unwrap();
    place.refuses(&INVENTORY).names(&["recorded: holds none of hosts"]).hints("these folders");
}

#[test]
fn no_directory() {
    let place = Place::empty();
    place.refuses(&INVENTORY).names(&["recorded: no such directory"]).hints("check the path");
    place.write("recorded", "a file");
    place.refuses(&INVENTORY).names(&["recorded"]).hints("");
}

#[test]
fn a_store_without_a_row() {
    let place = Place::empty();
    for table in ["hosts", "domains", "dirty", "jobs", "migrations"] {
        fs::create_dir_all(place.path("recorded").join(table)).unwrap();
    }
    place.refuses(&INVENTORY).names(&["recorded", "no samples"]).hints("whimbrel collect");
}

#[test]
fn a_moment_before_the_first_sample() {
    let place = recorded();
    let asked = [&INVENTORY[..], &["--at", "2026-02-28T12:00:00Z"]].concat();
    place
        .refuses(&asked)
        .names(&["2026-02-28T12:00:00", "before the first"])
        .hints("2026-03-01T11:58");
}

#[test]
fn hosts_of_unknown_size() {
    let place = recorded();
    fs::remove_file(place.path("recorded/inventory.toml")).unwrap();
    place.refuses(&INVENTORY).names(&["host h1", "cpu is not known"]).hints("inventory.toml");
    place.write("recorded/inventory.toml", "[hosts.h1]\ncpu = 8\n");
    place.run(&INVENTORY).ends_with(2).names(&["inventory.toml", "no unit"]).hints("8 cores");
}
