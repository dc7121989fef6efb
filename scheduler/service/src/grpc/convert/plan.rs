//! Goals, plans and what was found out about them.
//!
//! A plan goes out as its exact file and, for reading, taken apart; it comes back as its file
//! alone, so that there is one truth and its digest guards it.

use whimbrel_core::{
    MigrationSettings, Move, OrderId, Plan,
    check::Severity,
    plan::{Remark, Stay, Term},
    settings::{Compression, Mode, Transport},
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};
use whimbrel_proto::v1;

use super::{Malformed, Wire, from_list, name, required, same_names, to_list};
use crate::{
    Failure, files,
    grpc::{Explained, Finding, Planned, Simulated, SimulationSummary},
};

same_names!(Severity { Warning, Fatal } = NoteSeverity in "note.severity");

/// `plan` with its file `text`.
pub(in super::super) fn plan_message(plan: &Plan, text: String) -> v1::Plan {
    v1::Plan {
        id: plan.id().to_string(),
        digest: plan.digest.to_string(),
        text,
        goal: Some(plan.goal.to_wire()),
        snapshot_taken_at_unix_micros: plan.parent.snapshot_taken_at.as_micros(),
        found_by: plan.report.found_by.clone(),
        gap_share: plan.report.gap,
        makespan_micros: plan.report.makespan.as_micros(),
        terms: plan.report.terms.iter().map(term_message).collect(),
        at_once_per_host: plan.at_once.per_host,
        at_once_total: plan.at_once.total,
        at_once_out_of_host: plan.at_once.out_of_host,
        at_once_into_host: plan.at_once.into_host,
        moves: plan.moves().map(|(id, one)| move_message(&id, one)).collect(),
        stays: plan.stays.iter().map(stay_message).collect(),
        remarks: plan.report.remarks.iter().map(remark_message).collect(),
    }
}

/// The answer to `Plan`.
pub(in super::super) fn planned_message(planned: Planned) -> v1::PlanResponse {
    v1::PlanResponse {
        plan: Some(plan_message(&planned.plan, planned.text)),
        notes: to_list(&planned.findings),
        simulation: Some(planned.simulation.to_wire()),
        standing: to_list(&planned.standing),
        previous_plan_id: planned.previous.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// The answer to `Explain`.
pub(in super::super) fn explained_message(explained: Explained) -> v1::ExplainResponse {
    v1::ExplainResponse {
        plan: Some(plan_message(&explained.plan, explained.text)),
        explanations: to_list(&explained.explanations),
        next_page_token: explained.next_page_token,
    }
}

/// What a client makes of the answer to `Plan`: the file decides, and its digest is verified.
pub(in super::super) fn read_planned(response: v1::PlanResponse) -> Result<Planned, Failure> {
    let (plan, text) = read_plan(response.plan)?;
    let simulation = required("simulation", response.simulation)
        .and_then(SimulationSummary::from_wire)
        .map_err(Malformed::in_answer)?;
    let previous = Some(response.previous_plan_id).filter(|id| !id.is_empty());
    let previous = previous.map(|id| name("previous_plan_id", &id)).transpose();
    Ok(Planned {
        plan,
        text,
        findings: from_list(response.notes).map_err(Malformed::in_answer)?,
        simulation,
        standing: from_list(response.standing).map_err(Malformed::in_answer)?,
        previous: previous.map_err(Malformed::in_answer)?,
    })
}

/// What a client makes of the answer to `Explain`.
pub(in super::super) fn read_explained(
    response: v1::ExplainResponse,
) -> Result<Explained, Failure> {
    let (plan, text) = read_plan(response.plan)?;
    let explanations = from_list(response.explanations).map_err(Malformed::in_answer)?;
    let next_page_token = response.next_page_token;
    Ok(Explained { plan, text, explanations, next_page_token })
}

fn read_plan(message: Option<v1::Plan>) -> Result<(Plan, String), Failure> {
    let text = required("plan", message).map_err(Malformed::in_answer)?.text;
    Ok((files::parse_plan(&text)?, text))
}

impl Wire for Simulated {
    type Message = v1::SimulateResponse;

    fn to_wire(&self) -> v1::SimulateResponse {
        v1::SimulateResponse {
            simulation: Some(self.simulation.to_wire()),
            notes: to_list(&self.findings),
        }
    }

    fn from_wire(message: v1::SimulateResponse) -> Result<Self, Malformed> {
        Ok(Self {
            findings: from_list(message.notes)?,
            simulation: SimulationSummary::from_wire(required("simulation", message.simulation)?)?,
        })
    }
}

fn term_message(term: &Term) -> v1::ObjectiveTerm {
    v1::ObjectiveTerm { name: term.name.clone(), before: term.before, after: term.after }
}

fn move_message(id: &OrderId, one: &Move) -> v1::Move {
    v1::Move {
        id: id.to_string(),
        after: one.after.clone(),
        alone: one.alone,
        not_before_unix_micros: one.not_before.map(Timestamp::as_micros),
        ends_before_unix_micros: one.ends_before.map(Timestamp::as_micros),
        begins_micros: one.begins.as_micros(),
        vm: one.vm.to_string(),
        uuid: one.uuid.clone(),
        from_host: one.from.to_string(),
        to_host: one.to.to_string(),
        timeout_micros: one.timeout.as_micros(),
        reason: Some(one.reason.to_wire()),
        settings: Some(settings_message(&one.settings)),
        predicted: Some(one.predicted.to_wire()),
    }
}

fn stay_message(stay: &Stay) -> v1::Stay {
    v1::Stay { vm: stay.vm.to_string(), reason: Some(stay.reason.to_wire()) }
}

fn remark_message(remark: &Remark) -> v1::Remark {
    // The code is the one that the plan file has, wherever that is decided.
    let file = serde_json::to_value(remark).unwrap_or_default();
    let code = file.get("code").and_then(serde_json::Value::as_str).unwrap_or_default();
    v1::Remark { code: code.to_owned(), text: remark.to_string(), warns: remark.warns() }
}

fn settings_message(settings: &MigrationSettings) -> v1::MigrationSettings {
    let mode = match settings.mode {
        Mode::PreCopy => v1::MigrationMode::PreCopy,
        Mode::AutoConverge => v1::MigrationMode::AutoConverge,
        Mode::PostCopy => v1::MigrationMode::PostCopy,
    };
    let transport = match settings.transport {
        Transport::Tcp => v1::MigrationTransport::Tcp,
        Transport::Tls => v1::MigrationTransport::Tls,
    };
    let (compression, cache) = match settings.compression {
        Compression::None => (v1::MigrationCompression::None, None),
        Compression::Xbzrle { cache } => (v1::MigrationCompression::Xbzrle, Some(cache.get())),
        Compression::Zlib => (v1::MigrationCompression::Zlib, None),
        Compression::Zstd => (v1::MigrationCompression::Zstd, None),
    };
    let throttle = Some(settings.throttle).filter(|_| settings.mode == Mode::AutoConverge);
    v1::MigrationSettings {
        mode: mode.into(),
        transport: transport.into(),
        bandwidth_limit_bytes_per_second: settings.bandwidth_limit.map(BytesPerSecond::get),
        downtime_limit_micros: settings.downtime_limit.as_micros(),
        channels: settings.channels.into(),
        compression: compression.into(),
        xbzrle_cache_bytes: cache,
        throttle_initial_percent: throttle.map(|throttle| throttle.initial_percent.into()),
        throttle_increment_percent: throttle.map(|throttle| throttle.increment_percent.into()),
        reads_before_post_copy: Some(settings.reads_before_post_copy)
            .filter(|_| settings.mode == Mode::PostCopy),
    }
}

impl Wire for Finding {
    type Message = v1::Note;

    fn to_wire(&self) -> v1::Note {
        v1::Note {
            severity: self.severity.to_wire(),
            subject: self.subject.clone(),
            code: self.code.clone(),
            text: self.text.clone(),
        }
    }

    fn from_wire(message: v1::Note) -> Result<Self, Malformed> {
        let severity = Severity::from_wire(message.severity)?;
        let v1::Note { subject, code, text, .. } = message;
        Ok(Self { severity, subject, code, text })
    }
}

impl Wire for SimulationSummary {
    type Message = v1::SimulationSummary;

    fn to_wire(&self) -> v1::SimulationSummary {
        v1::SimulationSummary {
            seed: self.seed,
            moves: self.moves,
            arrived: self.arrived,
            makespan_micros: self.makespan.as_micros(),
            transferred_bytes: self.transferred.get(),
            downtime_max_micros: self.downtime_max.as_micros(),
            violations: self.violations.clone(),
            runs: self.runs,
            runs_succeeded: self.runs_succeeded,
            runs_violated: self.runs_violated,
        }
    }

    fn from_wire(message: v1::SimulationSummary) -> Result<Self, Malformed> {
        Ok(Self {
            seed: message.seed,
            moves: message.moves,
            arrived: message.arrived,
            makespan: Span::from_micros(message.makespan_micros),
            transferred: Bytes::new(message.transferred_bytes),
            downtime_max: Span::from_micros(message.downtime_max_micros),
            violations: message.violations,
            runs: message.runs,
            runs_succeeded: message.runs_succeeded,
            runs_violated: message.runs_violated,
        })
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::settings::Throttle;

    use super::*;

    #[test]
    fn settings_are_taken_apart_faithfully() {
        let plain = settings_message(&MigrationSettings::default());
        assert_eq!((plain.mode(), plain.channels), (v1::MigrationMode::PreCopy, 1));
        assert_eq!(plain.compression(), v1::MigrationCompression::None);
        assert_eq!((plain.throttle_initial_percent, plain.reads_before_post_copy), (None, None));
        let slowed = settings_message(&MigrationSettings {
            mode: Mode::AutoConverge,
            throttle: Throttle { initial_percent: 30, increment_percent: 15 },
            compression: Compression::Xbzrle { cache: Bytes::mib(64) },
            ..MigrationSettings::default()
        });
        assert_eq!(slowed.mode(), v1::MigrationMode::AutoConverge);
        let throttle = (slowed.throttle_initial_percent, slowed.throttle_increment_percent);
        assert_eq!(throttle, (Some(30), Some(15)));
        assert_eq!(slowed.compression(), v1::MigrationCompression::Xbzrle);
        assert_eq!(slowed.xbzrle_cache_bytes, Some(64 << 20));
        let post = settings_message(&MigrationSettings {
            mode: Mode::PostCopy,
            reads_before_post_copy: 3,
            channels: 4,
            compression: Compression::Zstd,
            ..MigrationSettings::default()
        });
        assert_eq!((post.mode(), post.channels), (v1::MigrationMode::PostCopy, 4));
        assert_eq!(post.compression(), v1::MigrationCompression::Zstd);
        assert_eq!((post.reads_before_post_copy, post.xbzrle_cache_bytes), (Some(3), None));
    }
}
