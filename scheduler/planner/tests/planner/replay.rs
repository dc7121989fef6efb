//! A decision that was kept is made again, byte for byte, also through its file.

use proptest::prelude::*;
use whimbrel_core::{
    plan::Goal,
    predict::{MigrationRequest, PredictError, Predictor},
    settings::MigrationSettings,
    units::BytesPerSecond,
};
use whimbrel_planner::{
    formats::{self, Form},
    input::{Decided, Input, record},
};

use crate::support::{Cluster, anti, drain, writes};

fn crowded() -> Cluster {
    Cluster::of(&["a", "b", "c"])
        .vm("v1", "a", 20, 4.0)
        .vm("v2", "a", 20, 3.5)
        .vm("v3", "a", 10, 2.5)
        .vm("v4", "b", 10, 1.0)
        .vm("busy", "a", 10, 1.0)
        .with("busy", writes(1 << 14))
        .rule(anti(&["v1", "v4"]))
}

fn through_its_file(input: &Input) -> Input {
    let written = formats::write(input).unwrap();
    let read = formats::read(&written.text, None).unwrap();
    assert_eq!((read.form, read.left_out.len()), (Form::Whole, 0));
    let (again, stated) = read.input().unwrap();
    assert!(stated);
    assert_eq!(&again, input);
    again
}

#[test]
fn plan_and_refusal_come_out_as_they_were() {
    for goal in [Goal::Balance, drain("b"), drain("a"), drain("nowhere")] {
        let cluster = crowded();
        let (outcome, input) = record(&cluster.request(goal.clone()));
        assert_eq!(outcome, cluster.plan(goal.clone()), "recording changes nothing");
        let replay = through_its_file(&input).replay();
        assert_eq!(replay.outcome, outcome, "{goal}");
        assert!(replay.unanswered.is_empty(), "{goal}: {:?}", replay.unanswered);
        assert_eq!(input.decided, Some(Decided::of(&outcome)));
    }
}

#[test]
fn each_question_is_kept_once() {
    let (_, input) = record(&crowded().request(Goal::Balance));
    assert!(!input.answers.is_empty());
    for (index, answer) in input.answers.iter().enumerate() {
        assert!(input.answers[..index].iter().all(|other| other.asked != answer.asked));
        let asked = &answer.asked;
        assert!(asked.settings.is_none() && asked.domain.is_none() && asked.seed.is_none());
    }
}

#[test]
fn what_was_never_asked_is_told_apart() {
    let other: &'static MigrationSettings = Box::leak(Box::default());
    let (_, input) = record(&crowded().request(drain("b")));
    let ask = |change: &dyn Fn(&mut MigrationRequest<'_>)| {
        let (answer, unanswered) = input.ask(|request| {
            let known = input.answers.first().unwrap();
            let domain = request.snapshot.sightings(&known.asked.vm).next().unwrap();
            let mut question = MigrationRequest {
                domain,
                to: None,
                settings: &request.policy.migration,
                path_bandwidth: known.asked.path,
                sharing: known.asked.sharing,
                qemu: known.asked.qemu,
                now: request.now,
                seed: request.seed,
            };
            change(&mut question);
            request.predictor.predict(&question)
        });
        assert_eq!(unanswered.len(), usize::from(answer.is_err()));
        answer
    };
    ask(&|_| {}).unwrap();
    let told = |answer: Result<_, PredictError>| match answer {
        Err(error @ PredictError::NotRecorded { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let path = told(ask(&|one| one.path_bandwidth = BytesPerSecond::mib(7)));
    assert!(path.contains("7 MiB/s") && path.contains("(hint: save the input again"), "{path}");
    assert!(told(ask(&|one| one.settings = other)).contains("other settings"));
    assert!(told(ask(&|one| one.seed += 1)).contains("another seed"));
    assert!(told(ask(&|one| one.sharing += 1)).contains("shared by 2"));
    let asked = &input.answers.first().unwrap().asked.vm;
    let mut domain = input.snapshot.sightings(asked).next().unwrap().clone();
    domain.vcpus += 1;
    let answer = input.ask(|request| {
        request.predictor.predict(&MigrationRequest {
            domain: &domain,
            to: None,
            settings: &request.policy.migration,
            path_bandwidth: request.policy.limits.path_bandwidth,
            sharing: 1,
            qemu: whimbrel_core::settings::QemuVersion::default(),
            now: request.now,
            seed: request.seed,
        })
    });
    assert!(told(answer.0).contains("other readings"));
}

#[test]
fn a_refused_prediction_is_kept_too() {
    struct Never;
    impl Predictor for Never {
        fn predict(
            &self,
            request: &MigrationRequest<'_>,
        ) -> Result<whimbrel_core::predict::Prediction, PredictError> {
            Err(PredictError::NoBandwidth { vm: request.domain.vm.clone() })
        }
    }
    let cluster = crowded();
    let mut request = cluster.request(drain("a"));
    request.predictor = &Never;
    let (outcome, input) = record(&request);
    let failure = outcome.unwrap_err();
    assert_eq!(through_its_file(&input).replay().outcome, Err(failure));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_cluster_is_planned_as_before(
        vms in prop::collection::vec((0..4usize, 1..40u64, 0.0..8.0f64), 1..10),
        emptied in prop::option::of(0..4usize),
    ) {
        let names = ["a", "b", "c", "d"];
        let mut cluster = Cluster::of(&names);
        for (index, (host, memory, cores)) in vms.iter().enumerate() {
            cluster = cluster.vm(&format!("v{index}"), names[*host], *memory, *cores);
        }
        let goal = emptied.map_or(Goal::Balance, |host| drain(names[host]));
        let (outcome, input) = record(&cluster.request(goal));
        let replay = through_its_file(&input).replay();
        prop_assert_eq!(replay.outcome, outcome);
        prop_assert!(replay.unanswered.is_empty());
    }
}
