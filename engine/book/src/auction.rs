//! The call auction: one price for everybody who stands in a crossed book.
//!
//! While an auction collects, orders rest without being matched and the best bid may lie above the best ask.
//! [`Book::clearing`] finds the price at which most trades, and [`Book::uncross`] lets them trade there: the best
//! price first on both sides, the oldest order first within it.

use crate::{Book, Resting, Side, Slot, unlink};

/// What an auction would do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clearing {
    pub price: i64,
    /// Lots that trade.
    pub matched: u64,
    /// Lots that would accept the price and find nobody.
    pub unmatched: u64,
    /// Where they stand; `None` when nothing is left over.
    pub surplus: Option<Side>,
}

/// One side's part in an auction trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    pub slot: Slot,
    /// As it is after the trade. With nothing left, its slot is free.
    pub order: Resting,
    /// Its own price, at least as generous as the clearing price.
    pub limit: i64,
}

/// Who listens to an auction's trades as they happen.
pub trait Ring {
    fn pair(&mut self, qty: u64, buy: Party, sell: Party);
}

/// Prices from `low` to `high` at which the same orders would trade.
struct Stretch {
    low: i64,
    high: i64,
    demand: u64,
    supply: u64,
}

impl Stretch {
    fn matched(&self) -> u64 {
        self.demand.min(self.supply)
    }

    fn unmatched(&self) -> u64 {
        self.demand.abs_diff(self.supply)
    }
}

impl Book {
    /// The price at which most lots trade; among those the one that leaves least over; among those the nearest to
    /// `reference`, or to the middle where there is none; of two as near, the lower. `None` when nothing crosses.
    pub fn clearing(&self, reference: Option<i64>) -> Option<Clearing> {
        let mut best: Vec<Stretch> = Vec::new();
        for stretch in self.stretches() {
            let rank = |of: &Stretch| (of.matched(), std::cmp::Reverse(of.unmatched()));
            match best.first().map(|first| rank(&stretch).cmp(&rank(first))) {
                Some(std::cmp::Ordering::Less) => continue,
                Some(std::cmp::Ordering::Greater) => best.clear(),
                _ => {}
            }
            best.push(stretch);
        }
        let (low, high) = (best.first()?.low, best.last()?.high);
        let reference = reference.unwrap_or_else(|| ((i128::from(low) + i128::from(high)) >> 1) as i64);
        let (price, stretch) = best
            .iter()
            .map(|stretch| (reference.clamp(stretch.low, stretch.high), stretch))
            .min_by_key(|&(price, _)| (price.abs_diff(reference), price))?;
        Some(Clearing {
            price,
            matched: stretch.matched(),
            unmatched: stretch.unmatched(),
            surplus: match stretch.demand.cmp(&stretch.supply) {
                std::cmp::Ordering::Greater => Some(Side::Buy),
                std::cmp::Ordering::Less => Some(Side::Sell),
                std::cmp::Ordering::Equal => None,
            },
        })
    }

    /// From the best ask up to the best bid, with the lots that would buy and sell at each price.
    fn stretches(&self) -> Vec<Stretch> {
        let (Some(bid), Some(ask)) = (self.best(Side::Buy), self.best(Side::Sell)) else { return Vec::new() };
        let mut asks = self.asks.levels().take_while(|&(price, ..)| price <= bid).peekable();
        let mut bids: Vec<(i64, u64)> = self
            .bids
            .levels()
            .take_while(|&(price, ..)| price >= ask)
            .map(|(price, qty, _)| (price, qty))
            .collect();
        let (mut demand, mut supply) = (bids.iter().map(|(_, qty)| qty).sum::<u64>(), 0);
        let (mut low, mut found) = (ask, Vec::new());
        while let Some(&(lowest, qty)) = bids.last() {
            if lowest < low {
                bids.pop();
                demand -= qty;
                continue;
            }
            while let Some((_, qty, _)) = asks.next_if(|&(price, ..)| price <= low) {
                supply += qty;
            }
            // Up to and with the lowest bid, and up to but without the next ask, nothing changes.
            let high = asks.peek().map_or(lowest, |&(next, ..)| lowest.min(next - 1));
            found.push(Stretch { low, high, demand, supply });
            if high == bid {
                break;
            }
            low = high + 1;
        }
        found
    }

    /// Lets up to `most` pairs trade at the price that [`Book::clearing`] has found; gives how many did. Fewer than `most`:
    /// nobody is left on one of the sides who accepts the price.
    pub fn uncross(&mut self, price: i64, most: usize, ring: &mut impl Ring) -> usize {
        let mut pairs = 0;
        while pairs < most
            && let (Some(bids), Some(asks)) = (self.bids.best(), self.asks.best())
        {
            let (bid, ask) = (*self.bids.level(bids), *self.asks.level(asks));
            if bid.price < price || ask.price > price {
                break;
            }
            pairs += 1;
            let qty = self.orders.nodes[bid.head].leaves.min(self.orders.nodes[ask.head].leaves);
            self.give(Side::Buy, bid.head, qty);
            self.give(Side::Sell, ask.head, qty);
            let party = |slot: Slot, limit| Party { slot, order: self.orders.of(slot), limit };
            ring.pair(qty, party(bid.head, bid.price), party(ask.head, ask.price));
        }
        pairs
    }

    /// Takes lots off the order at the head of its queue.
    fn give(&mut self, side: Side, slot: Slot, qty: u64) {
        let leaves = self.orders.nodes[slot].leaves - qty;
        if leaves > 0 {
            return self.reduce(side, slot, leaves);
        }
        match side {
            Side::Buy => unlink(&mut self.orders.nodes, &mut self.bids, slot),
            Side::Sell => unlink(&mut self.orders.nodes, &mut self.asks, slot),
        }
        self.orders.nodes[slot].leaves = 0;
    }
}
