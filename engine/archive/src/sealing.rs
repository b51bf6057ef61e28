//! Making what was appended durable, with the indexes that a start and the consumers go by.
//!
//! Done by the thread that takes the snapshots, before each: a snapshot never stands for events that a start could
//! not find.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use countersign_venue::Event;
use countersign_venue::event::split_event;

use crate::index::{Index, Known, Span};
use crate::seam::Step;
use crate::shelf::Shelf;
use crate::{Archive, Point};

/// So much may wait to be flushed, so that no flush holds the disk up for long.
const SETTLE_BYTES: u64 = 256 << 10;

/// What the appending thread tells.
pub(crate) enum Note {
    /// The file before is closed.
    File { first_seq: u64, file: Arc<File> },
    /// A span of the newest file is full.
    Span(Span),
}

pub(crate) struct Unsealed {
    pub file: Arc<File>,
    pub index: Index,
    /// Closed, and flushed since.
    flushed: bool,
}

impl Unsealed {
    /// A file of which so much is known.
    pub fn of(index: Index, file: Arc<File>) -> Unsealed {
        Unsealed { file, index, flushed: false }
    }

    /// The index as far as event `at`, which is a command's last one, with the point there.
    fn up_to(&self, at: &Point, shelf: &Shelf) -> io::Result<(Index, Known)> {
        let whole = self.index.spans.partition_point(|span| span.next_seq() <= at.event_seq + 1);
        let mut index = Index {
            first_seq: self.index.first_seq,
            spans: self.index.spans[..whole].to_vec(),
            points: self.index.points.clone(),
        };
        if index.next_seq() <= at.event_seq {
            let from = index.end();
            let to = match self.index.spans.get(whole) {
                Some(span) => span.end(),
                None => self.file.metadata()?.len(),
            };
            let bytes = shelf.read(index.first_seq, &self.file, from, to - from)?;
            let mut rest = bytes.as_slice();
            loop {
                let ends = || io::Error::other(format!("the archive ends before event {}", at.event_seq));
                let (event, after) = split_event(rest).map_err(io::Error::other)?.ok_or_else(ends)?;
                rest = after;
                if Event::sequences(event).map_err(io::Error::other)?.0 == at.event_seq {
                    break;
                }
            }
            let mut span = Span::empty(index.next_seq(), from);
            index.spans.extend(span.grow(&bytes[..bytes.len() - rest.len()]));
            index.spans.extend((span.count > 0).then_some(span));
        }
        let known = Known { point: *at, offset: index.end() };
        index.add_point(known);
        Ok((index, known))
    }
}

pub(crate) struct Sealing {
    notes: Receiver<Note>,
    /// In order; the last one grows.
    files: Vec<Unsealed>,
}

impl Sealing {
    pub fn new(notes: Receiver<Note>, files: Vec<Unsealed>) -> Sealing {
        Sealing { notes, files }
    }

    fn listen(&mut self) {
        while let Ok(note) = self.notes.try_recv() {
            match note {
                Note::File { first_seq, file } => self.files.push(Unsealed::of(Index::new(first_seq), file)),
                Note::Span(span) => {
                    self.files.last_mut().expect("an archive has a file").index.spans.push(span);
                }
            }
        }
    }

    fn flush(&mut self, shelf: &Shelf) -> io::Result<()> {
        let newest = self.files.len() - 1;
        for (at, unsealed) in self.files.iter_mut().enumerate().filter(|(_, unsealed)| !unsealed.flushed) {
            shelf.seam.pass(Step::Flush, Path::new(""))?;
            unsealed.file.sync_data()?;
            unsealed.flushed = at < newest;
        }
        Ok(())
    }
}

impl Archive {
    /// Flushes what was appended if that has become much.
    pub fn settle(&self) -> io::Result<()> {
        if self.unsettled.load(Ordering::Relaxed) < SETTLE_BYTES {
            return Ok(());
        }
        let mut sealing = self.sealing.lock().expect("nobody panics while holding it");
        self.unsettled.store(0, Ordering::Relaxed);
        sealing.listen();
        sealing.flush(&self.shelf)
    }

    /// Makes the events up to `at` as durable as the journal, so that a start from there need not read them.
    pub fn seal(&self, at: &Point) -> io::Result<()> {
        let mut sealing = self.sealing.lock().expect("nobody panics while holding it");
        self.unsettled.store(0, Ordering::Relaxed);
        sealing.listen();
        sealing.flush(&self.shelf)?;
        let holding = sealing.files.iter().rposition(|file| file.index.first_seq <= at.event_seq);
        if let Some(holding) = holding {
            let (index, known) = sealing.files[holding].up_to(at, &self.shelf)?;
            for closed in &sealing.files[..holding] {
                self.shelf.write_index(&closed.index)?;
            }
            self.shelf.write_index(&index)?;
            sealing.files[holding].index.add_point(known);
        }
        self.shelf.sync()?;
        if let Some(holding) = holding {
            sealing.files.drain(..holding);
            self.sealed_below.store(sealing.files[0].index.first_seq, Ordering::Release);
        }
        Ok(())
    }
}
