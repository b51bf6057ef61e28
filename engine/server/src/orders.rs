//! Order entry: the session stream, batches without a session, and the question what became of a command.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use countersign_venue::command::Id;
use countersign_venue::{Code, Command};
use countersign_wire::v1::order_entry_server::OrderEntry;
use countersign_wire::v1::{
    ClientFrame, CommandBatch, CommandResult, Durability, QueryCommandRequest, ResultBatch, ServerFrame,
    ShardState, ShardStatus, Welcome, client_frame, server_frame,
};
use countersign_wire::{Bytes, v1};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::attached::Attached;
use crate::consumers::Consumers;
use crate::convert;
use crate::engine::{self, Answers, Engine, Entry, NotTaken, Reply};
use crate::hurry::PATIENCE;
use crate::lines::Lines;
use crate::places::Places;
use crate::stages::{Stage, Stages};
use crate::telling;

/// Commands in one frame.
pub const BATCH_MAX: usize = 4_096;
/// Commands of one session that are under way; beyond that its stream is not read.
const IN_FLIGHT_MAX: usize = 32_768;
const PROTOCOL: u32 = 1;

pub struct Orders {
    pub engine: Engine,
    pub consumers: Consumers,
    pub lines: Lines,
    pub places: Places,
}

/// Their ids lie in a buffer of their own. As parts of the frame that brought them they would keep all of it, however
/// large, until the last of its answers is read; what is too long for an id is told as far as one goes.
fn entries(batch: CommandBatch, session: u32) -> Vec<Entry> {
    let told = |command: &v1::Command| command.command_id.len().min(size_of::<Id>());
    let mut ids = Vec::with_capacity(batch.commands.len() * size_of::<Id>());
    for command in &batch.commands {
        ids.extend_from_slice(&command.command_id[..told(command)]);
    }
    let mut ids = Bytes::from(ids);
    let entry = |command: &v1::Command| Entry {
        command: convert::order_command(command, session).map(Command::Order),
        session_seq: command.session_seq,
        id: ids.split_to(told(command)),
    };
    batch.commands.iter().map(entry).collect()
}

fn results(answers: Answers, durability: Durability) -> ResultBatch {
    let told = |told: engine::Told| {
        telling::result(told.id, told.session_seq, &told.outcome, told.duplicate, durability)
    };
    ResultBatch {
        epoch: answers.epoch,
        results: answers.told.into_iter().map(told).collect(),
        durable_seq: answers.durable_seq,
    }
}

/// The same refusal for commands that never reached the engine thread.
fn refused(entries: Vec<Entry>, NotTaken(code): NotTaken, epoch: u64) -> ResultBatch {
    let results = entries
        .into_iter()
        .map(|entry| CommandResult {
            session_seq: entry.session_seq,
            command_id: entry.id,
            code: code as i32,
            ..CommandResult::default()
        })
        .collect();
    ResultBatch { epoch, results, durable_seq: 0 }
}

/// What a session is told. It waits in a queue that holds no more commands than the session has permits: a client
/// that does not read its answers is not read either.
pub enum Told {
    Welcome(Welcome),
    Answers(Answers),
    Refused(ResultBatch),
    Status(Box<ShardStatus>),
    Ended(Status),
}

impl Told {
    /// Into a frame, with the permits that it gives back.
    fn frame(self, durability: Durability, stages: &Stages) -> (Result<ServerFrame, Status>, usize) {
        let (frame, permits) = match self {
            Told::Welcome(welcome) => (server_frame::Frame::Welcome(welcome), 0),
            Told::Answers(answers) => {
                let permits = answers.told.len().max(1);
                stages.add(Stage::Told, answers.durable_at.elapsed(), answers.told.len() as u64);
                (server_frame::Frame::Results(results(answers, durability)), permits)
            }
            Told::Refused(batch) => {
                let permits = batch.results.len().max(1);
                (server_frame::Frame::Results(batch), permits)
            }
            Told::Status(status) => (server_frame::Frame::Status(*status), 0),
            Told::Ended(status) => return (Err(status), 0),
        };
        (Ok(ServerFrame { frame: Some(frame) }), permits)
    }
}

type Frames = Pin<Box<dyn Stream<Item = Result<ServerFrame, Status>> + Send>>;

#[tonic::async_trait]
impl OrderEntry for Orders {
    type SessionStream = Frames;

    async fn session(&self, request: Request<Streaming<ClientFrame>>) -> Result<Response<Frames>, Status> {
        let place = self.places.or_refuse("sessions")?;
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(PATIENCE, inbound.message()).await;
        let first =
            first.map_err(|_| Status::deadline_exceeded("no Hello came"))??.and_then(|frame| frame.frame);
        let Some(client_frame::Frame::Hello(hello)) = first else {
            return Err(Status::invalid_argument("the first frame of a session is Hello"));
        };
        if hello.protocol_version != PROTOCOL {
            return Err(Status::failed_precondition(format!("this engine speaks protocol {PROTOCOL}")));
        }
        let session_id = convert::id(&hello.session_id)
            .map_err(|_| Status::invalid_argument("a session id is 16 bytes"))?;
        let turn = self.lines.take(session_id).await;
        let cancels = hello.cancel_on_disconnect;
        let (mut attached, welcome) = Attached::begin(self.engine.clone(), session_id, cancels, turn).await?;
        let session = attached.session;
        let (told_tx, told) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let engine = self.engine.clone();
        let consumers = self.consumers.clone();
        let durability = engine.shared.durability;
        told_tx.send(Told::Welcome(welcome)).ok();
        let freed = Arc::clone(&permits);
        let shared = Arc::clone(&engine.shared);
        let frames = UnboundedReceiverStream::new(told).map(move |told: Told| {
            let (frame, permits) = told.frame(durability, &shared.stages);
            freed.add_permits(permits);
            frame
        });
        tokio::spawn(async move {
            engine.shared.sessions.fetch_add(1, Ordering::Relaxed);
            let mut states = engine.shared.state.subscribe();
            let pumped = tokio::select! {
                pumped = pump(&engine, &mut inbound, session, &permits, &told_tx) => pumped,
                () = tell_states(&engine, &consumers, &mut states, &told_tx) => Ok(()),
                // Whoever did not read its answers is not read either, and so would never be seen to leave.
                () = told_tx.closed() => Ok(()),
                () = attached.taken_over() => Err(Status::aborted("another stream has taken this session over")),
            };
            if let Err(status) = pumped {
                told_tx.send(Told::Ended(status)).ok();
            }
            attached.end().await;
            engine.shared.sessions.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
        Ok(Response::new(Box::pin(frames)))
    }

    async fn submit_batch(&self, request: Request<CommandBatch>) -> Result<Response<ResultBatch>, Status> {
        let batch = request.into_inner();
        if batch.commands.len() > BATCH_MAX {
            return Err(Status::invalid_argument(format!("a batch holds at most {BATCH_MAX} commands")));
        }
        let count = batch.commands.len();
        match self.engine.ask(entries(batch, 0)).await {
            Ok(answers) if answers.told.len() < count => Err(Status::unavailable("the engine ends")),
            Ok(answers) => Ok(Response::new(results(answers, self.engine.shared.durability))),
            Err((reason, entries)) => Ok(Response::new(refused(entries, reason, self.epoch()))),
        }
    }

    async fn query_command(
        &self,
        request: Request<QueryCommandRequest>,
    ) -> Result<Response<CommandResult>, Status> {
        let command_id = request.into_inner().command_id;
        let Ok(id) = convert::id(&command_id) else {
            return Err(Status::invalid_argument("a command id is 16 bytes"));
        };
        let durability = self.engine.shared.durability;
        let looked = self.engine.look(move |venue| {
            let now_ms = crate::clock::wall_ms().max(venue.time_ns() / 1_000_000);
            venue.query(&id, now_ms)
        });
        let answer = looked.await.map_err(|NotTaken(code)| unavailable(code))?;
        let result = telling::result(command_id.into(), 0, &answer.outcome, answer.duplicate, durability);
        Ok(Response::new(result))
    }
}

pub fn unavailable(code: Code) -> Status {
    Status::unavailable(format!("the engine does not take this now: {code:?}"))
}

impl Orders {
    fn epoch(&self) -> u64 {
        self.engine.shared.live.lock().expect("nobody panics while holding it").epoch
    }
}

/// Pushes each change of the shard's state, until the session's other end is gone.
async fn tell_states(
    engine: &Engine,
    consumers: &Consumers,
    states: &mut watch::Receiver<ShardState>,
    told: &mpsc::UnboundedSender<Told>,
) {
    while states.changed().await.is_ok() {
        states.borrow_and_update();
        if told.send(Told::Status(Box::new(crate::admin::status(engine, consumers)))).is_err() {
            return;
        }
    }
}

/// Reads frames until the client is done.
async fn pump(
    engine: &Engine,
    inbound: &mut Streaming<ClientFrame>,
    session: u32,
    permits: &Semaphore,
    told: &mpsc::UnboundedSender<Told>,
) -> Result<(), Status> {
    while let Some(frame) = inbound.message().await? {
        let batch = match frame.frame {
            Some(client_frame::Frame::Batch(batch)) => batch,
            Some(client_frame::Frame::Pong(_)) => continue,
            Some(client_frame::Frame::Hello(_)) | None => {
                return Err(Status::invalid_argument("after Hello a session sends batches"));
            }
        };
        let count = batch.commands.len();
        if count > BATCH_MAX {
            return Err(Status::invalid_argument(format!("a batch holds at most {BATCH_MAX} commands")));
        }
        // Also a batch without commands has an answer that waits to be read.
        let Ok(permit) = permits.acquire_many(count.max(1) as u32).await else { return Ok(()) };
        permit.forget();
        let taken = engine.submit(entries(batch, session), Reply::Stream(told.clone()));
        if let Err((reason, entries)) = taken {
            let epoch = engine.shared.live.lock().expect("nobody panics while holding it").epoch;
            if told.send(Told::Refused(refused(entries, reason, epoch))).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn whatever_answers_a_frame_gives_its_permits_back() {
        let stages = Stages::default();
        for (count, permits) in [(0, 1), (1, 1), (3, 3)] {
            let entries =
                || (0..count).map(|_| Entry { id: Bytes::new(), session_seq: 0, command: Err(Code::Busy) });
            let told = Told::Refused(refused(entries().collect(), NotTaken(Code::Busy), 1));
            assert_eq!(told.frame(Durability::Disk, &stages).1, permits);
            let outcome = countersign_venue::Outcome {
                code: Code::Ok,
                engine_seq: 1,
                time_ns: 1,
                order_id: 0,
                filled: 0,
                leaves: 0,
                cancelled: 0,
            };
            let one = |entry: Entry| engine::Told {
                id: entry.id,
                session_seq: 0,
                outcome,
                duplicate: false,
                event_seq: 0,
            };
            let told = entries().map(one).collect();
            let told = Told::Answers(Answers { told, durable_seq: 1, epoch: 1, durable_at: Instant::now() });
            assert_eq!(told.frame(Durability::Disk, &stages).1, permits);
        }
    }
}
