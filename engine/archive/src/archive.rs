//! The archive of a process that leads: it alone appends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::watch;

use crate::index::{Index, Span};
use crate::sealing::{Note, Sealing, Unsealed};
use crate::seam::{Seam, Step};
use crate::shelf::Shelf;

#[derive(Clone)]
pub struct Options {
    /// A file is closed once it has grown to this.
    pub file_bytes: u64,
    pub seam: Seam,
}

impl Default for Options {
    fn default() -> Self {
        Options { file_bytes: 256 << 20, seam: Seam::default() }
    }
}

/// A file whose index is not, or not wholly, on disk.
pub(crate) struct Live {
    pub first_seq: u64,
    pub file: Arc<File>,
    pub spans: Vec<Span>,
    /// The first event behind the spans, and where it begins.
    pub open: (u64, u64),
    pub end: u64,
}

pub(crate) struct Inner {
    /// In order, at least one; the last one grows.
    pub live: Vec<Live>,
    pub next_seq: u64,
}

pub struct Archive {
    pub(crate) shelf: Shelf,
    file_bytes: u64,
    pub(crate) inner: RwLock<Inner>,
    /// The span that grows: of the thread that appends, which shares it with nobody.
    open: Mutex<Span>,
    /// What the sealing thread must know. It takes no lock that those who append wait for.
    notes: Sender<Note>,
    pub(crate) sealing: Mutex<Sealing>,
    /// Files that begin below this event are whole on disk, with their indexes.
    pub(crate) sealed_below: AtomicU64,
    /// The first event of the live files, for those who may not take the lock of `inner`.
    pub(crate) live_from: AtomicU64,
    /// Bytes appended since the last flush.
    pub(crate) unsettled: AtomicU64,
    /// What `last` tells too, for those who may not take its lock: they give way to everybody while they hold it.
    last_seq: AtomicU64,
    last: watch::Sender<u64>,
}

impl Archive {
    /// An empty archive whose first event is 1; whatever the folder held is dropped.
    pub fn create(folder: &Path, options: &Options) -> io::Result<Archive> {
        let shelf = Shelf::new(folder, options.seam.clone());
        shelf.clear()?;
        let file = Arc::new(shelf.create(1)?);
        let live = Live { first_seq: 1, file, spans: Vec::new(), open: (1, 0), end: 0 };
        let unsealed = vec![Unsealed::of(Index::new(1), Arc::clone(&live.file))];
        Ok(Archive::of(shelf, options.file_bytes, vec![live], Span::empty(1, 0), unsealed))
    }

    /// `open`: the span that grows, at the end of the last file.
    pub(crate) fn of(
        shelf: Shelf,
        file_bytes: u64,
        live: Vec<Live>,
        open: Span,
        unsealed: Vec<Unsealed>,
    ) -> Archive {
        let next_seq = open.next_seq();
        let (notes, heard) = channel();
        Archive {
            shelf,
            file_bytes,
            sealed_below: AtomicU64::new(live[0].first_seq),
            live_from: AtomicU64::new(live[0].first_seq),
            inner: RwLock::new(Inner { live, next_seq }),
            open: Mutex::new(open),
            notes,
            sealing: Mutex::new(Sealing::new(heard, unsealed)),
            unsettled: AtomicU64::new(0),
            last_seq: AtomicU64::new(next_seq - 1),
            last: watch::channel(next_seq - 1).0,
        }
    }

    /// Adds encoded events, of whole commands, that are durable in the journal. One thread only.
    pub fn append(&self, bytes: &[u8], count: u64) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let (mut file, mut end, next_seq) = {
            let inner = self.inner.read().expect("no writer panics");
            let newest = inner.live.last().expect("an archive has a file");
            (Arc::clone(&newest.file), newest.end, inner.next_seq)
        };
        if end >= self.file_bytes {
            file = self.add_file(next_seq)?;
            end = 0;
        }
        self.shelf.seam.pass(Step::Append, Path::new(""))?;
        file.write_all_at(bytes, end)?;
        self.unsettled.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let (full, open) = {
            let mut open = self.open.lock().expect("nobody panics while holding it");
            let full = open.grow(bytes);
            (full, (open.first_seq, open.offset))
        };
        for span in &full {
            self.notes.send(Note::Span(*span)).ok();
        }
        let last = {
            let mut inner = self.inner.write().expect("no writer panics");
            inner.next_seq += count;
            let last = inner.next_seq - 1;
            let newest = inner.live.last_mut().expect("an archive has a file");
            newest.spans.extend(full);
            newest.open = open;
            newest.end += bytes.len() as u64;
            last
        };
        self.last_seq.store(last, Ordering::Release);
        self.last.send_replace(last);
        Ok(())
    }

    /// Closes the file that grows and begins the next one.
    fn add_file(&self, next_seq: u64) -> io::Result<Arc<File>> {
        let file = Arc::new(self.shelf.create(next_seq)?);
        let open = Span::empty(next_seq, 0);
        let closed = std::mem::replace(&mut *self.open.lock().expect("nobody panics while holding it"), open);
        if closed.count > 0 {
            self.notes.send(Note::Span(closed)).ok();
        }
        self.notes.send(Note::File { first_seq: next_seq, file: Arc::clone(&file) }).ok();
        let mut inner = self.inner.write().expect("no writer panics");
        let newest = inner.live.last_mut().expect("an archive has a file");
        if closed.count > 0 {
            newest.spans.push(closed);
        }
        newest.open = (next_seq, newest.end);
        // Consumers find those that are whole on disk by themselves.
        let sealed_below = self.sealed_below.load(Ordering::Acquire);
        inner.live.retain(|live| live.first_seq >= sealed_below);
        inner.live.push(Live {
            first_seq: next_seq,
            file: Arc::clone(&file),
            spans: Vec::new(),
            open: (next_seq, 0),
            end: 0,
        });
        self.live_from.store(inner.live[0].first_seq, Ordering::Release);
        Ok(file)
    }

    /// The newest event's sequence.
    pub fn last_seq(&self) -> u64 {
        self.last_seq.load(Ordering::Acquire)
    }

    /// Tells the newest event's sequence whenever it grows.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}
