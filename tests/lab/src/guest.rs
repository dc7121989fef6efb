//! Guests: starting them, steering their load, finding and ending them.

use std::fs;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::control;
use crate::error::{LabError, file_error};
use crate::guest_image;
use crate::guest_load::{GuestStat, Load, Verified};
use crate::guest_xml::{self, Boot};
use crate::lab::Lab;

/// Guest memory: below, a kernel does not fit; above, the lab's machine does not carry several.
const MEMORY_LIMITS_MIB: (u32, u32) = (24, 1024);

/// The Linux guest needs this much for itself.
const LINUX_MEMORY_LEAST_MIB: u32 = 128;

/// How long a guest may take from its creation until its load runs.
const BOOT_LIMIT_SECONDS: u64 = 90;

/// Which program a guest boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestKind {
    /// The freestanding load: boots in under a second, has no network and no disk.
    Mini,
    /// Linux with the same load and a network interface: boots in 5 to 20 s.
    Linux,
}

/// A guest to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSpec {
    /// Name of the domain: 1 to 40 of a-z, 0-9 and -.
    pub name: String,
    /// What it boots.
    pub kind: GuestKind,
    /// Its memory, 24 (Linux: 128) to 1024 MiB.
    pub memory_mib: u32,
    /// Its load from the first moment.
    pub load: Load,
    /// Address of the Linux guest, for instance `10.77.0.101`; it answers ping there.
    pub address: Option<String>,
    /// True: libvirt keeps the definition when the guest ends. False: the guest is transient.
    pub persistent: bool,
}

impl GuestSpec {
    /// A small guest of 48 MiB with a working set of 8 MiB that is not rewritten yet.
    pub fn mini(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: GuestKind::Mini,
            memory_mib: 48,
            load: Load::default(),
            address: None,
            persistent: false,
        }
    }

    /// A Linux guest of 192 MiB.
    pub fn linux(name: impl Into<String>) -> Self {
        Self { kind: GuestKind::Linux, memory_mib: 192, ..Self::mini(name) }
    }

    fn check(&self) -> Result<(), LabError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.chars().all(plain) {
            let problem = format!("'{}' is not 1 to 40 of a-z, 0-9 and -", self.name);
            return Err(LabError::setting("name of the guest", problem));
        }
        let (mut least, most) = MEMORY_LIMITS_MIB;
        if self.kind == GuestKind::Linux {
            least = LINUX_MEMORY_LEAST_MIB;
        }
        if !(least..=most).contains(&self.memory_mib) {
            let problem = format!("{} is not {least} to {most}", self.memory_mib);
            return Err(LabError::setting("--memory-mib", problem));
        }
        if let Some(address) = &self.address
            && address.parse::<std::net::Ipv4Addr>().is_err()
        {
            let problem = format!("'{address}' is not an address like 10.77.0.101");
            return Err(LabError::setting("--address", problem));
        }
        Ok(())
    }
}

impl Lab {
    /// Starts a guest on a host and waits until its load runs.
    ///
    /// # Errors
    /// [`LabError::NotUp`], [`LabError::NoHost`], [`LabError::HostOff`]; [`LabError::Setting`] for a
    /// value outside its limits; [`LabError::Program`] with libvirt's words, for instance when the name
    /// is taken on that host; [`LabError::Timeout`] when it does not come up.
    pub fn start_guest(&self, host: &str, spec: &GuestSpec) -> Result<(), LabError> {
        spec.check()?;
        self.require_up()?;
        self.host_init(host)?.ok_or_else(|| LabError::HostOff { name: host.to_owned() })?;
        let xml = guest_xml::domain(self.config(), spec, &self.boot(spec)?);
        let path = self.config().state_dir.join("guests").join(format!("{}.xml", spec.name));
        let log = self.config().serial_log(&spec.name);
        for directory in [&path, &log].into_iter().filter_map(|path| path.parent()) {
            fs::create_dir_all(directory).map_err(file_error("create", directory))?;
        }
        fs::write(&path, xml).map_err(file_error("write", &path))?;
        let before = fs::metadata(&log).map_or(0, |data| data.len());
        let path = path.to_string_lossy().into_owned();
        if spec.persistent {
            self.virsh(host, &["define", &path])?;
            self.virsh(host, &["start", &spec.name])?;
        } else {
            self.virsh(host, &["create", &path])?;
        }
        self.wait_ready(spec, before)
    }

    fn boot(&self, spec: &GuestSpec) -> Result<Boot, LabError> {
        let load = spec.load.words();
        if spec.kind == GuestKind::Mini {
            let kernel = guest_image::mini(self.config())?.display().to_string();
            let command_line = format!("mem={} load:{load}", spec.memory_mib);
            return Ok(Boot { kernel, initrd: None, command_line });
        }
        let image = guest_image::linux(self.config())?;
        let address = spec.address.as_ref().map_or(String::new(), |ip| format!("ip4={ip}/24"));
        let quiet = "console=ttyS0 quiet panic=1 tsc=unstable mitigations=off no_timer_check";
        Ok(Boot {
            kernel: image.kernel.display().to_string(),
            initrd: Some(image.initrd.display().to_string()),
            command_line: format!("{quiet} {address} load:{load}"),
        })
    }

    /// Waits for the line `ready` in what the guest has written after the first `before` bytes.
    fn wait_ready(&self, spec: &GuestSpec, before: u64) -> Result<(), LabError> {
        let log = self.config().serial_log(&spec.name);
        let end = Instant::now() + Duration::from_secs(BOOT_LIMIT_SECONDS);
        while Instant::now() < end {
            let bytes = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(bytes.get(before as usize..).unwrap_or_default());
            // The kernel's command line holds the load's first settings; "ok" or an error answers them.
            if let Some(error) = text.lines().find(|line| line.starts_with("error ")) {
                let _ = self.stop_guest(&spec.name);
                return Err(LabError::Refused {
                    name: spec.name.clone(),
                    command: spec.load.words(),
                    answer: error.trim_end().to_owned(),
                });
            }
            if text.lines().any(|line| line.trim_end() == "ready") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(LabError::Timeout {
            what: format!("guest {} boots", spec.name),
            limit_seconds: BOOT_LIMIT_SECONDS,
            look: log.display().to_string(),
        })
    }

    /// Changes a guest's load, wherever the guest runs; all of it or nothing.
    ///
    /// # Errors
    /// [`LabError::NoGuest`]; [`LabError::Refused`] when a value is outside its limits;
    /// [`LabError::Timeout`] when the guest does not answer.
    pub fn set_guest(&self, name: &str, load: &Load) -> Result<(), LabError> {
        let command = load.words();
        let answer = control::ask(self, name, &command)?;
        if answer == "ok" { Ok(()) } else { Err(refused(name, &command, &answer)) }
    }

    /// What a guest's load says of itself.
    ///
    /// # Errors
    /// [`LabError::NoGuest`]; [`LabError::Timeout`] when the guest does not answer.
    pub fn guest_stat(&self, name: &str) -> Result<GuestStat, LabError> {
        let answer = control::ask(self, name, "stat")?;
        let stat = answer.strip_prefix("stat ").and_then(GuestStat::parse);
        stat.ok_or_else(|| refused(name, "stat", &answer))
    }

    /// Lets a guest read every page that it ever wrote; the guest does nothing else meanwhile.
    ///
    /// # Errors
    /// As [`Lab::guest_stat`].
    pub fn verify_guest(&self, name: &str) -> Result<Verified, LabError> {
        let answer = control::ask(self, name, "verify")?;
        let verified = answer.strip_prefix("verify ").and_then(Verified::parse);
        verified.ok_or_else(|| refused(name, "verify", &answer))
    }

    /// The host where a guest is active at the moment; during a live migration the source.
    ///
    /// # Errors
    /// [`LabError::NoGuest`].
    pub fn find_guest(&self, name: &str) -> Result<String, LabError> {
        let mut paused = None;
        for host in self.host_names() {
            if self.host_init(&host)?.is_none() {
                continue;
            }
            match self.virsh(&host, &["domstate", name]).unwrap_or_default().trim() {
                "running" => return Ok(host),
                "paused" => paused = Some(host),
                _ => {}
            }
        }
        paused.ok_or_else(|| LabError::NoGuest { name: name.to_owned() })
    }

    /// Ends a guest at once, as pulling its plug would, and forgets its definitions on every host that is
    /// powered on.
    ///
    /// # Errors
    /// [`LabError::NoGuest`], or [`LabError::Program`] with libvirt's words.
    pub fn stop_guest(&self, name: &str) -> Result<(), LabError> {
        let mut found = false;
        for host in self.host_names() {
            let Ok(state) = self.virsh(&host, &["domstate", name]) else { continue };
            found = true;
            if state.trim() != "shut off" {
                self.virsh(&host, &["destroy", name])?;
            }
            // Fails for a transient guest, which is gone by now.
            let _ = self.virsh(&host, &["undefine", name]);
        }
        if found { Ok(()) } else { Err(LabError::NoGuest { name: name.to_owned() }) }
    }
}

fn refused(name: &str, command: &str, answer: &str) -> LabError {
    LabError::Refused {
        name: name.to_owned(),
        command: command.to_owned(),
        answer: answer.to_owned(),
    }
}
