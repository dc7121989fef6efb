//! The demonstration on the recording, as a user runs it.

use std::{error::Error, process::Command};

use crate::{child, figure::Found, places::Places};

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(places.program("whimbrel")?);
    command.current_dir(places.root()).arg("demo");
    command.arg("--data").arg(places.recorded());
    command.arg("--report").arg(places.scratch("demo")?);
    let cost = child::run(&mut command)?;
    if !cost.status.success() {
        return Err(format!("whimbrel demo ended with {}", cost.status).into());
    }
    found.put("demo_seconds", cost.wall.as_secs_f64());
    found.put("demo_peak_memory_mib", cost.peak_memory_kib as f64 / 1024.0);
    Ok(())
}
