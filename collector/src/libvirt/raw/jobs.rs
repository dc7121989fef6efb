//! Events about the ends of a domain's jobs.

use std::ffi::{c_int, c_void};

use virt::{connect::Connect, domain::Domain, error::Error, sys};

use super::{params_slice, values};
use crate::stats::Value;

/// What is called with the keys and values of each job that ended; on the event loop's thread.
type Told = Box<dyn for<'a> Fn(&mut KeyValues<'a>) + Send>;

/// Keys and values.
pub(in super::super) type KeyValues<'a> = dyn Iterator<Item = (&'a str, Value<'a>)> + 'a;

/// A registration for the ends of one domain's jobs; ends when it is dropped.
pub(in super::super) struct JobListener {
    connect: Connect,
    id: c_int,
}

impl JobListener {
    /// Has `told` called from now on.
    ///
    /// # Errors
    /// libvirt's error.
    pub(in super::super) fn of(
        connect: &Connect,
        domain: &Domain,
        told: impl for<'a> Fn(&mut KeyValues<'a>) + Send + 'static,
    ) -> Result<Self, Error> {
        let told: Box<Told> = Box::new(Box::new(told));
        let opaque = Box::into_raw(told);
        let callback: sys::virConnectDomainEventJobCompletedCallback = Some(completed);
        // SAFETY: libvirt calls the callback of this event with the arguments of `completed`; it
        // takes all callbacks under one generic type and casts back by the event's number.
        let callback = unsafe {
            std::mem::transmute::<
                sys::virConnectDomainEventJobCompletedCallback,
                sys::virConnectDomainEventGenericCallback,
            >(callback)
        };
        let event = sys::VIR_DOMAIN_EVENT_ID_JOB_COMPLETED.cast_signed();
        // SAFETY: `connect` and `domain` hold references to live objects during the call. libvirt
        // keeps `opaque` until it calls `free` with it, once, after the registration ended.
        let id = unsafe {
            sys::virConnectDomainEventRegisterAny(
                connect.as_ptr(),
                domain.as_ptr(),
                event,
                callback,
                opaque.cast(),
                Some(free),
            )
        };
        if id < 0 {
            let error = Error::last_error();
            // SAFETY: a registration that failed kept nothing, so that `opaque` is still ours.
            unsafe { free(opaque.cast()) };
            return Err(error);
        }
        Ok(Self { connect: connect.clone(), id })
    }
}

impl Drop for JobListener {
    fn drop(&mut self) {
        // SAFETY: `connect` holds a reference to the connection that gave `id`. An error means
        // that the connection is gone, and the registration with it.
        unsafe { sys::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), self.id) };
    }
}

unsafe extern "C" fn completed(
    _connect: sys::virConnectPtr,
    _domain: sys::virDomainPtr,
    params: sys::virTypedParameterPtr,
    count: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is what was registered, a `Told` that libvirt has not freed yet.
    let Some(told) = (unsafe { opaque.cast::<Told>().as_ref() }) else { return };
    // SAFETY: libvirt passes `count` parameters at `params`, alive during this call.
    told(&mut values(unsafe { params_slice(params, count) }));
}

unsafe extern "C" fn free(opaque: *mut c_void) {
    // SAFETY: `opaque` came from `Box::into_raw` of a `Told`, and libvirt frees it once.
    drop(unsafe { Box::from_raw(opaque.cast::<Told>()) });
}
