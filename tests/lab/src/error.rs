//! What can go wrong in the lab, each with a hint at what to do.

use std::io;
use std::path::PathBuf;

use crate::capability::Missing;

/// Why an operation of the lab failed. `Display` names the thing; [`LabError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// This machine cannot hold the lab.
    #[error("this machine cannot hold the lab: {0}")]
    Missing(Missing),
    /// A setting of the lab or of a guest is outside its limits.
    #[error("{what}: {problem}")]
    Setting {
        /// The setting.
        what: String,
        /// The value and the limit.
        problem: String,
    },
    /// A program that the lab needs ended with an error.
    #[error("`{command}` failed ({status}): {stderr}")]
    Program {
        /// The command line.
        command: String,
        /// Exit status or signal.
        status: String,
        /// Last lines of its standard error.
        stderr: String,
    },
    /// A file or socket could not be used.
    #[error("{action} {}", path.display())]
    File {
        /// A verb: "write", "read".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something did not happen in time.
    #[error("{what}: not within {limit_seconds} s")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        limit_seconds: u64,
        /// Where to look for the reason.
        look: String,
    },
    /// The lab that is up has fewer hosts than were asked for.
    #[error("the lab '{name}' is up with {count} hosts, {wanted} were asked for")]
    TooFewHosts {
        /// The lab's name.
        name: String,
        /// How many hosts it has.
        count: u8,
        /// How many were asked for.
        wanted: u8,
    },
    /// The lab that is up runs another libvirt than was asked for.
    #[error("the lab '{name}' is up with another libvirt than {wanted}")]
    OtherLibvirt {
        /// The lab's name.
        name: String,
        /// The version that was asked for.
        wanted: String,
    },
    /// The lab is not up.
    #[error("the lab '{name}' is not up")]
    NotUp {
        /// The lab's name.
        name: String,
    },
    /// The lab has no such host.
    #[error("the lab has no host '{name}': its hosts are h1 to h{count}")]
    NoHost {
        /// The name that was asked for.
        name: String,
        /// How many hosts there are.
        count: u8,
    },
    /// The host is powered off.
    #[error("host {name} is powered off")]
    HostOff {
        /// The host.
        name: String,
    },
    /// No host runs this guest.
    #[error("no host of the lab runs a guest '{name}'")]
    NoGuest {
        /// The guest.
        name: String,
    },
    /// The guest's workload refused a command.
    #[error("guest {name} refused `{command}`: {answer}")]
    Refused {
        /// The guest.
        name: String,
        /// The line that was sent.
        command: String,
        /// The line that came back.
        answer: String,
    },
}

impl LabError {
    /// The next step for the reader, without a line end.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing(missing) => missing.hint().to_owned(),
            Self::Setting { .. } => "`whimbrel-lab help` lists the limits".to_owned(),
            Self::Program { .. } => {
                "`whimbrel-lab status` shows the lab, `whimbrel-lab up --fresh` rebuilds it"
                    .to_owned()
            }
            Self::File { .. } => {
                "the lab runs as root and keeps its files in $WHIMBREL_LAB_DIR".to_owned()
            }
            Self::Timeout { look, .. } => format!("see {look}"),
            Self::TooFewHosts { wanted, .. } => {
                format!("`whimbrel-lab up --fresh --hosts {wanted}` ends it and its guests first")
            }
            Self::OtherLibvirt { .. } => {
                "`whimbrel-lab up --fresh` ends it and its guests first".to_owned()
            }
            Self::NotUp { .. } => "start it with `whimbrel-lab up`".to_owned(),
            Self::NoHost { .. } | Self::NoGuest { .. } => {
                "`whimbrel-lab status` lists hosts and guests".to_owned()
            }
            Self::HostOff { name } => format!("`whimbrel-lab host power-on {name}`"),
            Self::Refused { .. } => "tests/lab/guest/command.c lists the commands".to_owned(),
        }
    }

    pub(crate) fn setting(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Setting { what: what.into(), problem: problem.into() }
    }
}

impl From<Missing> for LabError {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// Turns an I/O error into [`LabError::File`]: `.map_err(file_error("write", &path))`.
pub(crate) fn file_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> LabError {
    let path = path.into();
    move |source| LabError::File { action, path, source }
}
