//! What a reader may rely on: nothing in a name is markup, the same model gives the same bytes,
//! every section is there, and empty models read well.

use whimbrel_core::{
    Snapshot,
    plan::{Exposed, Reason, Remark},
    units::{Bytes, Span},
};

use super::{
    model::{ComparisonColumn, Happened, ReportModel},
    render, sample,
};

const SECTIONS: [&str; 11] = [
    "summary",
    "cluster",
    "timeline",
    "moves",
    "stays",
    "objective",
    "comparison",
    "accuracy",
    "dirty",
    "checks",
    "provenance",
];

fn models() -> Vec<(&'static str, ReportModel)> {
    vec![
        ("whole", sample::executed(Happened::Measured, true)),
        ("failed", sample::executed(Happened::Simulated, false)),
        ("planned", sample::planned_only()),
        ("empty", sample::empty()),
        ("many", many()),
    ]
}

#[test]
fn same_model_same_bytes_with_every_section_and_no_nan() {
    for (name, model) in models() {
        let page = render(&model);
        assert_eq!(page, render(&model.clone()), "{name}");
        for id in SECTIONS {
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{name}: {id}");
        }
        for absurd in ["NaN", "inf\"", "-inf", "=\"-0\""] {
            assert!(!page.contains(absurd), "{name}: {absurd}");
        }
        assert!(!page.contains("could not be drawn"), "{name}");
    }
}

#[test]
fn remarks_come_first_and_warnings_stand_out() {
    let mut model = sample::planned_only();
    let page = render(&model);
    assert!(!page.contains(" id=\"remarks\""), "nothing to say");
    let exposed = |cases, vms| Exposed { cases, vms };
    model.plan.report.remarks = vec![
        Remark::NoMoreRoom { found: 3, most: 3 },
        Remark::Reserve { failures: 1, before: exposed(0, 0), after: exposed(1, 2) },
        Remark::Wake { hosts: Vec::new(), needed: 1, why: "<b>CPU</b> is short".to_owned() },
    ];
    let page = render(&model);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(at(" id=\"remarks\"") < at(" id=\"cluster\""));
    assert!(at("<li>no placement has room for more than 3</li>") < at("N+1 does not hold"));
    assert_eq!(page.matches("<span class=\"bad\">Warning:</span>").count(), 2);
    assert!(page.contains("&lt;b&gt;CPU&lt;/b&gt; is short") && !page.contains("<b>CPU</b>"));
}

#[test]
fn page_needs_nothing_from_outside() {
    for (name, model) in models() {
        let page = render(&model);
        let addresses = page.matches("http").count();
        assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count(), "{name}");
        for loader in ["<script", "<link", "<img", "@import", "url(h", "src="] {
            assert!(!page.contains(loader), "{name}: {loader}");
        }
    }
}

#[test]
fn every_figure_has_role_and_title() {
    let page = render(&sample::executed(Happened::Measured, true));
    let figures = page.matches("<figure").count();
    assert_eq!(figures, 2 + 1 + 3 + 9);
    assert_eq!(page.matches("role=\"img\"").count(), figures);
    let titled = page
        .split("role=\"img\"")
        .skip(1)
        .filter(|rest| rest.find("<title>").is_some_and(|at| rest[..at].matches('<').count() == 0));
    assert_eq!(titled.count(), figures);
}

#[test]
fn hostile_text_stays_text() {
    let evil = "</title><script>alert('x')</script>\"&\u{202e}";
    let mut model = sample::executed(Happened::Measured, false);
    model.title = evil.to_owned();
    model.command = evil.to_owned();
    model.comparison =
        vec![ComparisonColumn { name: evil.to_owned(), terms: vec![(evil.to_owned(), 1.0)] }];
    model.checker_notes = vec![evil.to_owned()];
    model.simulation = vec![evil.to_owned()];
    model.plan.report.found_by = evil.to_owned();
    model.plan.report.terms[0].name = evil.to_owned();
    model.plan.stays[0].reason = Reason::HeldByRule { rule: evil.to_owned() };
    model.plan.moves[0].reason = Reason::RuleBroken { rule: evil.to_owned() };
    model.plan.moves[0].predicted.caveats = vec![evil.to_owned()];
    for view in &mut model.execution.as_mut().unwrap().moves {
        view.detail = evil.to_owned();
    }
    let page = render(&model);
    assert!(!page.contains("<script"), "markup from a name");
    assert!(!page.contains('\u{202e}'), "text direction from a name");
    assert!(page.matches("&lt;script&gt;").count() >= 12);
}

#[test]
fn empty_models_say_what_is_missing() {
    let page = render(&sample::empty());
    for sentence in [
        "Nothing has to move",
        "The snapshot has no hosts",
        "there is no timeline",
        "No VM moves",
        "No VM was considered",
        "Not compared",
        "No migration with both",
        "No dirty readings",
        "nothing to remark",
        "was not simulated",
    ] {
        assert!(page.contains(sentence), "{sentence}");
    }
}

#[test]
fn zeros_and_extremes_are_drawn() {
    let mut model = sample::executed(Happened::Measured, true);
    let huge = sample::prediction(1e12, 1e9, 1e12);
    let nothing = sample::prediction(0.0, 0.0, 0.0);
    model.plan.moves[0].predicted = huge.clone();
    model.plan.moves[1].predicted = nothing.clone();
    model.history = vec![sample::record("a:0", huge, 1.0), sample::record("a:1", nothing, 1.0)];
    model.curves.insert(sample::vm("web-1"), vec![(Span::ZERO, Bytes::ZERO)]);
    for host in model.before.hosts.values_mut() {
        host.memory = Bytes::ZERO;
        host.cpu = whimbrel_core::units::MilliCores::ZERO;
    }
    model.comparison[0].terms[0].1 = f64::NAN;
    let page = render(&model);
    assert!(
        !page.contains("NaN") && !page.contains("inf\"") && !page.contains("could not be drawn")
    );
}

#[test]
fn bands_are_counted() {
    let mut model = sample::empty();
    model.history = vec![
        sample::record("a:0", sample::prediction(10.0, 100.0, 50.0), 1.0),
        sample::record("a:1", sample::prediction(10.0, 100.0, 50.0), 1.2),
        sample::record("a:2", sample::prediction(10.0, 100.0, 50.0), 9.0),
        sample::record("a:3", sample::prediction(10.0, 100.0, 50.0), 1.0),
    ];
    model.history[3].arrived = false;
    let page = render(&model);
    assert_eq!(page.matches("2 of 3 inside the 90 % band (67 %)</figcaption>").count(), 3);
    assert!(page.contains("1 record left out"));
}

/// The sample with 75 moves and 30 idle hosts.
fn many() -> ReportModel {
    let mut model = sample::planned_only();
    let one = model.plan.moves[0].clone();
    let reading = model.dirty[&sample::vm("mail")].clone();
    model.before.domains.retain(|d| d.host != sample::host("h1"));
    model.after.domains.retain(|d| d.host == sample::host("h2"));
    let mut moves = Vec::new();
    for k in 0..75 {
        let vm = sample::vm(&format!("vm-{k:03}"));
        model.dirty.insert(vm.clone(), reading.clone());
        let mut guest = model.before.domains[0].clone();
        guest.vm = vm.clone();
        guest.memory = Bytes::mib(400 + 40 * k);
        guest.host = sample::host("h1");
        model.before.domains.push(guest.clone());
        guest.host = one.to.clone();
        model.after.domains.push(guest);
        moves.push(whimbrel_core::Move { vm, ..one.clone() });
    }
    model.plan = sample::seal(moves, model.plan.stays.clone());
    for k in 0..30 {
        let any = model.before.hosts[&sample::host("h2")].clone();
        model.before.hosts.insert(sample::host(&format!("n{k:02}")), any);
    }
    model
}

#[test]
fn many_are_counted_rather_than_drawn() {
    let page = render(&many());
    for sentence in [
        "15 more moves not drawn",
        "72 more VMs left out",
        "21 other hosts not shown",
        "and 54 more",
    ] {
        assert!(page.contains(sentence), "{sentence}");
    }
}

#[test]
fn a_vm_that_two_hosts_claim_is_drawn_twice() {
    let mut model = sample::planned_only();
    let mut twin = model.before.domains[0].clone();
    twin.host = sample::host("h3");
    model.before.domains.push(twin);
    let count = |snapshot: &Snapshot| {
        snapshot.domains.iter().filter(|d| d.vm == sample::vm("build-runner-4")).count()
    };
    assert_eq!(count(&model.before), 2);
    let drawn = render(&model).matches("<title>build-runner-4: ").count();
    assert_eq!(drawn, 2 * (2 + 1), "memory and CPU, twice before and once after");
}

#[test]
#[ignore = "writes pages for people to look at into the folder of temporary files"]
fn pages_can_be_looked_at() {
    let folder = std::env::temp_dir();
    for (name, model) in models() {
        let path = folder.join(format!("whimbrel-report-{name}.html"));
        std::fs::write(&path, render(&model)).unwrap();
        println!("{}", path.display());
    }
}
