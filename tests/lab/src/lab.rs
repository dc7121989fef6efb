//! Starting, finding and ending a whole lab, and the switches on its hosts and links.

use std::fs;
use std::fs::File;
use std::process::Command;
use std::time::Instant;

use crate::capability::{Missing, capability};
use crate::certificates;
use crate::config::LabConfig;
use crate::error::{LabError, file_error};
use crate::guest_image;
use crate::host::Host;
use crate::network;
use crate::process::PidRecord;

/// What [`Lab::up`] found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A lab was up already and was left as it is.
    AlreadyUp,
    /// A new lab was started.
    Started,
}

/// A lab, up or not. Holds no connection: every call looks at the machine.
#[derive(Debug, Clone)]
pub struct Lab {
    /// With the number of hosts that the lab has, or will have.
    config: LabConfig,
    wanted_host_count: u8,
    wanted_libvirt: Option<String>,
}

impl Lab {
    /// A handle on the lab of this configuration. When it is up, the number of hosts and their libvirt
    /// are those that it has, whatever the configuration says.
    ///
    /// # Errors
    /// [`LabError::Setting`] when the configuration is outside its limits.
    pub fn new(config: LabConfig) -> Result<Self, LabError> {
        config.check()?;
        let wanted_host_count = config.host_count;
        let wanted_libvirt = config.libvirt.clone();
        let config = running(&config).unwrap_or(config);
        Ok(Self { config, wanted_host_count, wanted_libvirt })
    }

    /// A handle on the lab that the environment names (see [`LabConfig::from_environment`]).
    ///
    /// # Errors
    /// As [`Lab::new`].
    pub fn from_environment() -> Result<Self, LabError> {
        Self::new(LabConfig::from_environment())
    }

    /// Names, addresses and directories.
    pub fn config(&self) -> &LabConfig {
        &self.config
    }

    /// Makes sure that the lab is up. A lab that is up is left as it is, powered-off hosts and cut links
    /// included, unless `fresh` asks for a new one. What a crashed run left is cleaned away first.
    /// `progress` receives one line per step.
    ///
    /// # Errors
    /// [`LabError::Missing`] when the machine cannot hold a lab; [`LabError::TooFewHosts`] or
    /// [`LabError::OtherLibvirt`] when the one that is up is not what was asked for; else what went
    /// wrong first.
    pub fn up(&self, fresh: bool, progress: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
        capability()?;
        let _lock = self.lock(progress)?;
        if !fresh && let Some(running) = running(&self.config) {
            return self.suffices(&running);
        }
        if let Some(tree) = self.config.libvirt_tree()
            && !tree.is_dir()
        {
            let version = self.config.libvirt.clone().unwrap_or_default();
            return Err(Missing::Libvirt { version }.into());
        }
        let start = Instant::now();
        let mut step = |what: &str| {
            progress(&format!("{:6.2} s  {what}", start.elapsed().as_secs_f64()));
        };
        self.clean(&mut step)?;
        network::create(&self.config)?;
        step("network ready");
        certificates::create(&self.config)?;
        step("certificates ready");
        let hosts = self.hosts()?;
        for host in &hosts {
            host.prepare()?;
            host.power_on()?;
        }
        step("hosts powered on");
        guest_image::mini(&self.config)?;
        step("small guest built");
        for host in &hosts {
            host.wait_ready()?;
        }
        self.write_record()?;
        step("every libvirtd answers: the lab is up");
        Ok(Outcome::Started)
    }

    /// Ends the lab: its hosts with everything in them, its namespaces, its hosts' disks. Certificates,
    /// logs and built images stay in the state directory.
    ///
    /// # Errors
    /// What went wrong first; calling it again goes on from there.
    pub fn down(&self, progress: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let _lock = self.lock(progress)?;
        self.clean(progress)
    }

    /// True when the lab was started completely, its namespaces are there and a host is running.
    pub fn is_up(&self) -> bool {
        running(&self.config).is_some()
    }

    /// Whoever did not say which libvirt takes the one that runs.
    fn suffices(&self, running: &LabConfig) -> Result<Outcome, LabError> {
        let (name, wanted) = (self.config.name.clone(), self.wanted_host_count);
        let count = running.host_count;
        if count < wanted {
            return Err(LabError::TooFewHosts { name, count, wanted });
        }
        match &self.wanted_libvirt {
            Some(wanted) if running.libvirt.as_ref() != Some(wanted) => {
                Err(LabError::OtherLibvirt { name, wanted: wanted.clone() })
            }
            _ => Ok(Outcome::AlreadyUp),
        }
    }

    /// A command that runs inside the lab's namespace, where h1, h2, ... resolve and every libvirtd is
    /// reachable. The caller adds arguments and starts it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.config.namespace(), program]);
        command
    }

    /// The libvirt URI of a host over plain TCP; valid inside the lab's namespace.
    pub fn tcp_uri(&self, host: &str) -> String {
        format!("qemu+tcp://{host}/system")
    }

    /// The libvirt URI of a host over TLS with the lab's client certificate; valid inside the lab's
    /// namespace.
    pub fn tls_uri(&self, host: &str) -> String {
        let directory = self.config.client_certificate_dir();
        format!("qemu+tls://{host}/system?pkipath={}", directory.display())
    }

    /// The names of the hosts: h1, h2, ...
    pub fn host_names(&self) -> Vec<String> {
        self.config.hosts()
    }

    /// Runs virsh on a host as if at its console (a cut link does not matter) and answers its standard
    /// output. To go over the network, as a controller does, use [`Lab::command`] and [`Lab::tcp_uri`].
    ///
    /// # Errors
    /// [`LabError::NoHost`]; [`LabError::HostOff`]; [`LabError::Program`] with virsh's words when it fails.
    pub fn virsh(&self, host: &str, words: &[&str]) -> Result<String, LabError> {
        self.host(host)?.virsh(words.iter().copied())
    }

    /// Process 1 of a host; `None` when it is powered off.
    ///
    /// # Errors
    /// [`LabError::NoHost`].
    pub fn host_init(&self, host: &str) -> Result<Option<PidRecord>, LabError> {
        Ok(self.host(host)?.init())
    }

    /// Cuts a host's power: its libvirtd and guests are gone at once. Its disk stays.
    ///
    /// # Errors
    /// [`LabError::NoHost`], or that its processes would not end.
    pub fn power_cut(&self, host: &str) -> Result<(), LabError> {
        self.host(host)?.power_cut()
    }

    /// Powers a host on and waits until its libvirtd answers. No guest runs on it then.
    ///
    /// # Errors
    /// [`LabError::NotUp`], [`LabError::NoHost`], or [`LabError::Timeout`] when it does not come up.
    pub fn power_on(&self, host: &str) -> Result<(), LabError> {
        self.require_up()?;
        let host = self.host(host)?;
        host.power_on()?;
        host.wait_ready()
    }

    /// Cuts a host's cable: no packet passes, connections stay open at both ends.
    ///
    /// # Errors
    /// [`LabError::NotUp`], [`LabError::NoHost`].
    pub fn link_cut(&self, host: &str) -> Result<(), LabError> {
        self.linked_host(host).and_then(|()| network::set_link(&self.config, host, false))
    }

    /// Plugs a host's cable in again.
    ///
    /// # Errors
    /// As [`Lab::link_cut`].
    pub fn link_restore(&self, host: &str) -> Result<(), LabError> {
        self.linked_host(host).and_then(|()| network::set_link(&self.config, host, true))
    }

    /// Limits what a host sends (10^6 bytes per second, headers included), 0.1 to 10000.
    ///
    /// # Errors
    /// [`LabError::NotUp`], [`LabError::NoHost`]; [`LabError::Setting`] for a rate outside its limits.
    pub fn link_shape(&self, host: &str, megabytes_per_second: f64) -> Result<(), LabError> {
        let rate = Some(megabytes_per_second);
        self.linked_host(host).and_then(|()| network::shape(&self.config, host, rate))
    }

    /// Lifts the limit of [`Lab::link_shape`]; nothing happens when there is none.
    ///
    /// # Errors
    /// As [`Lab::link_cut`].
    pub fn link_clear(&self, host: &str) -> Result<(), LabError> {
        self.linked_host(host).and_then(|()| network::shape(&self.config, host, None))
    }

    /// Checks that the host exists and has a link, powered on or not.
    fn linked_host(&self, name: &str) -> Result<(), LabError> {
        self.require_up()?;
        self.config.host_number(name).map(drop)
    }

    pub(crate) fn host(&self, name: &str) -> Result<Host<'_>, LabError> {
        Host::new(&self.config, name)
    }

    pub(crate) fn hosts(&self) -> Result<Vec<Host<'_>>, LabError> {
        self.config.hosts().iter().map(|name| self.host(name)).collect()
    }

    pub(crate) fn require_up(&self) -> Result<(), LabError> {
        if self.is_up() { Ok(()) } else { Err(LabError::NotUp { name: self.config.name.clone() }) }
    }

    /// Waits for the exclusive right to start or end this lab; given up when the file is dropped.
    fn lock(&self, progress: &mut dyn FnMut(&str)) -> Result<File, LabError> {
        let directory = &self.config.state_dir;
        fs::create_dir_all(directory).map_err(file_error("create", directory))?;
        let path = directory.join("lock");
        let file = File::create(&path).map_err(file_error("create", &path))?;
        if file.try_lock().is_err() {
            progress("waiting for another run that starts or ends this lab");
            file.lock().map_err(file_error("lock", &path))?;
        }
        Ok(file)
    }

    /// Removes whatever there is of this lab, complete or not.
    fn clean(&self, progress: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let record = self.config.record_path();
        if record.exists() {
            fs::remove_file(&record).map_err(file_error("remove", &record))?;
        }
        let hosts = self.config.state_dir.join("hosts");
        for entry in fs::read_dir(&hosts).into_iter().flatten().flatten() {
            if let Some(init) = PidRecord::read(&entry.path().join("init.pid")) {
                init.kill()?;
            }
        }
        for namespace in self.config.all_namespaces() {
            // Not started by the lab, so not the lab's to end; the kernel keeps the network for them.
            for pid in network::processes_in(&namespace) {
                progress(&format!("process {pid} still runs in {namespace} and was left alone"));
            }
            network::delete_namespace(&namespace)?;
        }
        if hosts.exists() {
            fs::remove_dir_all(&hosts).map_err(file_error("remove", &hosts))?;
        }
        Ok(())
    }

    fn write_record(&self) -> Result<(), LabError> {
        let path = self.config.record_path();
        let text = serde_json::to_string(&self.config).unwrap_or_default();
        fs::write(&path, text).map_err(file_error("write", &path))
    }
}

/// The lab of this name, directory and subnet as it is up now; its number of hosts may be another.
fn running(config: &LabConfig) -> Option<LabConfig> {
    let record = fs::read_to_string(config.record_path()).ok()?;
    let running: LabConfig = serde_json::from_str(&record).ok()?;
    let hosts = running.hosts();
    let mut namespaces = hosts.iter().map(|host| running.host_namespace(host));
    let whole = running.name == config.name
        && running.subnet == config.subnet
        && network::namespace_exists(&running.namespace())
        && namespaces.all(|namespace| network::namespace_exists(&namespace));
    // After a crash of the machine's whole process tree the namespaces may still be there.
    let alive = |name: &String| Host::new(&running, name).is_ok_and(|host| host.init().is_some());
    (whole && hosts.iter().any(alive)).then_some(running)
}
