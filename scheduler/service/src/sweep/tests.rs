//! Shards share all cells out, go on where they were stopped, and are put together again only when
//! they belong together.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::prelude::*;

use super::*;

/// Work that counts what it does, and fails at one seed.
struct Counting {
    done: AtomicUsize,
    fails_at: Option<u64>,
}

impl Work for Counting {
    fn figures(&self, cell: &Cell) -> Result<BTreeMap<String, f64>, Failure> {
        self.done.fetch_add(1, Ordering::Relaxed);
        if self.fails_at == Some(cell.seed) {
            return Err(Failure::invalid("does not work (hint: none)"));
        }
        Ok(BTreeMap::from([("seed_squared".to_owned(), (cell.seed * cell.seed) as f64)]))
    }
}

fn axes(seeds: u64) -> Axes {
    let names = |names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), format!("what {name} is"))).collect()
    };
    Axes {
        kind: "test".to_owned(),
        common: String::new(),
        traces: names(&["t1", "t2"]),
        policies: names(&["p1", "p2", "p3"]),
        changes: names(&["c"]),
        seed: 5,
        seeds,
    }
}

fn matrix(seeds: u64, fails_at: Option<u64>) -> Matrix {
    let work = Box::new(Counting { done: AtomicUsize::new(0), fails_at });
    Matrix { intent: String::new(), axes: axes(seeds), work }
}

fn shard(text: &str) -> Shard {
    text.parse().unwrap()
}

fn do_shard(directory: &Path, which: &str, seeds: u64) -> Result<Ran, Failure> {
    run(&matrix(seeds, None), shard(which), directory, 2, &mut || ())
}

#[test]
fn ids_do_not_depend_on_what_else_there_is() {
    let cells = axes(2).cells();
    assert_eq!(cells.len(), 12);
    assert_eq!(cells[0].id, "t1/p1/c/5");
    let more: Vec<String> = axes(3).cells().into_iter().map(|cell| cell.id).collect();
    assert!(cells.iter().all(|cell| more.contains(&cell.id)));
}

#[test]
fn axes_without_cells_or_with_absurd_names_are_refused() {
    let refused = |change: fn(&mut Axes)| {
        let mut axes = axes(2);
        change(&mut axes);
        axes.check().unwrap_err().message
    };
    assert!(refused(|axes| axes.seeds = 0).contains("0 seeds"));
    assert!(refused(|axes| axes.seeds = u64::MAX).contains("cells"));
    assert!(refused(|axes| axes.traces.clear()).contains("has no trace"));
    assert!(
        refused(|axes| {
            axes.changes.insert("a/b".to_owned(), String::new());
        })
        .contains("\"a/b\"")
    );
    for text in ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1/1000001"] {
        assert!(text.parse::<Shard>().is_err(), "{text}");
    }
}

#[test]
fn shards_together_are_the_whole() {
    let root = tempfile::tempdir().unwrap();
    let (parts, whole) = (root.path().join("parts"), root.path().join("whole"));
    for which in ["1/3", "2/3", "3/3"] {
        assert_eq!(do_shard(&parts, which, 4).unwrap().done, 8);
    }
    do_shard(&whole, "1/1", 4).unwrap();
    let merged = merge(std::slice::from_ref(&parts)).unwrap();
    assert!(merged.missing.is_empty());
    assert_eq!(merged.set, merge(&[whole]).unwrap().set);
    fs::remove_file(parts.join("shard-2-of-3.parquet")).unwrap();
    let merged = merge(&[parts]).unwrap();
    assert_eq!((merged.set.rows.len(), merged.missing.len()), (16, 8));
    assert_eq!(merged.missing[0].id, "t1/p1/c/6");
}

#[test]
fn what_is_done_is_skipped_and_a_failure_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let failure =
        run(&matrix(4, Some(8)), Shard::default(), root.path(), 1, &mut || ()).unwrap_err();
    assert!(failure.message.contains("cell t1/p1/c/8: does not work"), "{failure:?}");
    let mut steps = 0;
    let ran = run(&matrix(4, None), Shard::default(), root.path(), 2, &mut || steps += 1).unwrap();
    assert_eq!((ran.skipped, ran.done, steps), (3, 21, 24));
    let again = do_shard(root.path(), "1/1", 4).unwrap();
    assert_eq!((again.skipped, again.done), (24, 0));
    let known = done(&axes(4), Shard::default(), root.path()).unwrap();
    assert!(known.iter().all(|(_, done)| *done));
}

#[test]
fn what_is_damaged_or_of_another_matrix_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let ran = do_shard(root.path(), "1/2", 4).unwrap();
    let other = do_shard(root.path(), "1/2", 5).unwrap_err();
    assert!(other.message.contains("shard-1-of-2.parquet: holds cells of another matrix"));
    do_shard(root.path(), "2/2", 5).unwrap();
    let mixed = merge(&[root.path().to_owned()]).unwrap_err();
    assert!(mixed.message.contains("another matrix than"), "{mixed:?}");
    let bytes = fs::read(&ran.file).unwrap();
    fs::write(&ran.file, &bytes[..bytes.len() / 2]).unwrap();
    for failure in [
        do_shard(root.path(), "1/2", 4).unwrap_err(),
        merge(std::slice::from_ref(&ran.file)).unwrap_err(),
    ] {
        assert!(failure.message.contains("shard-1-of-2.parquet: is cut off"), "{failure:?}");
    }
}

#[test]
fn cells_that_disagree_are_named() {
    let root = tempfile::tempdir().unwrap();
    let one = do_shard(root.path(), "1/1", 2).unwrap().file;
    let mut set = whimbrel_datasets::ResultSet::read(&one).unwrap();
    set.rows[3].figures.insert("seed_squared".to_owned(), 0.5);
    set.write(&root.path().join("shard-9-of-9.parquet")).unwrap();
    let failure = merge(&[root.path().to_owned()]).unwrap_err();
    assert!(failure.message.contains(&set.rows[3].cell), "{failure:?}");
    let nothing = merge(&[root.path().join("none")]).unwrap_err();
    assert!(nothing.message.contains("none: cannot read"), "{nothing:?}");
}

#[test]
fn a_matrix_file_is_checked() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("m.toml");
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        Matrix::read(&path, None).err().unwrap().message
    };
    assert!(refused("kind = \"dance\"\nseeds = 1").contains("\"dance\""));
    assert!(refused("seeds = 1").contains("has no trace"));
    assert!(refused("colour = 1\nseeds = 1").contains("colour"));
    assert!(refused("[trace.a]\ndata = \"nowhere\"\n").contains("seeds"));
    let text = "seeds = 1\n[trace.a]\ndata = \"nowhere\"\n[policy.p]\n[change.c]\n";
    assert!(refused(text).contains("nowhere: cannot be listed"));
}

proptest! {
    #[test]
    fn every_cell_is_in_exactly_one_shard(of in 1usize..40, cells in 0usize..200) {
        let shards: Vec<Shard> = (1..=of).map(|number| shard(&format!("{number}/{of}"))).collect();
        for index in 0..cells {
            prop_assert_eq!(shards.iter().filter(|shard| shard.has(index)).count(), 1);
        }
    }
}
