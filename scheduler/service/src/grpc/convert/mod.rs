//! Between the messages of `whimbrel.v1` and the values of the core.
//!
//! Total in both directions: a value always becomes a message, and a message becomes a value or
//! an error that names the field. Nothing is rounded or looked up; counters that an older peer does
//! not know are 0.

use std::str::FromStr;

use whimbrel_core::units::Share;

use crate::Failure;

mod explanation;
mod goal;
mod inventory;
mod operation;
mod placing;
mod plan;
mod prediction;
mod question;
mod reason;
mod rescue;
mod standing;

pub(super) use inventory::{inventory_response, read_inventory};
pub(super) use plan::{explained_message, planned_message, read_explained, read_planned};

/// A value that travels as a message of its own.
pub(super) trait Wire: Sized {
    /// The message.
    type Message;

    /// As a message.
    fn to_wire(&self) -> Self::Message;

    /// From a message.
    fn from_wire(message: Self::Message) -> Result<Self, Malformed>;
}

/// Why a message is not a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {fault}")]
pub(super) struct Malformed {
    field: &'static str,
    fault: String,
}

impl Malformed {
    fn new(field: &'static str, fault: &(impl ToString + ?Sized)) -> Self {
        Self { field, fault: fault.to_string() }
    }

    /// As a fault of the request: what the server answers.
    pub(super) fn in_request(self) -> Failure {
        let mut failure = Failure::invalid(self);
        failure.hint.get_or_insert_with(|| {
            "whimbrel.proto says at each field what it takes; reflection has the messages"
                .to_owned()
        });
        failure
    }

    /// As a fault of the answer: what the client reports.
    pub(super) fn in_answer(self) -> Failure {
        Failure::unavailable(format!(
            "the server's answer is malformed: {self} \
             (hint: run client and server of the same version)"
        ))
    }
}

/// The message that `field` must hold.
pub(super) fn required<T>(field: &'static str, message: Option<T>) -> Result<T, Malformed> {
    message.ok_or_else(|| Malformed::new(field, "is missing"))
}

/// A checked name.
pub(super) fn name<T>(field: &'static str, text: &str) -> Result<T, Malformed>
where
    T: FromStr<Err: ToString>,
{
    text.parse().map_err(|e: T::Err| Malformed::new(field, &e))
}

/// Most entries of a list in a request.
const ENTRIES_MAX: usize = 100_000;

/// Refuses a `list` that is longer than anybody can mean.
pub(super) fn bounded<T>(field: &'static str, list: &[T]) -> Result<(), Malformed> {
    if list.len() <= ENTRIES_MAX {
        return Ok(());
    }
    let fault = format!(
        "has {} entries, the limit is {ENTRIES_MAX} (hint: ask in several calls)",
        list.len()
    );
    Err(Malformed::new(field, &fault))
}

/// A list of checked names in a request.
fn names<T>(field: &'static str, list: &[String]) -> Result<Vec<T>, Malformed>
where
    T: FromStr<Err: ToString>,
{
    bounded(field, list)?;
    list.iter().map(|text| name(field, text)).collect()
}

/// A number, neither infinite nor none.
fn finite(field: &'static str, value: f64) -> Result<f64, Malformed> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Malformed::new(field, &format!("{value} is no number")))
    }
}

/// A count that this machine can hold.
fn count(field: &'static str, value: u64) -> Result<usize, Malformed> {
    usize::try_from(value).map_err(|e| Malformed::new(field, &e))
}

fn share(field: &'static str, value: f64) -> Result<Share, Malformed> {
    Share::try_from(value).map_err(|e| Malformed::new(field, &e))
}

fn percent(field: &'static str, value: u32) -> Result<u8, Malformed> {
    let in_range = u8::try_from(value).ok().filter(|percent| *percent <= 100);
    in_range.ok_or_else(|| Malformed::new(field, &format!("{value} is no percentage")))
}

pub(super) fn to_list<T: Wire>(values: &[T]) -> Vec<T::Message> {
    values.iter().map(Wire::to_wire).collect()
}

pub(super) fn from_list<T: Wire>(messages: Vec<T::Message>) -> Result<Vec<T>, Malformed> {
    messages.into_iter().map(T::from_wire).collect()
}

fn from_optional<T: Wire>(message: Option<T::Message>) -> Result<Option<T>, Malformed> {
    message.map(T::from_wire).transpose()
}

/// An enum whose variants have the same names on both sides.
macro_rules! same_names {
    ($value:ident { $($variant:ident),+ $(,)? } = $message:ident in $field:literal) => {
        impl Wire for $value {
            type Message = i32;

            fn to_wire(&self) -> i32 {
                match self {
                    $(Self::$variant => v1::$message::$variant.into(),)+
                }
            }

            fn from_wire(message: i32) -> Result<Self, Malformed> {
                match v1::$message::try_from(message) {
                    $(Ok(v1::$message::$variant) => Ok(Self::$variant),)+
                    Ok(v1::$message::Unspecified) => Err(Malformed::new($field, "is not given")),
                    Err(_) => Err(Malformed::new($field, &format!("{message} is not known"))),
                }
            }
        }
    };
}
use same_names;

#[cfg(test)]
mod tests;
