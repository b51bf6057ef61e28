//! The event feed, and the two questions that settlement compares itself with.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use countersign_archive::{Archive, Cursor, ReadError};
use countersign_venue::event::Amount;
use countersign_venue::{OpenOrder, Venue};
use countersign_wire::v1::event_feed_server::EventFeed;
use countersign_wire::v1::{
    Balance, BalancesChunk, BalancesRequest, EventBatch, OpenOrdersChunk, OpenOrdersRequest, SubscribeRequest,
};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, iter};
use tonic::{Request, Response, Status};

use crate::consumers::{Consumers, Reading};
use crate::engine::{Engine, NotTaken};
use crate::orders::unavailable;
use crate::places::Places;
use crate::settled::check_name;
use crate::telling;

const EVENTS_DEFAULT: usize = 1_024;
const EVENTS_MAX: usize = 8_192;
const CHUNK: usize = 1_024;
/// Open orders in one answer. The engine thread copies them, 0.1 to 0.4 µs each, and every order waits for that long.
const OPEN_ORDERS_MAX: usize = 1 << 16;
/// Balances that are looked at for one answer, for the same reason; those that are zero are not told.
const BALANCES_MAX: usize = 1 << 16;
/// Rows of all answers that are under way: as many orders as may rest.
const ROWS_MAX: usize = countersign_venue::ORDERS_MAX;
/// Batches that may wait for a slow consumer; then it waits in the archive.
const BATCHES: usize = 4;

#[derive(Clone)]
pub struct Feed {
    engine: Engine,
    consumers: Consumers,
    /// Reads the archive for the subscribers: no order waits for a disk that is slow with old events.
    readers: Handle,
    places: Places,
    /// Rows of answers that are under way.
    rows: Arc<Semaphore>,
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
        if !request.consumer.is_empty() {
            check_name(&request.consumer).map_err(Status::invalid_argument)?;
        }
        let place = self.places.or_refuse("readers")?;
        let (sender, receiver) = mpsc::channel(BATCHES);
        let feed = self.clone();
        let reading = self.consumers.begin(&request.consumer, request.from_event_seq.saturating_sub(1));
        self.readers.spawn(async move {
            if let Err(status) = feed.send_events(&request, reading.as_ref(), &sender).await {
                sender.send(Err(status)).await.ok();
            }
            drop((reading, place));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_open_orders(&self, request: Request<OpenOrdersRequest>) -> Result<Response<Orders>, Status> {
        let request = request.into_inner();
        let looked = self.engine.look(move |venue| {
            let orders = open_orders(venue, &request, OPEN_ORDERS_MAX)?;
            Ok::<_, Status>((orders, venue.epoch(), venue.engine_seq(), venue.event_seq()))
        });
        let (orders, epoch, engine_seq, event_seq) =
            looked.await.map_err(|NotTaken(code)| unavailable(code))??;
        let chunks = self.chunks(orders, move |orders, last| {
            let orders = orders.iter().map(telling::order).collect();
            OpenOrdersChunk { epoch, engine_seq, event_seq, orders, last }
        })?;
        Ok(Response::new(Box::pin(iter(chunks))))
    }

    async fn get_balances(&self, request: Request<BalancesRequest>) -> Result<Response<Balances>, Status> {
        let request = request.into_inner();
        let looked = self.engine.look(move |venue| {
            let (balances, next_place) = balances(venue, &request, BALANCES_MAX)?;
            Ok::<_, Status>((balances, next_place, venue.epoch(), venue.engine_seq(), venue.event_seq()))
        });
        let (balances, next_place, epoch, engine_seq, event_seq) =
            looked.await.map_err(|NotTaken(code)| unavailable(code))??;
        let tell = |(account_id, asset_id, balance): &Held| {
            let amount = |units| Some(telling::amount(Amount { asset_id: *asset_id, units }));
            Balance {
                account_id: *account_id,
                available: amount(balance.available),
                held: amount(balance.held),
            }
        };
        let chunks = self.chunks(balances, move |balances, last| {
            let balances = balances.iter().map(tell).collect();
            let next_place = if last { next_place } else { 0 };
            BalancesChunk { epoch, engine_seq, event_seq, balances, last, next_place }
        })?;
        Ok(Response::new(Box::pin(iter(chunks))))
    }
}

impl Feed {
    pub fn new(engine: Engine, consumers: Consumers, readers: Handle, places: Places) -> Feed {
        Feed { engine, consumers, readers, places, rows: Arc::new(Semaphore::new(ROWS_MAX)) }
    }

    /// Cuts an answer into chunks, of which there is always at least one, and the last one says so. Each is made when
    /// it is sent, and all rows of all answers that wait for their readers are bounded.
    fn chunks<T, C, F: Fn(&[T], bool) -> C>(
        &self,
        rows: Vec<T>,
        chunk: F,
    ) -> Result<impl Iterator<Item = Result<C, Status>> + use<T, C, F>, Status> {
        let weight = rows.len().min(ROWS_MAX) as u32;
        let permit = Arc::clone(&self.rows).try_acquire_many_owned(weight).map_err(|_| {
            Status::resource_exhausted("others have not read answers as large as this one yet: ask again")
        })?;
        let count = rows.len().div_ceil(CHUNK).max(1);
        Ok((0..count).map(move |at| {
            let _held_until_the_last = &permit;
            let end = rows.len().min((at + 1) * CHUNK);
            Ok(chunk(&rows[at * CHUNK..end], at + 1 == count))
        }))
    }
}

/// The orders that were asked for, unless there are so many that all others would wait for them.
fn open_orders(venue: &Venue, request: &OpenOrdersRequest, most: usize) -> Result<Vec<OpenOrder>, Status> {
    let (account_id, instrument_id) = (request.account_id, request.instrument_id);
    if venue.rest_more_than(most, account_id, instrument_id) {
        let what = if account_id == 0 { "ask by account" } else { "read the events" };
        return Err(Status::resource_exhausted(format!("more than {most} orders rest there: {what}")));
    }
    Ok(venue.open_orders(account_id, instrument_id))
}

type Held = (u64, u32, countersign_risk::Balance);

/// The balances that were asked for, and where the next answer goes on; unless looking at them would keep all others
/// waiting. Who does not know of pages is refused, or would take the first one for everything.
fn balances(venue: &Venue, request: &BalancesRequest, most: usize) -> Result<(Vec<Held>, u64), Status> {
    let (accounts, from) = (&request.account_ids, request.from_place);
    let fits = venue.accounts_within(most);
    if !accounts.is_empty() {
        return match accounts.len() <= fits && !request.paged {
            true => Ok((venue.balances(accounts), 0)),
            false => Err(Status::resource_exhausted(format!(
                "ask for at most {fits} accounts, or by page for all"
            ))),
        };
    }
    if !request.paged && (from != 0 || venue.accounts_count() > fits) {
        let known = venue.accounts_count();
        let said = format!("{known} accounts are known, and one answer tells of {fits}: ask by page");
        return Err(Status::resource_exhausted(said));
    }
    Ok(venue.balances_from(from, most))
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
        reading: Option<&Reading>,
        sender: &mpsc::Sender<Result<EventBatch, Status>>,
    ) -> Result<(), Status> {
        let shared = &self.engine.shared;
        // Before it is told that they are gone: they are not dropped again once they are back.
        shared.settled.asks_from(&request.consumer, request.from_event_seq).map_err(Status::internal)?;
        let mut newest = shared.archive.watch();
        let mut cursor = Cursor::new(request.from_event_seq);
        let mut sent = 0;
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
            if !events.is_empty() {
                sent = cursor.next_seq() - 1;
            }
            let epoch = shared.live.lock().expect("nobody panics while holding it").epoch;
            let (state_hash_seq, chain) = shared.durable.get();
            let batch = EventBatch {
                epoch,
                first_event_seq,
                events: events.iter().map(telling::event).collect(),
                state_hash: chain.to_vec(),
                state_hash_seq,
                durable_event_seq: durable_event_seq.max(sent),
            };
            if sender.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
            if let Some(reading) = reading {
                reading.sent(cursor.next_seq() - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
