//! Public market data: what is listed, the books, the trades.

use std::pin::Pin;

use countersign_archive::Cursor;
use countersign_venue::event::Body;
use countersign_wire::v1::market_data_server::MarketData as Service;
use countersign_wire::v1::{
    BookFrame, BookRequest, Empty, InstrumentList, PublicTrade, TradeBatch, TradesRequest,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::books::{Books, forward};
use crate::engine::{Engine, NotTaken};
use crate::feed::untold;
use crate::orders::unavailable;
use crate::places::Places;
use crate::{depth, telling};

const EVENTS: usize = 4_096;

#[derive(Clone)]
pub struct MarketData {
    pub engine: Engine,
    /// As the feed's.
    readers: Handle,
    places: Places,
    books: Books,
}

type Frames = Pin<Box<dyn Stream<Item = Result<BookFrame, Status>> + Send>>;
type Trades = Pin<Box<dyn Stream<Item = Result<TradeBatch, Status>> + Send>>;

impl MarketData {
    pub fn new(engine: Engine, readers: Handle, places: Places) -> MarketData {
        let books = Books::new(engine.clone(), readers.clone());
        MarketData { engine, readers, places, books }
    }

    async fn send_trades(
        &self,
        request: &TradesRequest,
        sender: &mpsc::Sender<Result<TradeBatch, Status>>,
    ) -> Result<(), Status> {
        let shared = &self.engine.shared;
        let mut newest = shared.archive.watch();
        let from = match request.from_event_seq {
            0 => *newest.borrow() + 1,
            from => from,
        };
        let mut cursor = Cursor::new(from);
        loop {
            newest.borrow_and_update();
            let read = shared.archive.read(&mut cursor, EVENTS);
            let events = read.map_err(|error| untold(&error, &shared.archive))?;
            let trades: Vec<PublicTrade> = events
                .iter()
                .filter(|event| request.instrument_id == 0 || event.instrument_id == request.instrument_id)
                .filter_map(|event| match &event.body {
                    Body::Trade(trade) => Some(PublicTrade {
                        trade_id: event.seq,
                        instrument_id: event.instrument_id,
                        price_ticks: trade.price,
                        qty_lots: trade.qty,
                        taker_side: trade.taker_side as i32,
                        engine_time_ns: event.time_ns,
                    }),
                    _ => None,
                })
                .collect();
            if !trades.is_empty() {
                let epoch = shared.live.lock().expect("nobody panics while holding it").epoch;
                if sender.send(Ok(TradeBatch { epoch, trades })).await.is_err() {
                    return Ok(());
                }
            }
            if events.is_empty() {
                tokio::select! {
                    changed = newest.changed() => {
                        changed.map_err(|_| Status::unavailable("the engine ends"))?;
                    }
                    () = sender.closed() => return Ok(()),
                }
            }
        }
    }
}

#[tonic::async_trait]
impl Service for MarketData {
    type SubscribeBookStream = Frames;
    type SubscribeTradesStream = Trades;

    async fn list_instruments(&self, _: Request<Empty>) -> Result<Response<InstrumentList>, Status> {
        let looked = self.engine.look(|venue| InstrumentList {
            instruments: venue.markets().into_iter().map(telling::market).collect(),
            assets: venue.assets().map(telling::asset).collect(),
            engine_seq: venue.engine_seq(),
        });
        Ok(Response::new(looked.await.map_err(|NotTaken(code)| unavailable(code))?))
    }

    async fn get_book(&self, request: Request<BookRequest>) -> Result<Response<BookFrame>, Status> {
        let BookRequest { instrument_id, depth } = request.into_inner();
        if let Some(frame) = self.books.followed(instrument_id, depth as usize) {
            return frame.map(Response::new).ok_or_else(|| Status::not_found("no such instrument"));
        }
        let looked = self.engine.look(move |venue| depth::look(venue, instrument_id, depth as usize));
        let frame = looked.await.map_err(|NotTaken(code)| unavailable(code))?;
        frame.map(Response::new).ok_or_else(|| Status::not_found("no such instrument"))
    }

    async fn subscribe_book(&self, request: Request<BookRequest>) -> Result<Response<Frames>, Status> {
        let BookRequest { instrument_id, depth } = request.into_inner();
        let place = self.places.or_refuse("readers")?;
        let (first, frames) = self.books.listen(instrument_id, depth as usize).await?;
        let first = first.ok_or_else(|| Status::not_found("no such instrument"))?;
        let (sender, receiver) = mpsc::channel(64);
        self.readers.spawn(async move {
            forward(first, frames, sender).await;
            drop(place);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn subscribe_trades(&self, request: Request<TradesRequest>) -> Result<Response<Trades>, Status> {
        let request = request.into_inner();
        let place = self.places.or_refuse("readers")?;
        let (sender, receiver) = mpsc::channel(16);
        let data = self.clone();
        self.readers.spawn(async move {
            if let Err(status) = data.send_trades(&request, &sender).await {
                sender.send(Err(status)).await.ok();
            }
            drop(place);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::idle;

    /// As the figure of open files says, and no more: whoever is refused takes none, and whoever leaves gives one back.
    #[tokio::test]
    async fn every_stream_takes_a_place_for_as_long_as_it_is_read() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, queue) = idle(folder.path(), 4);
        let places = Places::for_streams();
        let limit = places.limit;
        let data = MarketData::new(engine, Handle::current(), places);
        let trades = || data.subscribe_trades(Request::new(TradesRequest::default()));
        let book = || data.subscribe_book(Request::new(BookRequest::default()));
        let mut open = Vec::new();
        while open.len() < limit {
            open.push(trades().await.unwrap());
        }
        let full =
            |told: Option<Status>| told.is_some_and(|status| status.code() == tonic::Code::ResourceExhausted);
        assert!(full(trades().await.err()) && full(book().await.err()));
        assert!(queue.try_recv().is_err(), "nobody looks for whoever is refused");
        open.pop();
        for _ in 0..1_000 {
            match trades().await {
                Ok(_) => return,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
            }
        }
        panic!("a place that was left is never free again");
    }
}
