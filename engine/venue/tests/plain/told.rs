//! What events say.

use countersign_venue::auction::Indication;
use countersign_venue::command::State;
use countersign_venue::event::{Body, Code, Event, Reason};

/// What an event says, without what only identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Accepted(u64, u128),
    Rejected(u64, Code),
    Trade(Trade),
    Done { order: u64, reason: Reason, filled: u64, cancelled: u64, ticklots: u128, released: u128 },
    Amended { order: u64, price: i64, total: u64, leaves: u64, kept: bool, held: u128 },
    AmendRejected(u64, Code),
    Auction(u32, Indication, bool),
    State(u32, State, i64, u32, i64),
    Transfer(Code),
    Fees(u64, Option<(u32, u32)>),
    Leads(u64, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    pub auction: bool,
    pub price: i64,
    pub qty: u64,
    pub orders: [u64; 2],
    pub leaves: [u64; 2],
    pub fees: [u128; 2],
    pub held: [u128; 2],
}

pub fn told(event: &Event) -> Told {
    match &event.body {
        Body::Accepted { order, held, .. } => Told::Accepted(order.order_id, held.units),
        Body::Rejected { order_id, code, .. } => Told::Rejected(*order_id, *code),
        Body::Trade(trade) => Told::Trade(Trade {
            auction: trade.auction,
            price: trade.price,
            qty: trade.qty,
            orders: [trade.maker_order_id, trade.taker_order_id],
            leaves: [trade.maker_leaves, trade.taker_leaves],
            fees: [trade.maker_fee, trade.taker_fee],
            held: [trade.maker_held, trade.taker_held],
        }),
        Body::Done(done) => Told::Done {
            order: done.order_id,
            reason: done.reason,
            filled: done.filled,
            cancelled: done.cancelled,
            ticklots: done.filled_ticklots,
            released: done.released.units,
        },
        Body::Amended { order_id, price, total, leaves, kept, held, .. } => Told::Amended {
            order: *order_id,
            price: *price,
            total: *total,
            leaves: *leaves,
            kept: *kept,
            held: held.units,
        },
        Body::AmendRejected { order_id, code, .. } => Told::AmendRejected(*order_id, *code),
        Body::Auction { indication, uncrossed } => {
            Told::Auction(event.instrument_id, *indication, *uncrossed)
        }
        Body::Instrument { spec, state, last_price, .. } => {
            let (id, band, reference) = (spec.instrument_id, spec.price_band_ppm, spec.reference_price);
            Told::State(id, *state, *last_price, band, reference)
        }
        Body::Transfer { code, .. } => Told::Transfer(*code),
        Body::Account { account_id, fees } => Told::Fees(*account_id, *fees),
        Body::Marker { epoch, logic_version } => Told::Leads(*epoch, *logic_version),
        other => panic!("{other:?} is not part of the flow"),
    }
}
