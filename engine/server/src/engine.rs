//! One place that decides, one thread that makes durable, and the gate between them and the outside.
//!
//! Jobs are taken from a bounded queue by whoever sits at the desk; each command is written into the open block and
//! applied at once. The journal thread flushes a block and only then lets its answers, events and queries out. While it
//! flushes, the next block is filled, which lies ready when the flush ends: that is the group commit, and it needs no
//! timer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_archive::Archive;
use countersign_venue::{Code, Command, Outcome, Venue};
use countersign_wire::Bytes;
use countersign_wire::v1::{Durability, ShardState};
use tokio::sync::{mpsc, oneshot, watch};

use crate::desk::{Desk, LITTLE};
use crate::live::{Durable, Live, Refusals};
use crate::settled::Settled;
use crate::stages::Stages;

/// Jobs that may wait; beyond that clients hear BUSY.
pub const JOBS_MAX: usize = 4_096;
/// Commands that may wait in them.
pub const COMMANDS_MAX: u64 = 131_072;
/// How long whoever insists waits before it looks for room again.
const AGAIN: Duration = Duration::from_millis(1);
/// A block is handed over at this size at the latest.
pub const BLOCK_BYTES: usize = 1 << 20;

/// One command with what its answer must name.
pub struct Entry {
    pub id: Bytes,
    pub session_seq: u64,
    /// What the contract's words could not be turned into a command for.
    pub command: Result<Command, Code>,
}

/// Up to where somebody knows a market's state.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub instrument_id: u32,
    pub engine_seq: u64,
}

/// An answer, durable by the time that anybody sees it.
pub struct Told {
    pub id: Bytes,
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
    /// When they were let out.
    pub durable_at: Instant,
}

pub enum Reply {
    Once(oneshot::Sender<Answers>),
    /// As long as the session's permits: it never holds more than they allow.
    Stream(mpsc::UnboundedSender<crate::orders::Told>),
    Nobody,
}

pub type Release = Box<dyn FnOnce() + Send>;

pub enum Job {
    Commands {
        entries: Vec<Entry>,
        reply: Reply,
        /// When they were read.
        read: Instant,
    },
    /// A command of administration that counts only while its market stands as it was seen.
    Seen {
        entry: Box<Entry>,
        seen: Seen,
        reply: Reply,
    },
    /// Looks at the state; what it gives back runs when everything it may have seen is durable.
    Look(Box<dyn FnOnce(&Venue) -> Release + Send>),
    Stop,
}

impl Job {
    /// Commands that were read just now.
    pub fn commands(entries: Vec<Entry>, reply: Reply) -> Job {
        Job::Commands { entries, reply, read: Instant::now() }
    }

    /// What it counts for in the queue.
    pub fn weight(&self) -> u64 {
        match self {
            Job::Commands { entries, .. } => entries.len().max(1) as u64,
            Job::Seen { .. } | Job::Look(_) => 1,
            Job::Stop => 0,
        }
    }
}

pub struct Shared {
    pub archive: Archive,
    pub settled: Settled,
    pub live: Mutex<Live>,
    pub durable: Durable,
    pub state: watch::Sender<ShardState>,
    pub retry_after_ms: AtomicU64,
    /// Commands that wait to be decided.
    pub queued: AtomicU64,
    pub durability: Durability,
    /// The journal was given up on purpose.
    pub released: tokio::sync::Notify,
    pub snapshot_seq: AtomicU64,
    pub applied_seq: AtomicU64,
    pub refusals: Refusals,
    pub stages: Stages,
    pub sessions: AtomicU64,
    /// Orders are taken: see [`crate::deciding`].
    pub confirmed: AtomicBool,
}

/// The way in for the services.
#[derive(Clone)]
pub struct Engine {
    pub jobs: SyncSender<Job>,
    pub desk: Arc<Desk>,
    pub shared: Arc<Shared>,
}

/// Why a job was not taken. Nothing of it was recorded, so the client may send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTaken(pub Code);

impl Engine {
    pub fn state(&self) -> ShardState {
        *self.shared.state.borrow()
    }

    pub fn applied_seq(&self) -> u64 {
        self.shared.applied_seq.load(Ordering::Relaxed)
    }

    /// Hands commands in, if the shard takes any; otherwise they come back.
    pub fn submit(&self, entries: Vec<Entry>, reply: Reply) -> Result<(), (NotTaken, Vec<Entry>)> {
        let refused = match self.state() {
            ShardState::Running => None,
            ShardState::Draining | ShardState::Upgrading => Some(Code::Draining),
            ShardState::Standby | ShardState::Recovering => Some(Code::NotLeader),
            ShardState::Failed | ShardState::Unspecified => Some(Code::Failed),
        };
        let told = match refused {
            Some(code) => Err((NotTaken(code), entries)),
            None => self.put(Job::commands(entries, reply)).map_err(|(reason, job)| match job {
                Job::Commands { entries, .. } => (reason, entries),
                _ => (reason, Vec::new()),
            }),
        };
        if let Err((NotTaken(code), entries)) = &told {
            self.shared.refusals.add(*code, entries.len() as u64);
        }
        told
    }

    /// Administration gets through while orders are refused.
    pub fn send(&self, job: Job) -> Result<(), NotTaken> {
        self.put(job).map_err(|(reason, _)| reason)
    }

    fn put(&self, job: Job) -> Result<(), (NotTaken, Job)> {
        let weight = job.weight();
        // A look may copy much of the state.
        let little = matches!(job, Job::Commands { .. }) && weight <= LITTLE;
        // Counted before it is sent, so that it is never taken off before it was put on.
        let queued = self.shared.queued.fetch_add(weight, Ordering::SeqCst);
        let sent = match queued + weight > COMMANDS_MAX && queued > 0 {
            true => Err(TrySendError::Full(job)),
            false => self.jobs.try_send(job),
        };
        match sent {
            Ok(()) => {
                if little {
                    self.desk.come()
                } else {
                    self.desk.call()
                }
                Ok(())
            }
            Err(error) => {
                self.shared.queued.fetch_sub(weight, Ordering::SeqCst);
                Err(match error {
                    TrySendError::Full(job) => (NotTaken(Code::Busy), job),
                    TrySendError::Disconnected(job) => (NotTaken(Code::Failed), job),
                })
            }
        }
    }

    /// Submits and waits for the answers.
    pub async fn ask(&self, entries: Vec<Entry>) -> Result<Answers, (NotTaken, Vec<Entry>)> {
        let (reply, answers) = oneshot::channel();
        self.submit(entries, Reply::Once(reply))?;
        // Taken and never answered: the process is ending, and what became of it is unknown.
        Ok(answers.await.unwrap_or_else(|_| Answers {
            told: Vec::new(),
            durable_seq: 0,
            epoch: 0,
            durable_at: Instant::now(),
        }))
    }

    /// The same for administration.
    pub async fn command(&self, entry: Entry) -> Result<Answers, NotTaken> {
        let (reply, answers) = oneshot::channel();
        self.send(Job::commands(vec![entry], Reply::Once(reply)))?;
        answers.await.map_err(|_| NotTaken(Code::Failed))
    }

    /// The same where it follows from what somebody has seen.
    pub async fn command_seen(&self, entry: Entry, seen: Seen) -> Result<Answers, NotTaken> {
        let (reply, answers) = oneshot::channel();
        self.send(Job::Seen { entry: Box::new(entry), seen, reply: Reply::Once(reply) })?;
        answers.await.map_err(|_| NotTaken(Code::Failed))
    }

    /// What was promised to somebody who is gone: it waits for room in the queue, as long as this process takes jobs.
    pub async fn insist(&self, command: &Command) {
        loop {
            let entry = Entry { id: Bytes::new(), session_seq: 0, command: Ok(command.clone()) };
            let job = Job::commands(vec![entry], Reply::Nobody);
            if self.send(job) != Err(NotTaken(Code::Busy)) {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
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
        self.desk.call();
    }
}

#[cfg(test)]
pub mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    /// An engine whose jobs nobody takes but the test, with room for `room` of them.
    pub fn idle(folder: &std::path::Path, room: usize) -> (Engine, Receiver<Job>) {
        let (jobs, queue) = sync_channel(room);
        let shared = Shared {
            archive: Archive::create(&folder.join("events"), &countersign_archive::Options::default())
                .unwrap(),
            settled: Settled::open(folder).unwrap(),
            live: Mutex::default(),
            durable: Durable::default(),
            state: watch::channel(ShardState::Running).0,
            retry_after_ms: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            durability: Durability::Disk,
            released: tokio::sync::Notify::new(),
            snapshot_seq: AtomicU64::new(0),
            applied_seq: AtomicU64::new(0),
            refusals: Refusals::default(),
            stages: Stages::default(),
            sessions: AtomicU64::new(0),
            confirmed: AtomicBool::new(true),
        };
        (Engine { jobs, desk: Arc::default(), shared: Arc::new(shared) }, queue)
    }

    pub fn look() -> Job {
        Job::Look(Box::new(|_| Box::new(|| ())))
    }

    #[test]
    fn no_more_commands_wait_than_clients_are_told() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 4);
        let queued = || engine.shared.queued.load(Ordering::Relaxed);
        engine.shared.queued.store(COMMANDS_MAX - 1, Ordering::Relaxed);
        engine.send(look()).unwrap();
        assert_eq!((engine.send(look()), queued()), (Err(NotTaken(Code::Busy)), COMMANDS_MAX));
        drop(queue);
        engine.shared.queued.store(0, Ordering::Relaxed);
        assert_eq!((engine.send(look()), queued()), (Err(NotTaken(Code::Failed)), 0));
    }

    #[tokio::test]
    async fn a_promise_waits_for_room_where_others_hear_that_it_is_busy() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 1);
        engine.send(look()).unwrap();
        assert_eq!(engine.send(look()), Err(NotTaken(Code::Busy)));
        let promised = Command::CancelSession { session: 7 };
        let (asked, command) = (engine.clone(), promised.clone());
        let insisting = tokio::spawn(async move { asked.insist(&command).await });
        tokio::time::sleep(10 * AGAIN).await;
        assert!(!insisting.is_finished());
        assert!(matches!(queue.recv().unwrap(), Job::Look(_)));
        insisting.await.unwrap();
        let Job::Commands { entries, .. } = queue.recv().unwrap() else { panic!("something else was put") };
        assert!(entries[0].command == Ok(promised));
        drop(queue);
        engine.insist(&Command::CancelSession { session: 7 }).await;
    }
}
