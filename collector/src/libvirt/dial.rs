//! Opening a connection within a limit of time.
//!
//! `virConnectOpen` has no time-out: towards a host that swallows packets it hangs for as long as
//! TCP tries. Each attempt therefore runs in a thread of its own; when the limit is over the
//! attempt is left behind, and whatever it still opens is closed at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use virt::{connect::Connect, error::Error as VirtError};

use super::{
    error::{ConnectionError, FailureKind, kind_of},
    events,
};
use crate::ConnectionSettings;

/// Attempts that may hang at once for one host. TCP gives one up after about two minutes, in which
/// a back-off of up to 30 s makes six.
const HANGING_ATTEMPTS_MAX: usize = 8;

/// Opens connections to one URI.
#[derive(Debug)]
pub(super) struct Dialer {
    uri: String,
    settings: ConnectionSettings,
    hanging: Arc<AtomicUsize>,
}

impl Dialer {
    pub(super) fn new(uri: &str, settings: ConnectionSettings) -> Self {
        Self { uri: uri.to_owned(), settings, hanging: Arc::default() }
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// Opens a connection with keepalive.
    ///
    /// # Errors
    /// [`ConnectionError`], within the limit of time.
    pub(super) fn dial(&self) -> Result<Connect, ConnectionError> {
        if self.uri.contains('\0') {
            return Err(ConnectionError::BadUri { uri: self.uri.clone() });
        }
        events::ensure()?;
        if self.hanging.load(Ordering::Relaxed) >= HANGING_ATTEMPTS_MAX {
            return Err(ConnectionError::TooManyAttempts {
                uri: self.uri.clone(),
                limit: HANGING_ATTEMPTS_MAX,
            });
        }
        let connect = self.attempt()?;
        self.keep_alive(&connect)?;
        Ok(connect)
    }

    fn attempt(&self) -> Result<Connect, ConnectionError> {
        let not_opened =
            |message: String| ConnectionError::NotOpened { uri: self.uri.clone(), message };
        let (sender, receiver) = mpsc::channel();
        let attempt = Attempt::begin(&self.hanging);
        let uri = self.uri.clone();
        thread::Builder::new()
            .name("libvirt open".to_owned())
            .spawn(move || {
                let opened = Connect::open(Some(&uri));
                drop(attempt);
                // Without a receiver the connection comes back in the error and is closed here.
                drop(sender.send(opened));
            })
            .map_err(|error| not_opened(error.to_string()))?;
        match receiver.recv_timeout(Duration::from(self.settings.open_timeout)) {
            Ok(opened) => opened.map_err(|error| not_opened(error.message().to_owned())),
            Err(_) => Err(ConnectionError::TimedOut {
                uri: self.uri.clone(),
                limit: self.settings.open_timeout,
            }),
        }
    }

    fn keep_alive(&self, connect: &Connect) -> Result<(), ConnectionError> {
        let interval = i32::try_from(self.settings.keepalive_interval_seconds).unwrap_or(i32::MAX);
        match connect.set_keep_alive(interval, self.settings.keepalive_count) {
            Ok(()) => Ok(()),
            // A driver inside of this process has no peer that could die.
            Err(error) if kind_of(&error) == FailureKind::Unsupported => Ok(()),
            Err(error) => Err(self.failed("keepalive", &error, connect)),
        }
    }

    /// The failure of `what` on `connect`, a connection to this URI.
    pub(super) fn failed(
        &self,
        what: &str,
        error: &VirtError,
        connect: &Connect,
    ) -> ConnectionError {
        ConnectionError::of_call(format!("{}: {what}", self.uri), error, connect)
    }
}

/// Counts a hanging attempt until it is dropped.
struct Attempt(Arc<AtomicUsize>);

impl Attempt {
    fn begin(hanging: &Arc<AtomicUsize>) -> Self {
        hanging.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(hanging))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
