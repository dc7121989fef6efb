//! Whether this machine can hold the lab at all.

use std::fs;
use std::path::Path;

use crate::program::Program;

/// QEMU below this loses dirty pages when it migrates an emulated guest.
const QEMU_MINIMUM_MAJOR: u32 = 9;

/// Programs that the lab calls; all of them come with `tests/setup/packages.sh lab`.
const PROGRAMS: [&str; 14] = [
    "ip",
    "tc",
    "unshare",
    "setsid",
    "mount",
    "bash",
    "openssl",
    "gcc",
    "cpio",
    "gzip",
    "lz4",
    "virsh",
    "libvirtd",
    "qemu-system-x86_64",
];

/// The first thing that this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// Namespaces and virtual networks need root.
    #[error("not root")]
    Root,
    /// A program is not installed.
    #[error("no program '{0}'")]
    Program(&'static str),
    /// The installed QEMU is too old to migrate emulated guests correctly.
    #[error("QEMU {found} is older than {QEMU_MINIMUM_MAJOR}")]
    Qemu {
        /// The installed version.
        found: String,
    },
    /// The kernel or a sandbox does not allow new namespaces.
    #[error("new namespaces are not allowed: {0}")]
    Namespaces(String),
    /// The libvirt that was asked for is neither installed nor unpacked.
    #[error("no libvirt {version}")]
    Libvirt {
        /// The version that was asked for.
        version: String,
    },
    /// No tap devices: guests could not have networks.
    #[error("no /dev/net/tun")]
    Tun,
}

impl Missing {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Root => "run it as root",
            Self::Program(_) | Self::Qemu { .. } => "bash tests/setup/packages.sh lab",
            Self::Libvirt { .. } => "bash tests/setup/packages.sh lab-libvirt-11.3",
            Self::Namespaces(_) => "use a machine, or a privileged container, that may unshare",
            Self::Tun => "modprobe tun, or use a machine that has it",
        }
    }
}

/// Checks that the lab can be started here; takes about 0.1 s and changes nothing.
///
/// # Errors
/// The first [`Missing`] thing.
pub fn capability() -> Result<(), Missing> {
    if !is_root() {
        return Err(Missing::Root);
    }
    if let Some(program) = PROGRAMS.iter().find(|program| !is_installed(program)) {
        return Err(Missing::Program(program));
    }
    if !Path::new("/dev/net/tun").exists() {
        return Err(Missing::Tun);
    }
    let version = Program::new("qemu-system-x86_64").args(["--version"]).run().unwrap_or_default();
    if qemu_major(&version).is_none_or(|major| major < QEMU_MINIMUM_MAJOR) {
        let found = version.lines().next().unwrap_or("that does not start").to_owned();
        return Err(Missing::Qemu { found });
    }
    let try_out = ["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "true"];
    Program::new("unshare")
        .args(try_out)
        .run()
        .map(drop)
        .map_err(|error| Missing::Namespaces(error.to_string()))
}

fn is_root() -> bool {
    // Uid: real effective saved file-system
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.and_then(|uids| uids.split_whitespace().nth(1)) == Some("0")
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"]);
    places.into_iter().any(|place| Path::new(place).join(program).is_file())
}

/// The major number in the output of `qemu-system-x86_64 --version`.
fn qemu_major(version: &str) -> Option<u32> {
    version.split("version ").nth(1)?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn qemu_versions() {
        assert_eq!(qemu_major("QEMU emulator version 10.0.2 (Debian 1:10.0.2)"), Some(10));
        assert_eq!(qemu_major("QEMU emulator version 7.2.22 (Debian)"), Some(7));
        assert_eq!(qemu_major("not QEMU"), None);
    }

    #[test]
    fn programs_are_found_outside_the_path() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program"));
    }
}
