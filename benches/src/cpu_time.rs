//! CPU time as the kernel counts it, user and system together.
//!
//! Resolution 10 ms: to be taken around work that takes much longer.

use std::{error::Error, fs, hint::black_box, io, time::Duration};

/// The kernel's unit in `/proc`: `USER_HZ` is 100 on every architecture that Linux runs on today
/// (`proc_pid_stat(5)`, `include/asm-generic/param.h`).
const TICK: Duration = Duration::from_millis(10);

/// Places of `utime` and of `cutime` in `/proc/self/stat`, counted from the field after the name.
const OWN: usize = 11;
const CHILDREN: usize = 13;

/// CPU time of this process since its start, over all of its threads.
///
/// # Errors
/// Where there is no `/proc` as Linux has it.
pub fn of_this_process() -> io::Result<Duration> {
    read(OWN)
}

/// CPU time of all children that ended and were waited for.
///
/// # Errors
/// Where there is no `/proc` as Linux has it.
pub fn of_ended_children() -> io::Result<Duration> {
    read(CHILDREN)
}

/// CPU seconds of one `work`, of `times` that are done.
///
/// # Errors
/// That of the work, and as [`of_this_process`].
pub fn seconds_each<T, E: Into<Box<dyn Error>>>(
    times: u32,
    work: impl Fn() -> Result<T, E>,
) -> Result<f64, Box<dyn Error>> {
    let before = of_this_process()?;
    for _ in 0..times {
        black_box(work().map_err(Into::<Box<dyn Error>>::into)?);
    }
    let taken = of_this_process()?.saturating_sub(before);
    Ok(taken.as_secs_f64() / f64::from(times.max(1)))
}

fn read(first: usize) -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    sum(&stat, first)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("stat is {stat:?}")))
}

/// The field at `first` and the one after it.
fn sum(stat: &str, first: usize) -> Option<Duration> {
    // The name of the program may hold blanks and brackets; it ends with the last bracket.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(first);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    TICK.checked_mul(user.checked_add(system)?)
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Instant};

    use super::*;

    #[test]
    fn fields_are_counted_from_the_end_of_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 0 1 2 3 4 50 6 70 8 20 0 1";
        assert_eq!(sum(stat, OWN), Some(Duration::from_millis(560)));
        assert_eq!(sum(stat, CHILDREN), Some(Duration::from_millis(780)));
        assert_eq!(sum("7 (a) S 1", OWN), None);
    }

    #[test]
    fn work_costs_time() {
        let before = of_this_process().unwrap();
        let begun = Instant::now();
        while of_this_process().unwrap() < before + Duration::from_millis(50) {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing is counted");
        }
        let children = of_ended_children().unwrap();
        Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 90000 ]; do i=$((i+1)); done"])
            .status()
            .unwrap();
        assert!(of_ended_children().unwrap() > children);
    }
}
