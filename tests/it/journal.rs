//! What a restart finds in the journal is the plan that was accepted, digit by digit.

use whimbrel::{config::Config, wiring};
use whimbrel_core::{
    Plan,
    plan::Term,
    ports::{Entry, Journal as _, Record},
};
use whimbrel_engine::{Engine, EngineSettings};

use crate::{fixture, program::Place};

/// The fixture's plan with figures that need all of their 17 digits.
fn plan_with_long_numbers(place: &Place) -> Plan {
    let plan = place.plan("plan.toml");
    let third = |index: u32| f64::from(index) / 3.0 * f64::from(index % 7 + 1).sqrt();
    let term = |index| Term {
        name: format!("term_{index}"),
        before: third(index),
        after: -third(index + 1),
    };
    let mut report = plan.report.clone();
    report.terms = (0..2000).map(term).collect();
    Plan::seal(plan.goal, plan.parent, report, (plan.at_once, plan.moves), plan.stays)
}

#[test]
fn a_plan_comes_back_as_it_was() {
    let place = Place::with_plan();
    place.write(
        "whimbrel.toml",
        "[[host]]\nname = \"h1\"\nuri = \"qemu+tcp://127.0.0.1:1/system\"\n",
    );
    let config = Config::load(&place.path("whimbrel.toml"), &[]).unwrap();
    let plan = plan_with_long_numbers(&place);
    let entry = Entry::PlanAccepted { plan: Box::new(plan.clone()) };
    wiring::journal(&config).unwrap().append(&Record { at: fixture::now(), entry }).unwrap();

    let records = wiring::journal(&config).unwrap().records().unwrap();
    let engine = Engine::recover(&records, EngineSettings::default()).unwrap().unwrap();
    assert_eq!(*engine.plan(), plan);
}
