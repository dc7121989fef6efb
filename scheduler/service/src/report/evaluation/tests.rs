//! The page has every section and every model, escapes what came in, and needs no data.

use std::collections::BTreeMap;

use whimbrel_core::{
    HostId, OrderId, VmId,
    cluster::CompletedStats,
    settings::MigrationSettings,
    telemetry::{MigrationRecord, MigrationTrace},
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};
use whimbrel_models::{
    baseline::Published,
    evaluate::{History, Learner, Trial, Whimbrel, judge},
};

use super::{EvaluationModel, render_evaluation};

fn trace(vm: &str, minute: u64, arrives: bool) -> MigrationTrace {
    let stats = CompletedStats {
        total_time: Span::from_millis(10_500 + 10 * minute),
        downtime: Span::from_millis(30),
        transferred: Bytes::mib(100),
        normal_pages: 25_600,
        bandwidth: BytesPerSecond::mib(10),
        ..CompletedStats::default()
    };
    let record = MigrationRecord {
        arrived: arrives,
        failure: (!arrives).then(|| "Cancelled: took too long".to_owned()),
        wall: Span::from_seconds(if arrives { 11 } else { 60 }),
        stats: arrives.then_some(stats),
        ..MigrationRecord::beginning(
            OrderId::new(&format!("{vm}-{minute}")).unwrap(),
            Timestamp::from_micros(1_800_000_000_000_000 + minute * 60_000_000),
            VmId::new(vm).unwrap(),
            HostId::unnamed(),
            HostId::unnamed(),
            MigrationSettings {
                bandwidth_limit: Some(BytesPerSecond::mib(10)),
                ..MigrationSettings::default()
            },
            Bytes::mib(100),
        )
    };
    record.into()
}

fn model(judged: &[MigrationTrace]) -> EvaluationModel {
    let learn: Vec<_> = (0..12).map(|k| trace(&format!("l{k}"), k, true)).collect();
    let families = BTreeMap::from([(VmId::new("j").unwrap(), "<bursty>".to_owned())]);
    let trial =
        Trial { learn: &learn, judged, history: History::None, families: &families, seed: 1 };
    let mut learners: Vec<Box<dyn Learner>> = vec![Box::new(Whimbrel)];
    learners.extend(Published::ALL.map(|one| Box::new(one) as Box<dyn Learner>));
    EvaluationModel {
        title: "A & B".to_owned(),
        command: "whimbrel evaluate".to_owned(),
        about: "learnt from <l>".to_owned(),
        reports: learners.iter().map(|one| judge(one.as_ref(), &trial, &mut || ())).collect(),
    }
}

#[test]
fn every_section_and_model_is_there_and_text_stays_text() {
    let judged: Vec<_> = (20..26).map(|k| trace("j", k, k != 25)).collect();
    let full = model(&judged);
    let page = render_evaluation(&full);
    assert_eq!(page, render_evaluation(&full));
    for id in ["models", "accuracy", "bands", "groups", "worst", "left-out"] {
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
    for one in Published::ALL {
        assert!(page.contains(&one.name()), "{}", one.name());
    }
    assert!(page.contains("noise floor") && page.contains("j-25"), "the one that was given up");
    assert!(page.contains("&lt;bursty&gt;") && !page.contains("<bursty>"));
    assert!(page.contains("A &amp; B") && page.contains("&lt;l&gt;"));
    for absurd in ["NaN", "inf\"", "could not be drawn"] {
        assert!(!page.contains(absurd), "{absurd}");
    }
}

#[test]
fn nothing_judged_is_said() {
    let page = render_evaluation(&model(&[]));
    assert!(page.contains("No migration arrived") && !page.contains("NaN"));
    let none = EvaluationModel { reports: Vec::new(), ..model(&[]) };
    assert!(render_evaluation(&none).contains("Nothing was judged."));
}
