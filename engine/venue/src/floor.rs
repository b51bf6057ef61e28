//! The walk of an order through its book, and everything that each of its trades moves.

use std::collections::BTreeSet;

use countersign_book::{Book, Fill, Index, Pages, Resting, Slab, Slot, Stop, Taker, Tape};
use countersign_risk::{AssetIndex, Gate, Handle, Leg, fee};

use crate::command::{InstrumentSpec, NewOrder, Side, Stp};
use crate::event::{Amount, Body, Done, Output, Reason, Trade};
use crate::market::{Details, Market, Place};
use crate::standing::Standing;
use crate::state::{NS_PER_MS, Timer, Venue};

/// Everything that a trade touches, apart from the book itself.
pub(crate) struct Floor<'a> {
    pub gate: &'a mut Gate,
    pub index: &'a mut Index<Place>,
    pub standing: &'a mut Standing,
    pub timers: &'a mut BTreeSet<(u64, Timer)>,
    pub details: &'a mut Slab<Details>,
    pub fees: &'a Pages<Option<(u32, u32)>>,
    pub spec: &'a InstrumentSpec,
    pub base: AssetIndex,
    pub quote: AssetIndex,
    pub last_price: &'a mut i64,
    pub event_seq: &'a mut u64,
    pub engine_seq: u64,
    pub time_ns: u64,
    pub out: &'a mut Output,
}

/// A floor while an order walks through the book.
struct Walk<'a> {
    floor: Floor<'a>,
    taker: Walker,
}

/// The order that walks.
struct Walker {
    order_id: u64,
    account_id: u64,
    account: Handle,
    side: Side,
    limit: i64,
    /// Remaining quote budget in ticklots; `None` where the quantity decides.
    budget: Option<u64>,
    fee_ppm: u32,
    filled: u64,
    filled_ticklots: u128,
}

impl Floor<'_> {
    pub fn emit(&mut self, body: &Body) {
        *self.event_seq += 1;
        self.out.push(*self.event_seq, self.engine_seq, self.time_ns, self.spec.instrument_id, body);
    }

    pub fn quote_units(&self, price: i64, qty: u64) -> u128 {
        price as u128 * u128::from(qty) * u128::from(self.spec.quote_units_per_ticklot)
    }

    pub fn base_units(&self, qty: u64) -> u128 {
        u128::from(qty) * u128::from(self.spec.base_units_per_lot)
    }

    fn forget(&mut self, order_id: u64, details: &Details) {
        self.index.remove(&order_id);
        self.standing.leave(details.listed);
        if details.expire_at_ms != 0 {
            self.timers.remove(&(details.expire_at_ms * NS_PER_MS, Timer::Order(order_id)));
        }
    }

    /// What an account pays for resting: its own fee where it has one.
    pub fn maker_ppm(&self, account: Handle) -> u32 {
        self.fees.get(account as usize).map_or(self.spec.maker_fee_ppm, |own| own.0)
    }

    /// Counts a trade into a resting order.
    pub fn count(&mut self, slot: Slot, ticklots: u128) {
        self.details[slot].filled_ticklots += ticklots;
    }

    /// Tells that an order is filled whole and forgets it.
    pub fn filled(&mut self, slot: Slot, order_id: u64, account_id: u64) {
        let details = self.details[slot];
        self.forget(order_id, &details);
        let asset_id = match details.side {
            Side::Buy => self.spec.quote_asset_id,
            Side::Sell => self.spec.base_asset_id,
        };
        self.emit(&Body::Done(Done {
            order_id,
            account_id,
            reason: Reason::Filled,
            filled: details.total,
            cancelled: 0,
            filled_ticklots: details.filled_ticklots,
            released: Amount { asset_id, units: 0 },
        }));
    }
}

impl Tape for Walk<'_> {
    #[inline]
    fn fill(&mut self, fill: Fill) {
        let Walk { floor, taker: walker } = self;
        let Fill { slot, maker, owner, price, qty, maker_leaves, taker_leaves } = fill;
        let ticklots = price as u128 * u128::from(qty);
        let quote = ticklots * u128::from(floor.spec.quote_units_per_ticklot);
        let base = floor.base_units(qty);
        let maker_ppm = floor.maker_ppm(owner);
        walker.filled += qty;
        walker.filled_ticklots += ticklots;
        *floor.last_price = price;
        let (maker_fee, taker_fee, maker_held, taker_held);
        match walker.side {
            Side::Buy => {
                let freed = match &mut walker.budget {
                    Some(budget) => {
                        *budget -= ticklots as u64;
                        0
                    }
                    None => floor.quote_units(walker.limit - price, qty),
                };
                maker_fee = fee(quote, maker_ppm);
                taker_fee = fee(base, walker.fee_ppm);
                floor.gate.trade(
                    floor.base,
                    floor.quote,
                    Leg { account: walker.account, pays: quote, freed, fee: taker_fee },
                    Leg { account: owner, pays: base, freed: 0, fee: maker_fee },
                );
                maker_held = floor.base_units(maker_leaves);
                taker_held = match walker.budget {
                    Some(budget) => u128::from(budget) * u128::from(floor.spec.quote_units_per_ticklot),
                    None => floor.quote_units(walker.limit, taker_leaves),
                };
            }
            Side::Sell => {
                maker_fee = fee(base, maker_ppm);
                taker_fee = fee(quote, walker.fee_ppm);
                floor.gate.trade(
                    floor.base,
                    floor.quote,
                    Leg { account: owner, pays: quote, freed: 0, fee: maker_fee },
                    Leg { account: walker.account, pays: base, freed: 0, fee: taker_fee },
                );
                maker_held = floor.quote_units(price, maker_leaves);
                taker_held = floor.base_units(taker_leaves);
            }
        }
        let maker_account_id = floor.gate.account(owner);
        floor.count(slot, ticklots);
        floor.emit(&Body::Trade(Trade {
            auction: false,
            price,
            qty,
            taker_side: walker.side,
            maker_order_id: maker,
            taker_order_id: walker.order_id,
            maker_leaves,
            // A budget order has no quantity to leave.
            taker_leaves: if walker.budget.is_some() { 0 } else { taker_leaves },
            maker_account_id,
            taker_account_id: walker.account_id,
            base_asset_id: floor.spec.base_asset_id,
            quote_asset_id: floor.spec.quote_asset_id,
            base,
            quote,
            maker_fee,
            taker_fee,
            maker_held,
            taker_held,
        }));
        if maker_leaves == 0 {
            floor.filled(slot, maker, maker_account_id);
        }
    }

    fn pulled(&mut self, slot: Slot, order: Resting, price: i64) {
        let Walk { floor, .. } = self;
        let details = floor.details[slot];
        floor.forget(order.id, &details);
        let (asset, asset_id, units) = match details.side {
            Side::Buy => (floor.quote, floor.spec.quote_asset_id, floor.quote_units(price, order.leaves)),
            Side::Sell => (floor.base, floor.spec.base_asset_id, floor.base_units(order.leaves)),
        };
        floor.gate.release(asset, order.owner, units);
        let account_id = floor.gate.account(order.owner);
        floor.emit(&Body::Done(Done {
            order_id: order.id,
            account_id,
            reason: Reason::Stp,
            filled: details.total - order.leaves,
            cancelled: order.leaves,
            filled_ticklots: details.filled_ticklots,
            released: Amount { asset_id, units },
        }));
    }
}

/// How a walk through the book ended.
pub(crate) struct Walked {
    pub stop: Stop,
    pub leaves: u64,
    pub budget: Option<u64>,
    pub filled: u64,
    pub filled_ticklots: u128,
}

impl Walked {
    /// It met nobody.
    pub fn untouched(leaves: u64) -> Walked {
        Walked { stop: Stop::Done, leaves, budget: None, filled: 0, filled_ticklots: 0 }
    }
}

/// An order that is about to walk, with what it brings along when it was amended.
pub(crate) struct Entry {
    pub order_id: u64,
    pub account: Handle,
    pub account_id: u64,
    pub side: Side,
    pub limit: i64,
    pub leaves: u64,
    pub budget: Option<u64>,
    pub group: u64,
    pub stp: Stp,
}

impl Entry {
    pub fn of(order: &NewOrder, account: Handle) -> Entry {
        Entry {
            order_id: order.order_id,
            account,
            account_id: order.account_id,
            side: order.side,
            limit: order.price,
            leaves: if order.budget == 0 { order.qty } else { u64::MAX },
            budget: (order.budget != 0).then_some(order.budget),
            group: order.stp_group,
            stp: order.stp,
        }
    }

    pub fn taker(&self) -> Taker {
        Taker {
            side: self.side,
            limit: self.limit,
            leaves: self.leaves,
            budget: self.budget,
            group: self.group,
            stp: self.stp,
        }
    }
}

impl Venue {
    /// The book of a market, and everything that a trade in it touches.
    pub(crate) fn floor<'a>(&'a mut self, at: u32, out: &'a mut Output) -> (&'a mut Book, Floor<'a>) {
        let Market { spec, last_price, base, quote, book, details, .. } = &mut self.markets[at as usize];
        let floor = Floor {
            gate: &mut self.gate,
            index: &mut self.index,
            standing: &mut self.standing,
            timers: &mut self.timers,
            details,
            fees: &self.fees,
            base: *base,
            quote: *quote,
            last_price,
            event_seq: &mut self.event_seq,
            engine_seq: self.engine_seq,
            time_ns: self.time_ns,
            out,
            spec,
        };
        (book, floor)
    }

    pub(crate) fn walk(&mut self, at: u32, entry: &Entry, out: &mut Output) -> Walked {
        let own = self.fees.get(entry.account as usize);
        let mut taker = entry.taker();
        let (book, floor) = self.floor(at, out);
        let walker = Walker {
            order_id: entry.order_id,
            account_id: entry.account_id,
            account: entry.account,
            side: entry.side,
            limit: entry.limit,
            budget: entry.budget,
            fee_ppm: own.map_or(floor.spec.taker_fee_ppm, |own| own.1),
            filled: 0,
            filled_ticklots: 0,
        };
        let mut walk = Walk { floor, taker: walker };
        let stop = book.take(&mut taker, &mut walk);
        let Walker { filled, filled_ticklots, .. } = walk.taker;
        Walked { stop, leaves: taker.leaves, budget: taker.budget, filled, filled_ticklots }
    }
}
