//! One market's levels, from the orders that make them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use countersign_venue::auction::Indication;
use countersign_venue::command::Side;
use countersign_wire::v1::Level;

use crate::checksum::{CHECKED, checksum};

#[derive(Clone, Copy)]
pub struct Shown {
    pub side: Side,
    pub price: i64,
    pub leaves: u64,
}

/// One market's levels, and which of them have changed since the last frame.
#[derive(Default)]
pub struct Ladder {
    pub orders: HashMap<u64, Shown>,
    /// Quantity and number of orders per price.
    pub bids: BTreeMap<i64, (u64, u32)>,
    pub asks: BTreeMap<i64, (u64, u32)>,
    pub touched: BTreeSet<(u8, i64)>,
    pub book_seq: u64,
    pub engine_seq: u64,
    pub time_ns: u64,
    /// While the market collects orders for its call auction.
    pub auction: Option<Indication>,
    /// The asset that buyers hold.
    pub quote: u32,
}

impl Ladder {
    fn half(&mut self, side: Side) -> &mut BTreeMap<i64, (u64, u32)> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    pub fn add(&mut self, order_id: u64, shown: Shown) {
        let level = self.half(shown.side).entry(shown.price).or_default();
        level.0 += shown.leaves;
        level.1 += 1;
        self.touched.insert((shown.side as u8, shown.price));
        self.orders.insert(order_id, shown);
    }

    pub fn remove(&mut self, order_id: u64) -> Option<Shown> {
        let shown = self.orders.remove(&order_id)?;
        let half = self.half(shown.side);
        if let Some(level) = half.get_mut(&shown.price) {
            level.0 -= shown.leaves;
            level.1 -= 1;
            if level.1 == 0 {
                half.remove(&shown.price);
            }
        }
        self.touched.insert((shown.side as u8, shown.price));
        Some(shown)
    }

    pub fn reduce(&mut self, order_id: u64, by: u64) {
        let Some(shown) = self.orders.get_mut(&order_id) else { return };
        shown.leaves -= by;
        let (side, price) = (shown.side, shown.price);
        if let Some(level) = self.half(side).get_mut(&price) {
            level.0 -= by;
        }
        self.touched.insert((side as u8, price));
    }

    pub fn levels(&self) -> (Vec<Level>, Vec<Level>) {
        (self.bids.iter().rev().map(level).collect(), self.asks.iter().map(level).collect())
    }

    pub fn checksum(&self) -> u32 {
        let bids: Vec<Level> = self.bids.iter().rev().take(CHECKED).map(level).collect();
        let asks: Vec<Level> = self.asks.iter().take(CHECKED).map(level).collect();
        checksum(&bids, &asks)
    }
}

fn level((&price_ticks, &(qty_lots, orders)): (&i64, &(u64, u32))) -> Level {
    Level { price_ticks, qty_lots, orders }
}
