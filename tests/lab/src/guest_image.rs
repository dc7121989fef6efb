//! What guests boot: built from the sources in `guest/` when first needed, and again when these change.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::LabConfig;
use crate::error::{LabError, file_error};
use crate::program::Program;

const SOURCES: [(&str, &str); 7] = [
    ("load.h", include_str!("../guest/load.h")),
    ("load.c", include_str!("../guest/load.c")),
    ("command.c", include_str!("../guest/command.c")),
    ("mini.c", include_str!("../guest/mini.c")),
    ("mini.ld", include_str!("../guest/mini.ld")),
    ("start.S", include_str!("../guest/start.S")),
    ("dirtier.c", include_str!("../guest/dirtier.c")),
];

/// The Linux guest's process 1.
const LINUX_INIT: &str = include_str!("../guest/linux-init.sh");

/// Where `tests/setup/packages.sh lab` unpacks the Linux guest's kernel.
const KERNEL_TREE: &str = "/var/cache/whimbrel-lab/kernel";

/// In the order in which the Linux guest loads them: each needs those before it.
const MODULES: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];

/// What the Linux guest boots.
pub(crate) struct LinuxImage {
    /// The kernel, uncompressed: unpacking it in emulation would take a third of the boot.
    pub(crate) kernel: PathBuf,
    /// The initial file system, which is all that it has.
    pub(crate) initrd: PathBuf,
}

/// The small guest's kernel.
pub(crate) fn mini(config: &LabConfig) -> Result<PathBuf, LabError> {
    let directory = source_dir(config)?;
    let image = directory.join("mini.elf");
    if !image.exists() {
        let flags = "-m32 -O2 -ffreestanding -fno-pic -fno-stack-protector \
            -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -nostdlib -static \
            -Wl,-T,mini.ld,--build-id=none,--no-warn-rwx-segments start.S mini.c";
        compile(&directory, flags, &image)?;
    }
    Ok(image)
}

/// The Linux guest's workload, which also runs as a plain program.
pub(crate) fn dirtier(config: &LabConfig) -> Result<PathBuf, LabError> {
    let directory = source_dir(config)?;
    let image = directory.join("dirtier");
    if !image.exists() {
        compile(&directory, "-O2 -static dirtier.c", &image)?;
    }
    Ok(image)
}

/// The Linux guest's kernel and initial file system.
pub(crate) fn linux(config: &LabConfig) -> Result<LinuxImage, LabError> {
    let directory = source_dir(config)?;
    let image =
        LinuxImage { kernel: directory.join("vmlinux"), initrd: directory.join("initrd.gz") };
    if !image.kernel.exists() {
        unpack_kernel(&image.kernel)?;
    }
    if !image.initrd.exists() {
        build_initrd(config, &directory, &image.initrd)?;
    }
    Ok(image)
}

/// A directory that holds the present sources and is called by their hash.
fn source_dir(config: &LabConfig) -> Result<PathBuf, LabError> {
    let mut hasher = DefaultHasher::new();
    (SOURCES, LINUX_INIT).hash(&mut hasher);
    let directory = config.image_dir().join(format!("{:016x}", hasher.finish()));
    if !directory.exists() {
        // Under another name first: a half-written directory would be taken for a whole one.
        let partial = partial_name(&directory);
        fs::create_dir_all(&partial).map_err(file_error("create", &partial))?;
        for (name, text) in SOURCES.into_iter().chain([("init", LINUX_INIT)]) {
            fs::write(partial.join(name), text).map_err(file_error("write", partial.join(name)))?;
        }
        if fs::rename(&partial, &directory).is_err() {
            // Another process was first with the same sources.
            fs::remove_dir_all(&partial).map_err(file_error("remove", &partial))?;
        }
    }
    Ok(directory)
}

fn shell(directory: &Path, script: &str) -> Result<(), LabError> {
    let line = format!("set -e; cd '{}'; {script}", directory.display());
    Program::new("bash").args(["-c", &line]).run().map(drop)
}

/// Compiles into a file of its own and renames it, so that nobody boots half a kernel.
fn compile(directory: &Path, flags: &str, image: &Path) -> Result<(), LabError> {
    let partial = partial_name(image);
    shell(directory, &format!("gcc -Wall -o '{}' {flags}", partial.display()))?;
    fs::rename(&partial, image).map_err(file_error("rename", image))
}

/// A name beside `path` that no other process or thread uses.
fn partial_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("partial-{}-{count}", std::process::id()))
}

/// Debian's kernel is a small unpacker with an lz4 stream in it; this takes the stream out.
fn unpack_kernel(kernel: &Path) -> Result<(), LabError> {
    const LZ4_MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
    let packed = kernel_file()?;
    let bytes = fs::read(&packed).map_err(file_error("read", &packed))?;
    let Some(offset) = bytes.windows(4).position(|window| window == LZ4_MAGIC) else {
        let problem = format!("{} holds no lz4 stream", packed.display());
        return Err(LabError::setting("kernel of the Linux guest", problem));
    };
    let partial = partial_name(kernel);
    // lz4 complains of what follows the stream, after it has written all of it.
    let script = format!(
        "tail -c +{} '{}' | lz4 -d -c >'{}' 2>/dev/null || true",
        offset + 1,
        packed.display(),
        partial.display()
    );
    shell(Path::new("/"), &script)?;
    fs::rename(&partial, kernel).map_err(file_error("rename", kernel))
}

fn kernel_file() -> Result<PathBuf, LabError> {
    let boot = Path::new(KERNEL_TREE).join("boot");
    let files = fs::read_dir(&boot).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut kernels = files.filter(|path| path.to_string_lossy().contains("/vmlinuz-"));
    kernels.next().ok_or_else(|| {
        let problem = format!("none in {}; run `bash tests/setup/packages.sh lab`", boot.display());
        LabError::setting("kernel of the Linux guest", problem)
    })
}

fn build_initrd(config: &LabConfig, directory: &Path, initrd: &Path) -> Result<(), LabError> {
    let dirtier = dirtier(config)?;
    let partial = partial_name(initrd);
    let root = partial_name(&directory.join("root"));
    let modules = MODULES.join(" ");
    let script = format!(
        "mkdir -p '{root}'/{{bin,proc,sys,dev,modules}}; cp /bin/busybox '{dirtier}' '{root}/bin/'
         cp init '{root}/init'; chmod 755 '{root}/init'
         for module in {modules}; do
           file=$(find '{KERNEL_TREE}/lib/modules' -name \"$module.ko\")
           if [ -n \"$file\" ]; then cp \"$file\" '{root}/modules/'; echo \"$module\" >>'{root}/modules/order'; fi
         done
         (cd '{root}'; find . | cpio -o -H newc --quiet | gzip -1) >'{partial}'; rm -r '{root}'",
        root = root.display(),
        dirtier = dirtier.display(),
        partial = partial.display(),
    );
    shell(directory, &script)?;
    fs::rename(&partial, initrd).map_err(file_error("rename", initrd))
}
