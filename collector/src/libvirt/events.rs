//! libvirt's event loop, once a process.
//!
//! The remote driver sends and times keepalive probes from an event loop; without one registered
//! *before* a connection is opened, `virConnectSetKeepAlive` fails and a dead peer is noticed only
//! by TCP, after many minutes (libvirt-host.h, virConnectSetKeepAlive). The default loop needs a
//! thread that runs it for as long as the process lives.

use std::{sync::OnceLock, thread, time::Duration};

use virt::{error::clear_error_callback, event};

use super::error::ConnectionError;

static STARTED: OnceLock<Result<(), String>> = OnceLock::new();

/// Registers the loop and starts its thread; later calls repeat the first one's outcome.
///
/// # Errors
/// [`ConnectionError::NoEventLoop`] when libvirt or the system refused.
pub(super) fn ensure() -> Result<(), ConnectionError> {
    STARTED.get_or_init(start).clone().map_err(|message| ConnectionError::NoEventLoop { message })
}

fn start() -> Result<(), String> {
    event::event_register_default_impl().map_err(|error| error.to_string())?;
    // libvirt prints every error to stderr otherwise; here errors are values.
    clear_error_callback();
    thread::Builder::new()
        .name("libvirt events".to_owned())
        .spawn(|| {
            loop {
                if let Err(error) = event::event_run_default_impl() {
                    tracing::error!(%error, "libvirt's event loop stumbled");
                    thread::sleep(Duration::from_millis(100));
                }
            }
        })
        .map(drop)
        .map_err(|error| error.to_string())
}
