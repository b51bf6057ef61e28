//! The books, followed from the event archive, outside the engine thread, and only while somebody listens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_archive::Cursor;
use countersign_venue::event::Event;
use countersign_wire::v1::BookFrame;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};
use tonic::Status;

use crate::depth::{Depth, PLACES, Piece};
use crate::engine::{Engine, NotTaken};
use crate::orders::unavailable;

/// Frames that a consumer may lag behind before it is cut.
const FRAMES: usize = 4_096;
const EVENTS: usize = 4_096;
/// Until whoever comes in the middle of a command looks again.
const MIDWAY: Duration = Duration::from_millis(1);

#[derive(Clone)]
pub struct Books {
    engine: Engine,
    /// As the feed's.
    readers: Handle,
    following: Arc<Mutex<Option<Following>>>,
    /// One at a time begins.
    beginning: Arc<tokio::sync::Mutex<()>>,
}

/// The books while somebody listens.
struct Following {
    depth: Depth,
    frames: broadcast::Sender<BookFrame>,
    /// No command is half told: a book in the middle of one never was, and may be crossed.
    whole: bool,
}

/// How somebody joins those who listen.
enum Joined {
    /// With a snapshot, if there is such a market, and every frame after it.
    With(Option<BookFrame>, broadcast::Receiver<BookFrame>),
    /// A command with very many events is being told.
    Midway,
    Nobody,
}

impl Books {
    pub fn new(engine: Engine, readers: Handle) -> Books {
        Books { engine, readers, following: Arc::default(), beginning: Arc::default() }
    }

    /// One book as whoever follows it has it; nothing while nobody does.
    pub fn followed(&self, instrument_id: u32, depth: usize) -> Option<Option<BookFrame>> {
        match self.join(instrument_id, depth) {
            Joined::With(frame, _) => Some(frame),
            Joined::Midway | Joined::Nobody => None,
        }
    }

    /// Joins those who listen, as soon as no command is half told: a snapshot, if there is such a market, and every frame
    /// after it.
    pub async fn listen(
        &self,
        instrument_id: u32,
        depth: usize,
    ) -> Result<(Option<BookFrame>, broadcast::Receiver<BookFrame>), Status> {
        // Somebody listens until this one does.
        let mut _begun = None;
        loop {
            match self.join(instrument_id, depth) {
                Joined::With(first, frames) => return Ok((first, frames)),
                Joined::Midway => tokio::time::sleep(MIDWAY).await,
                Joined::Nobody => _begun = self.begin().await?,
            }
        }
    }

    fn join(&self, instrument_id: u32, depth: usize) -> Joined {
        let following = self.following.lock().expect("nobody panics while holding it");
        match following.as_ref() {
            None => Joined::Nobody,
            Some(following) if !following.whole => Joined::Midway,
            // Both under one lock: no frame is missed and none comes twice.
            Some(following) => {
                Joined::With(following.depth.snapshot(instrument_id, depth), following.frames.subscribe())
            }
        }
    }

    /// Begins to follow the books, unless somebody else did meanwhile. The engine's thread copies a little at a time, with
    /// orders between, and what they changed is told by the events since.
    async fn begin(&self) -> Result<Option<broadcast::Receiver<BookFrame>>, Status> {
        let _alone = self.beginning.lock().await;
        if self.following.lock().expect("nobody panics while holding it").is_some() {
            return Ok(None);
        }
        let (mut depth, mut next) = (Depth::default(), Some(Piece::FIRST));
        while let Some(from) = next {
            let looked = self.engine.look(move |venue| Piece::of(venue, from, PLACES)).await;
            let piece = looked.map_err(|NotTaken(code)| unavailable(code))?;
            next = piece.next;
            depth.copy(piece);
        }
        let cursor = Cursor::new(depth.event_seq + 1);
        let (frames, kept) = broadcast::channel(FRAMES);
        let whole = depth.is_of_one_moment();
        *self.following.lock().expect("nobody panics while holding it") =
            Some(Following { depth, frames, whole });
        self.readers.spawn(self.clone().follow(cursor));
        Ok(Some(kept))
    }

    async fn follow(self, mut cursor: Cursor) {
        let mut newest = self.engine.shared.archive.watch();
        let mut read = Vec::new();
        loop {
            let events = match self.engine.shared.archive.read(&mut cursor, EVENTS) {
                Ok(events) => events,
                Err(cause) => {
                    eprintln!("engine: market data ends: {cause}");
                    *self.following.lock().expect("nobody panics while holding it") = None;
                    return;
                }
            };
            // Only whole commands are ever appended, so where there is no more none is half told.
            let ended = events.is_empty();
            read.extend(events);
            if !ended && read.len() < EVENTS {
                continue;
            }
            let (told, whole) = if ended { (std::mem::take(&mut read), true) } else { commands(&mut read) };
            {
                let mut guard = self.following.lock().expect("nobody panics while holding it");
                let Some(following) = guard.as_mut() else { return };
                if following.frames.receiver_count() == 0 {
                    *guard = None;
                    return;
                }
                for event in &told {
                    following.depth.follow(event);
                }
                following.whole = whole && following.depth.is_of_one_moment();
                if following.whole {
                    for frame in following.depth.deltas() {
                        following.frames.send(frame).ok();
                    }
                }
            }
            if ended {
                tokio::select! {
                    changed = newest.changed() => if changed.is_err() { return },
                    // Looks from time to time whether anybody is still there.
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
}

/// Takes the commands out that were read whole, while there is more to be read. Of one that has very many events all
/// that is there, and then it is not whole.
fn commands(read: &mut Vec<Event>) -> (Vec<Event>, bool) {
    let last = read.last().map_or(0, |event| event.engine_seq);
    match read.partition_point(|event| event.engine_seq < last) {
        0 => (std::mem::take(read), false),
        before => (read.drain(..before).collect(), true),
    }
}

/// Tells one book, from its snapshot on, for as long as the reader keeps up. Whoever falls behind is cut, and not told
/// late: a new snapshot is worth more to it than all that it has missed.
pub async fn forward(
    first: BookFrame,
    mut frames: broadcast::Receiver<BookFrame>,
    sender: mpsc::Sender<Result<BookFrame, Status>>,
) {
    let instrument_id = first.instrument_id;
    let mut frame = Ok(first);
    loop {
        let ends = frame.is_err();
        if sender.send(frame).await.is_err() || ends {
            return;
        }
        frame = loop {
            let next = tokio::select! {
                next = frames.recv() => next,
                () = sender.closed() => return,
            };
            match next {
                Ok(next) if next.instrument_id == instrument_id => break Ok(next),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    let told = format!("{missed} frames behind: take a new snapshot");
                    break Err(Status::resource_exhausted(told));
                }
                Err(broadcast::error::RecvError::Closed) => {
                    break Err(Status::unavailable("market data ends"));
                }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use countersign_venue::Venue;
    use countersign_venue::auction::Indication;
    use countersign_venue::event::Body;

    use super::*;
    use crate::engine::tests::idle;

    fn frame(instrument_id: u32, book_seq: u64) -> BookFrame {
        BookFrame { instrument_id, book_seq, ..BookFrame::default() }
    }

    #[test]
    fn while_there_is_more_the_commands_that_were_read_whole_are_shown_and_the_last_one_waits() {
        let event = |engine_seq| Event {
            seq: 0,
            engine_seq,
            time_ns: 0,
            instrument_id: 1,
            body: Body::Auction { indication: Indication::default(), uncrossed: false },
        };
        let read = |seqs: &[u64]| seqs.iter().copied().map(event).collect::<Vec<_>>();
        let seqs = |events: &[Event]| events.iter().map(|event| event.engine_seq).collect::<Vec<_>>();
        let mut events = read(&[4, 4, 5, 6, 6]);
        let (told, whole) = commands(&mut events);
        assert_eq!((seqs(&told), whole, seqs(&events)), (vec![4, 4, 5], true, vec![6, 6]));
        // One command that has more than is read at once: it is shown on its way, and nobody joins meanwhile.
        let (told, whole) = commands(&mut events);
        assert_eq!((seqs(&told), whole, events.len()), (vec![6, 6], false, 0));
        events.extend(read(&[6, 7]));
        let (told, whole) = commands(&mut events);
        assert_eq!((seqs(&told), whole, seqs(&events)), (vec![6], true, vec![7]));
    }

    #[tokio::test]
    async fn nobody_joins_in_the_middle_of_a_command() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, _queue) = idle(folder.path(), 1);
        let books = Books::new(engine, Handle::current());
        assert!(matches!(books.join(1, 0), Joined::Nobody));
        let (frames, depth) = (broadcast::channel(1).0, Depth::of(&Venue::new()));
        *books.following.lock().unwrap() = Some(Following { depth, frames, whole: false });
        assert!(matches!(books.join(1, 0), Joined::Midway));
        books.following.lock().unwrap().as_mut().unwrap().whole = true;
        assert!(matches!(books.join(1, 0), Joined::With(None, _)));
    }

    #[tokio::test]
    async fn a_reader_that_falls_behind_is_cut_and_one_that_keeps_up_is_told_its_own_book() {
        let (frames, followed) = broadcast::channel(4);
        let (sender, mut slow) = mpsc::channel(1);
        let forwarding = tokio::spawn(forward(frame(1, 1), followed, sender));
        let (sender, mut quick) = mpsc::channel(1);
        tokio::spawn(forward(frame(1, 1), frames.subscribe(), sender));
        let mut told = vec![quick.recv().await.unwrap().unwrap().book_seq];
        for book_seq in 2..20 {
            frames.send(frame(2, book_seq)).unwrap();
            frames.send(frame(1, book_seq)).unwrap();
            told.push(quick.recv().await.unwrap().unwrap().book_seq);
        }
        assert_eq!(told, Vec::from_iter(1..20));
        let mut last = 0;
        let ended = loop {
            match slow.recv().await.unwrap() {
                Ok(frame) => last = frame.book_seq,
                Err(status) => break status,
            }
        };
        assert_eq!(ended.code(), tonic::Code::ResourceExhausted);
        assert!(last < 19, "what was missed is not told late");
        assert!(slow.recv().await.is_none());
        forwarding.await.unwrap();
    }
}
