//! Tests of the load itself (`guest/load.c`), compiled as a plain program: no lab, no root.

use std::f64::consts::FRAC_2_PI;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::LabConfig;
use crate::guest_image;
use crate::guest_load::{GuestStat, Load, Order, Phase, Shape, Verified};

const ARENA_MIB: u32 = 32;

/// The load as a process of this machine.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(load: &Load) -> Self {
        let state_dir = std::env::temp_dir().join("whimbrel-load-test");
        let config = LabConfig { state_dir, ..LabConfig::from_environment() };
        let program = guest_image::dirtier(&config).unwrap();
        let mut child = Command::new(program)
            .args(["-", &load.words(), &ARENA_MIB.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut program = Self { child, input, output };
        while program.line() != "ready" {}
        program
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the load has ended");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.input, "seq=7 {command}").unwrap();
        loop {
            let line = self.line();
            if let Some(answer) = line.strip_prefix("seq=7 ") {
                return answer.to_owned();
            }
        }
    }

    fn stat(&mut self) -> GuestStat {
        GuestStat::parse(self.ask("stat").strip_prefix("stat ").unwrap()).unwrap()
    }

    fn verify(&mut self) -> Verified {
        Verified::parse(self.ask("verify").strip_prefix("verify ").unwrap()).unwrap()
    }

    /// Sets the load and measures its rate over `milliseconds` from that moment on.
    fn rate_after(&mut self, load: &Load, milliseconds: u64) -> f64 {
        assert_eq!(self.ask(&load.words()), "ok");
        let before = self.stat();
        sleep(Duration::from_millis(milliseconds));
        self.stat().rate_since(&before)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn assert_close(measured: f64, expected: f64) {
    let share = (measured - expected).abs() / expected;
    assert!(share < 0.05, "{measured:.0} KiB/s measured, {expected:.0} expected");
}

#[test]
fn every_shape_keeps_its_rate() {
    let mut program = Program::start(&Load { working_set_mib: Some(16), ..Load::default() });
    let shape = |shape: Shape| Load {
        rate_kib_per_second: Some(8000),
        shape: Some(shape),
        ..Load::default()
    };
    let (amplitude_kib_per_second, period_milliseconds) = (6000, 1000);
    assert_close(program.rate_after(&shape(Shape::Constant), 500), 8000.0);
    let square = Shape::Square { amplitude_kib_per_second, period_milliseconds };
    assert_close(program.rate_after(&shape(square.clone()), 490), 14_000.0);
    assert_close(program.rate_after(&shape(square), 1000), 8000.0);
    // The mean of the upper half of a sine is 2/pi of its amplitude.
    let sine = Shape::Sine { amplitude_kib_per_second, period_milliseconds };
    assert_close(program.rate_after(&shape(sine), 500), 8000.0 + 6000.0 * FRAC_2_PI);
    let phase =
        |start_milliseconds, rate_kib_per_second| Phase { start_milliseconds, rate_kib_per_second };
    let phases = vec![phase(0, 2000), phase(300, 10_000)];
    let phases = Shape::Phases { phases, repeat_milliseconds: 600 };
    assert_close(program.rate_after(&shape(phases), 1200), 6000.0);
    assert_eq!(program.stat().bad_pages, 0);
}

#[test]
fn the_guest_and_the_harness_agree_on_every_shape() {
    let mut program = Program::start(&Load::default());
    let shapes = [
        Shape::Sine { amplitude_kib_per_second: 3000, period_milliseconds: 10_007 },
        Shape::Square { amplitude_kib_per_second: 3000, period_milliseconds: 9999 },
        Shape::Phases {
            phases: ["100:1000", "4000:2500", "9000:0"].map(|p| p.parse().unwrap()).to_vec(),
            repeat_milliseconds: 12_000,
        },
    ];
    for shape in shapes {
        for at in [0, 50, 1234, 2500, 4999, 6000, 8000, 9500, 14_321, 50_000] {
            let load = Load {
                rate_kib_per_second: Some(2000),
                shape: Some(shape.clone()),
                ..Load::default()
            };
            assert_eq!(program.ask(&format!("{} phase={at}", load.words())), "ok");
            let stat = program.stat();
            // A few milliseconds pass between the two lines; both ends of that time are allowed.
            let now = stat.raw["phase"].parse().unwrap();
            let (from, to) = (shape.rate_at(2000, at), shape.rate_at(2000, now));
            let said = stat.rate_now_kib_per_second as f64;
            assert!(
                (said - from).abs() < 8.0 || (said - to).abs() < 8.0,
                "{shape:?} at {at}: {said}"
            );
        }
    }
}

#[test]
fn checks_stay_right_when_the_working_set_changes() {
    let load = |working_set_mib, order, hot_mib, hot_share_percent| Load {
        rate_kib_per_second: Some(400_000),
        working_set_mib: Some(working_set_mib),
        order: Some(order),
        hot_mib: Some(hot_mib),
        hot_share_percent: Some(hot_share_percent),
        ..Load::default()
    };
    let mut program = Program::start(&load(8, Order::Sequential, 0, 0));
    for next in [
        load(24, Order::Random, 0, 0),
        load(4, Order::Random, 1, 90),
        load(32, Order::Sequential, 4, 50),
        load(16, Order::Random, 16, 100),
    ] {
        sleep(Duration::from_millis(150));
        assert_eq!(program.ask(&next.words()), "ok");
    }
    sleep(Duration::from_millis(150));
    let verified = program.verify();
    // Sequential order over all 32 MiB had time to come to most of them.
    assert!(verified.checked_pages > 6000, "{verified:?}");
    assert_eq!((verified.bad_pages, program.stat().bad_pages), (0, 0));
}

#[test]
fn a_lost_page_is_found() {
    let load =
        Load { rate_kib_per_second: Some(200_000), working_set_mib: Some(4), ..Load::default() };
    let mut program = Program::start(&load);
    sleep(Duration::from_millis(200));
    assert_eq!(program.ask("rate=0"), "ok");
    assert_eq!(program.verify().bad_pages, 0);
    lose_page(program.child.id(), 5);
    assert_eq!(program.verify().bad_pages, 1);
    // The load itself comes to the page as well, and then it holds what it should again.
    assert_eq!(program.ask("rate=200000"), "ok");
    sleep(Duration::from_millis(200));
    assert_eq!(program.stat().bad_pages, 1);
    assert_eq!(program.verify().bad_pages, 0);
}

#[test]
fn plain_pages_hold_text_and_are_checked_as_all_others() {
    let load = |plain_percent| Load {
        rate_kib_per_second: Some(400_000),
        working_set_mib: Some(8),
        touch_bytes: Some(512),
        zero_percent: Some(0),
        plain_percent: Some(plain_percent),
        ..Load::default()
    };
    for plain_percent in [0, 35, 100] {
        let mut program = Program::start(&load(plain_percent));
        sleep(Duration::from_millis(200));
        assert_eq!(program.ask("rate=0"), "ok");
        let (memory, start) = arena(program.child.id());
        let mut page = [0; 4096];
        let is_text = |byte: &u8| byte.is_ascii_graphic() || b" \n".contains(byte);
        let plain = (0..u64::from(ARENA_MIB) * 256).filter(|number| {
            memory.read_exact_at(&mut page, start + number * 4096).unwrap();
            // The first and the last word are the page's mark.
            page[4..4092].iter().all(is_text)
        });
        let share = plain.count() as f64 * 100.0 / f64::from(ARENA_MIB * 256);
        assert!((share - f64::from(plain_percent)).abs() < 0.5, "{plain_percent}: {share}");
        assert_eq!((program.verify().bad_pages, program.stat().bad_pages), (0, 0));
        lose_page(program.child.id(), 5);
        assert_eq!(program.verify().bad_pages, 1);
    }
}

/// Zeroes one page of the process's arena, as a migration that forgot the page would.
fn lose_page(pid: u32, page: u64) {
    let (memory, start) = arena(pid);
    memory.write_all_at(&[0; 4096], start + page * 4096).unwrap();
}

/// The memory of a process, and where in it the arena begins.
fn arena(pid: u32) -> (fs::File, u64) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let wanted = u64::from(ARENA_MIB) << 20;
    let start = maps.lines().find_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let (start, end) =
            (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        // The kernel may have joined the arena with the small mapping after it, never before it.
        (wanted..wanted + (1 << 20)).contains(&(end - start)).then_some(start)
    });
    let memory = fs::OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"));
    (memory.unwrap(), start.unwrap())
}

#[test]
fn bad_commands_change_nothing() {
    let mut program = Program::start(&Load { working_set_mib: Some(8), ..Load::default() });
    for wrong in [
        "rate=12 ws=900",
        "rate=12 ws=0",
        "rate=12 bogus=1",
        "rate=",
        "rate=12x",
        "touch=4",
        "touch=4097",
        "zero=101",
        "plain=101",
        "hot_mib=9",
        "hot_share=101",
        "shape=sine",
        "shape=phases",
        "shape=round",
        "order=sequence",
        "phases=1",
        "phases=0:1,",
        "rate=9999999999",
    ] {
        let answer = program.ask(wrong);
        assert!(answer.starts_with("error "), "{wrong}: {answer}");
    }
    // A line that is taken back is neither carried out nor answered.
    writeln!(program.input, "rate=12!").unwrap();
    let stat = program.stat();
    assert_eq!((stat.rate_kib_per_second, stat.working_set_mib), (0, 8));
    assert_eq!(stat.shape, "constant");
}

#[test]
fn the_zero_share_is_filled_on_demand() {
    let mut program = Program::start(&Load { working_set_mib: Some(4), ..Load::default() });
    assert_eq!(program.stat().filled_mib, 4);
    assert_eq!(program.ask("zero=25"), "ok");
    sleep(Duration::from_millis(300));
    assert_eq!(program.stat().filled_mib, 24);
}
