//! A history of commands, the folder that holds its events, and what may become of that.
#![allow(dead_code)]

#[path = "../../../venue/tests/desk/mod.rs"]
mod desk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use countersign_archive::{Archive, Cursor, Options, Point, ReadError, Retelling, Seam, Step};
use countersign_venue::codec::{Chain, digest};
use countersign_venue::{Command, Event, Output};
use desk::{Desk, TIA, TOM, buy, sell};
use tempfile::TempDir;

pub const FILE_BYTES: u64 = 80 << 10;

/// What a command gives, and where the chain is behind it.
pub struct Given {
    pub bytes: Vec<u8>,
    pub count: u64,
    pub point: Point,
}

/// The same commands for every test: two orders that trade, and one command that tells nothing, again and again.
pub fn history() -> &'static [Given] {
    static HISTORY: OnceLock<Vec<Given>> = OnceLock::new();
    HISTORY.get_or_init(|| {
        let mut desk = Desk::open();
        let mut given =
            vec![Given { bytes: desk.bytes.clone(), count: desk.events.len() as u64, point: point(&desk) }];
        for pair in 0..1_800u64 {
            let price = 1_000 + (pair % 7) as i64;
            for order in [sell(2 * pair + 1, TOM, price, 3), buy(2 * pair + 2, TIA, price, 3)] {
                let before = desk.bytes.len();
                let (_, events) = desk.order(countersign_venue::command::OrderBody::New(order));
                let bytes = desk.bytes[before..].to_vec();
                given.push(Given { bytes, count: events.len() as u64, point: point(&desk) });
            }
            let mut bytes = Vec::new();
            let body = Command::Tick.encode(&mut bytes);
            let mut output = Output::default();
            desk.venue.apply(desk.now_ns, &Command::Tick, digest(&bytes[body..]), &mut output);
            assert_eq!(output.count, 0, "a tick without timers is silent");
            given.push(Given { bytes: Vec::new(), count: 0, point: point(&desk) });
        }
        given
    })
}

/// Before the first command.
pub fn nothing() -> Point {
    Point { engine_seq: 0, event_seq: 0, chain: Chain::default().bytes() }
}

fn point(desk: &Desk) -> Point {
    let venue = &desk.venue;
    Point { engine_seq: venue.engine_seq(), event_seq: venue.event_seq(), chain: venue.chain() }
}

/// The events of everything up to `given`, as they were first computed.
pub fn truth(given: usize) -> Vec<Event> {
    let mut output = Output::default();
    for given in &history()[..given] {
        output.bytes.extend_from_slice(&given.bytes);
    }
    output.events().unwrap()
}

pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(TempDir::new().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("events")
    }

    pub fn create(&self) -> Archive {
        Archive::create(&self.path(), &options(Seam::default())).unwrap()
    }

    pub fn reopen(&self, given: usize) -> Option<Archive> {
        self.reopen_through(given, Seam::default()).unwrap()
    }

    pub fn reopen_through(&self, given: usize, seam: Seam) -> io::Result<Option<Archive>> {
        self.retell(given, given, seam)
    }

    /// As a start does that has a snapshot behind `given` commands, and a journal of `to`.
    pub fn retell(&self, given: usize, to: usize, seam: Seam) -> io::Result<Option<Archive>> {
        let at = if given == 0 { nothing() } else { history()[given - 1].point };
        let Some(mut retelling) = Retelling::begin(&self.path(), &at, &options(seam))? else {
            return Ok(None);
        };
        for block in history()[given..to].chunks(7) {
            let bytes: Vec<u8> = block.iter().flat_map(|given| given.bytes.iter().copied()).collect();
            retelling.take(&bytes)?;
        }
        retelling.finish().map(Some)
    }

    /// Files of events, or their indexes, oldest first.
    pub fn files(&self, ending: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == ending))
            .collect();
        files.sort();
        files
    }
}

pub fn options(seam: Seam) -> Options {
    Options { file_bytes: FILE_BYTES, seam }
}

/// Appends commands, some at a time as blocks do.
pub fn append(archive: &Archive, from: usize, to: usize) -> io::Result<()> {
    for block in history()[from..to].chunks(5) {
        let bytes: Vec<u8> = block.iter().flat_map(|given| given.bytes.iter().copied()).collect();
        archive.append(&bytes, block.iter().map(|given| given.count).sum())?;
    }
    Ok(())
}

pub fn seal(archive: &Archive, given: usize) -> io::Result<()> {
    archive.seal(&history()[given - 1].point)
}

/// All events from `from` on, or the error that ended the reading.
pub fn read(archive: &Archive, from: u64, at_a_time: usize) -> (Vec<Event>, Option<ReadError>) {
    let mut cursor = Cursor::new(from);
    let mut all = Vec::new();
    loop {
        match archive.read(&mut cursor, at_a_time) {
            Ok(events) if events.is_empty() => return (all, None),
            Ok(events) => all.extend(events),
            Err(error) => return (all, Some(error)),
        }
    }
}

/// Everything is told as it was first computed.
pub fn tells_all(archive: &Archive, given: usize) {
    let (events, error) = read(archive, 1, 100);
    assert!(error.is_none(), "{}", error.unwrap());
    assert!(events == truth(given), "{} events", events.len());
}

/// Counts what is read, by the ending of the file.
#[derive(Clone, Default)]
pub struct Count {
    pub events_bytes: Arc<AtomicU64>,
    pub index_bytes: Arc<AtomicU64>,
    pub opened: Arc<AtomicUsize>,
}

impl Count {
    pub fn seam(&self) -> Seam {
        let count = self.clone();
        Seam::new(move |step, path: &Path| {
            let of_index = path.extension().is_some_and(|extension| extension == "idx");
            match step {
                Step::Read(bytes) if of_index => {
                    count.index_bytes.fetch_add(bytes, Ordering::Relaxed);
                }
                Step::Read(bytes) => {
                    count.events_bytes.fetch_add(bytes, Ordering::Relaxed);
                }
                Step::Open => {
                    count.opened.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// Bytes of events, bytes of indexes, files opened.
    pub fn told(&self) -> (u64, u64, usize) {
        let load = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        (load(&self.events_bytes), load(&self.index_bytes), self.opened.load(Ordering::Relaxed))
    }
}

/// Lets `whole` steps that change something pass and fails from then on, as a dead process does. Of appending, which is
/// most of what is done, only now and then one counts.
pub fn dying_after(whole: usize) -> Seam {
    let (passed, appended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Seam::new(move |step, _| match step {
        Step::Read(_) | Step::Open => Ok(()),
        Step::Append if appended.fetch_add(1, Ordering::SeqCst) % 50 != 49 => {
            if passed.load(Ordering::SeqCst) > whole { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        }
        _ if passed.fetch_add(1, Ordering::SeqCst) < whole => Ok(()),
        _ => Err(io::ErrorKind::Other.into()),
    })
}
