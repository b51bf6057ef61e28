//! A consumer's way through the archive.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

use countersign_venue::Event;
use countersign_venue::event::split_event;

use crate::Archive;
use crate::archive::Live;
use crate::index::{Index, Span, span_of};

/// Why events cannot be told.
#[derive(Debug)]
pub enum ReadError {
    /// They were dropped on purpose.
    Gone {
        asked: u64,
        oldest: u64,
    },
    /// What lies there is not what was written.
    Damaged(String),
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(cause: io::Error) -> ReadError {
        ReadError::Io(cause)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Gone { asked, oldest } => write!(
                f,
                "event {asked} is no longer kept, the oldest one is {oldest}: begin there, or have the older ones written \
                 again from the journal and its attic"
            ),
            ReadError::Damaged(what) => write!(f, "{what}: nothing of it is told"),
            ReadError::Io(cause) => write!(f, "the archive cannot be read: {cause}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Where a consumer stands.
pub struct Cursor {
    next_seq: u64,
    /// Read, checked, and not handed out yet.
    ready: VecDeque<Event>,
    /// The file that begins with this event was read up to this offset.
    place: (u64, u64),
    /// A file of which the appending process keeps nothing in memory.
    old: Option<Old>,
}

struct Old {
    file: File,
    index: Index,
}

impl Cursor {
    /// Begins with event `from`.
    pub fn new(from: u64) -> Cursor {
        Cursor { next_seq: from.max(1), ready: VecDeque::new(), place: (0, 0), old: None }
    }

    /// The event that would be handed out next.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }
}

/// Bytes that hold the next event, and where they end.
struct Chunk {
    bytes: Vec<u8>,
    place: (u64, u64),
}

impl Archive {
    /// The command that writes again what cannot be told, beside the process that leads, which needs no restart.
    pub fn mending(&self) -> String {
        format!("countersign-engine recompute --dir {}", self.shelf.journal_folder().display())
    }

    /// The next events of a consumer: none if there are none yet. Blocks on the disk, in practice on memory.
    pub fn read(&self, cursor: &mut Cursor, events_max: usize) -> Result<Vec<Event>, ReadError> {
        if cursor.ready.is_empty() {
            let Some(Chunk { bytes, place }) = self.next_chunk(cursor)? else { return Ok(Vec::new()) };
            let malformed = |what: String| ReadError::Damaged(format!("event {}: {what}", cursor.next_seq));
            let mut expected = cursor.next_seq;
            let mut rest = bytes.as_slice();
            while let Some((event, after)) = split_event(rest).map_err(|what| malformed(what.to_string()))? {
                rest = after;
                let (seq, _) = Event::sequences(event).map_err(|what| malformed(what.to_string()))?;
                if seq < expected {
                    continue;
                }
                if seq > expected {
                    return Err(malformed(format!("event {seq} comes in its place")));
                }
                cursor.ready.push_back(Event::decode(event).map_err(|what| malformed(what.to_string()))?);
                expected += 1;
            }
            if cursor.ready.is_empty() {
                return Err(malformed("it is not where it should be".into()));
            }
            cursor.place = place;
        }
        let count = cursor.ready.len().min(events_max);
        let events: Vec<Event> = cursor.ready.drain(..count).collect();
        cursor.next_seq += events.len() as u64;
        Ok(events)
    }

    fn next_chunk(&self, cursor: &mut Cursor) -> Result<Option<Chunk>, ReadError> {
        let place = {
            let inner = self.inner.read().expect("no writer panics");
            if cursor.next_seq >= inner.next_seq {
                return Ok(None);
            }
            let at = inner.live.partition_point(|live| live.first_seq <= cursor.next_seq);
            at.checked_sub(1).map(|at| Place::of(&inner.live[at], cursor))
        };
        let Some(Place { first_seq, file, span, from, to }) = place else {
            return self.old_chunk(cursor).map(Some);
        };
        cursor.old = None;
        let bytes = match span {
            Some(span) => self.shelf.read_span(first_seq, &file, &span)?.map_err(ReadError::Damaged)?,
            None => self.shelf.read(first_seq, &file, from, to - from)?,
        };
        Ok(Some(Chunk { bytes, place: (first_seq, to) }))
    }

    /// From a file that is whole on disk.
    fn old_chunk(&self, cursor: &mut Cursor) -> Result<Chunk, ReadError> {
        let seq = cursor.next_seq;
        if cursor.old.as_ref().is_none_or(|old| old.index.span_of(seq).is_none()) {
            cursor.old = Some(self.open_old(seq)?);
        }
        let Some(Old { file, index }) = &cursor.old else { unreachable!("it was just opened") };
        let missing = || ReadError::Damaged(format!("event {seq} is missing between two files"));
        let span = index.span_of(seq).ok_or_else(missing)?;
        let read = self.shelf.read_span(index.first_seq, file, &span)?;
        if read.is_err() {
            // Somebody may put the file right: it is opened again the next time.
            cursor.old = None;
        }
        Ok(Chunk { bytes: read.map_err(ReadError::Damaged)?, place: (0, 0) })
    }

    fn open_old(&self, seq: u64) -> Result<Old, ReadError> {
        loop {
            let files = self.shelf.list()?;
            let at = files.partition_point(|first_seq| *first_seq <= seq);
            let Some(&first_seq) = at.checked_sub(1).and_then(|at| files.get(at)) else {
                let oldest = files.first().copied().unwrap_or(self.last_seq() + 1);
                return Err(ReadError::Gone { asked: seq, oldest });
            };
            match self.shelf.open(first_seq) {
                Ok(file) => {
                    let index = self.shelf.whole_index(first_seq)?.map_err(ReadError::Damaged)?;
                    return Ok(Old { file, index });
                }
                // It was dropped while we looked.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(cause.into()),
            }
        }
    }
}

/// Where the next event lies in a live file.
struct Place {
    first_seq: u64,
    file: Arc<File>,
    /// Nothing is known of the newest bytes but that this process wrote them.
    span: Option<Span>,
    from: u64,
    to: u64,
}

impl Place {
    fn of(live: &Live, cursor: &Cursor) -> Place {
        let span = span_of(&live.spans, cursor.next_seq);
        let (from, to) = match span {
            Some(span) => (span.offset, span.end()),
            None if cursor.place.0 == live.first_seq => (cursor.place.1.max(live.open.1), live.end),
            None => (live.open.1, live.end),
        };
        Place { first_seq: live.first_seq, file: Arc::clone(&live.file), span, from, to }
    }
}
