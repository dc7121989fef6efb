//! Values survive the wire; messages that are no values are refused by field.

use proptest::prelude::*;
use whimbrel_core::{
    Goal, HostId, Prediction, Snapshot,
    migration::MoveState,
    predict::{Impact, Quantiles},
    units::{Bytes, Share, Span},
};
use whimbrel_engine::Execution;
use whimbrel_proto::v1;

use super::plan::plan_message;
use super::*;
use crate::grpc::tests::fake;

mod explanations;
mod goals;
mod questions;

/// Makes a message that is no value.
type Spoil = fn(&mut v1::GetInventoryResponse);

const STATES: [MoveState; 11] = [
    MoveState::Planned,
    MoveState::Intended,
    MoveState::Accepted,
    MoveState::Copying,
    MoveState::Arrived,
    MoveState::Settled,
    MoveState::Skipped,
    MoveState::Refused,
    MoveState::Failed,
    MoveState::Cancelled,
    MoveState::Unknown,
];

#[test]
fn executions_survive_in_every_state() {
    let plan = fake::plan(&Goal::Balance, 1);
    for state in STATES {
        let execution = fake::execution(&plan, state);
        assert_eq!(Execution::from_wire(execution.to_wire()), Ok(execution));
    }
}

#[test]
fn the_whole_state_says_how_it_ended() {
    use v1::OperationState as O;
    let plan = fake::plan(&Goal::Balance, 1);
    let whole = |state, cancelled| {
        let mut execution = fake::execution(&plan, state);
        execution.cancelled = cancelled;
        execution.to_wire().state()
    };
    assert_eq!(whole(MoveState::Copying, false), O::Running);
    assert_eq!(whole(MoveState::Copying, true), O::Cancelling);
    assert_eq!(whole(MoveState::Settled, false), O::Succeeded);
    assert_eq!(whole(MoveState::Settled, true), O::Succeeded);
    assert_eq!(whole(MoveState::Failed, false), O::Failed);
    assert_eq!(whole(MoveState::Skipped, true), O::Cancelled);
    assert_eq!(whole(MoveState::Unknown, true), O::Quarantined);
}

#[test]
fn a_snapshot_survives_but_for_orders() {
    let snapshot = fake::snapshot();
    assert_eq!(read_inventory(inventory_response(&snapshot)), Ok(snapshot));
}

#[test]
fn a_plan_is_taken_apart_faithfully() {
    let plan = fake::plan(&Goal::drain(fake::host("h1")), 1);
    let message = plan_message(&plan, "text".to_owned());
    assert_eq!(message.id, plan.id().to_string());
    assert_eq!(message.digest, plan.digest.to_string());
    assert_eq!(message.goal.map(Goal::from_wire), Some(Ok(plan.goal.clone())));
    let one = &message.moves[0];
    assert_eq!((one.from_host.as_str(), one.to_host.as_str()), ("h1", "h2"));
    assert_eq!((one.after.as_slice(), one.begins_micros), (&[][..], 0));
    assert_eq!((message.at_once_per_host, message.at_once_total), (1, 4));
    assert_eq!(one.reason.as_ref().map(|reason| reason.code.as_str()), Some("host-drained"));
    assert_eq!(one.settings.map(|s| s.transport()), Some(v1::MigrationTransport::Tls));
    assert_eq!(message.stays[0].vm, "db-2");
    assert!(!one.alone && one.not_before_unix_micros.is_none());
    assert_eq!(message.at_once_out_of_host, None);
}

#[test]
fn what_a_move_waits_for_is_told() {
    let mut plan = fake::plan(&Goal::Balance, 1);
    plan.at_once.into_host = Some(1);
    let one = &mut plan.moves[0];
    (one.alone, one.after) = (true, vec![3, 7]);
    (one.not_before, one.ends_before) = (Some(fake::at(30)), Some(fake::at(90)));
    let message = plan_message(&plan, "text".to_owned());
    assert_eq!((message.at_once_out_of_host, message.at_once_into_host), (None, Some(1)));
    let told = &message.moves[0];
    assert_eq!((told.alone, told.after.as_slice()), (true, &[3, 7][..]));
    assert_eq!(told.not_before_unix_micros, Some(fake::at(30).as_micros()));
    assert_eq!(told.ends_before_unix_micros, Some(fake::at(90).as_micros()));
}

#[test]
fn messages_that_are_no_values_name_the_field() {
    let response = || inventory_response(&fake::snapshot());
    let faults: [(&str, Spoil); 7] = [
        ("host.name", |r| r.hosts[0].name = "a b".to_owned()),
        ("host.state", |r| r.hosts[0].state = 0),
        ("host.state", |r| r.hosts[0].state = 99),
        ("host.qemu_version", |r| r.hosts[0].qemu_version = Some("ten".to_owned())),
        ("progress.throttle_percent", |r| {
            r.domains[0].job.as_mut().unwrap().throttle_percent = 101;
        }),
        ("domain.vm", |r| r.domains[0].vm.clear()),
        ("domain.state", |r| r.domains[0].state = -1),
    ];
    for (field, spoil) in faults {
        let mut spoilt = response();
        spoil(&mut spoilt);
        assert_eq!(read_inventory(spoilt).map_err(|e| e.field), Err::<Snapshot, _>(field));
    }
    let mut no_band = fake::prediction().to_wire();
    no_band.downtime_micros = None;
    assert_eq!(
        Prediction::from_wire(no_band).map_err(|e| e.field),
        Err("prediction.downtime_micros")
    );
    let mut no_share = fake::prediction().to_wire();
    no_share.converges_share = f64::NAN;
    assert!(Prediction::from_wire(no_share).is_err());
    assert!(Goal::from_wire(v1::Goal { kind: None }).is_err());
}

proptest! {
    #[test]
    fn predictions_survive(values in any::<[u64; 7]>(), share in 0.0..=1.0f64, text in ".*") {
        let band = Quantiles::from_array(values);
        let prediction = Prediction {
            model: text.clone(),
            converges: Share::clamped(share),
            total_time: band.map(Span::from_micros),
            transferred: band.map(Bytes::new),
            downtime: band.map(Span::from_micros),
            stall: None,
            caveats: vec![text],
            impact: Some(Impact {
                throughput_loss: Share::clamped(share),
                service_gap: band.map(Span::from_micros),
                faults: values[0],
                fault_stall: Span::from_micros(values[1]),
            }),
        };
        let host: HostId = fake::host("h2");
        let pair = (host, prediction);
        prop_assert_eq!(<(HostId, Prediction)>::from_wire(pair.to_wire()), Ok(pair));
    }
}
