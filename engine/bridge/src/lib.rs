//! The order stream of a Python process, outside its interpreter, behind a C interface.
//!
//! `engine_bridge/adapters/line.py` calls it through ctypes, which lets the interpreter go meanwhile. A handle is made
//! by `line_new`, given back by `line_free`, and may be used by any thread in between; `line_open`, `line_hear` and
//! `line_close` by one. Texts and messages that are handed out belong to the handle until its next `line_open` or
//! `line_hear`. ADR 0046 says why it is here.

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
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_wire::Bytes;

use http::{End, Scheme};
use line::{Heard, Line};
use outward::Outward;
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
        let mut told = self.told.lock().expect("nobody panics while holding it");
        *told = bytes;
        Span { begin: told.as_ptr(), size: told.len() }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn line_new() -> *mut Handle {
    Box::into_raw(Box::default())
}

/// # Safety
/// A handle of `line_new` that nobody uses or will use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_free(handle: *mut Handle) {
    // SAFETY: it was a box, and its last user gives it back.
    drop(unsafe { Box::from_raw(handle) });
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
    let (scheme, tls) = if host.is_empty() {
        (Scheme::Http, None)
    } else {
        match tls::connection(&Papers { host: &host, authority: roots, certificate, key }) {
            Ok(tls) => (Scheme::Https, Some(tls)),
            Err(wrong) => return handle.tell(wrong.into()),
        }
    };
    handle.line.open(socket, Outward::new(&method, &authority, scheme), tls);
    handle.tell(Bytes::new())
}

/// Let the connection go.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_close(handle: *const Handle) {
    // SAFETY: as promised above.
    unsafe { &*handle }.line.close();
}

/// Send a message of the caller's own.
///
/// # Safety
/// A live handle and a span that can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_say(handle: *const Handle, message: Span) {
    // SAFETY: as promised above.
    let (handle, message) = unsafe { (&*handle, message.read()) };
    handle.line.say(message);
}

/// Wait for something to tell: NOTHING, MESSAGE, AWAY or TRAILERS, and its bytes in `told`.
///
/// # Safety
/// A live handle, and a span that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_hear(handle: *const Handle, told: *mut Span) -> i32 {
    // SAFETY: as promised above.
    let (handle, told) = unsafe { (&*handle, &mut *told) };
    let (kind, bytes) = match handle.line.hear() {
        Heard::Nothing => return NOTHING,
        Heard::Message(message) => (MESSAGE, message),
        Heard::Ended(End::Away(why)) => (AWAY, why.into()),
        Heard::Ended(End::Trailers(block)) => (TRAILERS, block.into()),
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
    unsafe { &*handle }.line.resume(epoch, last_applied);
}

/// Send commands, whose bytes lie one behind the other and whose sizes are a byte each, and wait for their answers:
/// ANSWERED, LATE, BUSY or MALFORMED. The answers are written in the first two cases.
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
    let Some(ticket) = Ticket::new(commands, sizes) else { return MALFORMED };
    let ticket = Arc::new(ticket);
    let Ok(whole) = handle.line.submit(&ticket, Duration::from_micros(limit_us)) else { return BUSY };
    let told = ticket.answers();
    // SAFETY: as promised above; the two do not overlap, since this memory is ours.
    unsafe { answers.copy_from_nonoverlapping(told.each.as_ptr(), told.each.len()) };
    if whole { ANSWERED } else { LATE }
}

/// The number of the command that leaves next.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_next_seq(handle: *const Handle) -> u64 {
    // SAFETY: as promised above.
    unsafe { &*handle }.line.next_seq()
}

/// The newest leader's.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_epoch(handle: *const Handle) -> u64 {
    // SAFETY: as promised above.
    unsafe { &*handle }.line.epoch()
}

/// How many commands are here, waiting or unanswered.
///
/// # Safety
/// A live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn line_depth(handle: *const Handle) -> u64 {
    // SAFETY: as promised above.
    unsafe { &*handle }.line.depth() as u64
}
