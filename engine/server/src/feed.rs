//! The event feed, and the two questions that settlement compares itself with.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_archive::{Archive, Cursor, ReadError};
use countersign_venue::event::Amount;
use countersign_wire::v1::event_feed_server::EventFeed;
use countersign_wire::v1::{
    Balance, BalancesChunk, BalancesRequest, EventBatch, OpenOrdersChunk, OpenOrdersRequest, SubscribeRequest,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, iter};
use tonic::{Request, Response, Status};

use crate::engine::{Engine, NotTaken};
use crate::orders::unavailable;
use crate::telling;

const EVENTS_DEFAULT: usize = 1_024;
const EVENTS_MAX: usize = 8_192;
const CHUNK: usize = 1_024;
/// Batches that may wait for a slow consumer; then it waits in the archive.
const BATCHES: usize = 4;

/// How far each named consumer has been sent.
pub type Consumers = Arc<Mutex<BTreeMap<String, u64>>>;

#[derive(Clone)]
pub struct Feed {
    pub engine: Engine,
    pub consumers: Consumers,
    /// Reads the archive for the subscribers: no order waits for a disk that is slow with old events.
    pub readers: Handle,
}

type Batches = Pin<Box<dyn Stream<Item = Result<EventBatch, Status>> + Send>>;
type Orders = Pin<Box<dyn Stream<Item = Result<OpenOrdersChunk, Status>> + Send>>;
type Balances = Pin<Box<dyn Stream<Item = Result<BalancesChunk, Status>> + Send>>;

#[tonic::async_trait]
impl EventFeed for Feed {
    type SubscribeStream = Batches;
    type GetOpenOrdersStream = Orders;
    type GetBalancesStream = Balances;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Batches>, Status> {
        let request = request.into_inner();
        let (sender, receiver) = mpsc::channel(BATCHES);
        let feed = self.clone();
        self.readers.spawn(async move {
            if let Err(status) = feed.send_events(&request, &sender).await {
                sender.send(Err(status)).await.ok();
            }
            if !request.consumer.is_empty() {
                feed.consumers.lock().expect("nobody panics while holding it").remove(&request.consumer);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_open_orders(&self, request: Request<OpenOrdersRequest>) -> Result<Response<Orders>, Status> {
        let request = request.into_inner();
        let looked = self.engine.look(move |venue| {
            let orders = venue.open_orders(request.account_id, request.instrument_id);
            (orders, venue.epoch(), venue.engine_seq(), venue.event_seq())
        });
        let (orders, epoch, engine_seq, event_seq) =
            looked.await.map_err(|NotTaken(code)| unavailable(code))?;
        let orders: Vec<_> = orders.iter().map(telling::order).collect();
        let chunks = chunks_of(orders, move |orders, last| {
            Ok(OpenOrdersChunk { epoch, engine_seq, event_seq, orders, last })
        });
        Ok(Response::new(Box::pin(iter(chunks))))
    }

    async fn get_balances(&self, request: Request<BalancesRequest>) -> Result<Response<Balances>, Status> {
        let accounts = request.into_inner().account_ids;
        let looked = self.engine.look(move |venue| {
            (venue.balances(&accounts), venue.epoch(), venue.engine_seq(), venue.event_seq())
        });
        let (balances, epoch, engine_seq, event_seq) =
            looked.await.map_err(|NotTaken(code)| unavailable(code))?;
        let amount = |asset_id, units| Some(telling::amount(Amount { asset_id, units }));
        let balances: Vec<_> = balances
            .into_iter()
            .map(|(account_id, asset_id, balance)| Balance {
                account_id,
                available: amount(asset_id, balance.available),
                held: amount(asset_id, balance.held),
            })
            .collect();
        let chunks = chunks_of(balances, move |balances, last| {
            Ok(BalancesChunk { epoch, engine_seq, event_seq, balances, last })
        });
        Ok(Response::new(Box::pin(iter(chunks))))
    }
}

/// Cuts a list into chunks, of which there is always at least one, and the last one says so.
fn chunks_of<T, C>(mut all: Vec<T>, chunk: impl Fn(Vec<T>, bool) -> C) -> Vec<C> {
    let mut chunks = Vec::new();
    while all.len() > CHUNK {
        let rest = all.split_off(CHUNK);
        chunks.push(chunk(all, false));
        all = rest;
    }
    chunks.push(chunk(all, true));
    chunks
}

/// What a consumer hears of events that cannot be told, and what whoever runs the engine is to do.
pub fn untold(error: &ReadError, archive: &Archive) -> Status {
    let said = format!(
        "{error}. Everything else goes on. Run this on the engine's machine, as its user, while it runs: `{}`",
        archive.mending()
    );
    match error {
        ReadError::Gone { .. } => Status::out_of_range(said),
        ReadError::Damaged(_) => {
            eprintln!("engine: events cannot be told: {said}");
            Status::data_loss(said)
        }
        ReadError::Io(_) => {
            eprintln!("engine: events cannot be told: {error}");
            Status::data_loss(error.to_string())
        }
    }
}

impl Feed {
    async fn send_events(
        &self,
        request: &SubscribeRequest,
        sender: &mpsc::Sender<Result<EventBatch, Status>>,
    ) -> Result<(), Status> {
        let shared = &self.engine.shared;
        // Before it is told that they are gone: they are not dropped again once they are back.
        shared.settled.asks_from(&request.consumer, request.from_event_seq).map_err(Status::internal)?;
        let mut newest = shared.archive.watch();
        let mut cursor = Cursor::new(request.from_event_seq);
        let events_max = match request.max_events as usize {
            0 => EVENTS_DEFAULT,
            wanted => wanted.min(EVENTS_MAX),
        };
        let heartbeat = match request.heartbeat_ms {
            0 => Duration::from_secs(3_600),
            ms => Duration::from_millis(ms.max(10).into()),
        };
        loop {
            let durable_event_seq = *newest.borrow_and_update();
            let first_event_seq = cursor.next_seq();
            let events = shared
                .archive
                .read(&mut cursor, events_max)
                .map_err(|error| untold(&error, &shared.archive))?;
            if events.is_empty() {
                let waited = tokio::select! {
                    changed = newest.changed() => changed.map(|()| false),
                    () = tokio::time::sleep(heartbeat) => Ok(true),
                    () = sender.closed() => return Ok(()),
                };
                match waited {
                    Ok(true) if request.heartbeat_ms != 0 => {}
                    Ok(_) => continue,
                    Err(_) => return Err(Status::unavailable("the engine ends")),
                }
            }
            let epoch = shared.live.lock().expect("nobody panics while holding it").epoch;
            let (state_hash_seq, chain) = shared.durable.get();
            let batch = EventBatch {
                epoch,
                first_event_seq,
                events: events.iter().map(telling::event).collect(),
                state_hash: chain.to_vec(),
                state_hash_seq,
                durable_event_seq: durable_event_seq.max(cursor.next_seq() - 1),
            };
            if sender.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
            if !request.consumer.is_empty() {
                let mut consumers = self.consumers.lock().expect("nobody panics while holding it");
                consumers.insert(request.consumer.clone(), cursor.next_seq() - 1);
            }
        }
    }
}
