//! Public market data: what is listed, and the books.

use std::pin::Pin;

use countersign_venue::Venue;
use countersign_venue::command::Side;
use countersign_wire::v1::market_data_server::MarketData as Service;
use countersign_wire::v1::{BookFrame, BookRequest, Empty, InstrumentList, Level, TradeBatch, TradesRequest};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::convert;
use crate::depth::checksum;
use crate::engine::{Engine, NotTaken};
use crate::orders::unavailable;

pub struct MarketData {
    pub engine: Engine,
}

type Frames = Pin<Box<dyn Stream<Item = Result<BookFrame, Status>> + Send>>;
type Trades = Pin<Box<dyn Stream<Item = Result<TradeBatch, Status>> + Send>>;

/// A whole book as a frame; the checksum covers all of it, the levels as many as were asked for.
pub fn snapshot(venue: &Venue, instrument_id: u32, depth: usize) -> Option<BookFrame> {
    let market = venue.market(instrument_id)?;
    let side = |side| -> Vec<Level> {
        market
            .book
            .levels(side)
            .map(|(price_ticks, qty_lots, orders)| Level { price_ticks, qty_lots, orders })
            .collect()
    };
    let (mut bids, mut asks) = (side(Side::Buy), side(Side::Sell));
    let checksum = checksum(&bids, &asks);
    if depth != 0 {
        bids.truncate(depth);
        asks.truncate(depth);
    }
    Some(BookFrame {
        instrument_id,
        prev_book_seq: 0,
        book_seq: venue.event_seq(),
        engine_seq: venue.engine_seq(),
        snapshot: true,
        bids,
        asks,
        checksum,
        epoch: venue.epoch(),
        event_seq: venue.event_seq(),
        engine_time_ns: venue.time_ns(),
    })
}

#[tonic::async_trait]
impl Service for MarketData {
    type SubscribeBookStream = Frames;
    type SubscribeTradesStream = Trades;

    async fn list_instruments(&self, _: Request<Empty>) -> Result<Response<InstrumentList>, Status> {
        let looked = self.engine.look(|venue| InstrumentList {
            instruments: venue.markets().into_iter().map(convert::told_market).collect(),
            assets: venue.assets().map(convert::told_asset).collect(),
        });
        Ok(Response::new(looked.await.map_err(|NotTaken(code)| unavailable(code))?))
    }

    async fn get_book(&self, request: Request<BookRequest>) -> Result<Response<BookFrame>, Status> {
        let BookRequest { instrument_id, depth } = request.into_inner();
        let looked = self.engine.look(move |venue| snapshot(venue, instrument_id, depth as usize));
        let frame = looked.await.map_err(|NotTaken(code)| unavailable(code))?;
        frame.map(Response::new).ok_or_else(|| Status::not_found("no such instrument"))
    }

    async fn subscribe_book(&self, _: Request<BookRequest>) -> Result<Response<Frames>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn subscribe_trades(&self, _: Request<TradesRequest>) -> Result<Response<Trades>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
