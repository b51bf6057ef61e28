//! The engine thread: takes commands in order, journals and applies them, and hands blocks over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use countersign_journal::Block;
use countersign_venue::codec::digest;
use countersign_venue::{Code, Command, Outcome, Output, Venue};
use countersign_wire::Bytes;

use crate::clock::wall_ns;
use crate::engine::{BLOCK_BYTES, Entry, Job, Release, Reply, Shared, Told};
use crate::stages::Way;
use crate::tray::Tray;

/// A block with everything that waits for it.
#[derive(Default)]
pub struct Batch {
    pub block: Block,
    pub output: Output,
    pub releases: Vec<Held>,
    pub engine_seq: u64,
    pub event_seq: u64,
    pub epoch: u64,
    pub time_ns: u64,
    pub chain: [u8; 32],
    pub open_orders: u64,
    pub accounts: u64,
}

pub enum Held {
    Answers(Vec<Told>, Reply, Way),
    Look(Release),
}

/// The engine thread.
pub struct Deciding {
    pub venue: Venue,
    pub queue: Receiver<Job>,
    pub tray: Arc<Tray<Batch>>,
    pub spare: Receiver<Batch>,
    pub shared: Arc<Shared>,
}

impl Deciding {
    pub fn run(mut self) {
        self.decide();
        self.tray.close();
    }

    fn decide(&mut self) {
        // A batch that holds nothing yet; then nothing lies on the tray either.
        let mut unused = None;
        let mut stopping = false;
        loop {
            let first = if stopping { None } else { self.wait_for_job() };
            let now = self.now();
            let mut batch =
                unused.take().or_else(|| self.tray.take_back()).unwrap_or_else(|| self.next_batch());
            // Before the job: those that change nothing could come without an end, and no clock would ever be heard.
            if self.venue.next_timer_ns().is_some_and(|due| due <= now) {
                self.entry(
                    Entry { id: Bytes::new(), session_seq: 0, command: Ok(Command::Tick) },
                    now,
                    &mut batch,
                );
            }
            if let Some(job) = first {
                stopping |= self.take(job, now, &mut batch);
            }
            while batch.block.len() < BLOCK_BYTES
                && let Ok(job) = self.queue.try_recv()
            {
                stopping |= self.take(job, now, &mut batch);
            }
            let full = batch.block.len() >= BLOCK_BYTES;
            if batch.block.is_empty() && batch.releases.is_empty() {
                unused = Some(batch);
            } else {
                self.seal(&mut batch);
                if !self.tray.lay(batch) {
                    return;
                }
            }
            if full {
                self.tray.wait_until_taken();
            } else if stopping {
                return;
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
        let weight = job.weight();
        match job {
            Job::Stop => return true,
            Job::Commands { entries, reply, read } => {
                let taken = Instant::now();
                let told = entries.into_iter().map(|entry| self.entry(entry, now, batch));
                let told: Vec<Told> = told.collect();
                for told in told.iter().filter(|told| told.outcome.code != Code::Ok) {
                    self.shared.refusals.add(told.outcome.code, 1);
                }
                let way = Way { read, taken, decided: Instant::now() };
                batch.releases.push(Held::Answers(told, reply, way));
            }
            Job::Look(look) => batch.releases.push(Held::Look(look(&self.venue))),
        }
        self.shared.queued.fetch_sub(weight, Ordering::Relaxed);
        false
    }

    /// Journals and applies one command, unless it can be answered without.
    fn entry(&mut self, entry: Entry, now: u64, batch: &mut Batch) -> Told {
        let Entry { id, session_seq, command } = entry;
        let refused = |code| Told {
            id: Bytes::new(),
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use countersign_venue::command::{OrderBody, OrderCommand};

    use super::*;
    use crate::engine::tests::{idle, look};

    #[test]
    fn a_time_out_is_not_kept_waiting_by_questions() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 4);
        let mut venue = Venue::new();
        let body = OrderBody::CancelAllAfter { account_id: 7, timeout_ms: 1 };
        let switch = OrderCommand { command_id: [7; 16], session: 0, session_seq: 0, expires_at_ms: 1, body };
        venue.apply(1, &Command::Order(switch), 0, &mut Output::default());
        assert!(venue.next_timer_ns().is_some());
        for job in [look(), Job::Stop] {
            engine.send(job).unwrap();
        }
        let shared = Arc::clone(&engine.shared);
        let mut deciding = Deciding { venue, queue, tray: Arc::default(), spare: channel().1, shared };
        deciding.decide();
        assert_eq!((deciding.venue.next_timer_ns(), deciding.venue.engine_seq()), (None, 2));
    }
}
