//! A lab of its own from nothing to nothing, with everything that would disturb others on the shared one.

use std::fs;
use std::time::{Duration, Instant};

use whimbrel_lab::{GuestSpec, Lab, LabConfig, Load, Outcome, PidRecord, capability};

use crate::{my_turn, unique};

fn own_lab() -> Lab {
    let name = unique("whimbrel-test");
    let state_dir = std::env::temp_dir().join(&name);
    Lab::new(LabConfig { name, state_dir, subnet: "10.78.0".into(), host_count: 2, libvirt: None })
        .unwrap()
}

/// Ends the lab when the test ends, also when it fails.
struct Cleanup<'a>(&'a Lab);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        let _ = self.0.down(&mut |_| {});
        let _ = fs::remove_dir_all(&self.0.config().state_dir);
    }
}

fn guest(name: &str) -> GuestSpec {
    let load =
        Load { rate_kib_per_second: Some(1024), working_set_mib: Some(24), ..Load::default() };
    GuestSpec { load, ..GuestSpec::mini(name) }
}

#[test]
fn lifecycle() {
    let _turn = my_turn();
    if capability().is_err() {
        // Says so, or fails where nothing may be skipped.
        assert!(whimbrel_lab::lab_or_skip("lifecycle").is_none());
        return;
    }
    let lab = own_lab();
    let _cleanup = Cleanup(&lab);
    let mut steps = Vec::new();
    assert_eq!(lab.up(false, &mut |step| steps.push(step.to_owned())).unwrap(), Outcome::Started);
    assert_eq!(lab.up(false, &mut |_| {}).unwrap(), Outcome::AlreadyUp);
    assert!(steps.len() >= 5, "{steps:?}");
    assert!(lab.status().unwrap().hosts.iter().all(|host| host.powered_on && host.link_up));

    a_shaped_link_holds(&lab);
    a_cut_link_separates(&lab);
    a_power_cut_leaves_the_others_alone(&lab);
    a_crashed_run_is_cleaned_away(&lab);

    let inits = inits(&lab);
    lab.start_guest("h1", &guest("last")).unwrap();
    lab.down(&mut |line| panic!("{line}")).unwrap();
    assert!(inits.iter().all(|init| !init.is_alive()));
    assert_nothing_is_left(&lab);
    // Ending a lab that is not up is no error.
    lab.down(&mut |_| {}).unwrap();
}

fn inits(lab: &Lab) -> Vec<PidRecord> {
    let names = lab.host_names();
    names.iter().filter_map(|host| lab.host_init(host).unwrap()).collect()
}

fn over_network(lab: &Lab, host: &str, words: &[&str]) -> std::process::Output {
    lab.command("virsh").args(["-q", "-c", &lab.tcp_uri(host)]).args(words).output().unwrap()
}

/// 24 MiB of data over 10 MB/s cannot take less than 2.5 s; unshaped it takes well under 1 s.
fn a_shaped_link_holds(lab: &Lab) {
    lab.start_guest("h1", &guest("shaped")).unwrap();
    lab.link_shape("h1", 10.0).unwrap();
    let start = Instant::now();
    let moved =
        over_network(lab, "h1", &["migrate", "--live", "--p2p", "shaped", &lab.tcp_uri("h2")]);
    let seconds = start.elapsed().as_secs_f64();
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    assert!((2.4..8.0).contains(&seconds), "{seconds:.2} s");
    let shaped = lab.status().unwrap().hosts[0].sends_at_most_megabytes_per_second;
    assert!((shaped.unwrap() - 10.0).abs() < 0.01, "{shaped:?}");
    lab.link_clear("h1").unwrap();
    assert_eq!(lab.status().unwrap().hosts[0].sends_at_most_megabytes_per_second, None);
    assert!(lab.link_shape("h1", 0.0).is_err());
    assert_eq!(lab.verify_guest("shaped").unwrap().bad_pages, 0);
    lab.stop_guest("shaped").unwrap();
}

fn a_cut_link_separates(lab: &Lab) {
    let reach = |address: &str| {
        let ping = lab.command("ping").args(["-c", "1", "-W", "1", address]).output().unwrap();
        ping.status.success()
    };
    assert!(reach("h1") && reach("h2"));
    lab.link_cut("h2").unwrap();
    assert!(reach("h1") && !reach("h2"));
    assert!(!lab.status().unwrap().hosts[1].link_up);
    // The harness does not need the link.
    lab.start_guest("h2", &guest("alone")).unwrap();
    assert_eq!(lab.find_guest("alone").unwrap(), "h2");
    lab.stop_guest("alone").unwrap();
    lab.link_restore("h2").unwrap();
    assert!(reach("h2"));
}

fn a_power_cut_leaves_the_others_alone(lab: &Lab) {
    lab.start_guest("h1", &guest("stays")).unwrap();
    lab.start_guest("h2", &guest("dies")).unwrap();
    let before = lab.guest_stat("stays").unwrap();
    lab.power_cut("h2").unwrap();
    assert_eq!(lab.host_init("h2").unwrap(), None);
    assert!(lab.guest_stat("dies").is_err());
    assert!(lab.start_guest("h2", &guest("late")).is_err());
    assert_eq!(lab.up(false, &mut |_| {}).unwrap(), Outcome::AlreadyUp);
    lab.power_on("h2").unwrap();
    let listing = over_network(lab, "h2", &["list", "--all", "--name"]);
    assert!(listing.status.success() && listing.stdout.trim_ascii().is_empty(), "{listing:?}");
    lab.start_guest("h2", &guest("dies")).unwrap();
    let after = lab.guest_stat("stays").unwrap();
    assert!(after.written_pages > before.written_pages);
    assert_eq!(after.bad_pages, 0);
    // A libvirtd that ends is started again and finds its guests.
    let libvirtd = "kill -9 $(pidof libvirtd); sleep 0.1";
    let init = lab.host_init("h1").unwrap().unwrap().pid.to_string();
    let inside = ["-t", &init, "-m", "-p", "sh", "-c", libvirtd];
    assert!(std::process::Command::new("nsenter").args(inside).status().unwrap().success());
    let end = Instant::now() + Duration::from_secs(10);
    while lab.find_guest("stays").is_err() {
        assert!(Instant::now() < end, "libvirtd did not come back");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A run that was killed between its first process and its last step leaves hosts without a record.
fn a_crashed_run_is_cleaned_away(lab: &Lab) {
    let before = inits(lab);
    assert_eq!(before.len(), 2);
    fs::remove_file(lab.config().state_dir.join("lab.json")).unwrap();
    assert!(!lab.is_up());
    assert!(lab.start_guest("h1", &guest("early")).is_err());
    assert_eq!(lab.up(false, &mut |_| {}).unwrap(), Outcome::Started);
    assert!(before.iter().all(|init| !init.is_alive()));
    assert_eq!(lab.status().unwrap().hosts.len(), 2);
    assert!(lab.status().unwrap().hosts.iter().all(|host| host.guests.is_empty()));
}

/// Looks at the machine itself: no process, mount or namespace of the lab, none of its files in `/etc`.
fn assert_nothing_is_left(lab: &Lab) {
    let name = &lab.config().name;
    let directory = lab.config().state_dir.to_str().unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let left: Vec<&str> = mounts.lines().filter(|line| line.contains(name.as_str())).collect();
    assert!(left.is_empty(), "{left:?}");
    let output = std::process::Command::new("ip").args(["netns", "list"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains(name.as_str()));
    let in_etc = fs::read_dir("/etc/netns").into_iter().flatten().flatten();
    assert!(
        in_etc.map(|entry| entry.file_name()).all(|file| !file.to_string_lossy().contains(name))
    );
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        assert!(!words.contains(directory), "{}: {words}", entry.path().display());
    }
}
