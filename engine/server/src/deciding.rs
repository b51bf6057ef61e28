//! Takes commands in order, journals and applies them, and hands blocks over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use countersign_journal::Block;
use countersign_venue::codec::digest;
use countersign_venue::command::{AdminBody, OrderBody, OrderCommand};
use countersign_venue::{Code, Command, Outcome, Output, Venue};
use countersign_wire::Bytes;

use crate::clock::wall_ns;
use crate::committing::Committing;
use crate::engine::{BLOCK_BYTES, Entry, Job, Release, Reply, Seen, Shared, Told};
use crate::stages::Way;
use crate::tray::Tray;

/// How long the engine thread sleeps at most.
const PATIENCE: Duration = Duration::from_secs(1);

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

impl Batch {
    /// Empties it; its first command will have this sequence.
    fn begin(&mut self, first_seq: u64) {
        self.block.start(first_seq);
        self.output.clear();
        self.releases.clear();
    }
}

pub enum Held {
    Answers(Vec<Told>, Reply, Way),
    Look(Release),
}

/// Where decided blocks go.
pub enum Onward {
    /// To the thread that flushes; what it has done with comes back.
    Flushed(Arc<Tray<Batch>>, Receiver<Batch>),
    /// Nowhere: what is not flushed is written and let out by whoever decided it.
    Written(Box<Committing>),
}

/// Belongs to whoever decides now.
pub struct Deciding {
    venue: Venue,
    queue: Receiver<Job>,
    onward: Onward,
    shared: Arc<Shared>,
    /// A batch that holds nothing yet; then nothing lies on the tray either.
    unused: Option<Batch>,
    full: bool,
    /// Nothing more is taken, as it was ordered or because nobody would take it on.
    over: bool,
    /// What could trade is refused: officers may have stopped markets while nobody led.
    unconfirmed: bool,
    /// The first command under this leader.
    began: u64,
    /// Markets by the command that has changed their state last, since then.
    moved: BTreeMap<u32, u64>,
}

/// Whether somebody could trade by it. Whoever only wants to be out of the market is let out.
fn may_trade(command: &Command) -> bool {
    match command {
        Command::Order(OrderCommand { body, .. }) => matches!(body, OrderBody::New(_) | OrderBody::Amend(_)),
        Command::Admin { body, .. } => matches!(body, AdminBody::RunAuction { .. }),
        _ => false,
    }
}

impl Deciding {
    pub fn new(venue: Venue, queue: Receiver<Job>, onward: Onward, shared: Arc<Shared>) -> Deciding {
        Deciding {
            began: venue.engine_seq() + 1,
            venue,
            queue,
            onward,
            shared,
            unused: None,
            full: false,
            over: false,
            unconfirmed: true,
            moved: BTreeMap::new(),
        }
    }

    /// Decides what waits, up to so many commands and a job; says how many it took.
    pub fn turn(&mut self, most: u64) -> u64 {
        let now = self.now();
        self.unconfirmed = !self.shared.confirmed.load(Ordering::Acquire);
        let mut batch = self.open_batch();
        // Before the jobs: those that change nothing could come without an end, and no clock would ever be heard.
        if self.venue.next_timer_ns().is_some_and(|due| due <= now) {
            let tick = Entry { id: Bytes::new(), session_seq: 0, command: Ok(Command::Tick) };
            self.entry(tick, now, &mut batch);
        }
        let mut taken = 0;
        while taken < most
            && batch.block.len() < BLOCK_BYTES
            && let Ok(job) = self.queue.try_recv()
        {
            taken += job.weight().max(1);
            self.over |= self.take(job, now, &mut batch);
        }
        self.full = batch.block.len() >= BLOCK_BYTES;
        if batch.block.is_empty() && batch.releases.is_empty() {
            self.unused = Some(batch);
        } else {
            self.seal(&mut batch);
            self.hand_over(batch);
        }
        taken
    }

    /// The block that may not grow any more lies there and nobody has taken it yet.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Everything that will ever be decided is.
    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn wait_until_taken(&mut self) {
        if let Onward::Flushed(tray, _) = &self.onward {
            tray.wait_until_taken();
        }
        self.full = false;
    }

    /// When the clock must be looked at.
    pub fn due_ns(&self) -> Option<u64> {
        self.venue.next_timer_ns()
    }

    /// For how long nothing needs to be looked at.
    pub fn patience(&self) -> Duration {
        let left = self.due_ns().map(|due| Duration::from_nanos(due.saturating_sub(wall_ns())));
        left.unwrap_or(PATIENCE).min(PATIENCE)
    }

    /// Lets go of the journal, once everything that was decided is written.
    pub fn end(self) {
        match self.onward {
            Onward::Flushed(tray, _) => tray.close(),
            Onward::Written(committing) => committing.end(),
        }
    }

    /// The wall clock, never running backwards, not even across restarts.
    fn now(&self) -> u64 {
        wall_ns().max(self.venue.time_ns())
    }

    /// The block that is being filled: it may lie on the tray, or a new one begins.
    fn open_batch(&mut self) -> Batch {
        let mut batch = match (self.unused.take(), &self.onward) {
            (Some(batch), _) => return batch,
            (None, Onward::Flushed(tray, spare)) => match tray.take_back() {
                Some(batch) => return batch,
                None => spare.try_recv().unwrap_or_default(),
            },
            (None, Onward::Written(_)) => Batch::default(),
        };
        batch.begin(self.venue.engine_seq() + 1);
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

    fn hand_over(&mut self, mut batch: Batch) {
        match &mut self.onward {
            Onward::Flushed(tray, _) => self.over |= !tray.lay(batch),
            Onward::Written(committing) => {
                committing.commit(&mut batch);
                batch.begin(self.venue.engine_seq() + 1);
                (self.unused, self.full) = (Some(batch), false);
            }
        }
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
            Job::Seen { mut entry, seen, reply } => {
                if self.is_overtaken(seen) {
                    entry.command = Err(Code::Overtaken);
                }
                return self.take(Job::commands(vec![*entry], reply), now, batch);
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
        // After the look for a first outcome: whoever asks again is told what a former leader did.
        if self.unconfirmed && may_trade(&command) {
            batch.block.undo(undo);
            return Told { id, ..refused(Code::Unconfirmed) };
        }
        let outcome = self.venue.apply(now, &command, digest, &mut batch.output);
        self.note_state(&command, &outcome);
        Told { id, session_seq, outcome, duplicate: false, event_seq: self.venue.event_seq() }
    }

    /// What a former leader did behind that look is not known here: then it is looked at again.
    fn is_overtaken(&self, seen: Seen) -> bool {
        let moved = self.moved.get(&seen.instrument_id).copied().unwrap_or(self.began);
        seen.engine_seq < moved
    }

    fn note_state(&mut self, command: &Command, outcome: &Outcome) {
        if let Command::Admin { body, .. } = command
            && let AdminBody::SetState { instrument_id, .. } | AdminBody::RunAuction { instrument_id, .. } =
                body
            && outcome.code == Code::Ok
        {
            self.moved.insert(*instrument_id, outcome.engine_seq);
        }
    }
}

#[cfg(test)]
mod tests;
