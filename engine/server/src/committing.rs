//! Makes blocks durable, and only then lets out what waits for them.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use countersign_journal::Journal;
use countersign_venue::Output;
use countersign_wire::v1::ShardState;

use crate::deciding::{Batch, Held};
use crate::engine::{Answers, Reply, Shared};
use crate::live::FLUSHES_KEPT;
use crate::tray::Tray;

/// How often a living leader says so, at most.
pub const BEAT: Duration = Duration::from_millis(100);
/// So long events of other blocks gather while some are written: a thread that is woken for each block, and wakes those
/// who read, takes turns on the cores from the path of an order.
const GATHER: Duration = Duration::from_millis(1);
/// Events that may wait to be written.
const EVENT_BYTES: usize = 8 << 20;
/// Time for the word FAILED to reach those who are connected, before the process ends.
const LAST_WORDS: Duration = Duration::from_millis(300);

pub struct Committing {
    pub journal: Journal,
    pub events: Arc<Tray<Output>>,
    pub writing: JoinHandle<()>,
    pub shared: Arc<Shared>,
    pub beat: Instant,
}

impl Committing {
    /// The journal thread.
    pub fn run(mut self, tray: &Tray<Batch>, spare: &Sender<Batch>) {
        while let Some(mut batch) = tray.take() {
            self.commit(&mut batch);
            spare.send(batch).ok();
        }
        tray.close();
        self.end();
    }

    pub fn commit(&mut self, batch: &mut Batch) {
        let began = Instant::now();
        let flushed = !batch.block.is_empty();
        if flushed && let Err(error) = self.journal.append(&mut batch.block) {
            fail(&self.shared, &error);
        }
        self.publish(batch, began, flushed);
        self.pass_on(&batch.output);
        if self.beat.elapsed() >= BEAT {
            self.beat = Instant::now();
            if let Err(error) = self.journal.beat() {
                fail(&self.shared, &error);
            }
        }
    }

    pub fn end(self) {
        // The next leader may write below the folder as soon as the journal's lock is free.
        self.events.close();
        self.writing.join().ok();
        drop(self.journal);
    }

    /// Events are written by a thread of their own, while this one flushes again.
    fn pass_on(&self, output: &Output) {
        if output.count == 0 {
            return;
        }
        let mut gathered = self.events.take_back().unwrap_or_default();
        gathered.bytes.extend_from_slice(&output.bytes);
        gathered.count += output.count;
        let full = gathered.bytes.len() >= EVENT_BYTES;
        self.events.lay(gathered);
        if full {
            self.events.wait_until_taken();
        }
    }

    fn publish(&self, batch: &mut Batch, began: Instant, flushed: bool) {
        let durable_at = Instant::now();
        self.shared.durable.set(batch.engine_seq, &batch.chain);
        {
            let mut live = self.shared.live.lock().expect("nobody panics while holding it");
            live.epoch = batch.epoch;
            live.event_seq = batch.event_seq;
            live.time_ns = batch.time_ns;
            live.open_orders = batch.open_orders;
            live.accounts = batch.accounts;
            if flushed {
                let took = durable_at - began;
                live.journal_bytes += batch.block.len() as u64;
                live.blocks += 1;
                if live.flushes.len() == FLUSHES_KEPT {
                    live.flushes.pop_front();
                }
                live.flushes.push_back(took.as_micros().min(u128::from(u32::MAX)) as u32);
                live.flush_us.add(took.as_micros() as u64);
                live.block_commands.add(batch.block.count().into());
            }
        }
        for held in batch.releases.drain(..) {
            match held {
                Held::Look(release) => release(),
                Held::Answers(told, reply, way) => {
                    self.shared.stages.add_way(&way, (began, durable_at), told.len() as u64);
                    let answers =
                        Answers { told, durable_seq: batch.engine_seq, epoch: batch.epoch, durable_at };
                    match reply {
                        Reply::Once(reply) => drop(reply.send(answers)),
                        Reply::Stream(reply) => drop(reply.send(crate::orders::Told::Answers(answers))),
                        Reply::Nobody => {}
                    }
                }
            }
        }
    }
}

/// Writes the events of durable blocks for those who read them.
pub fn write_events(durable: &Tray<Output>, shared: &Shared) {
    while let Some(output) = durable.take() {
        if let Err(cause) = shared.archive.append(&output.bytes, output.count) {
            fail(shared, &cause);
        }
        thread::sleep(GATHER);
    }
    durable.close();
}

/// After a failed flush nobody knows what the disk holds; a retry could report success for lost bytes. So nothing more
/// is answered but FAILED, and the process ends: the next start finds out what became of the commands under way.
fn fail(shared: &Shared, error: &dyn std::fmt::Display) -> ! {
    shared.state.send_replace(ShardState::Failed);
    eprintln!("countersign-engine: {error}; nothing more is acknowledged, the process ends");
    thread::sleep(LAST_WORDS);
    std::process::exit(70);
}
