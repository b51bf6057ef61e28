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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use countersign_journal::{Options, Seam, Step};
    use countersign_venue::codec::digest;
    use countersign_venue::{Command, LOGIC_VERSION, Venue};
    use tempfile::TempDir;
    use tokio::sync::oneshot;

    use super::*;
    use crate::engine::tests::idle;
    use crate::stages::Way;

    /// A journal thread whose events nobody writes.
    fn begin(folder: &Path, seam: Seam) -> Committing {
        let options = Options { segment_bytes: 4_096, fsync: true, seam };
        let (journal, _) = Journal::open(&folder.join("journal"), &options, true, 0, |_| Ok(())).unwrap();
        let shared = idle(folder, 1).0.shared;
        Committing {
            journal,
            events: Arc::default(),
            writing: thread::spawn(|| ()),
            shared,
            beat: Instant::now(),
        }
    }

    #[test]
    fn nothing_that_waits_for_a_block_is_let_out_before_its_flush() {
        let folder = TempDir::new().unwrap();
        // What is out at each flush; it can be looked at once it is all there.
        type Look = Box<dyn FnMut() -> [bool; 4] + Send>;
        let look: Arc<Mutex<Option<Look>>> = Arc::default();
        let seen: Arc<Mutex<Vec<[bool; 4]>>> = Arc::default();
        let (looking, found) = (Arc::clone(&look), Arc::clone(&seen));
        let seam = Seam::new(move |step| {
            if let (Step::Append | Step::Flush, Some(look)) = (step, looking.lock().unwrap().as_mut()) {
                found.lock().unwrap().push(look());
            }
            Ok(())
        });
        let mut committing = begin(folder.path(), seam);

        let mut batch = Batch { engine_seq: 1, event_seq: 1, epoch: 7, ..Batch::default() };
        batch.block.start(1);
        let command = Command::Lead { epoch: 7, logic_version: LOGIC_VERSION };
        let (_, body) = batch.block.push(9, |bytes| command.encode(bytes));
        Venue::new().apply(9, &command, digest(batch.block.since(body)), &mut batch.output);
        let (reply, mut answers) = oneshot::channel();
        let now = Instant::now();
        let way = Way { read: now, taken: now, decided: now };
        batch.releases.push(Held::Answers(Vec::new(), Reply::Once(reply), way));
        let released = Arc::new(AtomicBool::new(false));
        let release = Arc::clone(&released);
        batch.releases.push(Held::Look(Box::new(move || release.store(true, Ordering::SeqCst))));
        let (shared, events) = (Arc::clone(&committing.shared), Arc::clone(&committing.events));
        *look.lock().unwrap() = Some(Box::new(move || {
            let told = answers.try_recv().is_ok_and(|told| (told.durable_seq, told.epoch) == (1, 7));
            let written = events.take_back().is_some_and(|output| output.count == 1);
            [shared.durable.get().0 == 1, told, released.load(Ordering::SeqCst), written]
        }));
        committing.commit(&mut batch);
        assert_eq!(*seen.lock().unwrap(), [[false; 4]; 2]);
        let out = look.lock().unwrap().take().unwrap()();
        assert_eq!(out, [true; 4]);
    }

    #[test]
    fn blocks_wait_for_whoever_writes_events_once_there_are_too_many() {
        let folder = TempDir::new().unwrap();
        let committing = begin(folder.path(), Seam::default());
        let output = |bytes: usize| Output { bytes: vec![0; bytes], count: 1 };
        committing.pass_on(&output(EVENT_BYTES - 1));
        let comes = AtomicBool::new(false);
        let taken = thread::scope(|scope| {
            let taker = scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                comes.store(true, Ordering::SeqCst);
                committing.events.take().unwrap()
            });
            committing.pass_on(&output(1));
            assert!(comes.load(Ordering::SeqCst), "nobody has come for them");
            taker.join().unwrap()
        });
        assert_eq!((taken.bytes.len(), taken.count), (EVENT_BYTES, 2));
    }
    #[test]
    fn the_journal_is_let_go_behind_the_last_event() {
        let folder = TempDir::new().unwrap();
        let mut committing = begin(folder.path(), Seam::default());
        let (events, journal) = (Arc::clone(&committing.events), folder.path().join("journal"));
        let held = Arc::new(AtomicBool::new(false));
        let holds = Arc::clone(&held);
        committing.writing = thread::spawn(move || {
            assert!(events.take().is_none());
            thread::sleep(Duration::from_millis(50));
            holds.store(countersign_journal::is_led(&journal), Ordering::SeqCst);
        });
        committing.end();
        assert!(held.load(Ordering::SeqCst), "somebody else could have written below the folder");
        assert!(!countersign_journal::is_led(&folder.path().join("journal")));
    }
}
