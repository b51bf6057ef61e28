//! How a process begins to lead: what it begins from, then the threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use countersign_archive::{Options as ArchiveOptions, Point, Trail};
use countersign_journal::{Error, Options, Scan};
use countersign_venue::{Code, Command, LOGIC_VERSION, Output, Venue};
use countersign_wire::Bytes;
use countersign_wire::v1::{Durability, ShardState};
use tokio::sync::{oneshot, watch};

use crate::committing::{BEAT, Committing, write_events};
use crate::deciding::{Batch, Deciding, Onward};
use crate::desk::Desk;
use crate::engine::{Engine, Entry, JOBS_MAX, Job, NotTaken, Reply, Shared};
use crate::live::{Durable, Live, Refusals};
use crate::recovery::{Recovered, Recovery};
use crate::settled::Settled;
use crate::stages::Stages;
use crate::tray::Tray;

pub struct Running {
    pub engine: Engine,
    pub scan: Scan,
    /// What the start began from, in words.
    pub from: String,
    pub threads: Vec<JoinHandle<()>>,
}

/// What a standby has by the time that it leads.
pub struct Warm {
    pub venue: Venue,
    pub trail: Trail,
}

impl Running {
    /// Waits until everything that was taken is durable and the journal is free.
    pub fn join(threads: Vec<JoinHandle<()>>) {
        for thread in threads {
            thread.join().ok();
        }
    }
}

/// Signs of life while the journal is replayed: that may take longer than a leader may be silent.
struct Life(Arc<AtomicBool>);

impl Life {
    fn begin(folder: &Path) -> Life {
        let ended = Arc::new(AtomicBool::new(false));
        let (end, folder) = (Arc::clone(&ended), folder.to_path_buf());
        thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                // Before the lock is taken for the first time there is nothing to touch.
                countersign_journal::beat(&folder).ok();
                thread::sleep(BEAT);
            }
        });
        Life(ended)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Becomes the journal's writer and begins to lead, from `warm` or from the newest snapshot.
///
/// Of a standby's state nothing is written, read or hashed again, and no event is read that it has compared: that would
/// take the longer, the larger the state is. Snapshots have a venue of their own, which is read while this one leads.
pub fn start(
    folder: &Path,
    options: &Options,
    archive: &ArchiveOptions,
    init: bool,
    confirmed: bool,
    warm: Option<Warm>,
) -> Result<Running, Error> {
    let _life = Life::begin(folder);
    let begin = Recovery { folder, options, archive, init };
    if let Some(Warm { venue, trail }) = warm {
        let engine_seq = venue.engine_seq();
        let mut trail = Some(trail);
        let found = |venue: &Venue| match trail.take().map_or(Ok(None), Trail::finish)? {
            Some(compared) => Ok(Some(compared)),
            None => {
                eprintln!("engine: the events that the leader wrote are read again");
                begin.behind(venue)
            }
        };
        if let Some(recovered) = begin.from(venue, found)? {
            let from = format!("the state that it followed to {engine_seq}");
            return lead(folder, options, recovered, confirmed, from);
        }
        eprintln!("engine: the archive does not fit {engine_seq}; more is computed again from the journal");
    }
    let (sealed, from, recovered) = match from_newest(&begin)? {
        Some(newest) => newest,
        None => from_usable(&begin)?,
    };
    if let Some(recovered) = recovered {
        return lead(folder, options, recovered, confirmed, from);
    }
    if let Some(Point { engine_seq, .. }) = sealed {
        eprintln!("engine: the archive does not fit {engine_seq}; more is computed again from the journal");
    }
    let recovered = begin.anew(sealed.as_ref())?;
    lead(folder, options, recovered, confirmed, BEGINNING.into())
}

const BEGINNING: &str = "the journal's beginning";

/// Where a snapshot stands, what an operator reads, and the state at the journal's end, where the archive fits it.
type Begun = (Option<Point>, String, Option<Recovered>);

/// Replays behind the newest snapshot while its outcomes are read; `None` where it is not whole.
fn from_newest(begin: &Recovery<'_>) -> Result<Option<Begun>, Error> {
    let began = Instant::now();
    let go_on = |venue: Venue| {
        let (sealed, read) = (point_of(&venue), began.elapsed());
        let recovered = begin.from(venue, |venue| begin.behind(venue));
        (sealed, (read, began.elapsed()), recovered)
    };
    let ahead = crate::snapshots::ahead(begin.folder, go_on, |(.., recovered)| match recovered {
        Ok(Some(recovered)) => Some(&mut recovered.venue),
        _ => None,
    });
    let Some((sealed, (read, replayed), recovered)) = ahead.map_err(|cause| unreadable(begin, cause))? else {
        return Ok(None);
    };
    let ms = [read, replayed, began.elapsed()].map(|time| time.as_millis());
    let from = format!(
        "the snapshot at {}: its state was read after {} ms, the journal replayed after {}, outcomes read after {}",
        sealed.engine_seq, ms[0], ms[1], ms[2]
    );
    Ok(Some((Some(sealed), from, recovered?)))
}

/// From the newest snapshot of which enough can be read, or from the beginning.
fn from_usable(begin: &Recovery<'_>) -> Result<Begun, Error> {
    let newest = crate::snapshots::newest(begin.folder).map_err(|cause| unreadable(begin, cause))?;
    let newest = newest.map(|found| found.venue);
    let sealed = newest.as_ref().map(point_of);
    let from = match sealed {
        Some(Point { engine_seq, .. }) => format!("the snapshot at {engine_seq}"),
        None => BEGINNING.into(),
    };
    let recovered = begin.from(newest.unwrap_or_default(), |venue| begin.behind(venue))?;
    Ok((sealed, from, recovered))
}

fn unreadable(begin: &Recovery<'_>, cause: std::io::Error) -> Error {
    Error::Io { doing: "read the snapshots in", path: begin.folder.to_path_buf(), cause }
}

/// What the archive must hold for a venue that stands there.
pub fn point_of(venue: &Venue) -> Point {
    Point { engine_seq: venue.engine_seq(), event_seq: venue.event_seq(), chain: venue.chain() }
}

fn lead(
    folder: &Path,
    options: &Options,
    recovered: Recovered,
    confirmed: bool,
    from: String,
) -> Result<Running, Error> {
    let Recovered { journal, venue, archive, scan } = recovered;
    let (jobs, queue) = sync_channel(JOBS_MAX);
    let durability = if options.fsync { Durability::Disk } else { Durability::Memory };
    let settled = Settled::open(folder).map_err(|cause| Error::Io {
        doing: "read the consumers of",
        path: folder.to_path_buf(),
        cause,
    })?;
    let shared = Arc::new(Shared {
        archive,
        settled,
        live: Mutex::new(Live { journal_bytes: scan.bytes, ..Live::default() }),
        durable: Durable::default(),
        state: watch::channel(ShardState::Running).0,
        retry_after_ms: AtomicU64::new(1_000),
        queued: AtomicU64::new(0),
        durability,
        released: tokio::sync::Notify::new(),
        snapshot_seq: AtomicU64::new(crate::snapshots::newest_seq(folder)),
        applied_seq: AtomicU64::new(venue.engine_seq()),
        refusals: Refusals::default(),
        stages: Stages::default(),
        sessions: AtomicU64::new(0),
        confirmed: AtomicBool::new(confirmed),
    });
    let desk = Arc::<Desk>::default();
    let engine = Engine { jobs, desk: Arc::clone(&desk), shared: Arc::clone(&shared) };

    crate::logic::raise(folder, LOGIC_VERSION).map_err(|cause| Error::Io {
        doing: "write the logic version in",
        path: folder.to_path_buf(),
        cause,
    })?;
    let (lead, leading) = oneshot::channel();
    let command = Command::Lead { epoch: venue.epoch() + 1, logic_version: LOGIC_VERSION };
    let entries = vec![Entry { id: Bytes::new(), session_seq: 0, command: Ok(command) }];
    engine.send(Job::commands(entries, Reply::Once(lead))).expect("the queue is empty");

    let failed = |cause| Error::Io { doing: "start threads for", path: folder.to_path_buf(), cause };
    let mut threads = Vec::new();
    let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
        thread::Builder::new().name(name.into()).spawn(run).map_err(failed)
    };
    let events = Arc::<Tray<Output>>::default();
    let (durable, archiving) = (Arc::clone(&events), Arc::clone(&shared));
    let writing = spawn("events", Box::new(move || write_events(&durable, &archiving)))?;
    let committing =
        Committing { journal, events, writing, shared: Arc::clone(&shared), beat: Instant::now() };
    let onward = if options.fsync {
        let tray = Arc::<Tray<Batch>>::default();
        let (spent, spare) = channel();
        let flushing = Arc::clone(&tray);
        threads.push(spawn("journal", Box::new(move || committing.run(&flushing, &spent)))?);
        Onward::Flushed(tray, spare)
    } else {
        Onward::Written(Box::new(committing))
    };
    let deciding = Deciding::new(venue, queue, onward, shared);
    threads.push(spawn("engine", Box::new(move || desk.keep(deciding)))?);
    // A question that everything passes through answers the standby's: do both threads live?
    let pulse = engine.clone();
    let ask = move || {
        while pulse.send(Job::Look(Box::new(|_| Box::new(|| ())))) != Err(NotTaken(Code::Failed)) {
            thread::sleep(BEAT);
        }
    };
    spawn("pulse", Box::new(ask))?;
    leading.blocking_recv().expect("the engine leads before it takes anything else");
    Ok(Running { engine, scan, from, threads })
}
