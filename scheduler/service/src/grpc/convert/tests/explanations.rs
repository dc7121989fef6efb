//! Explanations there and back: those of the planner, and every kind of entry that one can have.

use whimbrel_core::HostState;
use whimbrel_planner::{
    Explanation,
    explain::{
        Alternative, Answer, Change, Difference, HostLoad, Key, LoadAt, MovePrice,
        Refused as Refusal, Threshold, Why,
    },
};

use super::{
    goals::{figure, host_id, reason, vm_id},
    *,
};
use crate::advice::Asked;

fn refusal() -> impl Strategy<Value = Refusal> {
    let states = [HostState::Up, HostState::Maintenance, HostState::Unreachable];
    prop_oneof![
        Just(Refusal::Emptied),
        proptest::sample::select(states.to_vec()).prop_map(|state| Refusal::NotUp { state }),
        (".{0,20}", proptest::option::of(vm_id()))
            .prop_map(|(rule, with)| Refusal::Rule { rule, with }),
        any::<u64>().prop_map(|short| Refusal::MemoryShort { short: Bytes::new(short) }),
        figure().prop_map(|short| Refusal::VcpusShort { short }),
        (0.0..=1.0, any::<Option<u64>>()).prop_map(|(share, needed)| Refusal::Stalls {
            converges: Share::clamped(share),
            downtime_limit_needed: needed.map(Span::from_micros),
        }),
        ".{0,20}".prop_map(|why| Refusal::Unpredictable { why }),
        Just(Refusal::Unfit),
    ]
}

fn alternative() -> impl Strategy<Value = Alternative> {
    let difference =
        (figure(), figure(), figure(), figure(), figure()).prop_map(|(a, b, c, d, e)| {
            Answer::Possible(Difference {
                total_seconds: a,
                contention_seconds: b,
                price_seconds: c,
                rules_seconds: d,
                displaced_seconds: e,
            })
        });
    let refused = proptest::collection::vec(refusal(), 0..4).prop_map(Answer::Refused);
    (host_id(), any::<bool>(), prop_oneof![difference, refused])
        .prop_map(|(host, home, answer)| Alternative { host, home, answer })
}

fn load() -> impl Strategy<Value = HostLoad> {
    let at = || {
        (figure(), any::<u64>(), figure()).prop_map(|(cpu_cores, memory, contention_seconds)| {
            LoadAt { cpu_cores, memory: Bytes::new(memory), contention_seconds }
        })
    };
    (host_id(), figure(), any::<u64>(), (at(), at(), proptest::option::of(at()))).prop_map(
        |(host, cores, limit, (now, planned, otherwise))| HostLoad {
            host,
            cores,
            memory_limit: Bytes::new(limit),
            now,
            planned,
            otherwise,
        },
    )
}

fn price() -> impl Strategy<Value = MovePrice> {
    let weights = (figure(), figure(), figure(), figure(), figure());
    (host_id(), figure(), any::<[u64; 2]>(), weights).prop_map(
        |(to, busy_cores, [total, down], (a, b, c, d, e))| MovePrice {
            to,
            busy_cores,
            total_time: Span::from_micros(total),
            downtime: Span::from_micros(down),
            migration_weight: a,
            downtime_weight: b,
            brown_out_seconds: c,
            downtime_seconds: d,
            factor: e,
        },
    )
}

fn threshold() -> impl Strategy<Value = Threshold> {
    let value = (proptest::sample::select(Key::ALL.to_vec()), figure(), figure(), any::<bool>())
        .prop_map(|(key, now, at, below)| Change::Value { key, now, at, below });
    let rule = ".{0,20}".prop_map(|rule| Change::WithoutRule { rule });
    (prop_oneof![value, rule], host_id(), any::<Option<bool>>())
        .prop_map(|(change, host, confirmed)| Threshold { change, host, confirmed })
}

fn explanation() -> impl Strategy<Value = Explanation> {
    let why = prop_oneof![
        reason().prop_map(|reason| Why::Planned { reason }),
        ".{0,20}".prop_map(|goal| Why::NotAsked { goal }),
    ];
    let lists = (
        proptest::collection::vec(load(), 0..3),
        proptest::option::of(price()),
        proptest::collection::vec(alternative(), 0..4),
        proptest::collection::vec(threshold(), 0..4),
    );
    let rest = (0..1000_usize, any::<bool>(), any::<u64>());
    (vm_id(), host_id(), host_id(), why, lists, rest).prop_map(
        |(
            vm,
            home,
            end,
            why,
            (loads, price, alternatives, thresholds),
            (left_out, sought, over),
        )| {
            Explanation {
                vm,
                home,
                end,
                why,
                loads,
                price,
                alternatives,
                left_out,
                thresholds,
                thresholds_sought: sought,
                horizon: Span::from_micros(over),
            }
        },
    )
}

proptest! {
    #[test]
    fn explanations_survive_with_their_words(explanation in explanation()) {
        let message = explanation.to_wire();
        prop_assert_eq!(&message.text, &explanation.to_string());
        for (told, one) in message.alternatives.iter().zip(&explanation.alternatives) {
            prop_assert_eq!(&told.text, &one.to_string());
        }
        prop_assert_eq!(Explanation::from_wire(message), Ok(explanation));
    }
}

#[test]
fn what_the_planner_says_survives() {
    let plan = fake::plan(&Goal::Balance, 1);
    for asked in [Asked::One(fake::vm()), Asked::All, Asked::Stays] {
        for told in fake::explanations(&plan, &asked, (None, 9)).unwrap() {
            assert_eq!(Explanation::from_wire(told.to_wire()), Ok(told));
        }
    }
}

#[test]
fn malformed_explanations_name_the_field() {
    type Spoil = fn(&mut v1::Explanation);
    let plan = fake::plan(&Goal::Balance, 1);
    let one =
        fake::explanations(&plan, &Asked::One(fake::vm()), (None, 9)).unwrap().remove(0).to_wire();
    let good = v1::Explanation {
        loads: vec![v1::HostLoad {
            host: "h1".to_owned(),
            now: Some(v1::LoadAt::default()),
            planned: Some(v1::LoadAt::default()),
            ..Default::default()
        }],
        alternatives: vec![refused_by(v1::refusal::Kind::Unfit(v1::RefusalUnfit {}))],
        thresholds: vec![v1::Threshold {
            change: Some(v1::threshold::Change::WithoutRule("r".to_owned())),
            host: "h1".to_owned(),
            confirmed: None,
        }],
        ..one
    };
    assert!(Explanation::from_wire(good.clone()).is_ok());
    let faults: [(&str, Spoil); 11] = [
        ("explanation.vm", |m| m.vm.clear()),
        ("explanation.to_host", |m| m.to_host = "a b".to_owned()),
        ("explanation.reason", |m| m.reason = None),
        ("reason", |m| m.reason.as_mut().unwrap().code = "no-such-reason".to_owned()),
        ("reason.figures.value", |m| {
            m.reason.as_mut().unwrap().figures.push(v1::Figure::default());
        }),
        ("load.now", |m| m.loads[0].now = None),
        ("alternative.answer", |m| m.alternatives[0].answer = None),
        ("refusal.host_state", |m| {
            m.alternatives[0] = refused_by(v1::refusal::Kind::HostState(0));
        }),
        ("refusal.stalls.converges_share", |m| {
            let converges_share = f64::NAN;
            m.alternatives[0] = refused_by(v1::refusal::Kind::Stalls(v1::RefusalStalls {
                converges_share,
                downtime_limit_needed_micros: None,
            }));
        }),
        ("threshold.change", |m| m.thresholds[0].change = None),
        ("threshold.value.key", |m| {
            let value = v1::PolicyValue { key: "limits.none".to_owned(), ..Default::default() };
            m.thresholds[0].change = Some(v1::threshold::Change::Value(value));
        }),
    ];
    for (field, spoil) in faults {
        let mut spoilt = good.clone();
        spoil(&mut spoilt);
        assert_eq!(Explanation::from_wire(spoilt).map_err(|e| e.field), Err(field));
    }
}

fn refused_by(kind: v1::refusal::Kind) -> v1::Alternative {
    let reasons = vec![v1::Refusal { kind: Some(kind), text: String::new() }];
    let answer = Some(v1::alternative::Answer::Refused(v1::Refusals { reasons }));
    v1::Alternative { host: "h2".to_owned(), answer, ..Default::default() }
}
