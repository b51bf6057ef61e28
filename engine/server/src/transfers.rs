//! Money in and out, on a socket of its own.

use countersign_venue::{Code, Command};
use countersign_wire::Bytes;
use countersign_wire::v1::transfers_server::Transfers as Service;
use countersign_wire::v1::{
    AcknowledgeRequest, AcknowledgeResult, QueryTransferRequest, SettledRequest, SettledResult,
    TransferBatch, TransferResult, TransferResultBatch,
};
use tonic::{Request, Response, Status};

use crate::convert;
use crate::engine::{Engine, Entry, NotTaken, Told};
use crate::orders::unavailable;

const BATCH_MAX: usize = 1_024;

pub struct Transfers {
    pub engine: Engine,
}

#[tonic::async_trait]
impl Service for Transfers {
    async fn submit(&self, request: Request<TransferBatch>) -> Result<Response<TransferResultBatch>, Status> {
        let batch = request.into_inner();
        if batch.transfers.len() > BATCH_MAX {
            return Err(Status::invalid_argument(format!("a batch holds at most {BATCH_MAX} transfers")));
        }
        let count = batch.transfers.len();
        let entries = batch
            .transfers
            .iter()
            .map(|transfer| Entry {
                id: Bytes::copy_from_slice(&transfer.transfer_id),
                session_seq: 0,
                command: convert::transfer(transfer),
            })
            .collect();
        let durability = self.engine.shared.durability;
        let told = |told: Told| TransferResult {
            transfer_id: told.id.to_vec(),
            code: told.outcome.code as i32,
            engine_seq: told.outcome.engine_seq,
            event_seq: told.event_seq,
            duplicate: told.duplicate,
            engine_time_ns: told.outcome.time_ns,
            durability: durability as i32,
        };
        let batch = match self.engine.ask(entries).await {
            Ok(answers) if answers.told.len() < count => return Err(Status::unavailable("the engine ends")),
            Ok(answers) => TransferResultBatch {
                epoch: answers.epoch,
                durable_seq: answers.durable_seq,
                results: answers.told.into_iter().map(told).collect(),
            },
            Err((NotTaken(code), entries)) => TransferResultBatch {
                results: entries
                    .into_iter()
                    .map(|entry| TransferResult {
                        transfer_id: entry.id.to_vec(),
                        code: code as i32,
                        ..TransferResult::default()
                    })
                    .collect(),
                ..TransferResultBatch::default()
            },
        };
        Ok(Response::new(batch))
    }

    async fn query(
        &self,
        request: Request<QueryTransferRequest>,
    ) -> Result<Response<TransferResult>, Status> {
        let transfer_id = request.into_inner().transfer_id;
        let id =
            convert::id(&transfer_id).map_err(|_| Status::invalid_argument("a transfer id is 16 bytes"))?;
        let looked = self.engine.look(move |venue| venue.told_transfer(&id).copied());
        let told = looked.await.map_err(|NotTaken(code)| unavailable(code))?;
        let result = match told {
            Some(told) => TransferResult {
                transfer_id,
                code: told.code as i32,
                engine_seq: told.engine_seq,
                event_seq: told.event_seq,
                duplicate: true,
                engine_time_ns: told.time_ns,
                durability: self.engine.shared.durability as i32,
            },
            None => {
                TransferResult { transfer_id, code: Code::UnknownCommand as i32, ..TransferResult::default() }
            }
        };
        Ok(Response::new(result))
    }

    async fn settled(&self, request: Request<SettledRequest>) -> Result<Response<SettledResult>, Status> {
        let SettledRequest { consumer, through_event_seq } = request.into_inner();
        let shared = &self.engine.shared;
        let newest = shared.archive.last_seq();
        if through_event_seq > newest {
            return Err(Status::invalid_argument(format!("the newest event is {newest}")));
        }
        shared.settled.tell(&consumer, through_event_seq).map_err(Status::invalid_argument)?;
        let oldest = shared.archive.oldest_seq().map_err(|cause| Status::internal(cause.to_string()))?;
        Ok(Response::new(SettledResult { oldest_event_seq: oldest }))
    }

    async fn acknowledge(
        &self,
        request: Request<AcknowledgeRequest>,
    ) -> Result<Response<AcknowledgeResult>, Status> {
        let through_event_seq = request.into_inner().through_event_seq;
        let newest = self.engine.shared.archive.last_seq();
        if through_event_seq > newest {
            // Nobody can have settled it: ids would be forgotten that are still needed.
            return Err(Status::invalid_argument(format!("the newest event is {newest}")));
        }
        let entry = Entry {
            id: Bytes::new(),
            session_seq: 0,
            command: Ok(Command::Acknowledge { through_event_seq }),
        };
        let answers = self.engine.ask(vec![entry]).await.map_err(|(NotTaken(code), _)| unavailable(code))?;
        let told = answers.told.first().ok_or_else(|| Status::unavailable("the engine ends"))?;
        let outcome = told.outcome;
        Ok(Response::new(AcknowledgeResult { engine_seq: outcome.engine_seq, forgotten: outcome.filled }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use countersign_wire::v1::{CommandBatch, ResultCode, ShardState, Transfer};
    use tempfile::TempDir;

    use super::*;
    use crate::consumers::Consumers;
    use crate::engine::Job;
    use crate::engine::tests::idle;
    use crate::lines::Lines;
    use crate::orders::Orders;
    use crate::places::Places;
    use countersign_wire::v1::order_entry_server::OrderEntry;

    fn batch() -> TransferBatch {
        let transfer = Transfer { transfer_id: vec![7; 16], account_id: 11, ..Transfer::default() };
        TransferBatch { transfers: vec![transfer] }
    }

    /// Takes one job and dies with it.
    async fn die(queue: &Receiver<Job>) {
        while queue.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_was_taken_and_never_answered_is_told_as_neither_done_nor_refused() {
        let folder = TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 4);
        let transfers = Transfers { engine: engine.clone() };
        let (told, ()) = tokio::join!(transfers.submit(Request::new(batch())), die(&queue));
        assert_eq!(told.unwrap_err().code(), tonic::Code::Unavailable);
        let asked = Request::new(QueryTransferRequest { transfer_id: vec![7; 16] });
        let (told, ()) = tokio::join!(transfers.query(asked), die(&queue));
        assert_eq!(told.unwrap_err().code(), tonic::Code::Unavailable);
        let (consumers, lines, places) = (Consumers::default(), Lines::default(), Places::for_streams());
        let orders = Orders { engine, consumers, lines, places };
        let commands = CommandBatch { commands: vec![countersign_wire::v1::Command::default()] };
        let (told, ()) = tokio::join!(orders.submit_batch(Request::new(commands)), die(&queue));
        assert_eq!(told.unwrap_err().code(), tonic::Code::Unavailable);
    }

    #[tokio::test]
    async fn who_does_not_lead_any_more_takes_no_transfer_and_says_so_of_each() {
        let folder = TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 4);
        let transfers = Transfers { engine: engine.clone() };
        for (state, code) in [
            (ShardState::Draining, ResultCode::Draining),
            (ShardState::Upgrading, ResultCode::Draining),
            (ShardState::Failed, ResultCode::Failed),
            (ShardState::Standby, ResultCode::NotLeader),
            (ShardState::Recovering, ResultCode::NotLeader),
        ] {
            engine.shared.state.send_replace(state);
            let told = tokio::select! {
                biased;
                told = transfers.submit(Request::new(batch())) => told.unwrap().into_inner(),
                () = std::future::ready(()) => panic!("{state:?} takes it"),
            };
            let refused =
                TransferResult { transfer_id: vec![7; 16], code: code as i32, ..TransferResult::default() };
            assert_eq!(told.results, [refused]);
            assert!(queue.try_recv().is_err(), "{state:?} takes it");
        }
    }
}
