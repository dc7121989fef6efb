//! What a lab looks like at the moment.

use serde::Serialize;

use crate::error::LabError;
use crate::lab::Lab;
use crate::network;

/// A lab as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabStatus {
    /// The lab's name.
    pub name: String,
    /// True when it was started and not ended.
    pub up: bool,
    /// The network namespace where controllers run.
    pub namespace: String,
    /// Its hosts; empty when the lab is not up.
    pub hosts: Vec<HostStatus>,
}

/// A host as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostStatus {
    /// Its name: h1, h2, ...
    pub name: String,
    /// Its address.
    pub address: String,
    /// True when it is powered on.
    pub powered_on: bool,
    /// Version of its libvirtd, such as `9.0.0`; none when it does not answer.
    pub libvirt: Option<String>,
    /// False when its cable is cut.
    pub link_up: bool,
    /// The limit on what it sends (10^6 bytes per second); none when it is not shaped.
    pub sends_at_most_megabytes_per_second: Option<f64>,
    /// libvirt URI without encryption.
    pub tcp_uri: String,
    /// libvirt URI with the lab's client certificate.
    pub tls_uri: String,
    /// Why its guests are not known, when they are not.
    pub unknown: Option<String>,
    /// Its guests, running or only defined.
    pub guests: Vec<GuestStatus>,
}

/// A guest as libvirt sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuestStatus {
    /// Name of the domain.
    pub name: String,
    /// libvirt's word: running, paused, shut off, ...
    pub state: String,
}

impl Lab {
    /// Looks at every host, through its console: cut links do not matter.
    ///
    /// # Errors
    /// When the state of a link cannot be read.
    pub fn status(&self) -> Result<LabStatus, LabError> {
        let up = self.is_up();
        let names = if up { self.host_names() } else { Vec::new() };
        let hosts = names.iter().map(|name| self.host_status(name)).collect::<Result<_, _>>()?;
        let config = self.config();
        Ok(LabStatus { name: config.name.clone(), up, namespace: config.namespace(), hosts })
    }

    fn host_status(&self, name: &str) -> Result<HostStatus, LabError> {
        let config = self.config();
        let powered_on = self.host_init(name)?.is_some();
        let link_up = network::link_is_up(config, name)?;
        let (unknown, guests) = match self.virsh(name, &["list", "--all"]) {
            Ok(listing) => (None, parse_list(&listing)),
            Err(LabError::HostOff { .. }) => (None, Vec::new()),
            Err(error) => (Some(error.to_string()), Vec::new()),
        };
        Ok(HostStatus {
            name: name.to_owned(),
            address: config.host_address(config.host_number(name)?),
            powered_on,
            libvirt: self.virsh(name, &["version", "--daemon"]).ok().and_then(|t| parse_daemon(&t)),
            link_up,
            sends_at_most_megabytes_per_second: network::shaped_megabytes_per_second(config, name)?,
            tcp_uri: self.tcp_uri(name),
            tls_uri: self.tls_uri(name),
            unknown,
            guests,
        })
    }
}

/// Reads the last line of `virsh version --daemon`.
fn parse_daemon(said: &str) -> Option<String> {
    let version = said.lines().find_map(|line| line.strip_prefix("Running against daemon: "))?;
    Some(version.trim().to_owned())
}

/// Reads `virsh -q list --all`: id, name and state, the state of one or two words.
fn parse_list(listing: &str) -> Vec<GuestStatus> {
    let guest = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let name = words.next()?.to_owned();
        Some(GuestStatus { name, state: words.collect::<Vec<_>>().join(" ") })
    };
    listing.lines().filter_map(guest).collect()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn daemons() {
        let said = "Using library: libvirt 9.0.0\nRunning against daemon: 11.3.0\n\n";
        assert_eq!(parse_daemon(said).as_deref(), Some("11.3.0"));
        assert_eq!(parse_daemon("error: no connection"), None);
    }

    #[test]
    fn lists() {
        let guests = parse_list(" 3    web-1   running\n -    db-1    shut off\n\n");
        let expected = [("web-1", "running"), ("db-1", "shut off")];
        let expected = expected.map(|(n, s)| GuestStatus { name: n.into(), state: s.into() });
        assert_eq!(guests, expected);
    }
}
