//! One side of the book: a B-tree from price to level, with the best level and the latest ones at hand.

use std::collections::BTreeMap;

use crate::{NONE, Pool, Pooled};

#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub struct Level {
    pub price: i64,
    pub qty: u64,
    pub orders: u32,
    pub head: u32,
    pub tail: u32,
}

impl Pooled for Level {
    #[inline]
    fn next_free(&mut self) -> &mut u32 {
        &mut self.head
    }
}

/// `SIDE` is `Side as u8`; a constant, so that the comparisons of each side are compiled on their own.
pub struct Half<const SIDE: u8> {
    /// Key order is from best to worst on both sides.
    tree: BTreeMap<i64, u32>,
    levels: Pool<Level>,
    best: u32,
    /// Where the level of a price lies, by the price's lowest bits: one look instead of a walk down the tree. Prices that
    /// share these bits push each other out. As long as a power of two, or empty.
    near: Vec<u32>,
}

/// So many places there are near at most: 128 KiB.
const NEAR_MAX: usize = 1 << 15;

impl<const SIDE: u8> Default for Half<SIDE> {
    fn default() -> Self {
        Half { tree: BTreeMap::new(), levels: Pool::default(), best: NONE, near: Vec::new() }
    }
}

impl<const SIDE: u8> Half<SIDE> {
    const BUY: bool = SIDE == crate::Side::Buy as u8;

    /// Bids are best at the highest price: `!price` turns the order around and cannot overflow.
    #[inline]
    fn key(price: i64) -> i64 {
        if Self::BUY { !price } else { price }
    }

    /// Whether a level at `price` lies beyond what `limit`, on the other side, accepts.
    #[inline]
    pub fn is_worse(price: i64, limit: i64) -> bool {
        if Self::BUY { price < limit } else { price > limit }
    }

    #[inline]
    pub fn best(&self) -> Option<u32> {
        (self.best != NONE).then_some(self.best)
    }

    #[inline]
    pub fn best_price(&self) -> Option<i64> {
        self.best().map(|at| self.level(at).price)
    }

    #[inline]
    pub fn level(&self, at: u32) -> &Level {
        &self.levels[at]
    }

    #[inline]
    pub fn level_mut(&mut self, at: u32) -> &mut Level {
        &mut self.levels[at]
    }

    /// Counts an order in at a price; gives the level and the order that it stands behind.
    #[inline]
    pub fn join(&mut self, price: i64, qty: u64) -> (u32, u32) {
        let at = if self.best != NONE && self.levels[self.best].price == price {
            self.best
        } else {
            self.find_or_make(price)
        };
        let level = &mut self.levels[at];
        level.qty += qty;
        level.orders += 1;
        (at, level.tail)
    }

    #[inline]
    fn find_or_make(&mut self, price: i64) -> u32 {
        if let Some(&at) = self.near.get(price as usize & self.near.len().wrapping_sub(1))
            && let Some(level) = self.levels.get(at)
            && level.price == price
            && level.orders > 0
        {
            return at;
        }
        self.find_or_make_far(price)
    }

    #[inline(never)]
    fn find_or_make_far(&mut self, price: i64) -> u32 {
        let levels = &mut self.levels;
        let fresh = Level { price, qty: 0, orders: 0, head: NONE, tail: NONE };
        let at = *self.tree.entry(Self::key(price)).or_insert_with(|| levels.put(fresh));
        if self.best == NONE || Self::key(price) < Self::key(self.levels[self.best].price) {
            self.best = at;
        }
        if self.near.len() < NEAR_MAX && self.near.len() < 2 * self.levels.len() {
            self.near = vec![NONE; (2 * self.levels.len()).next_power_of_two()];
        }
        let place = price as usize & (self.near.len() - 1);
        self.near[place] = at;
        at
    }

    /// Names the order that [`Half::join`] counted.
    #[inline]
    pub fn set_tail(&mut self, at: u32, slot: u32) {
        let level = &mut self.levels[at];
        level.tail = slot;
        if level.head == NONE {
            level.head = slot;
        }
    }

    /// Counts an order out; an empty level goes at once, so that no phantom of it stays.
    #[inline]
    pub fn leave(&mut self, at: u32, qty: u64) {
        let level = &mut self.levels[at];
        level.qty -= qty;
        level.orders -= 1;
        if level.orders == 0 {
            let key = Self::key(level.price);
            self.tree.remove(&key);
            self.levels.give_back(at);
            if at == self.best {
                self.best = self.tree.first_key_value().map_or(NONE, |(_, &at)| at);
            }
        }
    }

    pub fn levels(&self) -> impl Iterator<Item = (i64, u64, u32)> {
        self.tree.values().map(|&at| self.level(at)).map(|level| (level.price, level.qty, level.orders))
    }

    /// Price, quantity and first order of each level, best first.
    pub fn walk_levels(&self) -> impl Iterator<Item = (i64, u64, u32)> {
        self.tree.values().map(|&at| self.level(at)).map(|level| (level.price, level.qty, level.head))
    }

    pub fn taken(&self) -> impl Iterator<Item = (u32, &Level)> {
        self.tree.values().map(|&at| (at, self.level(at)))
    }

    pub fn audit(&self) -> Result<(), String> {
        let first = self.tree.first_key_value().map_or(NONE, |(_, &at)| at);
        if first != self.best {
            return Err("the cached best level is stale".into());
        }
        if self.tree.iter().any(|(&key, &at)| key != Self::key(self.level(at).price)) {
            return Err("a level is filed under another price".into());
        }
        if self.tree.len() != self.levels.len() {
            return Err("a level is taken and filed nowhere".into());
        }
        self.levels.audit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(what: fn(&mut Half<{ crate::Side::Sell as u8 }>)) -> bool {
        let mut half = Half::default();
        half.join(100, 5);
        half.join(101, 5);
        what(&mut half);
        half.audit().is_ok()
    }

    #[test]
    fn the_audit_sees_a_stale_best_a_misfiled_level_and_a_lost_one() {
        assert!(passes(|_| {}));
        assert!(!passes(|half| half.best = 1));
        assert!(!passes(|half| half.levels[1].price = 102));
        assert!(!passes(|half| half.levels.give_back(0)));
    }
}
