//! The journal thread: makes blocks durable, and only then lets out what waits for them.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use countersign_journal::Journal;
use countersign_wire::v1::ShardState;

use crate::deciding::{Batch, Held};
use crate::engine::{Answers, Reply, Shared};
use crate::live::FLUSHES_KEPT;
use crate::tray::Tray;

/// How often a living leader says so, at most.
pub const BEAT: Duration = Duration::from_millis(100);
/// Time for the word FAILED to reach those who are connected, before the process ends.
const LAST_WORDS: Duration = Duration::from_millis(300);

pub struct Committing {
    pub journal: Journal,
    pub tray: Arc<Tray<Batch>>,
    pub durable: SyncSender<Batch>,
    pub events: JoinHandle<()>,
    pub shared: Arc<Shared>,
}

impl Committing {
    pub fn run(mut self) {
        let mut beat = Instant::now();
        while let Some(mut batch) = self.tray.take() {
            let began = Instant::now();
            let flushed = !batch.block.is_empty();
            if flushed && let Err(error) = self.journal.append(&mut batch.block) {
                fail(&self.shared, &error);
            }
            self.publish(&mut batch, began, flushed);
            // Events are written by the next thread, while this one flushes again.
            if self.durable.send(batch).is_err() {
                break;
            }
            if beat.elapsed() >= BEAT {
                beat = Instant::now();
                if let Err(error) = self.journal.beat() {
                    fail(&self.shared, &error);
                }
            }
        }
        self.tray.close();
        // The next leader may write below the folder as soon as the journal's lock is free.
        drop(self.durable);
        self.events.join().ok();
        drop(self.journal);
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

/// Writes the events of durable blocks for those who read them, and gives the blocks back.
pub fn publish_events(durable: &Receiver<Batch>, spare: &Sender<Batch>, shared: &Shared) {
    while let Ok(batch) = durable.recv() {
        if let Err(cause) = shared.archive.append(&batch.output.bytes, batch.output.count) {
            fail(shared, &cause);
        }
        spare.send(batch).ok();
    }
}

/// After a failed flush nobody knows what the disk holds; a retry could report success for lost bytes. So nothing more
/// is answered but FAILED, and the process ends: the next start finds out what became of the commands under way.
fn fail(shared: &Shared, error: &dyn std::fmt::Display) -> ! {
    shared.state.send_replace(ShardState::Failed);
    eprintln!("countersign-engine: {error}; nothing more is acknowledged, the process ends");
    std::thread::sleep(LAST_WORDS);
    std::process::exit(70);
}
