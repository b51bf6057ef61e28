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
