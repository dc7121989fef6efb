//! Model files: what was learnt, from what, how well it did, sealed.
//!
//! A file is one JSON object: the format's name, its version, the seal and the model. The seal is
//! the SHA-256 of everything else, so a file that was changed or cut off is refused by name. Files
//! of older versions are lifted to the present one step by step in [`upgrade`]; a file of a later
//! version is refused with its number. Parameters are a type of the caller's.
//!
//! Never opens a file: texts come in and go out, with the name that errors are to carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use thiserror::Error;
use whimbrel_core::{digest::Digest, units::Timestamp};

mod canonical;
mod upgrade;

/// What every model file calls itself.
pub const FORMAT: &str = "whimbrel-model";

/// The version that is written.
pub const VERSION: u32 = 1;

/// A model with where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile<P> {
    /// Version of the program that learnt it.
    pub learnt_by: String,
    /// First and last migration that it was learnt from; `None` where nobody kept that.
    pub window: Option<Window>,
    /// Numbers of what it was learnt from by name, such as `migrations` and `guests`.
    pub counts: BTreeMap<String, u64>,
    /// How well it did on guests that were held out, by name with the unit last. Finite.
    pub metrics: BTreeMap<String, f64>,
    /// Digest of the rows that it was learnt from; `None` where nobody kept that.
    pub data: Option<Digest>,
    /// What was learnt.
    pub parameters: P,
}

/// Span of time that training rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Begin of the first migration.
    pub first: Timestamp,
    /// Begin of the last migration.
    pub last: Timestamp,
}

/// Why a model file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelFileError {
    /// Not the text that was written.
    #[error(
        "{file}: damaged: {what} (hint: restore it from a copy, or learn the model again from \
         the recorded migrations)"
    )]
    Damaged {
        /// The file.
        file: String,
        /// What shows it.
        what: String,
    },
    /// Some other JSON.
    #[error("{file}: is no model file: {what} (hint: name a file that `whimbrel` has learnt)")]
    Foreign {
        /// The file.
        file: String,
        /// What shows it.
        what: String,
    },
    /// Written by a later program.
    #[error(
        "{file}: version {found} of the model format, this program reads up to {known} \
         (hint: use the whimbrel that wrote it, or learn the model again with this one)"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        found: u64,
        /// The newest version that this program reads.
        known: u32,
    },
    /// The seal holds and the parameters do not fit.
    #[error(
        "{file}: its parameters do not fit this program: {what} (hint: learn the model again \
         with this one)"
    )]
    Unsuitable {
        /// The file.
        file: String,
        /// What does not fit.
        what: String,
    },
    /// A model that JSON cannot hold.
    #[error("{file}: cannot be written: {what} (hint: metrics and parameters are finite numbers)")]
    Unwritable {
        /// The file.
        file: String,
        /// What does not fit.
        what: String,
    },
}

impl<P: Serialize + DeserializeOwned> ModelFile<P> {
    /// The text of the file called `name`, which is read back as it is.
    ///
    /// # Errors
    /// [`ModelFileError::Unwritable`] where a number is not finite or a key no text.
    pub fn to_text(&self, name: &str) -> Result<String, ModelFileError> {
        let refuse = |what: String| ModelFileError::Unwritable { file: name.to_owned(), what };
        if let Some((metric, value)) = self.metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(refuse(format!("metric {metric} is {value}")));
        }
        let model = serde_json::to_value(self).map_err(|e| refuse(e.to_string()))?;
        // A number that is not finite becomes null, and would be missing when it is read.
        serde_json::from_value::<Self>(model.clone()).map_err(|e| refuse(e.to_string()))?;
        let envelope = Envelope {
            format: FORMAT.to_owned(),
            version: u64::from(VERSION),
            seal: seal(u64::from(VERSION), &model),
            model,
        };
        let mut text = serde_json::to_string(&envelope).map_err(|e| refuse(e.to_string()))?;
        text.push('\n');
        Ok(text)
    }

    /// Reads `text`, the content of the file called `name`, of this version or an older one.
    ///
    /// # Errors
    /// [`ModelFileError`], with `name`, when it is damaged, something else, or of a later version.
    pub fn from_text(name: &str, text: &str) -> Result<Self, ModelFileError> {
        let file = name.to_owned();
        let value: Value = serde_json::from_str(text).map_err(|error| ModelFileError::Damaged {
            file: file.clone(),
            what: error.to_string(),
        })?;
        let (version, model) = opened(name, value)?;
        let model = upgrade::to_present(version, model)
            .map_err(|what| ModelFileError::Foreign { file: file.clone(), what })?;
        serde_json::from_value(model)
            .map_err(|error| ModelFileError::Unsuitable { file, what: error.to_string() })
    }
}

/// What stands around a model since version 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    format: String,
    version: u64,
    seal: Digest,
    model: Value,
}

/// The version and the model of a file; the seal is checked. Version 0 had neither name nor seal.
fn opened(name: &str, value: Value) -> Result<(u64, Value), ModelFileError> {
    let file = name.to_owned();
    let Some(format) = value.get("format") else { return Ok((0, value)) };
    if format != FORMAT {
        let what = format!("its format is {format}");
        return Err(ModelFileError::Foreign { file, what });
    }
    // First of all: the envelope of a later version may look different.
    let version = value.get("version").and_then(Value::as_u64);
    if let Some(found) = version.filter(|found| *found > u64::from(VERSION)) {
        return Err(ModelFileError::Newer { file, found, known: VERSION });
    }
    let envelope: Envelope = serde_json::from_value(value)
        .map_err(|error| ModelFileError::Damaged { file: file.clone(), what: error.to_string() })?;
    let expected = seal(envelope.version, &envelope.model);
    if envelope.version == 0 || envelope.seal != expected {
        let what =
            format!("its seal is {}, its content has {}", envelope.seal.short(), expected.short());
        return Err(ModelFileError::Damaged { file, what });
    }
    Ok((envelope.version, envelope.model))
}

/// Digest over everything in a file besides the digest itself.
fn seal(version: u64, model: &Value) -> Digest {
    Digest::of(&(FORMAT, version, canonical::of(model)))
}
