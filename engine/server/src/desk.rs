//! Who decides: whoever brings a little while nobody else decides, and otherwise the engine thread.
//!
//! To wake a thread takes longer than to decide some orders, and on a busy machine the woken one first waits for a core.
//! So the engine thread is called for much at once, for what came while somebody else was deciding, and for the clock.

use std::sync::{Mutex, MutexGuard, OnceLock};
use std::thread::{self, Thread};

use crate::deciding::Deciding;

/// More commands are left to the engine thread.
pub const LITTLE: u64 = 64;

#[derive(Default)]
pub struct Desk {
    /// Nobody can decide before the engine thread has begun and after it has ended.
    place: Mutex<Option<Deciding>>,
    engine: OnceLock<Thread>,
}

impl Desk {
    /// The engine thread, until it is told to stop.
    pub fn keep(&self, deciding: Deciding) {
        self.engine.set(thread::current()).expect("one thread keeps the desk");
        *self.place() = Some(deciding);
        loop {
            let mut place = self.place();
            let deciding = place.as_mut().expect("it is taken away below");
            let decided = deciding.turn(u64::MAX);
            if deciding.is_full() {
                // Whoever comes meanwhile finds the desk taken, and leaves it in the queue.
                deciding.wait_until_taken();
                continue;
            }
            if deciding.is_over() {
                // With it goes the queue: whoever still sends hears that nobody decides any more.
                let deciding = place.take().expect("it was there");
                drop(place);
                deciding.end();
                return;
            }
            let patience = deciding.patience();
            drop(place);
            if decided == 0 {
                // A call since the turn began lets this return at once.
                thread::park_timeout(patience);
            }
        }
    }

    /// For whoever has put a few commands into the queue: decides them, unless somebody is at it.
    pub fn come(&self) {
        if let Ok(mut place) = self.place.try_lock()
            && let Some(deciding) = place.as_mut()
        {
            let due = deciding.due_ns().unwrap_or(u64::MAX);
            let decided = deciding.turn(LITTLE);
            let sooner = deciding.due_ns().is_some_and(|now_due| now_due < due);
            let more = decided >= LITTLE || deciding.is_full() || deciding.is_over() || sooner;
            drop(place);
            if !more {
                return;
            }
        }
        self.call();
    }

    /// Lets the engine thread look at the queue and at the clock.
    pub fn call(&self) {
        // One that has not begun looks at both first.
        if let Some(engine) = self.engine.get() {
            engine.unpark();
        }
    }

    fn place(&self) -> MutexGuard<'_, Option<Deciding>> {
        self.place.lock().expect("nobody panics while holding it")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::channel;

    use countersign_venue::{Command, Venue};
    use countersign_wire::Bytes;
    use tokio::sync::oneshot;

    use super::*;
    use crate::deciding::Onward;
    use crate::engine::tests::{idle, look};
    use crate::engine::{Engine, Entry, Job, Reply};

    fn open(session: u8) -> Entry {
        let command = Command::OpenSession { session_id: [session; 16] };
        Entry { id: Bytes::new(), session_seq: 0, command: Ok(command) }
    }

    fn sessions(count: u8) -> Job {
        Job::commands((0..count).map(open).collect(), Reply::Nobody)
    }

    /// An engine with room for all jobs of a test, and what somebody at its desk decides with. Blocks are never flushed.
    fn desk() -> (Engine, Deciding, tempfile::TempDir) {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 1_024);
        let onward = Onward::Flushed(Arc::default(), channel().1);
        let deciding = Deciding::new(Venue::new(), queue, onward, Arc::clone(&engine.shared));
        (engine, deciding, folder)
    }

    fn decided(engine: &Engine) -> u64 {
        engine.shared.applied_seq.load(Ordering::Relaxed)
    }

    #[test]
    fn a_little_is_decided_by_whoever_brings_it_and_the_rest_by_the_engine_thread() {
        let (engine, deciding, _folder) = desk();
        *engine.desk.place() = Some(deciding);
        engine.desk.engine.set(thread::current()).unwrap();
        engine.send(sessions(3)).unwrap();
        assert_eq!(decided(&engine), 3);
        // Each of these calls the engine thread, which is this one: or it would sleep here for good.
        for left in [sessions(LITTLE as u8 + 1), look()] {
            engine.send(left).unwrap();
            assert_eq!(decided(&engine), 3);
            thread::park();
        }
        let place = engine.desk.place();
        engine.send(sessions(1)).unwrap();
        drop(place);
        thread::park();
        assert_eq!((decided(&engine), engine.shared.queued.load(Ordering::Relaxed)), (3, 67));
    }

    #[test]
    fn everything_is_decided_once_whoever_decides_it() {
        const SENDERS: u8 = 4;
        const EACH: u8 = 60;
        let (engine, deciding, _folder) = desk();
        let keeping = Arc::clone(&engine.desk);
        let keeper = thread::spawn(move || keeping.keep(deciding));
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let engine = &engine;
                scope.spawn(move || {
                    for number in 0..EACH {
                        let job = Job::commands(vec![open(sender * EACH + number)], Reply::Nobody);
                        engine.send(job).unwrap();
                        if number % 8 == 0 {
                            engine.send(look()).unwrap();
                        }
                    }
                });
            }
        });
        engine.stop();
        keeper.join().unwrap();
        assert_eq!(decided(&engine), u64::from(SENDERS) * u64::from(EACH));
        assert_eq!(engine.shared.queued.load(Ordering::Relaxed), 0);
        // Nobody decides any more, and whoever asks hears so.
        let (reply, mut answers) = oneshot::channel();
        assert!(engine.send(Job::commands(vec![open(0)], Reply::Once(reply))).is_err());
        assert!(answers.try_recv().is_err());
    }
}
