//! One host: its files, its power, and the process that stands for the whole machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::certificates;
use crate::config::LabConfig;
use crate::error::{LabError, file_error};
use crate::process::PidRecord;
use crate::program::Program;

/// Process 1 of every host.
const INIT: &str = include_str!("../assets/host-init.sh");

/// Settings of a host's libvirtd; `HOST_UUID` is replaced.
///
/// The keepalive (5 s, 3 times) makes a migration over a cut link fail after 18 s.
const LIBVIRTD_CONF: &str = include_str!("../assets/libvirtd.conf");

/// Settings of libvirt's QEMU driver.
const QEMU_CONF: &str = include_str!("../assets/qemu.conf");

/// Where libvirtd listens inside a host.
const LIBVIRT_SOCKET: &str = "/run/libvirt/libvirt-sock";

/// How long a host may take from power-on until its libvirtd answers.
const BOOT_LIMIT_SECONDS: u64 = 30;

/// A host of the lab, powered on or off.
pub(crate) struct Host<'a> {
    config: &'a LabConfig,
    name: String,
    number: u8,
}

impl<'a> Host<'a> {
    pub(crate) fn new(config: &'a LabConfig, name: &str) -> Result<Self, LabError> {
        Ok(Self { config, name: name.to_owned(), number: config.host_number(name)? })
    }

    fn directory(&self) -> PathBuf {
        self.config.host_dir(&self.name)
    }

    /// Writes the host's own part of `/etc`; once, before it is first powered on.
    pub(crate) fn prepare(&self) -> Result<(), LabError> {
        let etc = self.directory().join("etc");
        let uuid = format!("5a7e0000-0000-4000-8000-{:012x}", self.number);
        certificates::install(self.config, &self.name, &etc)?;
        write(&etc.join("hostname"), &format!("{}\n", self.name))?;
        write(&etc.join("hosts"), &self.config.hosts_file())?;
        write(&etc.join("machine-id"), &format!("{:032x}\n", 0xabc_000 + u32::from(self.number)))?;
        write(&etc.join("libvirt/libvirtd.conf"), &LIBVIRTD_CONF.replace("HOST_UUID", &uuid))?;
        write(&etc.join("libvirt/qemu.conf"), QEMU_CONF)
    }

    /// The running host's process 1.
    pub(crate) fn init(&self) -> Option<PidRecord> {
        PidRecord::read(&self.directory().join("init.pid")).filter(PidRecord::is_alive)
    }

    /// A path inside the running host, as the machine can open it.
    pub(crate) fn path_inside(&self, path: &str) -> Option<PathBuf> {
        self.init().map(|init| PathBuf::from(format!("/proc/{}/root{path}", init.pid)))
    }

    /// Starts the host and returns at once; nothing happens when it runs.
    pub(crate) fn power_on(&self) -> Result<(), LabError> {
        if self.init().is_some() {
            return Ok(());
        }
        let directory = self.directory();
        let script = directory.join("init.sh");
        write(&script, INIT)?;
        // The record of the last run must not be taken for this one's.
        let _ = fs::remove_file(directory.join("init.pid"));
        let console = directory.join("console.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(&console);
        let log = log.map_err(file_error("open", &console))?;
        let errors = log.try_clone().map_err(file_error("open", &console))?;
        let mut command = Command::new("setsid");
        // --fork: the host belongs to nobody, so it outlives the caller and leaves no zombie.
        command.args(["--fork", "ip", "netns", "exec", &self.config.host_namespace(&self.name)]);
        command.args(["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "bash"]);
        command.args([script.as_os_str(), self.name.as_ref(), directory.as_os_str()]);
        command.args(self.config.libvirt_tree());
        command.current_dir("/").stdin(Stdio::null()).stdout(log).stderr(errors);
        let started = command.status().map_err(file_error("run", "setsid"))?;
        if started.success() {
            return Ok(());
        }
        Err(LabError::Timeout {
            what: format!("host {} starts ({started})", self.name),
            limit_seconds: 0,
            look: console.display().to_string(),
        })
    }

    /// Waits until the host's libvirtd answers over TCP.
    pub(crate) fn wait_ready(&self) -> Result<(), LabError> {
        let end = Instant::now() + Duration::from_secs(BOOT_LIMIT_SECONDS);
        loop {
            let there = self.path_inside(LIBVIRT_SOCKET).is_some_and(|path| path.exists());
            // Asking costs a process, so it waits for the local socket to appear.
            if there && self.answers_over_tcp() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(LabError::Timeout {
                    what: format!("libvirtd of host {} answers", self.name),
                    limit_seconds: BOOT_LIMIT_SECONDS,
                    look: self.directory().join("console.log").display().to_string(),
                });
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Ends the host as a pulled plug does: every process in it dies at once, nothing is written.
    pub(crate) fn power_cut(&self) -> Result<(), LabError> {
        self.init().map_or(Ok(()), |init| init.kill())
    }

    fn answers_over_tcp(&self) -> bool {
        let uri = format!("qemu+tcp://{}/system", self.name);
        let virsh = Program::in_namespace(&self.config.namespace(), "virsh");
        virsh.args(["-q", "-c", &uri, "version"]).run().is_ok()
    }

    /// Runs virsh on the host's libvirtd through its local socket, as on the host's console: it works
    /// whatever the state of the host's link.
    pub(crate) fn virsh<'w>(
        &self,
        words: impl IntoIterator<Item = &'w str>,
    ) -> Result<String, LabError> {
        let socket = self
            .path_inside(LIBVIRT_SOCKET)
            .ok_or_else(|| LabError::HostOff { name: self.name.clone() })?;
        let uri = format!("qemu+unix:///system?socket={}", socket.display());
        Program::new("virsh").args(["-q", "-c", &uri]).args(words).run()
    }
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(file_error("create", parent))?;
    }
    fs::write(path, text).map_err(file_error("write", path))
}
