//! Faults on purpose, so that a test can have one at each place. Only a build with debug assertions has them.

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(debug_assertions)]
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where one may happen; `tests/contract/test_bridge_faults.py` has the same numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Place {
    /// A call's commands are about to be queued.
    Taking = 1,
    /// Commands have their numbers, and were not written.
    Numbered = 2,
    /// They were written, and their caller is about to wait.
    Sent = 3,
    /// Bytes were read, and nothing was made of them.
    Read = 4,
    /// One answer of several was kept.
    Kept = 5,
    /// A leader has greeted us.
    Greeted = 6,
    /// All of a frame is answered, and nobody was woken.
    Settled = 7,
}

/// The next who comes by this place panics.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
pub extern "C" fn line_fault(place: u32) {
    NEXT.store(place, Ordering::SeqCst);
}

pub fn pass(_place: Place) {
    #[cfg(debug_assertions)]
    if NEXT.compare_exchange(_place as u32, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        panic!("on purpose: {_place:?}");
    }
}
