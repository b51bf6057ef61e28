//! Snapshots: taken beside the engine, from its journal, and so a running proof that a replay gives the same.
//!
//! A thread keeps a second venue, the shadow, and lets it follow the journal in small steps. The engine thread only says
//! where it stands. If both disagree about the events up to there, the process ends: one of them is wrong; and a snapshot
//! is taken nowhere else. The shadow begins from the newest snapshot on disk, whatever the engine began from, and while
//! that leads already.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use countersign_journal::{Follower, Retired, Seam, first_kept, retire};
use countersign_venue::{Output, Venue};
use tokio::sync::oneshot;

use crate::engine::{Engine, Shared};
use crate::settled::Keep;
use crate::snapshots::{self, Taken};
use crate::start::point_of;
use crate::turns;

/// Requests that may wait.
const ASKS_MAX: usize = 4;
/// How often the shadow follows.
const STEP: Duration = Duration::from_millis(25);
/// Commands that it replays without a pause: the kernel lets a thread of any priority finish its slice while others
/// wait for the core, so only short work gives way to them. A shadow that lags far does more at once.
const PIECE: u64 = 128;
const PIECES_MAX: u64 = 64;
const BREATH: Duration = Duration::from_millis(1);
/// Commands after which it looks up from its work.
const STRIDE: u64 = 1 << 16;
/// After a step that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A snapshot of so many bytes costs about what replaying one command does: a large state is written more rarely, or
/// writing it would take longer than what it saves at the next start.
const BYTES_OF_A_COMMAND: u64 = 200;

type Asked = oneshot::Sender<Result<Taken, String>>;

/// The way to the snapshot thread.
#[derive(Clone)]
pub struct Snapshots {
    asks: SyncSender<Asked>,
}

impl Snapshots {
    /// Starts the thread. A snapshot is due every `every` commands, 0 = never.
    pub fn start(folder: &Path, engine: Engine, every: u64, keep: Keep) -> Snapshots {
        let (asks, asked) = sync_channel(ASKS_MAX);
        let work = Work::new(folder, engine, asked, every, keep);
        thread::Builder::new().name("shadow".into()).spawn(|| work.run()).expect("a thread can start");
        Snapshots { asks }
    }

    pub async fn take(&self) -> Result<Taken, String> {
        let (reply, taken) = oneshot::channel();
        self.asks.try_send(reply).map_err(|_| "enough snapshots are asked for already".to_string())?;
        taken.await.map_err(|_| "the snapshot thread has ended".to_string())?
    }
}

struct Shadow {
    venue: Venue,
    follower: Follower,
    /// Where it is compared next, and with what.
    next: (u64, [u8; 32]),
}

impl Shadow {
    fn of(venue: Venue, folder: &Path) -> Shadow {
        let follower = Follower::new(folder, venue.engine_seq());
        Shadow { venue, follower, next: (0, [0; 32]) }
    }

    /// Replays a part of what is durable. Whether it stands where it was compared with the engine: never further, so
    /// that no snapshot stands for what was not.
    fn follow(&mut self, shared: &Shared) -> Result<bool, String> {
        let Shadow { venue, follower, next } = self;
        if venue.engine_seq() >= next.0 {
            *next = shared.durable.get();
        }
        let (engine_seq, chain) = *next;
        let lag = engine_seq.saturating_sub(venue.engine_seq());
        let piece = (lag / PIECES_MAX).max(PIECE);
        if lag > 0 {
            let mut output = Output::default();
            let read = follower.poll_to(venue.engine_seq() + lag.min(STRIDE), |record| {
                output.clear();
                venue.replay(record.time_ns, record.bytes, &mut output).map_err(|cause| cause.to_string())?;
                if venue.engine_seq().is_multiple_of(piece) {
                    thread::sleep(BREATH);
                }
                Ok(())
            });
            if read.map_err(|error| error.to_string())? == 0 {
                return Err("the journal ends before what the engine has acknowledged".into());
            }
        }
        if venue.engine_seq() != engine_seq {
            return Ok(false);
        }
        if venue.chain() != chain {
            eprintln!("countersign-engine: the journal's replay differs from the engine at {engine_seq}");
            std::process::abort();
        }
        Ok(true)
    }
}

struct Work {
    folder: PathBuf,
    engine: Engine,
    asked: Receiver<Asked>,
    /// Who wants a snapshot, and what it must stand for at least.
    wanted: Vec<(Asked, u64)>,
    /// Read when it is first needed.
    shadow: Option<Shadow>,
    every: u64,
    /// Of the newest snapshot.
    bytes: u64,
    keep: Keep,
    /// The event up to which the snapshot before the newest one stands; 0 = it is not of this process.
    before: u64,
}

impl Work {
    fn new(folder: &Path, engine: Engine, asked: Receiver<Asked>, every: u64, keep: Keep) -> Work {
        let (folder, wanted) = (folder.to_path_buf(), Vec::new());
        Work { folder, engine, asked, wanted, shadow: None, every, bytes: 0, keep, before: 0 }
    }

    /// It gives way to all others: it may lag, orders may not. But where they leave it next to nothing until a snapshot is
    /// overdue, it takes more, or a start after a crash would replay for as long as they did.
    fn run(mut self) {
        let mut at = |place, on: fn(&Work) -> bool| {
            let work = &mut self;
            // No thread can raise itself again, so each time it is another one.
            thread::scope(|scope| {
                let run = || {
                    turns::give_way(place);
                    work.work(on)
                };
                let thread = thread::Builder::new().name("snapshots".into()).spawn_scoped(scope, run);
                thread.expect("a thread can start").join().expect("a panic ends the process")
            })
        };
        while at(turns::LAST, |work| !work.is_overdue()) && at(turns::BEHIND, Work::is_due) {}
    }

    /// Works for as long as `on` says; false once nobody is left who could ask.
    fn work(&mut self, on: impl Fn(&Work) -> bool) -> bool {
        let mut patience = STEP;
        while on(self) {
            match self.asked.recv_timeout(patience) {
                Ok(ask) => self.wanted.push((ask, self.engine.shared.durable.get().0)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            patience = match self.step() {
                Ok(true) => STEP,
                Ok(false) => Duration::ZERO,
                Err(cause) => {
                    eprintln!("engine: no snapshot can be taken: {cause}");
                    self.answer(&Err(cause));
                    PAUSE
                }
            };
        }
        true
    }

    /// Commands that a start would have to replay.
    fn debt(&self) -> u64 {
        self.engine.applied_seq().saturating_sub(self.engine.shared.snapshot_seq.load(Ordering::Relaxed))
    }

    fn due_at(&self) -> u64 {
        self.every.max(self.bytes / BYTES_OF_A_COMMAND)
    }

    fn is_due(&self) -> bool {
        self.every != 0 && self.debt() >= self.due_at()
    }

    fn is_overdue(&self) -> bool {
        self.every != 0 && self.debt() >= self.due_at() + self.due_at() / 2
    }

    /// A little of the work that a snapshot needs, so that it never comes all at once, and the snapshot where one is due or
    /// wanted. Whether nothing is left to do.
    fn step(&mut self) -> Result<bool, String> {
        if self.every == 0 && self.wanted.is_empty() {
            return Ok(true);
        }
        if self.shadow.is_none() {
            self.shadow = Some(self.begin()?);
        }
        let shadow = self.shadow.as_mut().expect("it was just read");
        let compared = shadow.follow(&self.engine.shared)?;
        let engine_seq = shadow.venue.engine_seq();
        self.engine.shared.archive.settle().map_err(|cause| cause.to_string())?;
        let is_wanted = self.wanted.iter().any(|(_, least)| *least <= engine_seq);
        if compared && (is_wanted || self.is_due()) {
            let taken = self.take()?;
            self.bytes = taken.bytes;
            self.answer(&Ok(taken));
        }
        Ok(compared && self.wanted.is_empty())
    }

    /// Tells those whose snapshot this is; a failure is everybody's.
    fn answer(&mut self, taken: &Result<Taken, String>) {
        let stands_at = taken.as_ref().map_or(u64::MAX, |taken| taken.engine_seq);
        for (ask, _) in self.wanted.extract_if(.., |(_, least)| *least <= stands_at) {
            ask.send(taken.clone()).ok();
        }
    }

    /// The newest snapshot that is whole, or an empty venue where the journal is there from its beginning.
    fn begin(&mut self) -> Result<Shadow, String> {
        let venue = match snapshots::newest(&self.folder).map_err(|cause| cause.to_string())? {
            Some(venue) => {
                self.bytes = snapshots::bytes_of(&self.folder, venue.engine_seq());
                venue
            }
            None => match first_kept(&self.folder).map_err(|error| error.to_string())? {
                1 => Venue::new(),
                first => return Err(format!("no snapshot can be read, and the journal begins at {first}")),
            },
        };
        self.engine.shared.snapshot_seq.store(venue.engine_seq(), Ordering::Relaxed);
        Ok(Shadow::of(venue, &self.folder))
    }

    fn take(&mut self) -> Result<Taken, String> {
        let (shared, folder) = (&self.engine.shared, &self.folder);
        let shadow = &self.shadow.as_ref().expect("it was compared").venue;
        // Events are appended a moment after their commands are durable.
        while shared.archive.last_seq() < shadow.event_seq() {
            thread::sleep(Duration::from_millis(1));
        }
        // Events up to here are not computed again at the next start: they must be as safe as the snapshot.
        shared.archive.seal(&point_of(shadow)).map_err(|cause| cause.to_string())?;
        let taken = snapshots::write(folder, shadow).map_err(|cause| cause.to_string())?;
        shared.snapshot_seq.store(taken.engine_seq, Ordering::Relaxed);
        self.clear_away();
        self.engine.shared.forget_events(self.keep.event_files, self.before);
        self.before = taken.event_seq;
        Ok(taken)
    }

    /// Sends segments to the attic that no snapshot still needs. What fails here is said, and tried again next time.
    fn clear_away(&self) {
        let Some(through) = snapshots::stood_for(&self.folder) else { return };
        match retire(&self.folder, through, self.keep.segments, &Seam::default()) {
            Ok(Retired { segments: 0, forgotten: 0, .. }) => {}
            Ok(Retired { segments, bytes_before, bytes_after, forgotten }) => eprintln!(
                "engine: {segments} old segments went to the attic, {bytes_before} bytes as {bytes_after}; \
                 {forgotten} left it"
            ),
            Err(error) => eprintln!("engine: old segments stay where they are: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_journal::{Block, Journal, Options};
    use countersign_venue::codec::digest;
    use countersign_venue::{Command, LOGIC_VERSION};
    use tempfile::TempDir;

    use super::*;
    use crate::engine::tests::idle;

    fn work(folder: &Path, every: u64) -> Work {
        let (engine, _) = idle(folder, 1);
        Work::new(folder, engine, sync_channel(1).1, every, Keep { segments: 0, event_files: 0 })
    }

    #[test]
    fn a_snapshot_stands_only_where_it_was_compared_and_where_events_are_told() {
        let folder = TempDir::new().unwrap();
        let mut work = work(folder.path(), 1);
        let shared = Arc::clone(&work.engine.shared);
        shared.applied_seq.store(2, Ordering::Relaxed);
        let options = Options { segment_bytes: 4_096, ..Options::default() };
        let (mut journal, _) = Journal::open(folder.path(), &options, true, 0, |_| Ok(())).unwrap();
        let (mut venue, mut block, mut points) = (Venue::new(), Block::default(), Vec::new());
        // Both lie in the file, and only the first is known to be flushed.
        for epoch in [1, 2] {
            let (command, mut output) =
                (Command::Lead { epoch, logic_version: LOGIC_VERSION }, Output::default());
            block.start(epoch);
            let (_, body) = block.push(epoch, |bytes| command.encode(bytes));
            venue.apply(epoch, &command, digest(block.since(body)), &mut output);
            journal.append(&mut block).unwrap();
            points.push((venue.chain(), output));
        }
        for (engine_seq, (chain, output)) in (1..).zip(&points) {
            shared.durable.set(engine_seq, chain);
            let (begun, stepping) = sync_channel(0);
            let (stepped, shown) = std::sync::mpsc::channel();
            thread::scope(|scope| {
                scope.spawn(|| {
                    begun.send(()).unwrap();
                    stepped.send(work.step()).unwrap();
                });
                stepping.recv().unwrap();
                let early = shown.recv_timeout(Duration::from_millis(50));
                assert!(early.is_err() && snapshots::newest_seq(folder.path()) == engine_seq - 1);
                shared.archive.append(&output.bytes, output.count).unwrap();
                assert_eq!(shown.recv().unwrap(), Ok(true));
            });
            assert_eq!(snapshots::newest_seq(folder.path()), engine_seq);
            assert_eq!(shared.snapshot_seq.load(Ordering::Relaxed), engine_seq);
        }
        // And its events are sealed, since a start from it reads none of them again.
        assert!(folder.path().join("events/events-00000000000000000001.idx").exists());
    }

    #[test]
    fn whoever_asks_is_told_of_a_snapshot_that_stands_for_all_that_was_durable_by_then() {
        let folder = TempDir::new().unwrap();
        let mut work = work(folder.path(), 0);
        let taken = |engine_seq| Taken {
            engine_seq,
            event_seq: 0,
            state_hash: [0; 32],
            file: String::new(),
            bytes: 0,
        };
        let mut ask = |least| {
            let (ask, told) = oneshot::channel();
            work.wanted.push((ask, least));
            told
        };
        let (mut five, mut six, mut seven) = (ask(5), ask(6), ask(7));
        work.answer(&Ok(taken(5)));
        assert_eq!(five.try_recv().unwrap().unwrap().engine_seq, 5);
        work.answer(&Ok(taken(6)));
        assert_eq!(six.try_recv().unwrap().unwrap().engine_seq, 6);
        work.answer(&Err("the disk is full".into()));
        assert!(seven.try_recv().unwrap().is_err() && work.wanted.is_empty());
    }

    #[test]
    fn a_snapshot_is_due_after_as_many_commands_as_were_asked_for_and_never_where_none_were() {
        let folder = TempDir::new().unwrap();
        let mut work = work(folder.path(), 100);
        let due = |work: &Work, applied| {
            work.engine.shared.applied_seq.store(applied, Ordering::Relaxed);
            (work.is_due(), work.is_overdue())
        };
        work.engine.shared.snapshot_seq.store(50, Ordering::Relaxed);
        let (not_yet, now, late) = ((false, false), (true, false), (true, true));
        let told = [40, 149, 150, 199, 200].map(|applied| due(&work, applied));
        assert_eq!(told, [not_yet, not_yet, now, now, late], "then it does not give way any more");
        work.bytes = 200 * BYTES_OF_A_COMMAND;
        assert_eq!([249, 250, 350].map(|applied| due(&work, applied)), [not_yet, now, late]);
        work.every = 0;
        assert_eq!(due(&work, u64::MAX), not_yet);
    }
}
