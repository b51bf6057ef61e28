//! How a standby keeps up with the archive that the leader writes, so that a take-over reads none of it.
//!
//! A standby computes the same events. It compares them with the files while those grow, and knows at every moment how
//! far they hold what they should. What the leader had not written yet when it ended is here, and is written then.
//!
//! Where the leader told something else than this program computes, one of them has other rules: see
//! [`Trail::differs`].

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use countersign_venue::event::split_event;

use crate::archive::Live;
use crate::index::{Index, Span};
use crate::reopening::Reading;
use crate::sealing::Unsealed;
use crate::seam::Step;
use crate::shelf::Shelf;
use crate::{Archive, Options, Point};

/// Compared at once.
const PIECE: usize = 1 << 20;
/// Events that no file holds yet. A leader that writes is never so far behind.
const AHEAD_MAX: usize = 64 << 20;
/// Before the files are looked for again; longer after each time that they were not as they should be.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);
const SECOND_LOOK: Duration = Duration::from_millis(50);

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
    retry: Duration,
    again: Instant,
    differs: Option<String>,
}

/// Files that hold what they should, from the oldest without a whole index on; the last one grows.
struct Found {
    files: Vec<Unsealed>,
    /// The span that grows, at the end of what was compared.
    open: Span,
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
        self.seen = 0;
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
                self.ahead.drain(..self.seen);
                self.seen = 0;
            }
            if used == 0 {
                return Ok(());
            }
        }
    }

    /// The archive at the newest event that was expected, for the process that leads from now on: cut behind what was
    /// found, and with what was not. `None` if the files are not those that were compared.
    pub fn finish(mut self) -> io::Result<Option<Archive>> {
        // Nobody writes any more.
        self.again = Instant::now();
        self.look();
        let Some(mut found) = self.found.take() else { return Ok(None) };
        if !found.is_still_there(&self.shelf)? {
            return Ok(None);
        }
        found.let_sealed_go(&self.shelf)?;
        let Found { mut files, open } = found;
        let newest = files.last().expect("an archive has a file");
        for first_seq in self.shelf.list()?.into_iter().rev().filter(|first| *first > newest.index.first_seq)
        {
            self.shelf.remove(first_seq)?;
        }
        if newest.file.metadata()?.len() > open.end() {
            self.shelf.seam.pass(Step::Cut, &self.shelf.path_of(newest.index.first_seq))?;
            newest.file.set_len(open.end())?;
        }
        self.shelf.sync()?;
        let count = files.len();
        let mut live = Vec::with_capacity(count);
        for (at, unsealed) in files.iter_mut().enumerate() {
            let index = &mut unsealed.index;
            let grows = at + 1 == count;
            let end = if grows { open.end() } else { index.end() };
            // Snapshots were taken since, and a start from one of them looks for its point.
            if let Some(Ok(written)) = self.shelf.index(index.first_seq)? {
                index.points = written.points;
                index.points.retain(|known| known.offset <= end);
            }
            live.push(Live {
                first_seq: index.first_seq,
                file: Arc::clone(&unsealed.file),
                spans: index.spans.clone(),
                open: if grows { (open.first_seq, open.offset) } else { (index.next_seq(), end) },
                end,
            });
        }
        let archive = Archive::of(self.shelf, self.file_bytes, live, open, files);
        let rest = &self.ahead[self.seen..];
        archive.append(rest, count_of(rest))?;
        Ok(Some(archive))
    }
}

impl Found {
    /// Compares the next events with what lies behind those that are known; gives how many bytes of them are there.
    fn compare(&mut self, shelf: &Shelf, expected: &[u8]) -> io::Result<usize> {
        loop {
            let newest = self.files.last_mut().expect("an archive has a file");
            let first_seq = newest.index.first_seq;
            let end = self.open.end();
            let length = newest.file.metadata()?.len();
            if length < end {
                return Err(io::Error::other(format!("{} was cut", shelf.path_of(first_seq).display())));
            }
            let most = (length - end).min(expected.len().min(PIECE) as u64) as usize;
            let whole = whole_events(&expected[..most]);
            if whole > 0 {
                let expected = &expected[..whole];
                let mut bytes = shelf.read(first_seq, &newest.file, end, whole as u64)?;
                if bytes != expected {
                    // A write that is under way is over by then.
                    thread::sleep(SECOND_LOOK);
                    bytes = shelf.read(first_seq, &newest.file, end, whole as u64)?;
                }
                if bytes != expected {
                    let (path, seq) = (shelf.path_of(first_seq), self.open.next_seq());
                    let what = format!("{} holds other events behind event {}", path.display(), seq - 1);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
                newest.index.spans.extend(self.open.grow(&bytes));
                return Ok(whole);
            }
            let next_seq = self.open.next_seq();
            let ends_here = |file: &fs::File| Ok::<_, io::Error>(file.metadata()?.len() == end);
            // A file is complete once the next one is there.
            if expected.is_empty()
                || next_seq == first_seq
                || !shelf.path_of(next_seq).exists()
                || !ends_here(&newest.file)?
            {
                return Ok(0);
            }
            newest.index.spans.extend((self.open.count > 0).then_some(self.open));
            let file = Arc::new(shelf.open(next_seq)?);
            self.files.push(Unsealed::of(Index::new(next_seq), file));
            self.open = Span::empty(next_seq, 0);
            self.let_sealed_go(shelf)?;
        }
    }

    /// Keeps nothing of closed files whose index is on disk and says the same, or that were dropped.
    fn let_sealed_go(&mut self, shelf: &Shelf) -> io::Result<()> {
        while self.files.len() > 1 {
            let oldest = &self.files[0].index;
            match shelf.index(oldest.first_seq)? {
                Some(Ok(index)) if index.spans == oldest.spans => {}
                None if !shelf.path_of(oldest.first_seq).exists() => {}
                _ => break,
            }
            self.files.remove(0);
        }
        Ok(())
    }

    /// A leader that died on its way to lead may have cut files, or put others in their place.
    fn is_still_there(&self, shelf: &Shelf) -> io::Result<bool> {
        for (at, unsealed) in self.files.iter().enumerate() {
            let (path, known) = (shelf.path_of(unsealed.index.first_seq), unsealed.file.metadata()?);
            let now = match fs::metadata(&path) {
                Ok(now) => now,
                // Dropped on purpose, unless it is the one that grows.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound && at + 1 < self.files.len() => {
                    continue;
                }
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(cause) => return Err(cause),
            };
            let whole = match at + 1 == self.files.len() {
                true => now.len() >= self.open.end(),
                false => now.len() == unsealed.index.end(),
            };
            if (now.dev(), now.ino()) != (known.dev(), known.ino()) || !whole {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Bytes of the whole events at the beginning.
fn whole_events(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Ok(Some((_, after))) = split_event(rest) {
        rest = after;
    }
    bytes.len() - rest.len()
}

fn count_of(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let Ok(Some((_, after))) = split_event(bytes) {
        count += 1;
        bytes = after;
    }
    count
}
