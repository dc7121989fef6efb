//! Names, addresses and directories of a lab; nothing here touches the machine.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// Most hosts that a lab may have: their addresses are .11 to .19, and two cores carry no more.
const MAX_HOSTS: u8 = 9;

/// Versions of libvirt that hosts may run beside the installed one, and where
/// `tests/setup/packages.sh` unpacks them.
const LIBVIRT_VERSIONS: [&str; 1] = ["11.3"];
const LIBVIRT_TREES: &str = "/var/cache/whimbrel-lab/libvirt-";

/// Places that a host sees its own version of, so that files there could not be shared with it.
const PRIVATE_PLACES: [&str; 5] = ["/etc", "/var", "/run", "/dev", "/proc"];

/// Which lab: its name, where it keeps its files, its addresses, its number of hosts.
///
/// Two labs on one machine need different names and different state directories; the same subnet is
/// fine, as no lab sees another's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabConfig {
    /// First part of every network namespace's name.
    pub name: String,
    /// Where records, certificates, logs and the hosts' disks live.
    pub state_dir: PathBuf,
    /// First three numbers of the lab's network, for instance `10.77.0`.
    pub subnet: String,
    /// Number of hosts, 1 to 9; they are called h1, h2, ...
    pub host_count: u8,
    /// The hosts' libvirt, `11.3`; none is the one that the machine has installed.
    #[serde(default)]
    pub libvirt: Option<String>,
}

impl LabConfig {
    /// The lab that the environment asks for: `WHIMBREL_LAB_NAME` (default `whimbrel`),
    /// `WHIMBREL_LAB_DIR` (default `/tmp/whimbrel-lab`), `WHIMBREL_LAB_SUBNET` (default `10.77.0`),
    /// `WHIMBREL_LAB_LIBVIRT` (default: what is installed), three hosts.
    pub fn from_environment() -> Self {
        let text = |key: &str, default: &str| env::var(key).unwrap_or_else(|_| default.to_owned());
        Self {
            name: text("WHIMBREL_LAB_NAME", "whimbrel"),
            state_dir: PathBuf::from(text("WHIMBREL_LAB_DIR", "/tmp/whimbrel-lab")),
            subnet: text("WHIMBREL_LAB_SUBNET", "10.77.0"),
            host_count: 3,
            libvirt: env::var("WHIMBREL_LAB_LIBVIRT").ok().filter(|version| !version.is_empty()),
        }
    }

    /// Checks every field against its limits.
    ///
    /// # Errors
    /// [`LabError::Setting`] that names the first field that is wrong.
    pub fn check(&self) -> Result<(), LabError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.chars().all(plain) {
            let problem = format!("'{}' is not 1 to 32 of a-z, 0-9 and -", self.name);
            return Err(LabError::setting("WHIMBREL_LAB_NAME", problem));
        }
        let private = PRIVATE_PLACES.iter().find(|place| self.state_dir.starts_with(place));
        if !self.state_dir.is_absolute() || private.is_some() {
            let problem = format!(
                "{} must be absolute and outside {}",
                self.state_dir.display(),
                PRIVATE_PLACES.join(", ")
            );
            return Err(LabError::setting("WHIMBREL_LAB_DIR", problem));
        }
        let octets: Vec<_> = self.subnet.split('.').map(str::parse::<u8>).collect();
        if octets.len() != 3 || octets.iter().any(Result::is_err) {
            let problem = format!("'{}' is not three numbers like 10.77.0", self.subnet);
            return Err(LabError::setting("WHIMBREL_LAB_SUBNET", problem));
        }
        if !(1..=MAX_HOSTS).contains(&self.host_count) {
            let problem = format!("{} is not 1 to {MAX_HOSTS}", self.host_count);
            return Err(LabError::setting("--hosts", problem));
        }
        if let Some(version) = self.libvirt.as_deref()
            && !LIBVIRT_VERSIONS.contains(&version)
        {
            let problem = format!("'{version}' is not {}", LIBVIRT_VERSIONS.join(" or "));
            return Err(LabError::setting("WHIMBREL_LAB_LIBVIRT", problem));
        }
        Ok(())
    }

    /// What hosts lay over the machine's `/usr` to have the libvirt that was asked for.
    pub(crate) fn libvirt_tree(&self) -> Option<PathBuf> {
        self.libvirt.as_ref().map(|version| PathBuf::from(format!("{LIBVIRT_TREES}{version}")))
    }

    /// The network namespace of the bridge, where controllers run.
    pub fn namespace(&self) -> String {
        format!("{}-lab", self.name)
    }

    /// The network namespace of a host, for instance `whimbrel-h1`.
    pub fn host_namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    /// Every namespace that a lab of this name can have, whatever its number of hosts.
    pub(crate) fn all_namespaces(&self) -> Vec<String> {
        let hosts = (1..=MAX_HOSTS).map(|n| self.host_namespace(&format!("h{n}")));
        hosts.chain([self.namespace()]).collect()
    }

    /// The hosts' names: h1, h2, ...
    pub fn hosts(&self) -> Vec<String> {
        (1..=self.host_count).map(|n| format!("h{n}")).collect()
    }

    /// A host's number, from its name.
    ///
    /// # Errors
    /// [`LabError::NoHost`] when the lab has no host of that name.
    pub fn host_number(&self, host: &str) -> Result<u8, LabError> {
        let number = host.strip_prefix('h').and_then(|n| n.parse().ok());
        number
            .filter(|n| (1..=self.host_count).contains(n) && host == format!("h{n}"))
            .ok_or_else(|| LabError::NoHost { name: host.to_owned(), count: self.host_count })
    }

    /// The bridge's own address, where controllers listen.
    pub fn lab_address(&self) -> String {
        format!("{}.1", self.subnet)
    }

    /// The address of host number `number`.
    pub fn host_address(&self, number: u8) -> String {
        format!("{}.{}", self.subnet, 10 + number)
    }

    /// The lines of `/etc/hosts` inside the lab.
    pub(crate) fn hosts_file(&self) -> String {
        let mut text = format!("127.0.0.1 localhost\n{} lab\n", self.lab_address());
        for number in 1..=self.host_count {
            let address = self.host_address(number);
            let _ = writeln!(text, "{address} h{number} h{number}.lab");
        }
        text
    }

    /// A host's files: its disk, its console log, the record of its process.
    pub(crate) fn host_dir(&self, host: &str) -> PathBuf {
        self.state_dir.join("hosts").join(host)
    }

    /// The certificate authority and one directory per certificate holder.
    pub fn certificate_dir(&self) -> PathBuf {
        self.state_dir.join("certificates")
    }

    /// A client's `pkipath`: `cacert.pem`, `clientcert.pem` and `clientkey.pem`.
    pub fn client_certificate_dir(&self) -> PathBuf {
        self.certificate_dir().join("client")
    }

    /// What a guest wrote on its serial line, over all of its hosts.
    pub fn serial_log(&self, guest: &str) -> PathBuf {
        self.state_dir.join("serial").join(format!("{guest}.log"))
    }

    /// What has been built for guests: kernels and the initial file system.
    pub(crate) fn image_dir(&self) -> PathBuf {
        self.state_dir.join("images")
    }

    /// The record that a lab is up.
    pub(crate) fn record_path(&self) -> PathBuf {
        self.state_dir.join("lab.json")
    }

    /// What `ip netns exec` shows as `/etc` inside a namespace.
    pub(crate) fn netns_etc(namespace: &str) -> PathBuf {
        Path::new("/etc/netns").join(namespace)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn config() -> LabConfig {
        LabConfig {
            name: "whimbrel".into(),
            state_dir: "/tmp/whimbrel-lab".into(),
            subnet: "10.77.0".into(),
            host_count: 3,
            libvirt: None,
        }
    }

    #[test]
    fn names_and_addresses() {
        let config = config();
        config.check().unwrap();
        assert_eq!(config.namespace(), "whimbrel-lab");
        assert_eq!(config.host_namespace("h2"), "whimbrel-h2");
        assert_eq!(config.host_address(2), "10.77.0.12");
        assert_eq!(config.hosts_file().lines().count(), 5);
    }

    #[test]
    fn a_record_of_before_there_was_a_choice_of_libvirt_is_read() {
        let record = r#"{"name":"whimbrel","state_dir":"/tmp/whimbrel-lab","subnet":"10.77.0","host_count":3}"#;
        let read: LabConfig = serde_json::from_str(record).unwrap();
        assert_eq!((&read, read.libvirt_tree()), (&config(), None));
        let newer = LabConfig { libvirt: Some("11.3".into()), ..read };
        newer.check().unwrap();
        assert!(newer.libvirt_tree().unwrap().ends_with("libvirt-11.3"));
    }

    #[test]
    fn host_numbers() {
        let config = config();
        assert_eq!(config.host_number("h3").unwrap(), 3);
        for wrong in ["h0", "h4", "h03", "3", "h", ""] {
            assert!(config.host_number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_outside_their_limits_are_named() {
        let with = |change: fn(&mut LabConfig)| {
            let mut config = config();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(with(|c| c.name = "Lab!".into()).contains("WHIMBREL_LAB_NAME"));
        assert!(with(|c| c.state_dir = "/var/lab".into()).contains("WHIMBREL_LAB_DIR"));
        assert!(with(|c| c.state_dir = "lab".into()).contains("WHIMBREL_LAB_DIR"));
        assert!(with(|c| c.subnet = "10.77".into()).contains("WHIMBREL_LAB_SUBNET"));
        assert!(with(|c| c.host_count = 10).contains("--hosts"));
        assert!(with(|c| c.libvirt = Some("9.9".into())).contains("'9.9' is not 11.3"));
    }
}
