//! How a standby keeps up with the archive that the leader writes, so that a take-over reads none of it.
//!
//! A standby computes the same events. It compares them with the files while those grow, and knows at every moment how
//! far they hold what they should. What the leader had not written yet when it ended is here, and is written then.
//!
//! Where the leader told something else than this program computes, one of them has other rules: see
//! [`Trail::differs`].

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::found::{Found, PIECE};
use crate::reopening::Reading;
use crate::shelf::Shelf;
use crate::told::last_cause;
use crate::{Options, Point, Retelling};

/// Events that no file holds yet. A leader that writes is never so far behind.
const AHEAD_MAX: usize = 64 << 20;
/// Before the files are looked for again; longer after each time that they were not as they should be.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);

pub struct Trail {
    shelf: Shelf,
    file_bytes: u64,
    found: Option<Found>,
    /// Where `ahead` begins, for finding the files; only of use while they are not found.
    begin: Point,
    newest: Point,
    /// Computed events, of which the first `seen` bytes were found.
    ahead: Vec<u8>,
    seen: usize,
    /// The command of the last event that was found and is kept no longer.
    cause: Option<u64>,
    retry: Duration,
    again: Instant,
    differs: Option<String>,
}

impl Trail {
    /// Of the archive in `folder`, from the events behind `at` on.
    pub fn new(folder: &Path, at: Point, options: &Options) -> Trail {
        Trail {
            shelf: Shelf::new(folder, options.seam.clone()),
            file_bytes: options.file_bytes,
            found: None,
            begin: at,
            newest: at,
            ahead: Vec::new(),
            seen: 0,
            cause: None,
            retry: RETRY_FIRST,
            again: Instant::now(),
            differs: None,
        }
    }

    /// Which events the leader told otherwise, if there ever were any. Whoever computes others must not lead: consumers
    /// have stored what they were told.
    pub fn differs(&self) -> Option<&str> {
        self.differs.as_deref()
    }

    /// Takes in the events of one command, which leads to `at`.
    pub fn expect(&mut self, bytes: &[u8], at: Point) {
        self.newest = at;
        self.ahead.extend_from_slice(bytes);
        if self.ahead.len() - self.seen >= PIECE {
            self.look();
        }
        if self.ahead.len() - self.seen > AHEAD_MAX {
            self.begin_later();
        }
    }

    /// Forgets what was found: another leader has written since, and began where its own snapshot stood.
    pub fn begin_again(&mut self) {
        self.found = None;
        self.begin = self.newest;
        self.ahead.clear();
        (self.seen, self.cause) = (0, None);
        self.again = Instant::now() + self.retry;
    }

    fn begin_later(&mut self) {
        self.begin_again();
        self.retry = (self.retry * 2).min(RETRY_MAX);
    }

    /// Compares what the files hold by now.
    pub fn look(&mut self) {
        if let Err(cause) = self.try_look() {
            match cause.kind() {
                io::ErrorKind::InvalidData => self.differs = Some(cause.to_string()),
                _ => eprintln!("engine: the leader's events are looked for again: {cause}"),
            }
            self.begin_later();
        }
    }

    fn try_look(&mut self) -> io::Result<()> {
        if self.found.is_none() {
            if Instant::now() < self.again {
                return Ok(());
            }
            let reading = Reading::begin(&self.shelf, &self.begin)?;
            let Some(reading) = reading.filter(Reading::reaches_its_end) else {
                self.begin_later();
                return Ok(());
            };
            if !reading.tells_the_same() {
                let what = format!("other events lie somewhere before event {}", self.begin.event_seq + 1);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            self.found = Some(Found { files: reading.unsealed, open: reading.open });
            self.retry = RETRY_FIRST;
        }
        let Some(found) = &mut self.found else { return Ok(()) };
        loop {
            let used = found.compare(&self.shelf, &self.ahead[self.seen..])?;
            self.seen += used;
            if self.seen == self.ahead.len() || self.seen >= PIECE {
                self.cause = last_cause(&self.ahead[..self.seen]).or(self.cause);
                self.ahead.drain(..self.seen);
                self.seen = 0;
            }
            if used == 0 {
                return Ok(());
            }
        }
    }

    /// The files at the newest event that was expected, for the process that leads from now on: what was not found is
    /// written, and what lies behind it is compared with what comes. `None` if the files are not those that were compared.
    pub fn finish(mut self) -> io::Result<Option<Retelling>> {
        // Nobody writes any more.
        self.again = Instant::now();
        self.look();
        let Some(mut found) = self.found.take() else { return Ok(None) };
        if !found.is_still_there(&self.shelf)? {
            return Ok(None);
        }
        found.let_sealed_go(&self.shelf)?;
        // The leader may have died between two events of a command: the rest belongs to the same file.
        let cause = last_cause(&self.ahead[..self.seen]).or(self.cause);
        let mut retelling = Retelling::behind(self.shelf, self.file_bytes, found)?.within(cause);
        retelling.take(&self.ahead[self.seen..])?;
        Ok(Some(retelling))
    }
}
