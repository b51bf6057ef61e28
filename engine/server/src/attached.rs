//! A session's stream in the journal: its begin is durable before it is welcomed, and its end follows, whatever becomes of
//! the call. So a leader knows what the clients of a former one wished for the end of their streams.

use countersign_venue::command::Id;
use countersign_venue::{Code, Command};
use countersign_wire::Bytes;
use countersign_wire::v1::{ShardState, Welcome};
use tonic::Status;

use crate::engine::{Engine, Entry, NotTaken};
use crate::lines::Turn;
use crate::orders::{BATCH_MAX, unavailable};

pub struct Attached {
    engine: Engine,
    /// The venue's number of it.
    pub session: u32,
    /// Let go once the end is in the queue: the session's next stream begins behind it.
    turn: Option<Turn>,
}

impl Attached {
    /// Journals that the stream begins, and what its client wishes for its end; says where the session stands.
    ///
    /// Runs to its end also where the caller has gone meanwhile: then the stream ends at once.
    pub async fn begin(
        engine: Engine,
        session_id: Id,
        cancels: bool,
        turn: Turn,
    ) -> Result<(Attached, Welcome), Status> {
        let begin = async move {
            // What comes now belongs to the next leader.
            if engine.state() == ShardState::Upgrading {
                return Err(unavailable(Code::Draining));
            }
            let command = Ok(Command::AttachSession { session_id, cancels });
            let entry = Entry { id: Bytes::new(), session_seq: 0, command };
            let answers = engine.command(entry).await.map_err(|NotTaken(code)| unavailable(code))?;
            let outcome = answers.told.first().ok_or_else(|| unavailable(Code::Failed))?.outcome;
            let welcome = Welcome {
                epoch: answers.epoch,
                last_session_seq_applied: outcome.filled,
                durable_seq: answers.durable_seq,
                max_batch: BATCH_MAX as u32,
                state: engine.state() as i32,
            };
            Ok((Attached { engine, session: outcome.order_id as u32, turn: Some(turn) }, welcome))
        };
        tokio::spawn(begin).await.map_err(|_| unavailable(Code::Failed))?
    }

    /// Returns once another stream of the session is waiting for this one's end.
    pub async fn taken_over(&mut self) {
        match &mut self.turn {
            Some(turn) => turn.taken_over().await,
            None => std::future::pending().await,
        }
    }

    pub async fn end(mut self) {
        let turn = self.turn.take();
        detach(&self.engine, self.session).await;
        drop(turn);
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let (Some(turn), Ok(runtime)) = (self.turn.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (engine, session) = (self.engine.clone(), self.session);
        runtime.spawn(async move {
            detach(&engine, session).await;
            drop(turn);
        });
    }
}

/// A leader that makes room ends no stream for good: whoever leads next gives each its time to come back.
async fn detach(engine: &Engine, session: u32) {
    if engine.state() != ShardState::Upgrading {
        engine.insist(&Command::DetachSession { session }).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;
    use std::time::Instant;

    use countersign_venue::Outcome;

    use super::*;
    use crate::engine::tests::idle;
    use crate::engine::{Answers, Job, Reply, Told};
    use crate::lines::Lines;

    async fn taken(queue: &Receiver<Job>) -> (Command, Reply) {
        loop {
            match queue.try_recv() {
                Ok(Job::Commands { mut entries, reply, .. }) => {
                    return (entries.remove(0).command.unwrap(), reply);
                }
                Ok(_) => panic!("something else was put"),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    #[tokio::test]
    async fn a_stream_whose_caller_has_gone_ends_too_and_the_next_one_begins_behind_that() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 4);
        let (lines, session_id) = (Lines::default(), [1; 16]);
        let turn = lines.take(session_id).await;
        let call = tokio::spawn(Attached::begin(engine, session_id, true, turn));
        let (command, reply) = taken(&queue).await;
        assert_eq!(command, Command::AttachSession { session_id, cancels: true });
        // It hangs up while the begin becomes durable.
        call.abort();
        assert!(call.await.is_err_and(|error| error.is_cancelled()));
        let next = tokio::spawn(async move { lines.take(session_id).await });
        let outcome = Outcome {
            code: Code::Ok,
            engine_seq: 9,
            time_ns: 9,
            order_id: 7,
            filled: 0,
            leaves: 0,
            cancelled: 0,
        };
        let told = vec![Told { id: Bytes::new(), session_seq: 0, outcome, duplicate: false, event_seq: 0 }];
        let Reply::Once(reply) = reply else { panic!("nobody waits for it") };
        assert!(!next.is_finished());
        reply.send(Answers { told, durable_seq: 9, epoch: 1, durable_at: Instant::now() }).ok();
        assert_eq!(taken(&queue).await.0, Command::DetachSession { session: 7 });
        drop(next.await.unwrap());
    }

    #[tokio::test]
    async fn a_leader_that_makes_room_begins_no_stream_and_ends_none_for_good() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 4);
        engine.shared.state.send_replace(ShardState::Upgrading);
        let (lines, session_id) = (Lines::default(), [1; 16]);
        let turn = lines.take(session_id).await;
        let begun = tokio::spawn(Attached::begin(engine.clone(), session_id, true, turn));
        while !begun.is_finished() {
            assert!(queue.try_recv().is_err(), "it begins");
            tokio::task::yield_now().await;
        }
        assert_eq!(begun.await.unwrap().err().unwrap().code(), tonic::Code::Unavailable);
        let turn = Some(lines.take(session_id).await);
        Attached { engine, session: 7, turn }.end().await;
        assert!(queue.try_recv().is_err(), "it ends");
        drop(lines.take(session_id).await);
    }
}
