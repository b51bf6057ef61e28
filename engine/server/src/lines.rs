//! One stream for each session: whoever says Hello again takes it over, and only after the former stream has ended.
//!
//! A client whose connection was lost may be back long before the loss is seen here. What its former stream had
//! promised for its end, to cancel the session's orders, must not reach what the new one has entered since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use countersign_venue::command::Id;
use tokio::sync::oneshot;

/// The streams that are open, by session.
#[derive(Clone, Default)]
pub struct Lines {
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    lines: HashMap<Id, Line>,
    count: u64,
}

/// What the next stream of a session knows of the one before.
struct Line {
    number: u64,
    /// Dropped when the stream is to end.
    _hold: oneshot::Sender<()>,
    /// Says when it has ended.
    ended: oneshot::Receiver<()>,
}

/// The right to be a session's only stream, as long as it is kept.
pub struct Turn {
    session: Id,
    number: u64,
    lines: Lines,
    taken_over: oneshot::Receiver<()>,
    _end: oneshot::Sender<()>,
}

impl Lines {
    /// Ends the session's former stream, waits until it has kept its promises, and takes its place.
    ///
    /// Runs to its end also where the caller has gone meanwhile: whoever comes next waits for this one as well.
    pub async fn take(&self, session: Id) -> Turn {
        let lines = self.clone();
        tokio::spawn(async move {
            let (hold, taken_over) = oneshot::channel();
            let (end, ended) = oneshot::channel();
            let (number, former) = {
                let mut open = lines.open.lock().expect("nobody panics while holding it");
                open.count += 1;
                let number = open.count;
                (number, open.lines.insert(session, Line { number, _hold: hold, ended }))
            };
            if let Some(Line { _hold, ended, .. }) = former {
                drop(_hold);
                ended.await.ok();
            }
            Turn { session, number, lines, taken_over, _end: end }
        })
        .await
        .expect("taking a turn does not panic")
    }
}

impl Turn {
    /// Returns once another stream of the session is waiting for this one's end.
    pub async fn taken_over(&mut self) {
        (&mut self.taken_over).await.ok();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = self.lines.open.lock().expect("nobody panics while holding it");
        if open.lines.get(&self.session).is_some_and(|line| line.number == self.number) {
            open.lines.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waits<T>(task: &tokio::task::JoinHandle<T>) -> bool {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        !task.is_finished()
    }

    #[tokio::test]
    async fn a_stream_begins_when_all_former_ones_of_its_session_have_ended() {
        let lines = Lines::default();
        let mut first = lines.take([1; 16]).await;
        // Another session's is none of its business.
        let other = lines.take([2; 16]).await;
        let later = lines.clone();
        let second = tokio::spawn(async move { later.take([1; 16]).await });
        first.taken_over().await;
        assert!(waits(&second).await, "the first one has not ended");
        // Whoever waited for the second has gone; a third still comes after the first.
        second.abort();
        let later = lines.clone();
        let third = tokio::spawn(async move { later.take([1; 16]).await });
        assert!(waits(&third).await, "the first one has not ended");
        drop(first);
        drop(third.await.unwrap());
        drop(other);
        assert!(lines.open.lock().unwrap().lines.is_empty(), "nothing is kept of streams that have ended");
    }
}
