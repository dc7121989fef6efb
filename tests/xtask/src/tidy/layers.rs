//! Who may depend on whom.
//!
//! ```text
//! core <- models, planner, collector, datasets <- engine <- simulator <- service
//! proto (depends on nothing of the workspace) <- service
//! tests, lab, xtask, benches: on anything; nothing but each other depends on them
//! ```

use super::{
    Finding,
    graph::{self, Graph, Package},
};

/// Layer of each library; a package may use lower layers only, so never its neighbours.
const LAYERS: [(&str, u8); 9] = [
    ("whimbrel-core", 0),
    ("whimbrel-models", 1),
    ("whimbrel-planner", 1),
    ("whimbrel-collector", 1),
    ("whimbrel-datasets", 1),
    ("whimbrel-proto", 1),
    ("whimbrel-engine", 2),
    ("whimbrel-simulator", 3),
    ("whimbrel", 4),
];

/// Packages beside the product.
const BESIDE: [&str; 4] = ["whimbrel-tests", "whimbrel-lab", "whimbrel-benches", "xtask"];

/// Packages that are functions of their input: no network, no hosts, no files, no clock.
const PURE: [&str; 5] = [
    "whimbrel-core",
    "whimbrel-planner",
    "whimbrel-engine",
    "whimbrel-models",
    "whimbrel-simulator",
];

/// What may not be below a pure package.
const IMPURE: [&str; 8] =
    ["tokio", "tonic", "virt", "virt-sys", "polars", "rusqlite", "reqwest", "chrono"];

/// Heavy packages, and the one package of the product that may use each directly.
const RESERVED: [(&str, &str); 3] = [
    ("polars", "whimbrel-datasets"),
    ("good_lp", "whimbrel-planner"),
    ("highs", "whimbrel-planner"),
];

/// Every broken rule.
pub(super) fn check(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, package) in graph.iter().filter(|(_, package)| package.own) {
        let mut find = |message: String| {
            findings.push(Finding { fatal: true, place: package.name.clone(), message });
        };
        directions(graph, package, &mut find);
        purity(graph, id, package, &mut find);
        reservations(graph, package, &mut find);
    }
    findings
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(package, _)| *package == name).map(|(_, layer)| *layer)
}

fn directions(graph: &Graph, package: &Package, find: &mut impl FnMut(String)) {
    let own = package.uses.iter().filter_map(|id| graph.get(id)).filter(|used| used.own);
    let name = package.name.as_str();
    if BESIDE.contains(&name) {
        return;
    }
    let Some(layer_here) = layer(name) else {
        return find("is in no layer; give it one in the list of layers".to_owned());
    };
    for used in own {
        if name == "whimbrel-proto" {
            find(format!("depends on {}; the wire format depends on nothing here", used.name));
        }
        match layer(&used.name) {
            Some(layer_there) if layer_there < layer_here => {}
            Some(_) => find(format!("depends on {}, which is not below it", used.name)),
            None => find(format!("depends on {}, which is beside the product", used.name)),
        }
    }
}

fn purity(graph: &Graph, id: &str, package: &Package, find: &mut impl FnMut(String)) {
    if !PURE.contains(&package.name.as_str()) {
        return;
    }
    let below = graph::closure(graph, id);
    for impure in IMPURE.iter().filter(|impure| below.contains(**impure)) {
        find(format!("has {impure} below it; it must be a function of its input"));
    }
}

fn reservations(graph: &Graph, package: &Package, find: &mut impl FnMut(String)) {
    let uses = |name: &str| {
        package.uses.iter().filter_map(|id| graph.get(id)).any(|used| used.name == name)
    };
    for (heavy, owner) in RESERVED {
        if package.name != owner && !BESIDE.contains(&package.name.as_str()) && uses(heavy) {
            find(format!("depends on {heavy} itself; only {owner} does"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workspace_root;

    #[test]
    fn the_workspace_keeps_its_layers() {
        let graph = graph::read(&workspace_root()).unwrap();
        for (name, _) in LAYERS {
            assert!(graph.values().any(|package| package.own && package.name == name), "{name}");
        }
        assert_eq!(check(&graph), []);
    }

    /// A workspace with the given dependencies; names with `whimbrel` or `xtask` are its own.
    fn fake(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (user, used) in edges {
            for name in [user, used] {
                let own = name.starts_with("whimbrel") || *name == "xtask";
                let (name, uses) = ((*name).to_owned(), BTreeSet::new());
                graph.entry(name.clone()).or_insert(Package { name, own, uses });
            }
            graph.get_mut(*user).unwrap().uses.insert((*used).to_owned());
        }
        graph
    }

    fn messages(edges: &[(&str, &str)]) -> Vec<String> {
        check(&fake(edges)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sound_workspace_passes() {
        let sound = [
            ("whimbrel-planner", "whimbrel-core"),
            ("whimbrel-planner", "good_lp"),
            ("whimbrel-datasets", "polars"),
            ("whimbrel-engine", "whimbrel-planner"),
            ("whimbrel", "whimbrel-proto"),
            ("whimbrel", "tokio"),
            ("whimbrel-benches", "polars"),
            ("whimbrel-tests", "whimbrel-lab"),
        ];
        assert_eq!(messages(&sound), [""; 0]);
    }

    #[test]
    fn every_kind_of_violation_is_caught() {
        let cases = [
            ("whimbrel-core", "whimbrel-models", "not below"),
            ("whimbrel-models", "whimbrel-planner", "not below"),
            ("whimbrel-engine", "whimbrel-simulator", "not below"),
            ("whimbrel", "whimbrel-lab", "beside the product"),
            ("whimbrel-proto", "whimbrel-core", "wire format"),
            ("whimbrel-extra", "whimbrel-core", "no layer"),
            ("whimbrel-engine", "tokio", "has tokio below it"),
            ("whimbrel-collector", "polars", "only whimbrel-datasets does"),
            ("whimbrel", "highs", "only whimbrel-planner does"),
        ];
        for (user, used, message) in cases {
            let found = messages(&[(user, used)]);
            assert_eq!(found.len(), 1, "{user} -> {used}: {found:?}");
            assert!(found[0].contains(message) && found[0].contains(user), "{found:?}");
        }
    }

    #[test]
    fn impurity_is_seen_through_others() {
        let found = messages(&[
            ("whimbrel-models", "clock"),
            ("clock", "loop"),
            ("loop", "chrono"),
            ("loop", "clock"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("has chrono below it"));
    }
}
