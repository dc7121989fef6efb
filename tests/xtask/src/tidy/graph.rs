//! The dependency graph as `cargo metadata` resolves it, reduced to what the rules ask.
//!
//! Normal and build dependencies with every feature on, for Linux on x86-64, which is what
//! Whimbrel runs on. Dev-dependencies are left out: a test may use whatever it tests with.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand};

use crate::TaskError;

const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Packages by their unique id.
pub(super) type Graph = BTreeMap<String, Package>;

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    /// Its name, which several versions may share.
    pub(super) name: String,
    /// Whether it is the workspace's own.
    pub(super) own: bool,
    /// Ids of the packages that it uses.
    pub(super) uses: BTreeSet<String>,
}

/// The graph of the workspace at `root`.
pub(super) fn read(root: &Path) -> Result<Graph, TaskError> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(["--filter-platform".to_owned(), PLATFORM.to_owned()])
        .exec()?;
    Ok(reduce(&metadata))
}

fn reduce(metadata: &Metadata) -> Graph {
    let mut graph: Graph = metadata
        .packages
        .iter()
        .map(|package| {
            let own = metadata.workspace_members.contains(&package.id);
            let name = package.name.to_string();
            (package.id.repr.clone(), Package { name, own, uses: BTreeSet::new() })
        })
        .collect();
    for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
        let uses = node.deps.iter().filter(|dependency| {
            dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
        });
        if let Some(package) = graph.get_mut(&node.id.repr) {
            package.uses = uses.map(|dependency| dependency.pkg.repr.clone()).collect();
        }
    }
    graph
}

/// Names of everything that `id` uses, directly or not.
pub(super) fn closure<'a>(graph: &'a Graph, id: &str) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        for used in graph.get(id).iter().flat_map(|package| &package.uses) {
            if seen.insert(used.as_str()) {
                names.extend(graph.get(used).map(|package| package.name.as_str()));
                open.push(used);
            }
        }
    }
    names
}
