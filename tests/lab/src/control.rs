//! The line to a guest's load: a unix socket of the QEMU that runs it, wherever that is at the moment.
//!
//! The socket lies in the `/run` of the guest's host and is reached through `/proc/<host>/root`. During
//! a live migration both hosts have one; the guest listens on the one where it runs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::guest_xml::control_socket;
use crate::host::Host;
use crate::lab::Lab;

/// How long a guest may take to answer; generous, as a switch-over or a busy machine delays it.
const ANSWER_LIMIT_SECONDS: u64 = 10;

/// How long one host is listened to before the guest is looked for again.
const LISTEN_MILLISECONDS: u64 = 2_500;

/// Sends one command and answers what the guest says, without the sequence number.
pub(crate) fn ask(lab: &Lab, guest: &str, command: &str) -> Result<String, LabError> {
    lab.require_up()?;
    let end = Instant::now() + Duration::from_secs(ANSWER_LIMIT_SECONDS);
    let mut seen = false;
    loop {
        for host in candidates(lab, guest)? {
            seen = true;
            if let Some(answer) = ask_at(&host, guest, command) {
                return Ok(answer);
            }
        }
        if Instant::now() > end {
            break;
        }
        if !seen {
            return Err(LabError::NoGuest { name: guest.to_owned() });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(LabError::Timeout {
        what: format!("guest {guest} answers `{command}`"),
        limit_seconds: ANSWER_LIMIT_SECONDS,
        look: lab.config().serial_log(guest).display().to_string(),
    })
}

/// Hosts that have the guest's socket; when several do, those where it runs come first.
fn candidates<'a>(lab: &'a Lab, guest: &str) -> Result<Vec<Host<'a>>, LabError> {
    let path = control_socket(guest);
    let has_socket =
        |host: &Host<'_>| host.path_inside(&path).is_some_and(|socket| socket.exists());
    let mut hosts: Vec<_> = lab.hosts()?.into_iter().filter(has_socket).collect();
    if hosts.len() > 1 {
        // The incoming half of a migration is paused, and would never answer.
        hosts.sort_by_key(|host| {
            let state = host.virsh(["domstate", guest]).unwrap_or_default();
            state.trim() != "running"
        });
        hosts.truncate(1);
    }
    Ok(hosts)
}

/// Asks at one host; `None` when the guest does not answer there in time.
fn ask_at(host: &Host<'_>, guest: &str, command: &str) -> Option<String> {
    // Lets an answer that an earlier client did not wait for be told from this one's.
    static SEQUENCE: AtomicU32 = AtomicU32::new(1);
    let sequence =
        (std::process::id() % 10_000) * 10_000 + SEQUENCE.fetch_add(1, Ordering::Relaxed);
    let mut socket = UnixStream::connect(host.path_inside(&control_socket(guest))?).ok()?;
    let limit = Duration::from_millis(LISTEN_MILLISECONDS);
    socket.set_read_timeout(Some(limit)).ok()?;
    socket.set_write_timeout(Some(limit)).ok()?;
    // "!" takes back what another client may have left unfinished.
    socket.write_all(format!("!\nseq={sequence} {command}\n").as_bytes()).ok()?;
    let mine = format!("seq={sequence} ");
    let end = Instant::now() + limit;
    let mut lines = BufReader::new(socket).lines();
    while Instant::now() < end {
        let line = lines.next()?.ok()?;
        if let Some(answer) = line.trim_end().strip_prefix(&mine) {
            return Some(answer.to_owned());
        }
    }
    None
}
