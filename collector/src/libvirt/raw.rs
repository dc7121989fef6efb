//! The foreign calls that crate `virt` lacks, behind safe functions.
//!
//! `virt` 0.5 hands out bulk statistics as bare pointers that nobody frees, builds a `Vec` of the
//! null pointer when a domain has no job, and does not wrap the start of a dirty-rate measurement,
//! the abort of a job, the
//! switch to post-copy, or the statistics of a host. Memory that libvirt allocates is owned here by
//! [`StatsRecords`] and [`TypedParams`], which free it with libvirt's own functions.
//!
//! Never here: meaning. Values come out as libvirt's keys and numbers.

#![expect(unsafe_code, reason = "calls into libvirt that crate `virt` does not wrap")]

mod jobs;

use std::{
    ffi::{CStr, c_char, c_int, c_uint},
    ptr, slice,
};

use virt::{connect::Connect, domain::Domain, error::Error, sys};

pub(super) use jobs::JobListener;

use crate::stats::Value;

/// Bulk statistics of all domains of a host.
pub(super) struct StatsRecords {
    /// From `virConnectGetAllDomainStats`; null-terminated, owned.
    list: *mut sys::virDomainStatsRecordPtr,
    count: usize,
}

/// Parameters that libvirt allocated.
pub(super) struct TypedParams {
    /// From libvirt, owned; null when there are none.
    params: sys::virTypedParameterPtr,
    count: c_int,
}

/// Bulk statistics of one domain.
pub(super) struct StatsRecord<'a>(&'a sys::_virDomainStatsRecord);

/// Asks for `stats` (an OR of `VIR_DOMAIN_STATS_*`) of all domains.
///
/// # Errors
/// libvirt's error.
pub(super) fn all_domain_stats(
    connect: &Connect,
    stats: c_uint,
    flags: c_uint,
) -> Result<StatsRecords, Error> {
    let mut list = ptr::null_mut();
    // SAFETY: `connect` holds a reference to a live connection during the call, and `list` is a
    // valid place for the pointer that libvirt writes.
    let count =
        unsafe { sys::virConnectGetAllDomainStats(connect.as_ptr(), stats, &raw mut list, flags) };
    let count = usize::try_from(count).map_err(|_| Error::last_error())?;
    Ok(StatsRecords { list, count })
}

impl StatsRecords {
    pub(super) fn iter(&self) -> impl Iterator<Item = StatsRecord<'_>> {
        let pointers = if self.list.is_null() {
            &[]
        } else {
            // SAFETY: libvirt returned `count` records in `list`, which stays allocated and is not
            // written to until `self` is dropped.
            unsafe { slice::from_raw_parts(self.list, self.count) }
        };
        pointers.iter().filter_map(|pointer| {
            // SAFETY: each entry is null or points to a record that lives as long as the list.
            unsafe { pointer.as_ref() }.map(StatsRecord)
        })
    }
}

impl Drop for StatsRecords {
    fn drop(&mut self) {
        // SAFETY: `list` came from `virConnectGetAllDomainStats` and is freed once; borrowed
        // records cannot outlive `self`. libvirt accepts null.
        unsafe { sys::virDomainStatsRecordListFree(self.list) };
    }
}

impl StatsRecord<'_> {
    /// A handle to the domain with a reference of its own.
    ///
    /// # Errors
    /// libvirt's error.
    pub(super) fn domain(&self) -> Result<Domain, Error> {
        // SAFETY: `dom` is a live domain object that the record list owns a reference to.
        if unsafe { sys::virDomainRef(self.0.dom) } < 0 {
            return Err(Error::last_error());
        }
        // SAFETY: the reference that was just taken is handed over to the `Domain`, which frees it.
        Ok(unsafe { Domain::from_ptr(self.0.dom) })
    }

    /// The record's keys and values.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        // SAFETY: libvirt filled `nparams` parameters at `params`, alive as long as the record.
        values(unsafe { params_slice(self.0.params, self.0.nparams) })
    }
}

/// Statistics of a domain's job: its `virDomainJobType` and the parameters.
///
/// # Errors
/// libvirt's error.
pub(super) fn job_stats(domain: &Domain, flags: c_uint) -> Result<(c_int, TypedParams), Error> {
    let mut job_type = 0;
    let mut params = TypedParams { params: ptr::null_mut(), count: 0 };
    // SAFETY: `domain` holds a reference to a live domain during the call; the three out pointers
    // are valid, and what libvirt allocates into them is owned by `params`.
    let result = unsafe {
        sys::virDomainGetJobStats(
            domain.as_ptr(),
            &raw mut job_type,
            &raw mut params.params,
            &raw mut params.count,
            flags,
        )
    };
    if result < 0 { Err(Error::last_error()) } else { Ok((job_type, params)) }
}

impl TypedParams {
    /// Keys and values.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        // SAFETY: libvirt filled `count` parameters at `params`, alive until `self` is dropped.
        values(unsafe { params_slice(self.params, self.count) })
    }
}

impl Drop for TypedParams {
    fn drop(&mut self) {
        if !self.params.is_null() {
            // SAFETY: libvirt allocated `params` with `count` entries and they are freed once.
            unsafe { sys::virTypedParamsFree(self.params, self.count) };
        }
    }
}

/// The parameters at `params`.
///
/// # Safety
/// `params` must be null or point to at least `count` parameters that are neither freed nor
/// written to during `'a`.
unsafe fn params_slice<'a>(
    params: *const sys::virTypedParameter,
    count: c_int,
) -> &'a [sys::virTypedParameter] {
    match usize::try_from(count) {
        // SAFETY: not null, and the caller vouches for `count` parameters during `'a`.
        Ok(count) if !params.is_null() => unsafe { slice::from_raw_parts(params, count) },
        _ => &[],
    }
}

/// Skips parameters of unknown types and names that are not UTF-8.
fn values(params: &[sys::virTypedParameter]) -> impl Iterator<Item = (&str, Value<'_>)> {
    params.iter().filter_map(|param| Some((field(&param.field)?, value(param)?)))
}

/// The text of a fixed-length field.
fn field(chars: &[c_char]) -> Option<&str> {
    // SAFETY: `c_char` and `u8` have the same size and alignment, and every bit pattern is valid.
    let bytes = unsafe { slice::from_raw_parts(chars.as_ptr().cast::<u8>(), chars.len()) };
    CStr::from_bytes_until_nul(bytes).ok()?.to_str().ok()
}

fn value(param: &sys::virTypedParameter) -> Option<Value<'_>> {
    let union = &param.value;
    // SAFETY: libvirt sets `type_` to the member of the union that it wrote; numbers may have any
    // value, and a string is null or a NUL-terminated text owned by the parameter.
    unsafe {
        match c_uint::try_from(param.type_).ok()? {
            sys::VIR_TYPED_PARAM_INT => Some(Value::Int(union.i.into())),
            sys::VIR_TYPED_PARAM_UINT => Some(Value::UInt(union.ui.into())),
            sys::VIR_TYPED_PARAM_LLONG => Some(Value::Int(union.l)),
            sys::VIR_TYPED_PARAM_ULLONG => Some(Value::UInt(union.ul)),
            sys::VIR_TYPED_PARAM_DOUBLE => Some(Value::Float(union.d)),
            sys::VIR_TYPED_PARAM_BOOLEAN => Some(Value::Bool(union.b != 0)),
            sys::VIR_TYPED_PARAM_STRING if !union.s.is_null() => {
                CStr::from_ptr(union.s).to_str().ok().map(Value::Text)
            }
            _ => None,
        }
    }
}

/// The domain's `virDomainState` and its reason.
///
/// # Errors
/// libvirt's error, which `virt`'s own function drops.
pub(super) fn state(domain: &Domain) -> Result<(c_int, c_int), Error> {
    let (mut state, mut reason) = (0, 0);
    // SAFETY: `domain` holds a reference to a live domain during the call, and both out pointers
    // are valid.
    done(unsafe { sys::virDomainGetState(domain.as_ptr(), &raw mut state, &raw mut reason, 0) })?;
    Ok((state, reason))
}

/// Starts to measure how much memory `domain` dirties in `seconds` (1..=60) by page sampling.
/// Returns at once; the result appears in the bulk statistics.
///
/// # Errors
/// libvirt's error.
pub(super) fn start_dirty_rate(domain: &Domain, seconds: c_int) -> Result<(), Error> {
    let mode = sys::VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING;
    // SAFETY: `domain` holds a reference to a live domain during the call.
    done(unsafe { sys::virDomainStartDirtyRateCalc(domain.as_ptr(), seconds, mode) })
}

/// Aborts the domain's job.
///
/// # Errors
/// libvirt's error.
pub(super) fn abort_job(domain: &Domain) -> Result<(), Error> {
    // SAFETY: `domain` holds a reference to a live domain during the call.
    done(unsafe { sys::virDomainAbortJob(domain.as_ptr()) })
}

/// Switches the domain's running migration to post-copy.
///
/// # Errors
/// libvirt's error.
pub(super) fn start_post_copy(domain: &Domain) -> Result<(), Error> {
    // SAFETY: `domain` holds a reference to a live domain during the call.
    done(unsafe { sys::virDomainMigrateStartPostCopy(domain.as_ptr(), 0) })
}

fn done(result: c_int) -> Result<(), Error> {
    if result < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// CPU times of the host since boot, over all CPUs, in nanoseconds by libvirt's names.
///
/// # Errors
/// libvirt's error.
pub(super) fn node_cpu_stats(connect: &Connect) -> Result<Vec<(String, u64)>, Error> {
    let ask = |params: *mut sys::virNodeCPUStats, count: &mut c_int| {
        let all = sys::VIR_NODE_CPU_STATS_ALL_CPUS;
        // SAFETY: `connect` holds a live connection; `params` is null with a count of 0, which
        // asks for the count, or has room for `count` entries.
        done(unsafe { sys::virNodeGetCPUStats(connect.as_ptr(), all, params, count, 0) })
    };
    let mut count = 0;
    ask(ptr::null_mut(), &mut count)?;
    let blank = sys::virNodeCPUStats { field: [0; 80], value: 0 };
    let mut stats = vec![blank; usize::try_from(count).unwrap_or(0)];
    ask(stats.as_mut_ptr(), &mut count)?;
    Ok(stats.iter().filter_map(|stat| Some((field(&stat.field)?.to_owned(), stat.value))).collect())
}

/// Memory of the host in KiB by libvirt's names.
///
/// # Errors
/// libvirt's error.
pub(super) fn node_memory_stats(connect: &Connect) -> Result<Vec<(String, u64)>, Error> {
    let ask = |params: *mut sys::virNodeMemoryStats, count: &mut c_int| {
        let all = sys::VIR_NODE_MEMORY_STATS_ALL_CELLS;
        // SAFETY: `connect` holds a live connection; `params` is null with a count of 0, which
        // asks for the count, or has room for `count` entries.
        done(unsafe { sys::virNodeGetMemoryStats(connect.as_ptr(), all, params, count, 0) })
    };
    let mut count = 0;
    ask(ptr::null_mut(), &mut count)?;
    let blank = sys::virNodeMemoryStats { field: [0; 80], value: 0 };
    let mut stats = vec![blank; usize::try_from(count).unwrap_or(0)];
    ask(stats.as_mut_ptr(), &mut count)?;
    Ok(stats.iter().filter_map(|stat| Some((field(&stat.field)?.to_owned(), stat.value))).collect())
}
