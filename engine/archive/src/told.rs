//! Files of events that a former leader wrote, while somebody who computes the same ones goes through them.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use countersign_venue::Event;
use countersign_venue::event::split_event;

use crate::found::{Found, PIECE, whole_events};
use crate::index::{Index, Span};
use crate::sealing::Unsealed;
use crate::seam::Step;
use crate::shelf::Shelf;

/// A disk writes so many bytes or none of them.
const SECTOR: usize = 512;
/// No event is longer.
const EVENT_BYTES_MAX: u64 = 64 << 10;

pub(crate) struct Told {
    pub found: Found,
    /// First sequences of the files behind the one that is compared, in order.
    later: Vec<u64>,
    /// The byte at which the newest file was filled last; 0 = it was not.
    filled_to: u64,
}

impl Told {
    pub fn behind(shelf: &Shelf, found: Found) -> io::Result<Told> {
        let newest = found.files.last().expect("an archive has a file").index.first_seq;
        let later = shelf.list()?.into_iter().filter(|first_seq| *first_seq > newest).collect();
        Ok(Told { found, later, filled_to: 0 })
    }

    /// Compares the next events with the files; gives how many bytes of them are there. Fewer than all only where the
    /// files have come to their end.
    pub fn compare(&mut self, shelf: &Shelf, expected: &[u8]) -> io::Result<usize> {
        let mut used = 0;
        while used < expected.len() {
            let next_seq = self.found.open.next_seq();
            let most = match self.later.first() {
                Some(&first_seq) if first_seq <= next_seq => {
                    self.next_file(shelf)?;
                    continue;
                }
                Some(first_seq) => first_seq - next_seq,
                None => u64::MAX,
            };
            let run = first_events(&expected[used..], most);
            let same = self.hold(shelf, run)?;
            used += same;
            if same < run.len() {
                break;
            }
        }
        Ok(used)
    }

    /// Adds events to the file that was compared last.
    pub fn add(&mut self, shelf: &Shelf, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.end(shelf)?;
        let Found { files, open } = &mut self.found;
        let newest = files.last_mut().expect("an archive has a file");
        shelf.seam.pass(Step::Append, &shelf.path_of(newest.index.first_seq))?;
        newest.file.write_all_at(bytes, open.end())?;
        newest.index.spans.extend(open.grow(bytes));
        Ok(())
    }

    /// Sees that nothing was told behind what was compared, and cuts what was never whole.
    pub fn end(&mut self, shelf: &Shelf) -> io::Result<()> {
        for first_seq in &self.later {
            let file = shelf.open(*first_seq)?;
            let head = shelf.read(*first_seq, &file, 0, file.metadata()?.len().min(EVENT_BYTES_MAX))?;
            if is_event(&head, *first_seq) {
                return Err(self.lost(shelf, *first_seq));
            }
        }
        let Found { files, open } = &self.found;
        let newest = files.last().expect("an archive has a file");
        let (first_seq, end) = (newest.index.first_seq, open.end());
        let more = newest.file.metadata()?.len().saturating_sub(end);
        if more == 0 {
            return Ok(());
        }
        let rest = shelf.read(first_seq, &newest.file, end, more.min(EVENT_BYTES_MAX))?;
        if is_event(&rest, open.next_seq()) {
            return Err(self.lost(shelf, first_seq));
        }
        shelf.seam.pass(Step::Cut, &shelf.path_of(first_seq))?;
        newest.file.set_len(end)
    }

    fn next_file(&mut self, shelf: &Shelf) -> io::Result<()> {
        let later = std::mem::take(&mut self.later);
        self.end(shelf)?;
        let (first_seq, next_seq) = (later[0], self.found.open.next_seq());
        if first_seq != next_seq {
            return Err(self.lost(shelf, first_seq));
        }
        self.later = later[1..].to_vec();
        let Found { files, open } = &mut self.found;
        let closed = files.last_mut().expect("an archive has a file");
        closed.index.spans.extend((open.count > 0).then_some(*open));
        files.push(Unsealed::of(Index::new(next_seq), Arc::new(shelf.open(next_seq)?)));
        *open = Span::empty(next_seq, 0);
        self.filled_to = 0;
        self.found.let_sealed_go(shelf)
    }

    /// Compares events that belong to the file that is open. What a closed file does not hold is added to it.
    fn hold(&mut self, shelf: &Shelf, run: &[u8]) -> io::Result<usize> {
        let Found { files, open } = &mut self.found;
        let newest = files.last_mut().expect("an archive has a file");
        let (first_seq, end) = (newest.index.first_seq, open.end());
        let there = newest.file.metadata()?.len().saturating_sub(end);
        let wanted = match self.later.is_empty() {
            true => &run[..whole_events(&run[..there.min(run.len() as u64) as usize])],
            false => run,
        };
        // To the end of the last sector.
        let to = (end + wanted.len() as u64).next_multiple_of(SECTOR as u64);
        let held = shelf.read(first_seq, &newest.file, end, there.min(to - end))?;
        if !held.starts_with(wanted) {
            if let Some(at) = told_otherwise(&held, wanted, end, self.filled_to == end) {
                let (_, seq) = event_at(wanted, at);
                let (path, byte) = (shelf.path_of(first_seq), end + at as u64);
                let what = format!("{} tells event {seq} otherwise, at byte {byte}", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            if self.filled_to == 0 {
                let path = shelf.path_of(first_seq);
                eprintln!("engine: {} was not written whole, and is filled", path.display());
            }
            shelf.seam.pass(Step::Append, &shelf.path_of(first_seq))?;
            newest.file.write_all_at(wanted, end)?;
            self.filled_to = end + wanted.len() as u64;
        }
        newest.index.spans.extend(open.grow(wanted));
        Ok(wanted.len())
    }

    fn lost(&self, shelf: &Shelf, first_seq: u64) -> io::Error {
        let (path, seq) = (shelf.path_of(first_seq), self.found.open.next_seq());
        let what = format!("{} tells an event {seq} that the journal does not give", path.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    }
}

/// Where `held`, which lies at byte `offset` of its file, was written as something else than `wanted`. A sector of zeros
/// was not written at all; `unwritten`: neither was the one in which `held` begins.
fn told_otherwise(held: &[u8], wanted: &[u8], offset: u64, unwritten: bool) -> Option<usize> {
    let both = held.len().min(wanted.len());
    let mut from = 0;
    while from < both {
        let into = ((offset + from as u64) % SECTOR as u64) as usize;
        let to = (from + SECTOR - into).min(held.len());
        if let Some(at) = (from..to.min(both)).find(|&at| held[at] != wanted[at]) {
            let begins = into == 0 || (from == 0 && unwritten);
            let zeros = held[from..to].iter().all(|byte| *byte == 0);
            let (begin, seq) = event_at(wanted, at);
            // The last event may end with a few zeros that belong to it.
            let last = into + to - from < SECTOR && is_event(&held[begin..], seq);
            if !begins || !zeros || last {
                return Some(at);
            }
        }
        from = to;
    }
    None
}

/// Where the event begins that byte `at` belongs to, and its sequence.
fn event_at(bytes: &[u8], at: usize) -> (usize, u64) {
    let mut rest = bytes;
    while let Ok(Some((event, after))) = split_event(rest) {
        if bytes.len() - after.len() > at {
            return (bytes.len() - rest.len(), Event::sequences(event).map_or(0, |(seq, _)| seq));
        }
        rest = after;
    }
    (bytes.len() - rest.len(), 0)
}

/// Whether event `seq` lies whole at the beginning of `bytes`.
fn is_event(bytes: &[u8], seq: u64) -> bool {
    let first = split_event(bytes).ok().flatten();
    first.is_some_and(|(event, _)| Event::decode(event).is_ok_and(|event| event.seq == seq))
}

/// So many events at the beginning of `bytes`, and no more than are compared at once.
fn first_events(bytes: &[u8], most: u64) -> &[u8] {
    let mut rest = bytes;
    let mut count = 0;
    while count < most
        && bytes.len() - rest.len() < PIECE
        && let Ok(Some((_, after))) = split_event(rest)
    {
        count += 1;
        rest = after;
    }
    &bytes[..bytes.len() - rest.len()]
}

/// The command that the last of these events belongs to.
pub(crate) fn last_cause(bytes: &[u8]) -> Option<u64> {
    let mut last = None;
    let mut rest = bytes;
    while let Ok(Some((event, after))) = split_event(rest) {
        last = Event::sequences(event).ok().map(|(_, cause)| cause);
        rest = after;
    }
    last
}
