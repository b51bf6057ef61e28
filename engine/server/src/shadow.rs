//! Snapshots: taken beside the engine, from its journal, and so a running proof that a replay gives the same.
//!
//! A thread keeps a second venue, the shadow, and lets it follow the journal in small steps. The engine thread only says
//! where it stands. If both disagree about the events up to there, the process ends: one of them is wrong. The shadow
//! begins from the newest snapshot on disk, whatever the engine began from, and while that leads already.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use countersign_journal::{Follower, Retired, Seam, first_kept, retire};
use countersign_venue::{Output, Venue};
use tokio::sync::oneshot;

use crate::engine::Engine;
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
    ///
    /// The thread gives way to all others: it may lag, orders may not.
    pub fn start(folder: &Path, engine: Engine, every: u64, keep: Keep) -> Snapshots {
        let (asks, asked) = sync_channel(ASKS_MAX);
        let folder = folder.to_path_buf();
        let work = Work { folder, engine, shadow: None, every, bytes: 0, keep, before: 0 };
        thread::Builder::new()
            .name("snapshots".into())
            .spawn(move || {
                turns::give_way();
                work.run(&asked);
            })
            .expect("a thread can start");
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
}

struct Work {
    folder: PathBuf,
    engine: Engine,
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
    fn run(mut self, asked: &Receiver<Asked>) {
        loop {
            let ask = match asked.recv_timeout(STEP) {
                Ok(ask) => Some(ask),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if ask.is_none() && !self.is_due() {
                if let Err(cause) = self.step() {
                    eprintln!("engine: the shadow does not follow: {cause}");
                    thread::sleep(PAUSE);
                }
                continue;
            }
            let taken = self.take();
            match &taken {
                Ok(taken) => self.bytes = taken.bytes,
                Err(cause) => eprintln!("engine: no snapshot was taken: {cause}"),
            }
            if let Some(reply) = ask {
                reply.send(taken).ok();
            }
        }
    }

    fn is_due(&self) -> bool {
        let snapshot_seq = self.engine.shared.snapshot_seq.load(Ordering::Relaxed);
        let behind = self.engine.applied_seq().saturating_sub(snapshot_seq);
        self.every != 0 && behind >= self.every.max(self.bytes / BYTES_OF_A_COMMAND)
    }

    /// A little of the work that a snapshot needs, so that it never comes all at once.
    fn step(&mut self) -> Result<(), String> {
        if self.every == 0 {
            return Ok(());
        }
        self.follow()?;
        self.engine.shared.archive.settle().map_err(|cause| cause.to_string())
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
        let follower = Follower::new(&self.folder, venue.engine_seq());
        Ok(Shadow { venue, follower })
    }

    /// Brings the shadow at least to where everything is durable by now.
    fn follow(&mut self) -> Result<&Venue, String> {
        if self.shadow.is_none() {
            self.shadow = Some(self.begin()?);
        }
        let Shadow { venue: shadow, follower } = self.shadow.as_mut().expect("it was just read");
        let (engine_seq, chain) = self.engine.shared.durable.get();
        let mut output = Output::default();
        let mut agreed = shadow.engine_seq() != engine_seq || shadow.chain() == chain;
        let piece = (engine_seq.saturating_sub(shadow.engine_seq()) / PIECES_MAX).max(PIECE);
        while shadow.engine_seq() < engine_seq {
            let read = follower.poll(|record| {
                output.clear();
                shadow
                    .replay(record.time_ns, record.bytes, &mut output)
                    .map_err(|cause| cause.to_string())?;
                if shadow.engine_seq() == engine_seq {
                    agreed = shadow.chain() == chain;
                }
                if shadow.engine_seq().is_multiple_of(piece) {
                    thread::sleep(BREATH);
                }
                Ok(())
            });
            if read.map_err(|error| error.to_string())? == 0 {
                return Err("the journal ends before what the engine has acknowledged".into());
            }
        }
        if !agreed {
            eprintln!("countersign-engine: the journal's replay differs from the engine at {engine_seq}");
            std::process::abort();
        }
        Ok(shadow)
    }

    fn take(&mut self) -> Result<Taken, String> {
        let (shared, folder) = (Arc::clone(&self.engine.shared), self.folder.clone());
        let shadow = self.follow()?;
        // What the shadow read may not be durable yet; its events are appended a moment after they are.
        while shared.durable.get().0 < shadow.engine_seq() || shared.archive.last_seq() < shadow.event_seq() {
            thread::sleep(Duration::from_millis(1));
        }
        // Events up to here are not computed again at the next start: they must be as safe as the snapshot.
        shared.archive.seal(&point_of(shadow)).map_err(|cause| cause.to_string())?;
        let taken = snapshots::write(&folder, shadow).map_err(|cause| cause.to_string())?;
        self.engine.shared.snapshot_seq.store(taken.engine_seq, Ordering::Relaxed);
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
    use countersign_journal::{Block, Journal, Options};
    use countersign_venue::codec::digest;
    use countersign_venue::{Command, LOGIC_VERSION};
    use tempfile::TempDir;

    use super::*;
    use crate::engine::tests::idle;

    fn work(folder: &Path, every: u64) -> Work {
        let (engine, _) = idle(folder, 1);
        let keep = Keep { segments: 0, event_files: 0 };
        Work { folder: folder.to_path_buf(), engine, shadow: None, every, bytes: 0, keep, before: 0 }
    }

    #[test]
    fn a_snapshot_stands_for_nothing_that_could_still_be_lost() {
        for flushed_last in [true, false] {
            let folder = TempDir::new().unwrap();
            let mut work = work(folder.path(), 0);
            let shared = Arc::clone(&work.engine.shared);
            let options = Options { segment_bytes: 4_096, ..Options::default() };
            let (mut journal, _) = Journal::open(folder.path(), &options, true, 0, |_| Ok(())).unwrap();
            let (mut venue, mut output, mut block) = (Venue::new(), Output::default(), Block::default());
            block.start(1);
            for epoch in [1, 2] {
                let command = Command::Lead { epoch, logic_version: LOGIC_VERSION };
                let (_, body) = block.push(epoch, |bytes| command.encode(bytes));
                venue.apply(epoch, &command, digest(block.since(body)), &mut output);
                if epoch == 1 {
                    shared.durable.set(1, &venue.chain());
                }
            }
            journal.append(&mut block).unwrap();
            // It reads both commands from the file, as if the second one were not flushed yet, or its event not told.
            let flush = || shared.durable.set(2, &venue.chain());
            let tell = || shared.archive.append(&output.bytes, output.count).unwrap();
            if flushed_last {
                tell()
            } else {
                flush()
            }
            let taking = thread::spawn(move || work.take());
            thread::sleep(Duration::from_millis(50));
            assert!(!taking.is_finished() && snapshots::newest_seq(folder.path()) == 0, "{flushed_last}");
            if flushed_last {
                flush()
            } else {
                tell()
            }
            let taken = taking.join().unwrap().unwrap();
            assert_eq!((taken.engine_seq, taken.event_seq), (2, venue.event_seq()));
            assert_eq!(shared.snapshot_seq.load(Ordering::Relaxed), 2);
            // And its events are sealed, since a start from it reads none of them again.
            assert!(folder.path().join("events/events-00000000000000000001.idx").exists());
        }
    }

    #[test]
    fn a_snapshot_is_due_after_as_many_commands_as_were_asked_for_and_never_where_none_were() {
        let folder = TempDir::new().unwrap();
        let mut work = work(folder.path(), 100);
        let due = |work: &Work, applied| {
            work.engine.shared.applied_seq.store(applied, Ordering::Relaxed);
            work.is_due()
        };
        work.engine.shared.snapshot_seq.store(50, Ordering::Relaxed);
        assert_eq!([40, 149, 150].map(|applied| due(&work, applied)), [false, false, true]);
        work.bytes = 200 * BYTES_OF_A_COMMAND;
        assert_eq!([249, 250].map(|applied| due(&work, applied)), [false, true]);
        work.every = 0;
        assert!(!due(&work, u64::MAX));
    }
}
