//! What is given arbitrary bytes. Each target takes some and panics if a promise is broken.
//!
//! `cargo fuzz` drives them where a nightly toolchain is (`engine/fuzz`), and `tests/mangled.rs` on every one: from the
//! same corpus, with a seed.

mod book;
mod journal;
mod venue;

pub use book::book;
pub use journal::{damaged_journal, journal_records};
pub use venue::{command, event, orders, snapshot, venue};

/// A target's name, as `cargo fuzz run` and the corpus folders know it, and the target.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 8] = [
    ("command", command),
    ("event", event),
    ("snapshot", snapshot),
    ("venue", venue),
    ("orders", orders),
    ("book", book),
    ("journal_records", journal_records),
    ("damaged_journal", damaged_journal),
];

/// Small numbers out of bytes; zeros when they have run out.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    /// From 0 up to and without `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::from(self.byte()) % bound
    }
}
