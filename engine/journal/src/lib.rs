//! The journal: commands, numbered without gaps, on disk before anybody is told.
//!
//! A journal is a folder of segments. A segment is a header and then blocks; a block is what one `fdatasync` made
//! durable: some records, their sequence, a checksum over all of it and the checksum of the block before. So:
//!
//! * a block that is not whole was never acknowledged, and everything of it is cut, provided that nothing valid
//!   follows;
//! * if something valid does follow, what lies before it had been durable and has changed since. Then the journal is
//!   refused, because nobody knows what else is wrong with that disk.
//!
//! Segments are filled with zeros before they are used: a write that only replaces bytes needs no metadata flush,
//! which makes it three times as fast.

mod attic;
mod block;
mod filler;
mod follower;
mod lock;
mod read;
mod reading;
mod seam;
mod segment;
mod write;

pub use attic::{Retired, first_kept, retire};
pub use block::{Block, Record};
pub use follower::Follower;
pub use lock::{beat, fence, is_led, last_beat};
pub use read::{Scan, scan, scan_closed};
pub use seam::{Seam, Step};
pub use write::{Journal, Options};

use std::fmt;
use std::io;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Error {
    Io {
        doing: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    /// There is no journal, and nobody said that there should be a new one.
    Empty(PathBuf),
    /// There was a journal here, and its segments are gone.
    Lost(PathBuf),
    /// Another process writes this journal.
    Locked(PathBuf),
    /// A step failed before, and only a new start finds out what the disk holds.
    Failed(PathBuf),
    /// What was durable once is not what is there now.
    Corrupt {
        path: PathBuf,
        offset: u64,
        what: String,
    },
    /// The reader of the records refused one.
    Refused {
        seq: u64,
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { doing, path, cause } => write!(f, "cannot {doing} {}: {cause}", path.display()),
            Error::Empty(path) => {
                write!(f, "{} holds no journal; start with --init if it is to be a new one", path.display())
            }
            Error::Lost(path) => write!(
                f,
                "{} held a journal once and its segments are gone; restore them, an empty start would lose every balance",
                path.display()
            ),
            Error::Locked(path) => write!(f, "another process writes the journal in {}", path.display()),
            Error::Failed(path) => {
                write!(
                    f,
                    "the journal in {} failed before; nothing is taken until a new start",
                    path.display()
                )
            }
            Error::Corrupt { path, offset, what } => {
                write!(f, "{} is corrupt at byte {offset}: {what}", path.display())
            }
            Error::Refused { seq, why } => write!(f, "record {seq} cannot be replayed: {why}"),
        }
    }
}

impl std::error::Error for Error {}

pub(crate) fn io_error(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |cause| Error::Io { doing, path, cause }
}
