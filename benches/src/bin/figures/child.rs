//! A program run to its end, with what it cost.

use std::{
    fs, io,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use whimbrel_benches::cpu_time;

/// Time between two looks at the program.
const LOOK: Duration = Duration::from_millis(5);

/// What a program cost.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) status: ExitStatus,
    pub(crate) wall: Duration,
    /// User and system, its own children's included.
    pub(crate) cpu: Duration,
    /// Largest resident memory that the kernel noted until shortly before the end.
    pub(crate) peak_memory_kib: u64,
}

/// Runs `command` without its standard output. No other child of this process may end meanwhile.
pub(crate) fn run(command: &mut Command) -> io::Result<Cost> {
    let cpu_before = cpu_time::of_ended_children()?;
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let memory = format!("/proc/{}/status", child.id());
    let mut peak_memory_kib = 0;
    let status = loop {
        let seen = fs::read_to_string(&memory).ok().and_then(|status| high_water_kib(&status));
        peak_memory_kib = seen.unwrap_or(0).max(peak_memory_kib);
        match child.try_wait()? {
            Some(status) => break status,
            None => thread::sleep(LOOK),
        }
    };
    let wall = begun.elapsed();
    let cpu = cpu_time::of_ended_children()?.saturating_sub(cpu_before);
    Ok(Cost { status, wall, cpu, peak_memory_kib })
}

/// `VmHWM` of `/proc/PID/status`.
fn high_water_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_a_price() {
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 3";
        let cost = run(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(cost.status.code(), Some(3));
        assert!(cost.cpu > Duration::ZERO && cost.wall >= Duration::from_millis(10), "{cost:?}");
        assert!((100..1_000_000).contains(&cost.peak_memory_kib), "{cost:?}");
    }

    #[test]
    fn the_high_water_mark_is_read() {
        assert_eq!(high_water_kib("VmPeak:\t 9 kB\nVmHWM:\t  1728 kB\n"), Some(1728));
        assert_eq!(high_water_kib("Name:\tx\n"), None);
    }
}
