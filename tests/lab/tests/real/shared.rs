//! Guests on the shared lab: load, migration, refusals.

use std::thread::sleep;
use std::time::Duration;

use whimbrel_lab::{GuestSpec, Lab, LabError, Load, Order, Shape, lab_or_skip};

use crate::{Guest, my_turn, unique};

fn load(rate_kib_per_second: u32, working_set_mib: u32) -> Load {
    Load {
        rate_kib_per_second: Some(rate_kib_per_second),
        working_set_mib: Some(working_set_mib),
        ..Load::default()
    }
}

fn start<'a>(lab: &'a Lab, host: &str, spec: &GuestSpec) -> Guest<'a> {
    lab.start_guest(host, spec).unwrap();
    Guest { lab, name: spec.name.clone() }
}

/// The guest's rate over `milliseconds`, counted by the guest itself.
fn measured_rate(lab: &Lab, guest: &str, milliseconds: u64) -> f64 {
    let before = lab.guest_stat(guest).unwrap();
    sleep(Duration::from_millis(milliseconds));
    lab.guest_stat(guest).unwrap().rate_since(&before)
}

fn assert_close(measured: f64, expected: f64) {
    let share = (measured - expected).abs() / expected;
    assert!(share < 0.05, "{measured:.0} KiB/s measured, {expected:.0} expected");
}

fn migrate(lab: &Lab, guest: &str, from: &str, to: &str, more: &[&str]) {
    let (source, destination) = (lab.tcp_uri(from), lab.tcp_uri(to));
    let output = lab
        .command("virsh")
        .args(["-c", &source, "migrate", "--live", "--p2p", guest, &destination])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_guest_keeps_the_rate_that_was_asked() {
    let _turn = my_turn();
    let Some(lab) = lab_or_skip("a_guest_keeps_the_rate_that_was_asked") else { return };
    let spec = GuestSpec { load: load(8192, 16), ..GuestSpec::mini(unique("rate")) };
    let guest = start(&lab, "h1", &spec);
    assert_close(measured_rate(&lab, &guest.name, 2000), 8192.0);

    let hot = Load { hot_mib: Some(2), hot_share_percent: Some(80), ..load(40_000, 32) };
    lab.set_guest(&guest.name, &Load { order: Some(Order::Random), ..hot }).unwrap();
    assert_close(measured_rate(&lab, &guest.name, 2000), 40_000.0);

    let square = Shape::Square { amplitude_kib_per_second: 4000, period_milliseconds: 1000 };
    lab.set_guest(&guest.name, &Load { shape: Some(square), ..load(8000, 32) }).unwrap();
    assert_close(measured_rate(&lab, &guest.name, 3000), 8000.0);
    assert_eq!(lab.guest_stat(&guest.name).unwrap().bad_pages, 0);
}

#[test]
fn a_live_migration_loses_no_page() {
    let _turn = my_turn();
    let Some(lab) = lab_or_skip("a_live_migration_loses_no_page") else { return };
    let busy = Load { order: Some(Order::Random), ..load(20_480, 24) };
    let spec = GuestSpec { load: busy, ..GuestSpec::mini(unique("move")) };
    let guest = start(&lab, "h1", &spec);
    sleep(Duration::from_millis(500));
    let route: [(&str, &str, &[&str]); 3] =
        [("h1", "h2", &[]), ("h2", "h3", &["--tls"]), ("h3", "h1", &["--parallel"])];
    for (from, to, more) in route {
        migrate(&lab, &guest.name, from, to, more);
        assert_eq!(lab.find_guest(&guest.name).unwrap(), to);
        let verified = lab.verify_guest(&guest.name).unwrap();
        assert!(verified.checked_pages > 1000, "{verified:?}");
        assert_eq!(verified.bad_pages, 0, "{from} -> {to}");
    }
    assert_close(measured_rate(&lab, &guest.name, 1000), 20_480.0);
    assert_eq!(lab.guest_stat(&guest.name).unwrap().bad_pages, 0);
}

#[test]
fn a_guest_can_be_steered_while_it_migrates() {
    let _turn = my_turn();
    let Some(lab) = lab_or_skip("a_guest_can_be_steered_while_it_migrates") else { return };
    let spec = GuestSpec { load: load(4096, 24), ..GuestSpec::mini(unique("steer")) };
    let guest = start(&lab, "h1", &spec);
    let slow = ["--bandwidth", "8"];
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| migrate(&lab, &guest.name, "h1", "h2", &slow));
        for rate in (1..).map(|step| 1000 + step % 50) {
            lab.set_guest(&guest.name, &load(rate, 24)).unwrap();
            let stat = lab.guest_stat(&guest.name).unwrap();
            assert_eq!(stat.rate_kib_per_second, u64::from(rate));
            if moving.is_finished() {
                break;
            }
        }
    });
    assert_eq!(lab.find_guest(&guest.name).unwrap(), "h2");
    assert_eq!(lab.verify_guest(&guest.name).unwrap().bad_pages, 0);
}

#[test]
fn a_linux_guest_answers_ping_before_and_after_a_migration() {
    let _turn = my_turn();
    let test = "a_linux_guest_answers_ping_before_and_after_a_migration";
    let Some(lab) = lab_or_skip(test) else { return };
    let address = format!("{}.{}", lab.config().subnet, 200 + std::process::id() % 50);
    let spec = GuestSpec {
        address: Some(address.clone()),
        load: load(4096, 32),
        ..GuestSpec::linux(unique("linux"))
    };
    let guest = start(&lab, "h2", &spec);
    // Its address may have been another guest's a short time ago: the first packet can get lost.
    let answers = || {
        let once = || lab.command("ping").args(["-c", "1", "-W", "2", &address]).output().unwrap();
        (0..10).any(|_| once().status.success())
    };
    assert!(answers());
    migrate(&lab, &guest.name, "h2", "h3", &[]);
    assert!(answers());
    assert_eq!(lab.verify_guest(&guest.name).unwrap().bad_pages, 0);
}

#[test]
fn refusals_name_the_thing_and_the_limit() {
    let _turn = my_turn();
    let Some(lab) = lab_or_skip("refusals_name_the_thing_and_the_limit") else { return };
    let error = lab.start_guest("h1", &GuestSpec::mini("No Name")).unwrap_err();
    assert!(matches!(error, LabError::Setting { .. }), "{error}");
    let small = GuestSpec { memory_mib: 64, ..GuestSpec::linux(unique("small")) };
    let error = lab.start_guest("h1", &small).unwrap_err();
    assert!(error.to_string().contains("128 to 1024"), "{error}");
    let error = lab.start_guest("h77", &GuestSpec::mini(unique("nowhere"))).unwrap_err();
    assert!(matches!(error, LabError::NoHost { .. }), "{error}");
    let wide = GuestSpec { load: load(0, 4000), ..GuestSpec::mini(unique("wide")) };
    let error = lab.start_guest("h1", &wide).unwrap_err();
    assert!(error.to_string().contains("arena_mib=43"), "{error}");
    let error = lab.guest_stat(&wide.name).unwrap_err();
    assert!(matches!(error, LabError::NoGuest { .. }), "{error}");
}
