//! How a start finds the archive that a former process left: what it reads does not depend on how old that is.

use std::fs::File;
use std::io;
use std::sync::Arc;

use countersign_venue::Event;
use countersign_venue::codec::Chain;
use countersign_venue::event::split_event;

use crate::Point;
use crate::index::{Index, Known, Span};
use crate::sealing::Unsealed;
use crate::shelf::Shelf;

/// What is read at once of a file, however large that is.
const PIECE: u64 = 64 << 10;

/// Where reading begins: the newest point at or before the wanted one.
struct Begin {
    /// Position among the files.
    file: usize,
    index: Index,
    known: Known,
}

impl Begin {
    fn find(shelf: &Shelf, files: &[u64], at: &Point) -> io::Result<Option<Begin>> {
        for (file, first_seq) in files.iter().enumerate().rev() {
            let index = match shelf.index(*first_seq)? {
                Some(Ok(index)) => index,
                // Not sealed yet.
                None => continue,
                Some(Err(what)) => {
                    eprintln!("engine: {what}; its file is read instead");
                    continue;
                }
            };
            let length = shelf.open(*first_seq)?.metadata()?.len();
            let fits = |known: &&Known| known.point.event_seq <= at.event_seq && known.offset <= length;
            let newest = index.points.iter().filter(fits).max_by_key(|known| known.point.event_seq);
            if let Some(&known) = newest {
                return Ok(Some(Begin { file, index, known }));
            }
        }
        let point = Point { engine_seq: 0, event_seq: 0, chain: Chain::default().bytes() };
        let beginning = Begin { file: 0, index: Index::new(1), known: Known { point, offset: 0 } };
        Ok((files.first() == Some(&1)).then_some(beginning))
    }
}

/// Files that are read again, from a point on.
pub(crate) struct Reading<'a> {
    /// The first file, as far as its index is of use.
    begin: Option<Begin>,
    at: &'a Point,
    told: Chain,
    engine_seq: u64,
    /// Events up to here are in the chain already.
    known_seq: u64,
    pub unsealed: Vec<Unsealed>,
    /// The span that grows, at its end.
    pub open: Span,
}

impl<'a> Reading<'a> {
    /// What the files hold up to event `at`, if that is what the chain there stands for.
    pub fn up_to(shelf: &Shelf, at: &'a Point) -> io::Result<Option<Reading<'a>>> {
        let reading = Reading::begin(shelf, at)?;
        Ok(reading.filter(|reading| reading.reaches_its_end() && reading.tells_the_same()))
    }

    /// What the files hold up to event `at`, or as far as they go.
    pub fn begin(shelf: &Shelf, at: &'a Point) -> io::Result<Option<Reading<'a>>> {
        let mut files = shelf.list()?;
        // Before the first event the first file is the one to go on with.
        files.truncate(files.partition_point(|first_seq| *first_seq <= at.event_seq.max(1)));
        let Some(begin) = Begin::find(shelf, &files, at)? else { return Ok(None) };
        let read = &files[begin.file..];
        let mut reading = Reading::from(begin, at);
        for (number, first_seq) in read.iter().enumerate() {
            if !reading.take_file(shelf, *first_seq, number + 1 < read.len())? {
                return Ok(None);
            }
        }
        reading.pass_silent(at.engine_seq);
        Ok(Some(reading))
    }

    fn from(begin: Begin, at: &'a Point) -> Reading<'a> {
        let point = begin.known.point;
        Reading {
            told: Chain::from_bytes(&point.chain),
            engine_seq: point.engine_seq,
            known_seq: point.event_seq,
            open: Span::empty(begin.index.first_seq, 0),
            begin: Some(begin),
            at,
            unsealed: Vec::new(),
        }
    }

    /// Reads one file up to the wanted event. False where it does not fit.
    fn take_file(&mut self, shelf: &Shelf, first_seq: u64, closed: bool) -> io::Result<bool> {
        let file = Arc::new(shelf.open(first_seq)?);
        let mut to = file.metadata()?.len();
        let mut index = Index::new(first_seq);
        match self.begin.take() {
            Some(Begin { index: found, known, .. }) => {
                let (whole, half): (Vec<Span>, Vec<Span>) =
                    found.spans.into_iter().partition(|span| span.end() <= known.offset);
                index.spans = whole;
                index.points = found.points;
                index.points.retain(|point| point.offset <= known.offset);
                if let Some(span) = half.first().filter(|_| index.end() < known.offset)
                    && let Err(what) = shelf.read_span(first_seq, &file, span)?
                {
                    eprintln!("engine: {what}");
                    return Ok(false);
                }
                if self.known_seq == self.at.event_seq {
                    to = known.offset;
                }
            }
            None if first_seq != self.open.next_seq() => return Ok(false),
            None => {}
        }
        self.open = Span::empty(index.next_seq(), index.end());
        let whole = self.read_on(shelf, &file, &mut index, to)?;
        if closed && self.open.count > 0 {
            index.spans.push(self.open);
            self.open = Span::empty(index.next_seq(), index.end());
        }
        self.unsealed.push(Unsealed::of(index, file));
        Ok(whole.is_some_and(|whole| whole || !closed))
    }

    /// Takes a file in from the open span up to byte `to` or the wanted event, a piece after the other. Whether it was read
    /// to its end; `None` where it does not fit.
    fn read_on(
        &mut self,
        shelf: &Shelf,
        file: &File,
        index: &mut Index,
        to: u64,
    ) -> io::Result<Option<bool>> {
        let mut ahead = self.open.offset;
        let mut held = Vec::new();
        while ahead < to {
            let more = (to - ahead).min(PIECE);
            held.extend(shelf.read(index.first_seq, file, ahead, more)?);
            ahead += more;
            // More of the last command's events may follow, and the chain takes them in as one.
            let whole = if ahead == to { held.len() } else { before_last_command(&held) };
            let Some(used) = self.absorb(&held[..whole], self.open.next_seq()) else { return Ok(None) };
            index.spans.extend(self.open.grow(&held[..used]));
            held.drain(..used);
            if used < whole {
                break;
            }
        }
        Ok(Some(ahead >= to && held.is_empty()))
    }

    /// Takes whole events into the chain, the first of which must be `expected`; gives how many bytes they had.
    fn absorb(&mut self, bytes: &[u8], mut expected: u64) -> Option<usize> {
        let mut offset = 0;
        while expected <= self.at.event_seq
            && let Ok(Some((event, after))) = split_event(&bytes[offset..])
        {
            let (seq, cause) = Event::sequences(event).ok()?;
            if seq != expected {
                return None;
            }
            if seq > self.known_seq && cause != self.engine_seq {
                if cause < self.engine_seq || cause > self.at.engine_seq {
                    return None;
                }
                self.pass_silent(cause - 1);
                let length = length_of_command(&bytes[offset..], cause);
                self.told.absorb(&bytes[offset..offset + length]);
                self.engine_seq = cause;
            }
            offset = bytes.len() - after.len();
            expected += 1;
        }
        Some(offset)
    }

    /// The chain takes in each command's events as one piece, also where there are none.
    fn pass_silent(&mut self, through: u64) {
        for _ in self.engine_seq..through {
            self.told.absorb(&[]);
        }
        self.engine_seq = self.engine_seq.max(through);
    }

    pub fn reaches_its_end(&self) -> bool {
        self.open.next_seq() == self.at.event_seq + 1
    }

    pub fn tells_the_same(&self) -> bool {
        self.told.bytes() == self.at.chain
    }
}

/// Bytes of the events at the beginning of `bytes` that command `engine_seq` caused.
pub(crate) fn length_of_command(bytes: &[u8], engine_seq: u64) -> usize {
    let mut rest = bytes;
    while let Ok(Some((event, after))) = split_event(rest)
        && Event::sequences(event).is_ok_and(|(_, cause)| cause == engine_seq)
    {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// Where the last command begins whose events lie in `bytes`, be they all of it or not.
fn before_last_command(bytes: &[u8]) -> usize {
    let (mut rest, mut begins, mut last) = (bytes, 0, None);
    while let Ok(Some((event, after))) = split_event(rest) {
        let cause = Event::sequences(event).map(|(_, cause)| cause).ok();
        if cause != last {
            (begins, last) = (bytes.len() - rest.len(), cause);
        }
        rest = after;
    }
    begins
}
