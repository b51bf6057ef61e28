//! One thread that decides, one that makes durable, and the gate between them and the outside.
//!
//! The engine thread takes jobs from a bounded queue, writes each command into the open block and applies it at once.
//! The journal thread flushes a block and only then lets its answers, events and queries out. While it flushes, the
//! engine thread fills the next block: that is the group commit, and it needs no timer.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_journal::{Block, Error, Journal, Options, Scan};
use countersign_venue::codec::digest;
use countersign_venue::{Code, Command, LOGIC_VERSION, Outcome, Output, Venue};
use countersign_wire::v1::{Durability, ShardState};
use tokio::sync::{mpsc, oneshot};

use crate::archive::Archive;

/// Jobs that may wait; beyond that clients hear BUSY.
const QUEUE: usize = 4_096;
/// A block is handed over at this size at the latest.
const BLOCK_BYTES: usize = 1 << 20;

/// One command with what its answer must name.
pub struct Entry {
    pub id: Vec<u8>,
    pub session_seq: u64,
    /// What the contract's words could not be turned into a command for.
    pub command: Result<Command, Code>,
}

/// An answer, durable by the time that anybody sees it.
pub struct Told {
    pub id: Vec<u8>,
    pub session_seq: u64,
    pub outcome: Outcome,
    pub duplicate: bool,
    pub event_seq: u64,
}

/// Answers in the order of their commands, with the newest sequence that is durable.
pub struct Answers {
    pub told: Vec<Told>,
    pub durable_seq: u64,
    pub epoch: u64,
}

pub enum Reply {
    Once(oneshot::Sender<Answers>),
    Stream(mpsc::UnboundedSender<Answers>),
    Nobody,
}

type Release = Box<dyn FnOnce() + Send>;

pub enum Job {
    Commands {
        entries: Vec<Entry>,
        reply: Reply,
    },
    /// Looks at the state; what it gives back runs when everything it may have seen is durable.
    Look(Box<dyn FnOnce(&Venue) -> Release + Send>),
    Wake,
    Stop,
}

/// What is known of the shard without asking the engine thread.
#[derive(Clone, Default)]
pub struct Live {
    pub epoch: u64,
    pub engine_seq: u64,
    pub event_seq: u64,
    pub time_ns: u64,
    pub chain: [u8; 32],
    pub open_orders: u64,
    pub accounts: u64,
    pub journal_bytes: u64,
    pub blocks: u64,
    /// The latest flushes in microseconds.
    pub flushes: VecDeque<u32>,
}

impl Live {
    /// The p50 and p99 of the latest flushes, in microseconds.
    pub fn flush_us(&self) -> (u64, u64) {
        let mut sorted: Vec<u32> = self.flushes.iter().copied().collect();
        sorted.sort_unstable();
        let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1)));
        (at(50).copied().unwrap_or(0).into(), at(99).copied().unwrap_or(0).into())
    }
}

const FLUSHES_KEPT: usize = 1_024;

pub struct Shared {
    pub archive: Archive,
    pub live: Mutex<Live>,
    pub state: AtomicU8,
    pub retry_after_ms: AtomicU64,
    pub queued: AtomicU64,
    pub durability: Durability,
    /// The journal was given up on purpose.
    pub released: tokio::sync::Notify,
    pub snapshot_seq: AtomicU64,
    applied_seq: AtomicU64,
}

/// The way in for the services.
#[derive(Clone)]
pub struct Engine {
    jobs: SyncSender<Job>,
    pub shared: Arc<Shared>,
}

/// Why a job was not taken. Nothing of it was recorded, so the client may send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTaken(pub Code);

impl Engine {
    pub fn state(&self) -> ShardState {
        ShardState::try_from(i32::from(self.shared.state.load(Ordering::Acquire)))
            .unwrap_or(ShardState::Failed)
    }

    pub fn applied_seq(&self) -> u64 {
        self.shared.applied_seq.load(Ordering::Relaxed)
    }

    pub fn set_state(&self, state: ShardState) {
        self.shared.state.store(state as u8, Ordering::Release);
    }

    /// Hands commands in, if the shard takes any; otherwise they come back.
    pub fn submit(&self, entries: Vec<Entry>, reply: Reply) -> Result<(), (NotTaken, Vec<Entry>)> {
        let refused = match self.state() {
            ShardState::Running => None,
            ShardState::Draining | ShardState::Upgrading => Some(Code::Draining),
            ShardState::Standby | ShardState::Recovering => Some(Code::NotLeader),
            ShardState::Failed | ShardState::Unspecified => Some(Code::Failed),
        };
        match refused {
            Some(code) => Err((NotTaken(code), entries)),
            None => self.put(Job::Commands { entries, reply }).map_err(|(reason, job)| match job {
                Job::Commands { entries, .. } => (reason, entries),
                _ => (reason, Vec::new()),
            }),
        }
    }

    /// Administration gets through while orders are refused.
    pub fn send(&self, job: Job) -> Result<(), NotTaken> {
        self.put(job).map_err(|(reason, _)| reason)
    }

    fn put(&self, job: Job) -> Result<(), (NotTaken, Job)> {
        // Counted before it is sent, so that the engine thread never takes it off before it was put on.
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        self.jobs.try_send(job).map_err(|error| {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(job) => (NotTaken(Code::Busy), job),
                TrySendError::Disconnected(job) => (NotTaken(Code::Failed), job),
            }
        })
    }

    /// Submits and waits for the answers.
    pub async fn ask(&self, entries: Vec<Entry>) -> Result<Answers, (NotTaken, Vec<Entry>)> {
        let (reply, answers) = oneshot::channel();
        self.submit(entries, Reply::Once(reply))?;
        // Taken and never answered: the process is ending, and what became of it is unknown.
        Ok(answers.await.unwrap_or_else(|_| Answers { told: Vec::new(), durable_seq: 0, epoch: 0 }))
    }

    /// The same for administration.
    pub async fn command(&self, entry: Entry) -> Result<Answers, NotTaken> {
        let (reply, answers) = oneshot::channel();
        self.send(Job::Commands { entries: vec![entry], reply: Reply::Once(reply) })?;
        answers.await.map_err(|_| NotTaken(Code::Failed))
    }

    /// Reads the state at one sequence; the answer comes once that sequence is durable.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Venue) -> T + Send + 'static,
    ) -> Result<T, NotTaken> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Look(Box::new(move |venue| {
            let seen = look(venue);
            Box::new(move || {
                reply.send(seen).ok();
            })
        })))?;
        answer.await.map_err(|_| NotTaken(Code::Failed))
    }

    /// Lets everything that was taken become durable, then ends both threads.
    pub fn stop(&self) {
        self.jobs.send(Job::Stop).ok();
    }
}

/// A block with everything that waits for it.
#[derive(Default)]
struct Batch {
    block: Block,
    output: Output,
    releases: Vec<Held>,
    engine_seq: u64,
    event_seq: u64,
    epoch: u64,
    time_ns: u64,
    chain: [u8; 32],
    open_orders: u64,
    accounts: u64,
}

enum Held {
    Answers(Vec<Told>, Reply),
    Look(Release),
}

pub struct Running {
    pub engine: Engine,
    pub scan: Scan,
    /// The state that the start began from, for the snapshots.
    pub shadow: Venue,
    pub threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Waits until everything that was taken is durable and the journal is free.
    pub fn join(threads: Vec<JoinHandle<()>>) {
        for thread in threads {
            thread.join().ok();
        }
    }
}

/// A venue that is up to date with its journal, and the archive of its events.
struct Recovered {
    journal: Journal,
    venue: Venue,
    archive: Archive,
    scan: Scan,
}

/// Takes the journal's lock and brings `venue`, at whatever sequence it stands, up to the journal's end.
///
/// `reopened` is the archive up to where `venue` stands; a venue that stands at nothing needs none.
fn recover(
    folder: &Path,
    options: Options,
    init: bool,
    mut venue: Venue,
    reopen: impl Fn(&Venue) -> std::io::Result<Option<Archive>>,
) -> Result<Option<Recovered>, Error> {
    let archive_error =
        |cause| Error::Io { doing: "write the archive in", path: folder.to_path_buf(), cause };
    let mut output = Output::default();
    let mut archive: Option<Archive> = None;
    let mut unusable = false;
    let after = venue.engine_seq();
    let began = venue.event_seq();
    let first = |venue: &Venue| match venue.engine_seq() {
        0 => Archive::create(&folder.join("events")).map(Some),
        _ => reopen(venue),
    };
    let opened = Journal::open(folder, options, init, after, |record| {
        // The lock is held by now: nobody else writes below the folder.
        if archive.is_none() {
            archive = first(&venue).map_err(|cause| cause.to_string())?;
            unusable = archive.is_none();
        }
        if unusable {
            return Err("the archive does not fit the snapshot".into());
        }
        venue.replay(record.time_ns, record.bytes, &mut output).map_err(|cause| cause.to_string())?;
        if venue.engine_seq() != record.seq {
            return Err(format!("the venue counts {}", venue.engine_seq()));
        }
        if output.bytes.len() > BLOCK_BYTES {
            flush_output(archive.as_ref(), &mut output).map_err(|cause| cause.to_string())?;
        }
        Ok(())
    });
    if unusable {
        return Ok(None);
    }
    let (journal, scan) = opened?;
    let archive = match archive {
        Some(archive) => archive,
        None => match first(&venue).map_err(archive_error)? {
            Some(archive) => archive,
            None => return Ok(None),
        },
    };
    flush_output(Some(&archive), &mut output).map_err(archive_error)?;
    debug_assert!(venue.event_seq() >= began);
    Ok(Some(Recovered { journal, venue, archive, scan }))
}

/// Becomes the journal's writer and begins to lead, from the newest snapshot or from `warm`, a venue that followed.
pub fn start(folder: &Path, options: Options, init: bool, warm: Option<Venue>) -> Result<Running, Error> {
    let events = folder.join("events");
    let reopen = |venue: &Venue| Archive::reopen(&events, venue.event_seq(), &venue.chain());
    let snapshot_error =
        |cause| Error::Io { doing: "read the snapshots in", path: folder.to_path_buf(), cause };
    let mut candidates = Vec::from_iter(warm);
    candidates.extend(crate::snapshots::newest(folder).map_err(snapshot_error)?);
    candidates.push(Venue::new());
    for candidate in candidates {
        let shadow = Venue::restore(&candidate.snapshot()).expect("a state writes what it reads");
        if let Some(recovered) = recover(folder, options, init, candidate, reopen)? {
            return lead(folder, options, recovered, shadow);
        }
        eprintln!(
            "engine: the archive does not fit the snapshot; everything is computed again from the journal"
        );
    }
    unreachable!("an empty venue needs no archive")
}

fn lead(folder: &Path, options: Options, recovered: Recovered, shadow: Venue) -> Result<Running, Error> {
    let Recovered { journal, venue, archive, scan } = recovered;
    let (jobs, queue) = sync_channel(QUEUE);
    let durability = if options.fsync { Durability::Disk } else { Durability::Memory };
    let shared = Arc::new(Shared {
        archive,
        live: Mutex::new(Live { journal_bytes: scan.bytes, ..Live::default() }),
        state: AtomicU8::new(ShardState::Running as u8),
        retry_after_ms: AtomicU64::new(1_000),
        queued: AtomicU64::new(0),
        durability,
        released: tokio::sync::Notify::new(),
        snapshot_seq: AtomicU64::new(shadow.engine_seq()),
        applied_seq: AtomicU64::new(venue.engine_seq()),
    });
    let engine = Engine { jobs: jobs.clone(), shared: Arc::clone(&shared) };

    let (lead, leading) = oneshot::channel();
    let command = Command::Lead { epoch: venue.epoch() + 1, logic_version: LOGIC_VERSION };
    let entries = vec![Entry { id: Vec::new(), session_seq: 0, command: Ok(command) }];
    engine.send(Job::Commands { entries, reply: Reply::Once(lead) }).expect("the queue is empty");

    let (batches, sealed) = sync_channel(1);
    let (ready_tx, ready) = channel();
    let (spare_tx, spare) = channel();
    let deciding = Deciding { venue, queue, batches, ready, spare, shared: Arc::clone(&shared) };
    let committing = Committing { journal, sealed, ready: ready_tx, spare: spare_tx, jobs, shared };
    let threads = vec![
        thread::Builder::new().name("engine".into()).spawn(move || deciding.run()),
        thread::Builder::new().name("journal".into()).spawn(move || committing.run()),
    ]
    .into_iter()
    .collect::<Result<Vec<_>, _>>()
    .map_err(|cause| Error::Io { doing: "start threads for", path: folder.to_path_buf(), cause })?;
    leading.blocking_recv().expect("the engine leads before it takes anything else");
    Ok(Running { engine, scan, shadow, threads })
}

fn flush_output(archive: Option<&Archive>, output: &mut Output) -> std::io::Result<()> {
    if let Some(archive) = archive {
        archive.append(&output.bytes, output.count)?;
    }
    output.clear();
    Ok(())
}

fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The engine thread.
struct Deciding {
    venue: Venue,
    queue: Receiver<Job>,
    batches: SyncSender<Batch>,
    /// The journal thread has nothing to do.
    ready: Receiver<()>,
    spare: Receiver<Batch>,
    shared: Arc<Shared>,
}

impl Deciding {
    fn run(mut self) {
        let mut batch = self.next_batch();
        let mut journal_idle = true;
        let mut stopping = false;
        loop {
            let first = if stopping { None } else { self.wait_for_job() };
            let now = self.now();
            if let Some(job) = first {
                stopping |= self.take(job, now, &mut batch);
            } else if self.venue.next_timer_ns().is_some_and(|due| due <= now) {
                self.entry(
                    Entry { id: Vec::new(), session_seq: 0, command: Ok(Command::Tick) },
                    now,
                    &mut batch,
                );
            }
            while batch.block.len() < BLOCK_BYTES
                && let Ok(job) = self.queue.try_recv()
            {
                stopping |= self.take(job, now, &mut batch);
            }
            journal_idle |= self.ready.try_recv().is_ok();
            let nothing = batch.block.is_empty() && batch.releases.is_empty();
            let must_wait = !journal_idle && (batch.block.len() >= BLOCK_BYTES || (stopping && !nothing));
            if must_wait {
                journal_idle = self.ready.recv().is_ok();
            }
            if nothing {
                if stopping {
                    return;
                }
            } else if journal_idle {
                self.seal(&mut batch);
                let next = self.next_batch();
                if self.batches.send(std::mem::replace(&mut batch, next)).is_err() {
                    return;
                }
                journal_idle = false;
            }
        }
    }

    /// Waits for a job, but not past the next timer.
    fn wait_for_job(&self) -> Option<Job> {
        let patience = match self.venue.next_timer_ns() {
            Some(due) => Duration::from_nanos(due.saturating_sub(wall_ns())).min(Duration::from_secs(1)),
            None => Duration::from_secs(1),
        };
        match self.queue.recv_timeout(patience) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Job::Stop),
        }
    }

    /// The wall clock, never running backwards, not even across restarts.
    fn now(&self) -> u64 {
        wall_ns().max(self.venue.time_ns())
    }

    fn next_batch(&self) -> Batch {
        let mut batch = self.spare.try_recv().unwrap_or_default();
        batch.block.start(self.venue.engine_seq() + 1);
        batch.output.clear();
        batch.releases.clear();
        batch
    }

    fn seal(&self, batch: &mut Batch) {
        batch.engine_seq = self.venue.engine_seq();
        batch.event_seq = self.venue.event_seq();
        batch.epoch = self.venue.epoch();
        batch.time_ns = self.venue.time_ns();
        batch.chain = self.venue.chain();
        batch.open_orders = self.venue.open_orders_count() as u64;
        batch.accounts = self.venue.accounts_count() as u64;
        self.shared.applied_seq.store(batch.engine_seq, Ordering::Relaxed);
    }

    /// Says whether it was the order to stop.
    fn take(&mut self, job: Job, now: u64, batch: &mut Batch) -> bool {
        match job {
            Job::Wake => return false,
            Job::Stop => return true,
            Job::Commands { entries, reply } => {
                let told = entries.into_iter().map(|entry| self.entry(entry, now, batch)).collect();
                batch.releases.push(Held::Answers(told, reply));
            }
            Job::Look(look) => batch.releases.push(Held::Look(look(&self.venue))),
        }
        self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Journals and applies one command, unless it can be answered without.
    fn entry(&mut self, entry: Entry, now: u64, batch: &mut Batch) -> Told {
        let Entry { id, session_seq, command } = entry;
        let refused = |code| Told {
            id: Vec::new(),
            session_seq,
            outcome: Outcome {
                code,
                engine_seq: 0,
                time_ns: now,
                order_id: 0,
                filled: 0,
                leaves: 0,
                cancelled: 0,
            },
            duplicate: false,
            event_seq: 0,
        };
        let command = match command {
            Ok(command) => command,
            Err(code) => return Told { id, ..refused(code) },
        };
        let (undo, body) = batch.block.push(now, |bytes| command.encode(bytes));
        let digest = digest(batch.block.since(body));
        if let Some(answer) = self.venue.screen(&command, digest, now / 1_000_000) {
            batch.block.undo(undo);
            return Told {
                id,
                session_seq,
                outcome: answer.outcome,
                duplicate: answer.duplicate,
                event_seq: answer.event_seq,
            };
        }
        let outcome = self.venue.apply(now, &command, digest, &mut batch.output);
        Told { id, session_seq, outcome, duplicate: false, event_seq: self.venue.event_seq() }
    }
}

/// The journal thread.
struct Committing {
    journal: Journal,
    sealed: Receiver<Batch>,
    ready: Sender<()>,
    spare: Sender<Batch>,
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
}

impl Committing {
    fn run(mut self) {
        while let Ok(mut batch) = self.sealed.recv() {
            let began = Instant::now();
            let flushed = !batch.block.is_empty();
            let bytes = batch.block.len() as u64;
            if flushed && let Err(error) = self.journal.append(&mut batch.block) {
                self.fail(&error);
            }
            let took = began.elapsed();
            self.ready.send(()).ok();
            // A full queue needs no waking.
            self.jobs.try_send(Job::Wake).ok();
            self.publish(&mut batch, flushed.then_some(took), bytes);
            self.spare.send(batch).ok();
        }
    }

    fn publish(&self, batch: &mut Batch, took: Option<Duration>, bytes: u64) {
        {
            let mut live = self.shared.live.lock().expect("nobody panics while holding it");
            live.epoch = batch.epoch;
            live.engine_seq = batch.engine_seq;
            live.event_seq = batch.event_seq;
            live.time_ns = batch.time_ns;
            live.chain = batch.chain;
            live.open_orders = batch.open_orders;
            live.accounts = batch.accounts;
            if let Some(took) = took {
                live.journal_bytes += bytes;
                live.blocks += 1;
                if live.flushes.len() == FLUSHES_KEPT {
                    live.flushes.pop_front();
                }
                live.flushes.push_back(took.as_micros().min(u128::from(u32::MAX)) as u32);
            }
        }
        for held in batch.releases.drain(..) {
            match held {
                Held::Look(release) => release(),
                Held::Answers(told, reply) => {
                    let answers = Answers { told, durable_seq: batch.engine_seq, epoch: batch.epoch };
                    match reply {
                        Reply::Once(reply) => drop(reply.send(answers)),
                        Reply::Stream(reply) => drop(reply.send(answers)),
                        Reply::Nobody => {}
                    }
                }
            }
        }
        if let Err(cause) = self.shared.archive.append(&batch.output.bytes, batch.output.count) {
            self.fail(&cause);
        }
    }

    /// After a failed flush nobody knows what the disk holds; a retry could report success for lost bytes. So the
    /// process ends, unacknowledged, and the next start finds out.
    fn fail(&self, error: &dyn std::fmt::Display) -> ! {
        self.shared.state.store(ShardState::Failed as u8, Ordering::Release);
        eprintln!("countersign-engine: {error}; nothing more is acknowledged, the process ends");
        std::process::exit(70);
    }
}

pub fn wall_ms() -> u64 {
    wall_ns() / 1_000_000
}
