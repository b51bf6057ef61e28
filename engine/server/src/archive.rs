//! Durable events on disk, for consumers that come late.
//!
//! The journal holds commands only; events are computed from it, always the same. So the archive needs no flush of its
//! own: what a snapshot stands for is flushed with it and verified at the next start, everything later is written anew.
//! Consumers read from it at their own pace and never from a queue, so that a slow one costs nobody anything.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use countersign_venue::Event;
use countersign_venue::codec::Chain;
use countersign_venue::event::split_event;
use tokio::sync::watch;

const FILE_BYTES: u64 = 256 << 20;
/// Distance of the entries of the index: what a consumer skips at most before it reads.
const MARK_BYTES: u64 = 64 << 10;
/// So much may wait to be flushed, so that no flush holds the disk up for long.
const SETTLE_BYTES: u64 = 256 << 10;

#[derive(Clone, Copy)]
struct Place {
    file: usize,
    offset: u64,
}

struct Inner {
    files: Vec<Arc<File>>,
    /// By sequence: where some events begin.
    marks: Vec<(u64, Place)>,
    end: Place,
    next_seq: u64,
}

pub struct Archive {
    folder: PathBuf,
    inner: RwLock<Inner>,
    /// The file that grows and the one before: what is not flushed yet. Not looked up in `inner`, for whose lock
    /// those who append would wait.
    newest: Mutex<Vec<Arc<File>>>,
    /// Bytes appended since the last flush.
    unsettled: AtomicU64,
    /// What `last` tells too, for those who may not take its lock: they give way to everybody while they hold it.
    last_seq: AtomicU64,
    last: watch::Sender<u64>,
}

/// Where a consumer stands.
pub struct Cursor {
    next_seq: u64,
    place: Option<Place>,
}

impl Cursor {
    /// Begins with event `from`.
    pub fn new(from: u64) -> Cursor {
        Cursor { next_seq: from.max(1), place: None }
    }

    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }
}

impl Archive {
    /// An empty archive whose first event is 1; whatever the folder held is dropped.
    pub fn create(folder: &Path) -> io::Result<Archive> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let archive = Archive {
            folder: folder.to_path_buf(),
            inner: RwLock::new(Inner {
                files: Vec::new(),
                marks: Vec::new(),
                end: Place { file: 0, offset: 0 },
                next_seq: 1,
            }),
            newest: Mutex::default(),
            unsettled: AtomicU64::new(0),
            last_seq: AtomicU64::new(0),
            last: watch::channel(0).0,
        };
        archive.add_file(0)?;
        Ok(archive)
    }

    /// The archive that a former process left, cut behind event `last`, if it is whole and its events are the ones
    /// that `chain` stands for. `None` if it is not: then everything has to be computed again.
    pub fn reopen(folder: &Path, last: u64, chain: &[u8; 32]) -> io::Result<Option<Archive>> {
        let archive = Archive {
            folder: folder.to_path_buf(),
            inner: RwLock::new(Inner {
                files: Vec::new(),
                marks: Vec::new(),
                end: Place { file: 0, offset: 0 },
                next_seq: 1,
            }),
            newest: Mutex::default(),
            unsettled: AtomicU64::new(0),
            last_seq: AtomicU64::new(last),
            last: watch::channel(last).0,
        };
        let mut told = Chain::default();
        let mut engine_seq = 0u64;
        {
            let mut inner = archive.inner.write().expect("no writer panics");
            for number in 0.. {
                let path = file_path(folder, number);
                if !path.exists() || (inner.next_seq > last && number > 0) {
                    break;
                }
                let file = OpenOptions::new().read(true).write(true).open(&path)?;
                let bytes = fs::read(&path)?;
                let mut offset = 0;
                while inner.next_seq <= last
                    && let Ok(Some((event, after))) = split_event(&bytes[offset..])
                    && let Ok((seq, cause)) = Event::sequences(event)
                {
                    if seq != inner.next_seq || cause < engine_seq {
                        return Ok(None);
                    }
                    if cause != engine_seq {
                        // The chain takes in each command's events as one piece, also where there are none.
                        for _ in engine_seq + 1..cause {
                            told.absorb(&[]);
                        }
                        let length = length_of_command(&bytes[offset..], cause);
                        told.absorb(&bytes[offset..offset + length]);
                        engine_seq = cause;
                    }
                    let place = Place { file: number, offset: offset as u64 };
                    let far = inner.marks.last().is_none_or(|(_, mark)| {
                        mark.file != number || place.offset - mark.offset >= MARK_BYTES
                    });
                    if far {
                        inner.marks.push((seq, place));
                    }
                    offset = bytes.len() - after.len();
                    inner.next_seq = seq + 1;
                }
                if inner.next_seq > last {
                    file.set_len(offset as u64)?;
                }
                inner.files.push(Arc::new(file));
                inner.end = Place { file: number, offset: offset as u64 };
            }
            if inner.files.is_empty() || inner.next_seq != last + 1 {
                return Ok(None);
            }
            for file in inner.files.iter().rev().take(2).rev() {
                archive.begin(file);
            }
        }
        archive.chain_up_to(told, engine_seq, chain)
    }

    /// Commands after the last event may have told nothing; they are in the chain nevertheless.
    fn chain_up_to(self, mut told: Chain, engine_seq: u64, chain: &[u8; 32]) -> io::Result<Option<Archive>> {
        const SILENT_MAX: u64 = 1 << 24;
        for _ in engine_seq..engine_seq + SILENT_MAX {
            if told.bytes() == *chain {
                return Ok(Some(self));
            }
            told.absorb(&[]);
        }
        Ok(None)
    }

    /// Makes what was appended as durable as the journal is.
    pub fn sync(&self) -> io::Result<()> {
        self.flush()?;
        File::open(&self.folder)?.sync_all()
    }

    /// Flushes what was appended if that has become much.
    pub fn settle(&self) -> io::Result<()> {
        if self.unsettled.load(Ordering::Relaxed) < SETTLE_BYTES {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&self) -> io::Result<()> {
        let newest = self.newest.lock().expect("nobody panics while holding it").clone();
        self.unsettled.store(0, Ordering::Relaxed);
        newest.iter().try_for_each(|file| file.sync_data())
    }

    /// Files are never written again once the next one is begun, so two are enough.
    fn begin(&self, file: &Arc<File>) {
        let mut newest = self.newest.lock().expect("nobody panics while holding it");
        newest.push(Arc::clone(file));
        if newest.len() > 2 {
            newest.remove(0);
        }
    }

    fn add_file(&self, number: usize) -> io::Result<()> {
        let path = file_path(&self.folder, number);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let file = Arc::new(file);
        self.begin(&file);
        let mut inner = self.inner.write().expect("no writer panics");
        inner.files.push(file);
        inner.end = Place { file: number, offset: 0 };
        Ok(())
    }

    /// Adds encoded events that are durable in the journal. One thread only.
    pub fn append(&self, bytes: &[u8], count: u64) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let (file, end) = {
            let inner = self.inner.read().expect("no writer panics");
            (Arc::clone(&inner.files[inner.end.file]), inner.end)
        };
        if end.offset >= FILE_BYTES {
            self.add_file(end.file + 1)?;
            return self.append(bytes, count);
        }
        file.write_all_at(bytes, end.offset)?;
        self.unsettled.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let last = {
            let mut inner = self.inner.write().expect("no writer panics");
            let far = inner
                .marks
                .last()
                .is_none_or(|(_, mark)| mark.file != end.file || end.offset - mark.offset >= MARK_BYTES);
            if far {
                let seq = inner.next_seq;
                inner.marks.push((seq, end));
            }
            inner.end.offset += bytes.len() as u64;
            inner.next_seq += count;
            inner.next_seq - 1
        };
        self.last_seq.store(last, Ordering::Relaxed);
        self.last.send_replace(last);
        Ok(())
    }

    /// The newest event's sequence.
    pub fn last_seq(&self) -> u64 {
        self.last_seq.load(Ordering::Relaxed)
    }

    /// Tells the newest event's sequence whenever it grows.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// The next events of a consumer: none if there are none yet. Blocks on the disk, in practice on memory.
    pub fn read(&self, cursor: &mut Cursor, events_max: usize) -> io::Result<Vec<Event>> {
        const CHUNK: u64 = 256 << 10;
        let mut events = Vec::new();
        while events.is_empty() {
            let (file, place, available) = {
                let inner = self.inner.read().expect("no writer panics");
                if cursor.next_seq >= inner.next_seq {
                    return Ok(events);
                }
                let mut place = cursor.place.unwrap_or_else(|| {
                    let at = inner.marks.partition_point(|(seq, _)| *seq <= cursor.next_seq);
                    inner.marks[at.saturating_sub(1)].1
                });
                let mut length = length_of(&inner, place.file)?;
                if place.offset >= length && place.file < inner.end.file {
                    place = Place { file: place.file + 1, offset: 0 };
                    length = length_of(&inner, place.file)?;
                }
                (Arc::clone(&inner.files[place.file]), place, length - place.offset)
            };
            let mut bytes = vec![0; available.min(CHUNK) as usize];
            file.read_exact_at(&mut bytes, place.offset)?;
            let mut rest = bytes.as_slice();
            while events.len() < events_max {
                // An event at the chunk's end may be cut short; the next chunk begins with it.
                let Ok(Some((event, after))) = split_event(rest) else { break };
                let event = Event::decode(event).map_err(io::Error::other)?;
                rest = after;
                if event.seq >= cursor.next_seq {
                    cursor.next_seq = event.seq + 1;
                    events.push(event);
                }
            }
            let used = (bytes.len() - rest.len()) as u64;
            if used == 0 {
                return Err(io::Error::other("the archive does not hold whole events"));
            }
            cursor.place = Some(Place { file: place.file, offset: place.offset + used });
        }
        Ok(events)
    }
}

fn file_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("events-{number:06}.log"))
}

/// Bytes of the events at the beginning of `bytes` that command `engine_seq` caused.
fn length_of_command(bytes: &[u8], engine_seq: u64) -> usize {
    let mut rest = bytes;
    while let Ok(Some((event, after))) = split_event(rest)
        && Event::sequences(event).is_ok_and(|(_, cause)| cause == engine_seq)
    {
        rest = after;
    }
    bytes.len() - rest.len()
}

fn length_of(inner: &Inner, file: usize) -> io::Result<u64> {
    if file == inner.end.file { Ok(inner.end.offset) } else { Ok(inner.files[file].metadata()?.len()) }
}
