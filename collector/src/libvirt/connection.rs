//! A connection that comes back by itself, for those who act on domains.
//!
//! Opens when it is first needed, within the limit of time, and again after it was lost, with a
//! back-off in between. Clones share it. A caller waits for the open that it began and for nobody
//! else: while one is opening, others are told to come back.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use virt::{connect::Connect, error::ErrorNumber};
use whimbrel_core::{VmId, units::Span};

use super::{dial::Dialer, domain::DomainHandle, error::ConnectionError};
use crate::{Backoff, BackoffSettings, ConnectionSettings, store::locked};

/// A connection to one host.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialer: Dialer,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connect: Option<Connect>,
    backoff: Backoff,
    next_attempt: Instant,
}

impl Connection {
    /// A connection to `uri`; opens nothing yet.
    pub fn new(uri: &str, settings: ConnectionSettings, backoff: BackoffSettings) -> Self {
        Self(Arc::new(Inner {
            dialer: Dialer::new(uri, settings),
            state: Mutex::new(State {
                connect: None,
                backoff: Backoff::new(backoff),
                next_attempt: Instant::now(),
            }),
        }))
    }

    /// Its URI.
    pub fn uri(&self) -> &str {
        self.0.dialer.uri()
    }

    /// Finds the domain named `vm` and makes sure that it is the one with `uuid`.
    ///
    /// # Errors
    /// [`ConnectionError::NoDomain`], [`ConnectionError::OtherDomain`], or why the host could not
    /// be asked.
    pub fn domain(&self, vm: &VmId, uuid: &str) -> Result<DomainHandle, ConnectionError> {
        let connect = self.ready()?;
        let uri = self.uri().to_owned();
        let domain = connect.lookup_domain_by_name(vm.as_str()).map_err(|error| {
            if error.code().is(ErrorNumber::NoDomain) {
                ConnectionError::NoDomain { vm: vm.clone(), uri: uri.clone() }
            } else {
                self.0.dialer.failed(&format!("look-up of {vm}"), &error, &connect)
            }
        })?;
        let found = domain
            .uuid_string()
            .map_err(|error| self.0.dialer.failed(&format!("UUID of {vm}"), &error, &connect))?;
        if found.eq_ignore_ascii_case(uuid) {
            Ok(DomainHandle { connect, domain, vm: vm.clone(), uri })
        } else {
            let expected = uuid.to_owned();
            Err(ConnectionError::OtherDomain { vm: vm.clone(), uri, expected, found })
        }
    }

    /// The open connection, opened now if need be.
    fn ready(&self) -> Result<Connect, ConnectionError> {
        let inner = &self.0;
        {
            let mut state = locked(&inner.state);
            // Asked of the client library only: keepalive has closed what is dead.
            if let Some(connect) = &state.connect
                && connect.is_alive().unwrap_or(false)
            {
                return Ok(connect.clone());
            }
            state.connect = None;
            let now = Instant::now();
            if now < state.next_attempt {
                let wait = Span::from(state.next_attempt - now);
                return Err(ConnectionError::BackingOff { uri: self.uri().to_owned(), wait });
            }
            // Taken as failed until it is not, so that no other caller opens meanwhile.
            state.next_attempt = now + Duration::from(state.backoff.pause());
        }
        let connect = inner.dialer.dial()?;
        let mut state = locked(&inner.state);
        state.backoff.reset();
        state.next_attempt = Instant::now();
        state.connect = Some(connect.clone());
        Ok(connect)
    }
}
