//! A second venue that follows the journal beside the engine, and so a running proof that a replay gives the same.

use std::path::Path;
use std::thread;
use std::time::Duration;

use countersign_journal::{Follower, first_kept};
use countersign_venue::{Output, Venue};

use crate::engine::Shared;
use crate::outcomes::Named;
use crate::snapshots::{self, Found, Taken};

/// Commands that it replays without a pause: the kernel lets a thread of any priority finish its slice while others
/// wait for the core, so only short work gives way to them. A shadow that lags far does more at once.
const PIECE: u64 = 128;
const PIECES_MAX: u64 = 64;
const BREATH: Duration = Duration::from_millis(1);
/// Commands after which it looks up from its work.
const STRIDE: u64 = 1 << 16;

pub struct Shadow {
    pub venue: Venue,
    /// The files that its newest snapshot names.
    outcomes: Vec<Named>,
    follower: Follower,
    /// Where it is compared next, and with what.
    next: (u64, [u8; 32]),
}

impl Shadow {
    /// From the newest snapshot that is whole, or an empty venue where the journal is there from its beginning.
    pub fn begin(folder: &Path) -> Result<Shadow, String> {
        let found = match snapshots::newest(folder).map_err(|cause| cause.to_string())? {
            Some(found) => found,
            None => match first_kept(folder).map_err(|error| error.to_string())? {
                1 => Found::empty(),
                first => return Err(format!("no snapshot can be read, and the journal begins at {first}")),
            },
        };
        let Found { venue, outcomes, .. } = found;
        let follower = Follower::new(folder, venue.engine_seq());
        Ok(Shadow { venue, outcomes, follower, next: (0, [0; 32]) })
    }

    /// Takes a snapshot of where it stands.
    pub fn write(&mut self, folder: &Path) -> std::io::Result<Taken> {
        snapshots::write(folder, &self.venue, &mut self.outcomes)
    }

    /// Replays a part of what is durable. Whether it stands where it was compared with the engine: never further, so
    /// that no snapshot stands for what was not.
    pub fn follow(&mut self, shared: &Shared) -> Result<bool, String> {
        let Shadow { venue, follower, next, .. } = self;
        if venue.engine_seq() >= next.0 {
            *next = shared.durable.get();
        }
        let (engine_seq, chain) = *next;
        let lag = engine_seq.saturating_sub(venue.engine_seq());
        let piece = (lag / PIECES_MAX).max(PIECE);
        if lag > 0 {
            let mut output = Output::default();
            let read = follower.poll_to(venue.engine_seq() + lag.min(STRIDE), |record| {
                output.clear();
                venue.replay(record.time_ns, record.bytes, &mut output).map_err(|cause| cause.to_string())?;
                if venue.engine_seq().is_multiple_of(piece) {
                    thread::sleep(BREATH);
                }
                Ok(())
            });
            if read.map_err(|error| error.to_string())? == 0 {
                return Err("the journal ends before what the engine has acknowledged".into());
            }
        }
        if venue.engine_seq() != engine_seq {
            return Ok(false);
        }
        if venue.chain() != chain {
            eprintln!("countersign-engine: the journal's replay differs from the engine at {engine_seq}");
            std::process::abort();
        }
        Ok(true)
    }
}
