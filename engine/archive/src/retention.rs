//! Dropping what nobody needs any more, where somebody asked for that.

use std::io;
use std::sync::atomic::Ordering;

use crate::Archive;

impl Archive {
    /// The oldest event that is kept.
    pub fn oldest_seq(&self) -> io::Result<u64> {
        Ok(self.shelf.list()?.first().copied().unwrap_or(1))
    }

    /// Drops files whose events are all at or below `through`, but never one of the newest `keep` closed ones, nor one
    /// that a snapshot does not stand for yet. Oldest first, so that what stays has no hole. Gives how many were dropped.
    pub fn forget(&self, keep: usize, through: u64) -> io::Result<usize> {
        let live_from = self.live_from.load(Ordering::Acquire);
        let files = self.shelf.list()?;
        let closed = files.partition_point(|first_seq| *first_seq < live_from);
        let mut dropped = 0;
        for pair in files.windows(2).take(closed.saturating_sub(keep)) {
            if pair[1] > through + 1 {
                break;
            }
            self.shelf.remove(pair[0])?;
            dropped += 1;
        }
        if dropped > 0 {
            self.shelf.sync()?;
        }
        Ok(dropped)
    }
}
