//! Snapshots: taken beside the engine, from its journal.
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

use countersign_journal::{Retired, Seam, retire};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::settled::Keep;
use crate::shadow::Shadow;
use crate::snapshots::{self, Taken};
use crate::start::point_of;
use crate::turns;

/// Requests that may wait.
const ASKS_MAX: usize = 4;
/// How often the shadow follows.
const STEP: Duration = Duration::from_millis(25);
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

    fn begin(&mut self) -> Result<Shadow, String> {
        let shadow = Shadow::begin(&self.folder)?;
        let engine_seq = shadow.venue.engine_seq();
        self.bytes = snapshots::bytes_of(&self.folder, engine_seq);
        self.engine.shared.snapshot_seq.store(engine_seq, Ordering::Relaxed);
        Ok(shadow)
    }

    fn take(&mut self) -> Result<Taken, String> {
        let shared = &self.engine.shared;
        let shadow = self.shadow.as_mut().expect("it was compared");
        // Events are appended a moment after their commands are durable.
        while shared.archive.last_seq() < shadow.venue.event_seq() {
            thread::sleep(Duration::from_millis(1));
        }
        // Events up to here are not computed again at the next start: they must be as safe as the snapshot.
        shared.archive.seal(&point_of(&shadow.venue)).map_err(|cause| cause.to_string())?;
        let taken = shadow.write(&self.folder).map_err(|cause| cause.to_string())?;
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
mod tests;
