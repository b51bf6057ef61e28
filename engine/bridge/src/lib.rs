//! The order stream of a Python process, outside its interpreter, behind a C interface.
//!
//! `engine_bridge/adapters/line.py` calls it through ctypes, which lets the interpreter go meanwhile. A handle is made
//! by `line_new`, given back by `line_free`, and may be used by any thread in between; `line_open`, `line_hear` and
//! `line_close` by one. Texts and messages that are handed out belong to the handle until its next `line_open` or
//! `line_hear`. ADR 0046 says why it is here.
//!
//! Nothing panics across this interface: a fault ends the connection, and whoever waits learns that its outcome is
//! unknown.

pub mod faults;
pub mod guard;
pub mod http;
pub mod inward;
pub mod line;
pub mod link;
pub mod outward;
pub mod session;
pub mod ticket;
pub mod tls;

use std::os::fd::{BorrowedFd, RawFd};
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_wire::Bytes;

use guard::guarded;
use http::{End, Scheme};
use line::{Heard, Line};
use outward::Outward;
use session::Busy;
use ticket::{Answer, Ticket};
use tls::Papers;

/// What `line_hear` heard.
pub const NOTHING: i32 = 0;
pub const MESSAGE: i32 = 1;
pub const AWAY: i32 = 2;
pub const TRAILERS: i32 = 3;

/// What `line_submit` came to.
pub const ANSWERED: i32 = 0;
pub const LATE: i32 = 1;
pub const BUSY: i32 = 2;
pub const MALFORMED: i32 = 3;
/// Something broke in here; of commands without an answer nothing is known.
pub const BROKEN: i32 = 4;

#[derive(Default)]
pub struct Handle {
    line: Line,
    told: Mutex<Bytes>,
}

/// Bytes of the caller's, or of the handle's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub begin: *const u8,
    pub size: usize,
}

impl Span {
    /// # Safety
    /// It is empty, or so many bytes can be read there for as long as the result is used.
    unsafe fn read<'a>(self) -> &'a [u8] {
        // SAFETY: as promised above.
        if self.size == 0 { &[] } else { unsafe { slice::from_raw_parts(self.begin, self.size) } }
    }
}

impl Handle {
    fn tell(&self, bytes: Bytes) -> Span {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = bytes;
        Span { begin: told.as_ptr(), size: told.len() }
    }
}

/// Whether this is a release build: one without debug assertions, and without faults on purpose.
#[unsafe(no_mangle)]
pub extern "C" fn line_is_release() -> bool {
    !cfg!(debug_assertions)
}

/// Nothing where none can be made.
#[unsafe(no_mangle)]
pub extern "C" fn line_new() -> *mut Handle {
    guarded(|| Box::into_raw(Box::default())).unwrap_or(std::ptr::null_mut())
}

/// # Safety
/// A handle of `line_new` that nobody uses or will use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_free(handle: *mut Handle) {
    // SAFETY: it was a box, and its last user gives it back.
    let handle = unsafe { Box::from_raw(handle) };
    let _nobody_is_left_to_tell = guarded(|| drop(handle));
}

/// Ask for a method over a connected socket. The papers are the authority's, the own certificate and its key; without a
/// host there is no TLS. Gives what is wrong with them, or nothing.
///
/// # Safety
/// A live handle; spans that can be read, texts in UTF-8; a socket that stays open until after `line_close`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_open(
    handle: *const Handle,
    socket: RawFd,
    method: Span,
    authority: Span,
    host: Span,
    papers: *const [Span; 3],
) -> Span {
    // SAFETY: as promised above.
    let (handle, socket, [method, authority, host], [roots, certificate, key]) = unsafe {
        let papers = (*papers).map(|span| span.read());
        let texts = [method, authority, host].map(|span| String::from_utf8_lossy(span.read()));
        (&*handle, BorrowedFd::borrow_raw(socket), texts, papers)
    };
    let opened = guarded(|| {
        let (scheme, tls) = if host.is_empty() {
            (Scheme::Http, None)
        } else {
            let papers = Papers { host: &host, authority: roots, certificate, key };
            (Scheme::Https, Some(tls::connection(&papers)?))
        };
        handle.line.open(socket, Outward::new(&method, &authority, scheme), tls);
        Ok(())
    });
    handle.tell(opened.and_then(|opened| opened).map_or_else(Bytes::from, |()| Bytes::new()))
}

/// Let the connection go.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_close(handle: *const Handle) {
    // SAFETY: as promised above.
    let handle = unsafe { &*handle };
    let _whoever_comes_next_begins_anew = guarded(|| handle.line.close());
}

/// Send a message of the caller's own.
///
/// # Safety
/// A live handle and a span that can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_say(handle: *const Handle, message: Span) {
    // SAFETY: as promised above.
    let (handle, message) = unsafe { (&*handle, message.read()) };
    let _whoever_hears_is_told = guarded(|| handle.line.say(message));
}

/// Wait for something to tell: NOTHING, MESSAGE, AWAY or TRAILERS, and its bytes in `told`.
///
/// # Safety
/// A live handle, and a span that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_hear(handle: *const Handle, told: *mut Span) -> i32 {
    // SAFETY: as promised above.
    let (handle, told) = unsafe { (&*handle, &mut *told) };
    let (kind, bytes) = match guarded(|| handle.line.hear()) {
        Ok(Heard::Nothing) => return NOTHING,
        Ok(Heard::Message(message)) => (MESSAGE, message),
        Ok(Heard::Ended(End::Away(why))) | Err(why) => (AWAY, why.into()),
        Ok(Heard::Ended(End::Trailers(block))) => (TRAILERS, block.into()),
    };
    *told = handle.tell(bytes);
    kind
}

/// Go on, after a greeting, with what is unanswered.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_resume(handle: *const Handle, epoch: u64, last_applied: u64) {
    // SAFETY: as promised above.
    let handle = unsafe { &*handle };
    let _whoever_hears_is_told = guarded(|| handle.line.resume(epoch, last_applied));
}

/// Send commands, whose bytes lie one behind the other and whose sizes are a byte each, and wait for their answers:
/// ANSWERED, LATE, BUSY, MALFORMED or BROKEN. What is known is written in the first two cases, and in the last.
///
/// # Safety
/// A live handle, bytes that can be read, and room for as many answers as there are commands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_submit(
    handle: *const Handle,
    commands: *const u8,
    size: usize,
    sizes: *const u8,
    count: usize,
    limit_us: u64,
    answers: *mut Answer,
) -> i32 {
    // SAFETY: as promised above.
    let (handle, commands, sizes) = unsafe {
        (&*handle, Span { begin: commands, size }.read(), Span { begin: sizes, size: count }.read())
    };
    let Ok(ticket) = guarded(|| Ticket::new(commands, sizes)) else { return BROKEN };
    let Some(ticket) = ticket.map(Arc::new) else { return MALFORMED };
    let came_to = match guarded(|| handle.line.submit(&ticket, Duration::from_micros(limit_us))) {
        Ok(Ok(true)) => ANSWERED,
        Ok(Ok(false)) => LATE,
        Ok(Err(Busy(_))) => return BUSY,
        Err(_) => BROKEN,
    };
    let told = ticket.answers();
    // SAFETY: as promised above; the two do not overlap, since this memory is ours.
    unsafe { answers.copy_from_nonoverlapping(told.each.as_ptr(), told.each.len()) };
    came_to
}

/// The number of the command that leaves next.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_next_seq(handle: *const Handle) -> u64 {
    // SAFETY: as promised above.
    let handle = unsafe { &*handle };
    guarded(|| handle.line.next_seq()).unwrap_or(u64::MAX)
}

/// The newest leader's.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_epoch(handle: *const Handle) -> u64 {
    // SAFETY: as promised above.
    let handle = unsafe { &*handle };
    guarded(|| handle.line.epoch()).unwrap_or(u64::MAX)
}

/// How many commands are here, waiting or unanswered.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_depth(handle: *const Handle) -> u64 {
    // SAFETY: as promised above.
    let handle = unsafe { &*handle };
    guarded(|| handle.line.depth() as u64).unwrap_or(u64::MAX)
}
