//! Reasons: their stable code, their words, and their figures as the plan file has them.
//!
//! The figures are taken from the reason's own form in files, wherever that is decided, and a reason
//! comes back from them: nothing of it is lost on the way.

use serde_json::{Map, Number, Value};
use whimbrel_core::plan::Reason;
use whimbrel_planner::explain::Why;
use whimbrel_proto::v1;

use super::{Malformed, Wire, required};

/// The code of a VM that the goal need not move, which no plan file has.
const NOT_ASKED: &str = "not-asked";
/// The key that holds the code.
const CODE: &str = "code";
/// Whole numbers up to this survive as floating-point ones.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Wire for Reason {
    type Message = v1::Reason;

    fn to_wire(&self) -> v1::Reason {
        let file = serde_json::to_value(self).unwrap_or_default();
        let entries = file.as_object().into_iter().flatten();
        let code = file.get(CODE).and_then(Value::as_str).unwrap_or_default().to_owned();
        let figures = entries.filter(|(key, _)| *key != CODE).map(figure).collect();
        v1::Reason { code, text: self.to_string(), figures }
    }

    fn from_wire(message: v1::Reason) -> Result<Self, Malformed> {
        let mut file = Map::new();
        file.insert(CODE.to_owned(), Value::String(message.code));
        for v1::Figure { name, value } in message.figures {
            let value = match required("reason.figures.value", value)? {
                v1::figure::Value::Number(number) => as_written(number),
                v1::figure::Value::Text(text) => Value::String(text),
            };
            file.insert(name, value);
        }
        serde_json::from_value(Value::Object(file)).map_err(|e| Malformed::new("reason", &e))
    }
}

fn figure((name, value): (&String, &Value)) -> v1::Figure {
    let value = match value {
        Value::String(text) => v1::figure::Value::Text(text.clone()),
        other => v1::figure::Value::Number(other.as_f64().unwrap_or(f64::NAN)),
    };
    v1::Figure { name: name.clone(), value: Some(value) }
}

/// A number as a file has it: whole ones without a point.
fn as_written(number: f64) -> Value {
    let whole = number.fract().abs() < f64::MIN_POSITIVE && number.abs() <= EXACT_MAX;
    let written = if whole { Some(Number::from(number as i64)) } else { Number::from_f64(number) };
    written.map_or(Value::Null, Value::Number)
}

impl Wire for Why {
    type Message = v1::Reason;

    fn to_wire(&self) -> v1::Reason {
        match self {
            Self::Planned { reason } => reason.to_wire(),
            Self::NotAsked { goal } => v1::Reason {
                code: NOT_ASKED.to_owned(),
                text: self.to_string(),
                figures: vec![v1::Figure {
                    name: "goal".to_owned(),
                    value: Some(v1::figure::Value::Text(goal.clone())),
                }],
            },
        }
    }

    fn from_wire(mut message: v1::Reason) -> Result<Self, Malformed> {
        if message.code != NOT_ASKED {
            return Ok(Self::Planned { reason: Reason::from_wire(message)? });
        }
        match message.figures.pop().and_then(|figure| figure.value) {
            Some(v1::figure::Value::Text(goal)) => Ok(Self::NotAsked { goal }),
            _ => Err(Malformed::new("reason.figures", "has no goal")),
        }
    }
}
