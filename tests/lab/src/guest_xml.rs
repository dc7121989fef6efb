//! The libvirt definitions of the two kinds of guest.

use std::fmt::Write as _;

use crate::config::LabConfig;
use crate::guest::GuestSpec;

/// Where QEMU puts the control line, inside the host that runs the guest.
pub(crate) fn control_socket(guest: &str) -> String {
    format!("/run/{guest}.ctl")
}

/// A number that stays the same for a name (FNV-1a), on every machine and in every version.
fn stable_number(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A guest's UUID: the same for the same name.
pub(crate) fn uuid(name: &str) -> String {
    let number = stable_number(name);
    // Version 8 (made by the application's own rule), with the variant bits of RFC 9562.
    format!("0b000000-0000-8000-{:04x}-{:012x}", 0x8000 | (number >> 50), number & 0xffff_ffff_ffff)
}

/// A guest's Ethernet address: the same for the same name.
fn mac_address(name: &str) -> String {
    let [.., a, b, c] = stable_number(name).to_be_bytes();
    format!("52:54:00:{a:02x}:{b:02x}:{c:02x}")
}

/// What differs between the kinds of guest.
pub(crate) struct Boot {
    /// Kernel file.
    pub(crate) kernel: String,
    /// Initial file system, for the Linux guest.
    pub(crate) initrd: Option<String>,
    /// The kernel's command line.
    pub(crate) command_line: String,
}

/// The whole definition.
pub(crate) fn domain(config: &LabConfig, spec: &GuestSpec, boot: &Boot) -> String {
    let name = &spec.name;
    let initrd = boot.initrd.as_ref().map_or(String::new(), |i| format!("<initrd>{i}</initrd>"));
    let mut devices = String::new();
    let control_log = config.serial_log(name);
    let mut control_port = 0;
    if boot.initrd.is_some() {
        // The kernel's console comes first; the load's line is the second port.
        let console = config.serial_log(&format!("{name}.console"));
        let _ = write!(
            devices,
            "<serial type='file'><source path='{}' append='on'/><target port='0'/></serial>",
            console.display()
        );
        let _ = write!(
            devices,
            "<interface type='bridge'><mac address='{}'/><source bridge='br0'/>\
             <model type='virtio'/><rom enabled='no'/></interface>",
            mac_address(name)
        );
        control_port = 1;
    }
    let _ = write!(
        devices,
        "<serial type='unix'><source mode='bind' path='{}'/><log file='{}' append='on'/>\
         <target port='{control_port}'/></serial>",
        control_socket(name),
        control_log.display()
    );
    format!(
        "<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>{initrd}<cmdline>{command_line}</cmdline>
  </os>
  <features><acpi/><apic/><tcg><tb-cache unit='MiB'>{cache}</tb-cache></tcg></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {devices}
    <controller type='usb' model='none'/>
    <memballoon model='none'/><video><model type='none'/></video><audio id='1' type='none'/>
  </devices>
</domain>
",
        uuid = uuid(name),
        memory = spec.memory_mib,
        kernel = boot.kernel,
        command_line = boot.command_line,
        // The small guest's code is 8 KB; without a limit the cache of translated code takes 1 GiB.
        cache = if boot.initrd.is_some() { 32 } else { 8 },
    )
}
