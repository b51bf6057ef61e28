//! Writes events again from the journal and its attic: files that are damaged, and files that were dropped.
//!
//! May run beside the engine: it touches nothing but what a snapshot stands for, and there it writes the same bytes
//! that were told, or none at all.

use std::fs::{File, TryLockError};
use std::path::Path;

use countersign_archive::{Comparing, Found, Seam};
use countersign_journal::{Follower, first_kept};
use countersign_venue::{Output, Venue};

use crate::engine::BLOCK_BYTES;

const NICE: i32 = 19;

pub fn run(folder: &Path, file_bytes: u64) -> Result<(), String> {
    crate::logic::check(folder)?;
    rustix::process::setpriority_process(None, NICE).ok();
    let path = folder.join("recomputing");
    let failed = |cause: std::io::Error| format!("{}: {cause}", path.display());
    let lock = File::create(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err("another process does this already".into()),
        Err(TryLockError::Error(cause)) => return Err(failed(cause)),
    }
    let first = first_kept(folder).map_err(|error| error.to_string())?;
    if first > 1 {
        return Err(format!(
            "the journal begins at {first}; events of older commands cannot be computed again. Nothing was changed: \
             bring the older segments back into {} first",
            folder.join("attic").display()
        ));
    }
    let newest = crate::snapshots::newest(folder).map_err(|cause| cause.to_string())?;
    let newest = newest.ok_or("no snapshot stands for any event yet: a start computes them all again")?.venue;
    // Another logic could compute other events: first see that this one leads where the snapshot is.
    let replayed = replay(folder, newest.engine_seq(), |_| Ok(()))?;
    if replayed.chain() != newest.chain() {
        return Err(format!(
            "the journal gives other events than were told up to {}; nothing was changed",
            newest.engine_seq()
        ));
    }
    let events = folder.join("events");
    let comparing = Comparing::begin(&events, true, file_bytes, Seam::default());
    let mut comparing = comparing.map_err(|cause| format!("{}: {cause}", events.display()))?;
    replay(folder, newest.engine_seq(), |bytes| comparing.take(bytes))?;
    let Found { first_seq, last_seq, mended, added } = comparing.finish()?;
    println!("events     {first_seq} to {last_seq} are as they were told");
    println!("files      {mended} put right, {added} written that were not there");
    Ok(())
}

/// Replays the journal up to command `through` and gives its events away, whole commands at a time.
fn replay(
    folder: &Path,
    through: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<Venue, String> {
    const ENOUGH: &str = "enough";
    let mut venue = Venue::new();
    let mut output = Output::default();
    let mut follower = Follower::new(folder, 0);
    loop {
        let read = follower.poll(|record| {
            if venue.engine_seq() == through {
                return Err(ENOUGH.into());
            }
            venue.replay(record.time_ns, record.bytes, &mut output).map_err(|cause| cause.to_string())?;
            if output.bytes.len() > BLOCK_BYTES {
                take(&output.bytes)?;
                output.clear();
            }
            Ok(())
        });
        match read {
            _ if venue.engine_seq() == through => break,
            Err(error) => return Err(error.to_string()),
            Ok(0) => return Err(format!("the journal ends at {}, before its snapshot", venue.engine_seq())),
            Ok(_) => {}
        }
    }
    take(&output.bytes)?;
    Ok(venue)
}
