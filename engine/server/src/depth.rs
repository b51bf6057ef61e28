//! What a book looks like from outside: the sum of its orders per price, followed event by event.

use std::collections::{BTreeMap, HashMap};

use countersign_venue::auction::Indication;
use countersign_venue::command::{Kind, Side, State, Tif};
use countersign_venue::event::{Body, Event};
use countersign_venue::market::{Market, Place};
use countersign_venue::{OpenOrder, Venue};
use countersign_wire::v1::{BookFrame, Level};

use crate::checksum::checksum;
use crate::ladder::{Ladder, Shown};
use crate::telling;

/// The books of a venue as its events tell them.
#[derive(Default)]
pub struct Depth {
    ladders: BTreeMap<u32, Ladder>,
    epoch: u64,
    pub event_seq: u64,
    copied: Option<Copied>,
}

/// Orders that were copied while others changed: of an event from before its order was copied nothing is left to do.
#[derive(Default)]
struct Copied {
    /// Which event came last when an order was copied.
    at: HashMap<u64, u64>,
    /// Which one came last when all of them were.
    through: u64,
}

impl Copied {
    fn knows(&self, order_id: u64, event_seq: u64) -> bool {
        self.at.get(&order_id).is_some_and(|&at| event_seq <= at)
    }
}

/// Places that are copied at once: every order waits for as long as that takes.
pub const PLACES: u32 = 2_048;

/// Some of a venue's orders, and what else is to be known of its markets.
pub struct Piece {
    orders: Vec<OpenOrder>,
    /// Instrument, quote asset and auction of each market.
    heads: Vec<(u32, u32, Option<Indication>)>,
    epoch: u64,
    engine_seq: u64,
    event_seq: u64,
    time_ns: u64,
    pub next: Option<Place>,
}

impl Piece {
    pub const FIRST: Place = Place { market: 0, slot: 0 };

    pub fn of(venue: &Venue, from: Place, places: u32) -> Piece {
        let (orders, next) = venue.open_orders_from(from, places);
        let head = |market: &&Market| {
            // Of one that is being run nothing is told any more.
            let collects = market.call.filter(|_| !market.is_uncrossing());
            (market.spec.instrument_id, market.spec.quote_asset_id, collects.map(|call| call.told))
        };
        Piece {
            orders,
            heads: venue.markets().iter().map(head).collect(),
            epoch: venue.epoch(),
            engine_seq: venue.engine_seq(),
            event_seq: venue.event_seq(),
            time_ns: venue.time_ns(),
            next,
        }
    }
}

impl Depth {
    /// Takes the next piece in. Once all were, the events behind the first one's are to be followed.
    pub fn copy(&mut self, piece: Piece) {
        let copied = self.copied.get_or_insert_default();
        if copied.through == 0 {
            self.event_seq = piece.event_seq;
        }
        copied.through = piece.event_seq;
        self.epoch = piece.epoch;
        for (instrument_id, quote, auction) in piece.heads {
            let ladder = self.ladders.entry(instrument_id).or_default();
            (ladder.quote, ladder.auction) = (quote, auction);
            (ladder.book_seq, ladder.engine_seq) = (piece.event_seq, piece.engine_seq);
            ladder.time_ns = piece.time_ns;
        }
        for OpenOrder { order_id, instrument_id, side, price, leaves, .. } in piece.orders {
            let ladder = self.ladders.entry(instrument_id).or_default();
            if copied.at.insert(order_id, piece.event_seq).is_some() {
                // It was amended meanwhile, and lies somewhere else.
                ladder.remove(order_id);
            }
            ladder.add(order_id, Shown { side, price, leaves });
        }
        self.ladders.values_mut().for_each(|ladder| ladder.touched.clear());
    }

    /// Whether the books are those of any one moment.
    pub fn is_of_one_moment(&self) -> bool {
        self.copied.as_ref().is_none_or(|copied| self.event_seq >= copied.through)
    }

    /// As the venue stands; events from `event_seq` + 1 on are to be followed.
    #[cfg(test)]
    pub fn of(venue: &Venue) -> Depth {
        let (mut depth, mut next) = (Depth::default(), Some(Piece::FIRST));
        while let Some(from) = next {
            let piece = Piece::of(venue, from, PLACES);
            next = piece.next;
            depth.copy(piece);
        }
        depth
    }

    pub fn follow(&mut self, event: &Event) {
        self.event_seq = event.seq;
        if let Body::Marker { epoch, .. } = event.body {
            self.epoch = epoch;
        }
        if event.instrument_id == 0 {
            return;
        }
        let ladder = self.ladders.entry(event.instrument_id).or_default();
        ladder.engine_seq = event.engine_seq;
        ladder.time_ns = event.time_ns;
        if self.copied.as_ref().is_some_and(|copied| event.seq > copied.through) {
            self.copied = None;
        }
        let copied = self.copied.as_ref();
        let is_new = |order_id| !copied.is_some_and(|copied| copied.knows(order_id, event.seq));
        match &event.body {
            // What may rest is shown from its acceptance; its trades, in the same command, take away from it.
            Body::Accepted { order, .. }
                if order.kind == Kind::Limit
                    && matches!(order.tif, Tif::Gtc | Tif::Gtd)
                    && is_new(order.order_id) =>
            {
                let shown = Shown { side: order.side, price: order.price, leaves: order.qty };
                ladder.add(order.order_id, shown);
            }
            Body::Trade(trade) => {
                for order_id in [trade.maker_order_id, trade.taker_order_id] {
                    if is_new(order_id) {
                        ladder.reduce(order_id, trade.qty);
                    }
                }
            }
            Body::Done(done) if is_new(done.order_id) => {
                ladder.remove(done.order_id);
            }
            Body::Amended { order_id, price, leaves, held, .. } if is_new(*order_id) => {
                let side = match ladder.remove(*order_id) {
                    Some(shown) => Some(shown.side),
                    // It moved to a place that had been copied, from one that had not.
                    None if copied.is_some() && held.asset_id == ladder.quote => Some(Side::Buy),
                    None if copied.is_some() => Some(Side::Sell),
                    None => None,
                };
                if let Some(side) = side {
                    ladder.add(*order_id, Shown { side, price: *price, leaves: *leaves });
                }
            }
            Body::Auction { .. } | Body::Instrument { .. } if copied.is_some() => {}
            Body::Auction { indication, uncrossed } => ladder.auction = (!uncrossed).then_some(*indication),
            Body::Instrument { state, .. } if *state != State::Auction => ladder.auction = None,
            _ => {}
        }
    }

    /// What has changed since the last call. To be called between commands only.
    pub fn deltas(&mut self) -> Vec<BookFrame> {
        let (epoch, event_seq) = (self.epoch, self.event_seq);
        let mut frames = Vec::new();
        for (&instrument_id, ladder) in &mut self.ladders {
            if ladder.touched.is_empty() {
                continue;
            }
            let (mut bids, mut asks) = (Vec::new(), Vec::new());
            for (side, price_ticks) in std::mem::take(&mut ladder.touched) {
                let buy = side == Side::Buy as u8;
                let half = if buy { &ladder.bids } else { &ladder.asks };
                let (qty_lots, orders) = half.get(&price_ticks).copied().unwrap_or_default();
                let level = Level { price_ticks, qty_lots, orders };
                if buy { bids.push(level) } else { asks.push(level) }
            }
            bids.reverse();
            frames.push(BookFrame {
                instrument_id,
                prev_book_seq: ladder.book_seq,
                book_seq: event_seq,
                engine_seq: ladder.engine_seq,
                snapshot: false,
                bids,
                asks,
                checksum: ladder.checksum(),
                epoch,
                event_seq,
                engine_time_ns: ladder.time_ns,
                auction: None,
            });
            ladder.book_seq = event_seq;
        }
        frames
    }

    /// The whole book; the checksum covers all of it, the levels as many as were asked for (0 = all).
    pub fn snapshot(&self, instrument_id: u32, depth: usize) -> Option<BookFrame> {
        let ladder = self.ladders.get(&instrument_id)?;
        let (mut bids, mut asks) = ladder.levels();
        let checksum = checksum(&bids, &asks);
        if depth != 0 {
            bids.truncate(depth);
            asks.truncate(depth);
        }
        Some(BookFrame {
            instrument_id,
            prev_book_seq: 0,
            book_seq: ladder.book_seq,
            engine_seq: ladder.engine_seq,
            snapshot: true,
            bids,
            asks,
            checksum,
            epoch: self.epoch,
            event_seq: self.event_seq,
            engine_time_ns: ladder.time_ns,
            auction: ladder.auction.map(|told| telling::auction(&told, false)),
        })
    }
}

/// One book straight from the venue, for whoever asks once.
pub fn look(venue: &Venue, instrument_id: u32, depth: usize) -> Option<BookFrame> {
    let market = venue.market(instrument_id)?;
    let side = |side| -> Vec<Level> {
        let levels = market.book.levels(side);
        levels.map(|(price_ticks, qty_lots, orders)| Level { price_ticks, qty_lots, orders }).collect()
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
        auction: market.call.map(|call| telling::auction(&call.told, false)),
    })
}

#[cfg(test)]
mod tests;
