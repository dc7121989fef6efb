//! The hosts that a drain empties: at least one, each once.
//!
//! Never here: whether they exist, or what is on them.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::HostId;

/// Hosts to empty, in order of their names, however they were listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<HostId>", into = "Vec<HostId>")]
pub struct Emptied(BTreeSet<HostId>);

/// A drain of nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no host is named to be emptied (hint: name at least one in `hosts`)")]
pub struct NoHost;

impl Emptied {
    /// Those of `hosts`, each once.
    ///
    /// # Errors
    /// [`NoHost`] where there is none.
    pub fn of(hosts: impl IntoIterator<Item = HostId>) -> Result<Self, NoHost> {
        let hosts: BTreeSet<HostId> = hosts.into_iter().collect();
        if hosts.is_empty() { Err(NoHost) } else { Ok(Self(hosts)) }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &HostId> {
        self.0.iter()
    }
}

impl From<HostId> for Emptied {
    fn from(host: HostId) -> Self {
        Self(BTreeSet::from([host]))
    }
}

impl TryFrom<Vec<HostId>> for Emptied {
    type Error = NoHost;

    fn try_from(hosts: Vec<HostId>) -> Result<Self, NoHost> {
        Self::of(hosts)
    }
}

impl From<Emptied> for Vec<HostId> {
    fn from(hosts: Emptied) -> Self {
        hosts.0.into_iter().collect()
    }
}

impl fmt::Display for Emptied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hosts = self.0.iter();
        if let Some(first) = hosts.next() {
            write!(f, "{first}")?;
        }
        match (hosts.len(), hosts.next()) {
            (1, Some(second)) => write!(f, " and {second}"),
            (0, _) => Ok(()),
            (more, _) => write!(f, " and {more} more hosts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_counts_once_and_none_is_refused() {
        let named = |names: &[&str]| {
            Emptied::of(names.iter().map(|name| HostId::new(name).unwrap()))
                .map(|hosts| hosts.to_string())
        };
        assert_eq!(named(&["h1", "h1"]).unwrap(), "h1");
        assert_eq!(named(&["h2", "h1", "h2"]).unwrap(), "h1 and h2");
        assert_eq!(named(&["h3", "h1", "h2", "h1"]).unwrap(), "h1 and 2 more hosts");
        assert_eq!(named(&[]), Err(NoHost));
    }

    #[test]
    fn a_file_with_an_empty_list_is_refused() {
        let read = |text: &str| serde_json::from_str::<Emptied>(text);
        assert_eq!(
            serde_json::to_string(&read(r#"["b","a","b"]"#).unwrap()).unwrap(),
            r#"["a","b"]"#
        );
        assert!(read("[]").unwrap_err().to_string().contains("no host is named"));
    }
}
