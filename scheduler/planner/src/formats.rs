//! The texts in which a planning problem is exchanged, with other planners too: an [`Input`] with all
//! its answers, the plain form, and Ganeti's text.
//!
//! Reading says which form it found; a text that does not hold together is refused with its place,
//! the limit and a hint. What a form has no place for is named by whoever writes it.
//!
//! Never here: files, and what a planner makes of a problem.

mod convert;
mod fault;
mod ganeti;
mod lines;
mod plain;
mod whole;

pub use fault::FormatError;
pub use plain::{Plain, PlainGoal, PlainHost, PlainLimits, PlainObjective, PlainVm};

use crate::input::Input;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Everything, sealed: see [`Input`].
    Whole,
    /// One JSON object that all planners read: see [`Plain`].
    Plain,
    /// What Ganeti's htools read.
    Ganeti,
}

/// A text as it was understood.
#[derive(Debug, Clone)]
pub struct Read {
    /// Its form.
    pub form: Form,
    /// What it says.
    pub problem: Problem,
    /// What it says that is not planned with, for people.
    pub left_out: Vec<String>,
}

/// A problem in the words of its form.
#[derive(Debug, Clone)]
pub enum Problem {
    /// With all answers.
    Whole(Box<Input>),
    /// From the plain form or Ganeti's.
    Plain(Box<Plain>),
}

/// A problem as a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text.
    pub text: String,
    /// Ganeti's file of dynamic use, which belongs beside it.
    pub dynamic_use: Option<String>,
    /// What the form has no place for, for people.
    pub left_out: Vec<String>,
}

/// Reads `text`, and `dynamic_use` where Ganeti's text has such a file beside it.
///
/// # Errors
/// [`FormatError`] naming the place, the limit and what to do.
pub fn read(text: &str, dynamic_use: Option<&str>) -> Result<Read, FormatError> {
    let form = form(text)?;
    let (problem, left_out) = match form {
        Form::Whole => (Problem::Whole(Box::new(whole::read(text)?)), Vec::new()),
        Form::Plain => (Problem::Plain(Box::new(plain::read(text)?)), Vec::new()),
        Form::Ganeti => {
            let (plain, left_out) = ganeti::read(text, dynamic_use)?;
            (Problem::Plain(Box::new(plain)), left_out)
        }
    };
    Ok(Read { form, problem, left_out })
}

/// The form that `text` seems to be in.
fn form(text: &str) -> Result<Form, FormatError> {
    let begin = text.trim_start();
    let first = begin.lines().next().unwrap_or_default();
    let head = begin.char_indices().nth(200).map_or(begin, |(at, _)| &begin[..at]);
    if begin.starts_with('{') && head.contains(whole::MARK) {
        Ok(Form::Whole)
    } else if begin.starts_with('{') && head.contains("\"taken_at\"") {
        let hint = "give it with --snapshot, or save an input with --save-input";
        Err(FormatError::new(
            "line 1",
            "this is a snapshot, which is only a part of an input",
            hint,
        ))
    } else if begin.starts_with('{') {
        Ok(Form::Plain)
    } else if first.contains('|') {
        Ok(Form::Ganeti)
    } else {
        let what = "this is no planning input: neither JSON nor fields with | between them";
        let hint = "name a file that --save-input wrote, one in the plain form, or Ganeti's text";
        Err(FormatError::new("line 1", what, hint))
    }
}

impl Read {
    /// The problem to plan for, and whether it says its goal itself; without one it is to balance.
    ///
    /// # Errors
    /// [`FormatError`] where it asks for what cannot be planned.
    pub fn input(self) -> Result<(Input, bool), FormatError> {
        match self.problem {
            Problem::Whole(input) => Ok((*input, true)),
            Problem::Plain(plain) => convert::input(&plain),
        }
    }

    /// The problem in `form`.
    ///
    /// # Errors
    /// [`FormatError`] where the form cannot hold it.
    pub fn write(&self, form: Form) -> Result<Written, FormatError> {
        let (plain, mut left_out) = match (&self.problem, form) {
            (_, Form::Whole) => return write(&self.clone().input()?.0),
            (Problem::Plain(plain), _) => ((**plain).clone(), Vec::new()),
            (Problem::Whole(input), _) => convert::plain(input)?,
        };
        let (text, dynamic_use) = match form {
            Form::Ganeti => {
                let (text, dynamic_use, lost) = ganeti::write(&plain);
                left_out.extend(lost);
                (text, Some(dynamic_use))
            }
            Form::Plain | Form::Whole => (plain::write(&plain)?, None),
        };
        Ok(Written { text, dynamic_use, left_out })
    }
}

/// `input` with all its answers.
///
/// # Errors
/// [`FormatError`] where it cannot be written.
pub fn write(input: &Input) -> Result<Written, FormatError> {
    Ok(Written { text: whole::write(input)?, dynamic_use: None, left_out: Vec::new() })
}
