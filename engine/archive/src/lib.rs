//! Durable events on disk, for consumers that come late.
//!
//! The journal holds commands only; events are computed from it, always the same. So the archive needs no flush of its
//! own: what a snapshot stands for is flushed with it, everything later is computed anew at the next start,
//! which compares it with what lies here.
//! Consumers read from it at their own pace and never from a queue, so that a slow one costs nobody anything.
//!
//! A folder holds files of events, each named by the sequence of its first one. Beside a file lies its index: where
//! events begin, a checksum over each span of them, and what the hash over all events was where snapshots were taken.
//! A start trusts an index as far as the newest such point, so it reads no events from before; whoever reads a span
//! compares it with its checksum first.

mod archive;
mod checksums;
mod comparing;
mod cursor;
mod found;
mod index;
mod reopening;
mod retelling;
mod retention;
mod sealing;
mod seam;
mod shelf;
#[cfg(test)]
mod tests;
mod told;
mod trail;

pub use archive::{Archive, Options};
pub use comparing::{Comparing, Found};
pub use cursor::{Cursor, ReadError};
pub use retelling::Retelling;
pub use seam::{Seam, Step};
pub use trail::Trail;

/// Where the hash over all events is known: behind one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub engine_seq: u64,
    /// The newest event by then.
    pub event_seq: u64,
    pub chain: [u8; 32],
}
