//! Reads a journal and its events and says what they hold: offline, or beside the engine that writes them.

use std::fmt::Write;
use std::path::Path;

use countersign_archive::{Comparing, Found, Seam};
use countersign_journal::{Error, Record, Scan, first_kept, scan, scan_closed};
use countersign_venue::{Output, Venue};

use crate::engine::BLOCK_BYTES;

/// A sign of progress after so many records.
const TOLD_EVERY: u64 = 1 << 16;
const NICE: i32 = 19;

/// Replays the journal in `folder`, holds its events against those that were told, and prints what it gives. `closed`:
/// only what is never written again, for [`crate::verifying::Verifying`] to read.
///
/// Where the oldest segments were dropped on purpose, it reads from the first one that is kept, and replays from the
/// oldest snapshot: what lies between is held against its checksums only.
pub fn run(folder: &Path, closed: bool) -> Result<(), String> {
    if closed {
        // Refused or not, the journal is read.
        rustix::process::setpriority_process(None, NICE).ok();
    }
    crate::logic::check(folder)?;
    let first = first_kept(folder).map_err(|error| error.to_string())?;
    let mut replay = Replay::begin(folder, first, closed)?;
    let visit = |record: Record<'_>| replay.take(record);
    let scan = match closed {
        true => scan_closed(folder, first - 1, visit),
        false => scan(folder, first - 1, visit),
    };
    let scan = scan.map_err(|error| error.to_string())?;
    if scan.segments == 0 && !closed {
        return Err(Error::Empty(folder.to_path_buf()).to_string());
    }
    let told = replay.finish(first, scan)?;
    if closed {
        told.print_figures()
    } else {
        told.print_sentences()
    }
    Ok(())
}

/// A replay that is under way.
struct Replay {
    venue: Venue,
    /// Where it begins: behind this command.
    after: u64,
    output: Output,
    comparing: Comparing,
    /// A line now and then.
    tells: bool,
}

impl Replay {
    fn begin(folder: &Path, first: u64, tells: bool) -> Result<Replay, String> {
        let venue = match first {
            1 => Venue::new(),
            _ => {
                let oldest = crate::snapshots::oldest(folder).map_err(|cause| cause.to_string())?;
                let none =
                    || format!("the journal begins at {first}, and no snapshot stands for what was before");
                oldest.ok_or_else(none)?.venue
            }
        };
        let after = venue.engine_seq();
        if after + 1 < first {
            return Err(format!(
                "the journal begins at {first}, and the oldest snapshot stands at {after} only"
            ));
        }
        let events = folder.join("events");
        let comparing = Comparing::begin(&events, false, 0, Seam::default());
        let comparing = comparing.map_err(|cause| format!("{}: {cause}", events.display()))?;
        // What was told before the replay begins can be held against its checksums only.
        comparing.check_sums(venue.event_seq() + 1)?;
        Ok(Replay { venue, after, output: Output::default(), comparing, tells })
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), String> {
        if record.seq > self.after {
            self.venue
                .replay(record.time_ns, record.bytes, &mut self.output)
                .map_err(|cause| cause.to_string())?;
            if self.output.bytes.len() > BLOCK_BYTES {
                self.compare()?;
            }
        }
        if self.tells && record.seq.is_multiple_of(TOLD_EVERY) {
            // Fails once nobody listens any more: then this process ends too.
            println!("last {}", record.seq);
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), String> {
        self.comparing.take(&self.output.bytes)?;
        self.output.clear();
        Ok(())
    }

    fn finish(mut self, first: u64, scan: Scan) -> Result<Told, String> {
        self.compare()?;
        let events = self.comparing.finish()?;
        self.venue.audit()?;
        Ok(Told { first, scan, after: self.after, venue: self.venue, events })
    }
}

/// What a verification found.
struct Told {
    first: u64,
    scan: Scan,
    after: u64,
    venue: Venue,
    events: Found,
}

impl Told {
    fn print_sentences(&self) {
        let Told { first, scan, after, venue, events } = self;
        println!("journal    {} records in {} segments, {} bytes", scan.records, scan.segments, scan.bytes);
        if *first > 1 {
            println!("kept from  record {first}: the older ones were dropped on purpose (--attic-keep)");
            println!("replayed   from the snapshot at {after}; up to there only checksums were compared");
        }
        if scan.torn_bytes > 0 {
            println!("torn tail  {} bytes that were never acknowledged", scan.torn_bytes);
        }
        println!(
            "sequence   engine {}, event {}, epoch {}",
            venue.engine_seq(),
            venue.event_seq(),
            venue.epoch()
        );
        println!("state      {} open orders, {} accounts", venue.open_orders_count(), venue.accounts_count());
        if events.first_seq > 0 {
            println!("archive    events {} to {} are as they were told", events.first_seq, events.last_seq);
        }
        println!("events     {}", hex(&venue.chain()));
        println!("state hash {}", hex(&venue.state_hash()));
    }

    fn print_figures(&self) {
        let Told { first, scan, after, venue, events } = self;
        let last = scan.next_seq - 1;
        println!(
            "segments {}\nblocks {}\nrecords {}\nbytes {}",
            scan.segments, scan.blocks, scan.records, scan.bytes
        );
        println!("first {}\nlast {last}", if scan.records == 0 { 0 } else { *first });
        println!("replayed {after}\nevents {} {}", events.first_seq, events.last_seq);
        // Of a snapshot that stands behind all that was read nothing was replayed.
        if last >= *after {
            println!("chain {}\nstate {}", hex(&venue.chain()), hex(&venue.state_hash()));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}
