//! Durable events on disk, for consumers that come late.
//!
//! The journal holds commands only; events are computed from it again at each start, always the same. So the archive
//! needs no flush and no repair: a start writes it anew. Consumers read from it at their own pace and never from a
//! queue, so that a slow one costs nobody anything.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use countersign_venue::Event;
use countersign_venue::event::split_event;
use tokio::sync::watch;

const FILE_BYTES: u64 = 256 << 20;
/// Distance of the entries of the index: what a consumer skips at most before it reads.
const MARK_BYTES: u64 = 64 << 10;

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
            last: watch::channel(0).0,
        };
        archive.add_file(0)?;
        Ok(archive)
    }

    fn add_file(&self, number: usize) -> io::Result<()> {
        let path = self.folder.join(format!("events-{number:06}.log"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let mut inner = self.inner.write().expect("no writer panics");
        inner.files.push(Arc::new(file));
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
        self.last.send_replace(last);
        Ok(())
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

fn length_of(inner: &Inner, file: usize) -> io::Result<u64> {
    if file == inner.end.file { Ok(inner.end.offset) } else { Ok(inner.files[file].metadata()?.len()) }
}
