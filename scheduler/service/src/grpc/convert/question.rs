//! Questions about plans: which plan, for whom, and what was planned before.

use whimbrel_core::Goal;
use whimbrel_proto::v1;

use super::{Malformed, Wire, bounded, name, required};
use crate::{
    advice::Asked,
    grpc::{ExplainQuestion, Page, PlanQuestion, Previous, Purpose, Subject},
};

impl Wire for PlanQuestion {
    type Message = v1::PlanRequest;

    fn to_wire(&self) -> v1::PlanRequest {
        use v1::plan_request::Purpose as M;
        let purpose = match &self.purpose {
            Purpose::Goal(goal) => M::Goal(goal.to_wire()),
            Purpose::Reverse { plan_text } => {
                M::Reverse(v1::ReversePlan { plan_text: plan_text.clone() })
            }
            Purpose::Resume { plan_text } => {
                M::Resume(v1::ResumePlan { plan_text: plan_text.clone() })
            }
        };
        let previous_plan_text = match &self.previous {
            Previous::Given { plan_text } => Some(plan_text.clone()),
            Previous::Remembered | Previous::Nothing => None,
        };
        let anew = self.previous == Previous::Nothing;
        v1::PlanRequest { purpose: Some(purpose), seed: self.seed, previous_plan_text, anew }
    }

    fn from_wire(message: v1::PlanRequest) -> Result<Self, Malformed> {
        use v1::plan_request::Purpose as M;
        let purpose = match required("goal", message.purpose)? {
            M::Goal(goal) => Purpose::Goal(asked_goal(goal)?),
            M::Reverse(v1::ReversePlan { plan_text }) => {
                Purpose::Reverse { plan_text: text("reverse.plan_text", plan_text)? }
            }
            M::Resume(v1::ResumePlan { plan_text }) => {
                Purpose::Resume { plan_text: text("resume.plan_text", plan_text)? }
            }
        };
        let previous = match (message.previous_plan_text, message.anew) {
            (None, false) => Previous::Remembered,
            (None, true) => Previous::Nothing,
            (Some(given), false) => {
                Previous::Given { plan_text: text("previous_plan_text", given)? }
            }
            (Some(_), true) => {
                let fault = "is set beside previous_plan_text (hint: set one of them, or neither)";
                return Err(Malformed::new("anew", fault));
            }
        };
        Ok(Self { purpose, previous, seed: message.seed })
    }
}

impl Wire for ExplainQuestion {
    type Message = v1::ExplainRequest;

    fn to_wire(&self) -> v1::ExplainRequest {
        use v1::explain_request::{Explained, Subject as Who};
        let explained = match &self.of {
            Subject::Question(question) => Explained::Request(question.to_wire()),
            Subject::Given { plan_text } => Explained::PlanText(plan_text.clone()),
        };
        let who = match &self.asked {
            Asked::One(vm) => Who::Vm(vm.to_string()),
            // The server says why it is nobody.
            Asked::Nobody(text) => Who::Vm(text.clone()),
            Asked::All => Who::Scope(v1::ExplainScope::All.into()),
            Asked::Stays => Who::Scope(v1::ExplainScope::Stays.into()),
        };
        v1::ExplainRequest {
            explained: Some(explained),
            subject: Some(who),
            page_size: self.page.size,
            page_token: self.page.token.clone(),
        }
    }

    fn from_wire(message: v1::ExplainRequest) -> Result<Self, Malformed> {
        use v1::explain_request::{Explained, Subject as Who};
        let of = match required("explained", message.explained)? {
            Explained::Request(question) => Subject::Question(PlanQuestion::from_wire(question)?),
            Explained::PlanText(given) => Subject::Given { plan_text: text("plan_text", given)? },
        };
        let asked = match required("subject", message.subject)? {
            Who::Vm(vm) => Asked::One(name("vm", &vm)?),
            Who::Scope(scope) => match v1::ExplainScope::try_from(scope) {
                Ok(v1::ExplainScope::All) => Asked::All,
                Ok(v1::ExplainScope::Stays) => Asked::Stays,
                Ok(v1::ExplainScope::Unspecified) => {
                    return Err(Malformed::new("scope", "is not given"));
                }
                Err(_) => return Err(Malformed::new("scope", &format!("{scope} is not known"))),
            },
        };
        let page = Page { size: message.page_size, token: message.page_token };
        Ok(Self { of, asked, page })
    }
}

/// A plan's file, which is never empty.
fn text(field: &'static str, text: String) -> Result<String, Malformed> {
    if text.is_empty() {
        let fault = "is empty (hint: send the plan's text exactly as Plan returned it)";
        return Err(Malformed::new(field, fault));
    }
    Ok(text)
}

/// A goal that somebody may ask for.
fn asked_goal(message: v1::Goal) -> Result<Goal, Malformed> {
    if let Some(v1::goal::Kind::Drain(drain)) = &message.kind {
        bounded("goal.drain.hosts", &drain.hosts)?;
    }
    Goal::from_wire(message)
}
