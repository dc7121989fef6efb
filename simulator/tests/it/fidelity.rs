//! Recorded migrations of guests that no constant was fitted on, replayed.

use serde::Deserialize;
use whimbrel_core::{
    settings::{MigrationSettings, QemuVersion},
    units::{Bytes, BytesPerSecond, Span},
};
use whimbrel_simulator::{
    Physics,
    fidelity::{Case, Ending, Resolution, judge, kind, replay},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recordings {
    case: Vec<Recording>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    name: String,
    memory: Bytes,
    load: String,
    phase: Span,
    path: BytesPerSecond,
    patience: Span,
    settings: MigrationSettings,
    /// Absent where the guest did not arrive.
    recorded: Option<Figures>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    total_time: Span,
    transferred: Bytes,
    downtime: Span,
}

fn cases() -> Vec<Case> {
    let recordings: Recordings = toml::from_str(include_str!("data/recorded.toml")).unwrap();
    let ending = |figures: Figures| Ending {
        arrived: true,
        total_time: figures.total_time,
        transferred: figures.transferred,
        downtime: figures.downtime,
        ..Ending::default()
    };
    let case = |one: Recording| Case {
        name: one.name,
        memory: one.memory,
        load: one.load.parse().unwrap(),
        phase: one.phase,
        settings: one.settings,
        path: one.path,
        together: None,
        qemu: QemuVersion::new(10, 0),
        patience: one.patience,
        recorded: one.recorded.map(ending).unwrap_or_default(),
    };
    recordings.case.into_iter().map(case).collect()
}

#[test]
fn unseen_guests_are_replayed_as_they_were_recorded() {
    let cases = cases();
    for (resolution, verdicts) in [(Resolution::Pages, 1.0), (Resolution::Classes, 0.96)] {
        let endings = replay(&cases, resolution, &Physics::laboratory(), 1);
        for (case, ending) in cases.iter().zip(&endings) {
            let kind = kind(&case.settings);
            let (time, recorded) = (ending.total_time, case.recorded.total_time);
            println!("{} {kind}: {} s, recorded {}", case.name, time.human(), recorded.human());
        }
        let errors = judge(cases.iter().zip(&endings));
        println!("{resolution:?}: {errors:?}");
        assert!(errors.cases >= 25 && errors.arrived >= 20, "{errors:?}");
        assert!(errors.verdict_right >= verdicts, "{errors:?}");
        assert!(errors.time[0] < 0.06 && errors.bytes[0] < 0.01, "{errors:?}");
        // Downtimes of one migration repeated differ by a third; what can be asked is this.
        assert!(errors.downtime[0] < 0.5, "{errors:?}");
    }
}
