//! One market's order book: price-time priority over integer ticks and lots.
//!
//! Pure: no clock, no I/O, no randomness, std only. The caller owns the meaning of orders (accounts, money, time in
//! force); the book owns who trades with whom, in which order, at which price. Orders are addressed by [`Slot`], a
//! handle that the book hands out when an order rests; an [`Index`] from order ids to slots stands beside it.
//!
//! Cost: a price level is found by a look at where its price was last, or else in a B-tree; the best one is cached, the
//! orders of a level are a linked list inside one pool. So resting, cancelling and trading do not depend on how deep the
//! book is. Nothing moves when it grows, so no command pays for others' orders.

mod auction;
mod hash;
mod index;
mod matching;
mod node;
mod order;
mod pages;
mod pool;
mod side;
mod slab;

pub use auction::{Clearing, Party, Ring};
pub use hash::{FixedHasher, Map};
pub use index::Index;
use matching::{survey, sweep};
use node::{Node, Orders};
pub use order::{Fill, Reach, Resting, Side, Stop, Stp, Taker, Tape};
pub use pages::Pages;
pub use pool::{NONE, Pool, Pooled};
use side::Half;
pub use slab::Slab;

/// Where a resting order lives. Valid until the order leaves the book; then the number is used again.
pub type Slot = u32;

#[derive(Default)]
pub struct Book {
    bids: Half<{ Side::Buy as u8 }>,
    asks: Half<{ Side::Sell as u8 }>,
    orders: Orders,
}

/// Runs the same words on whichever half `$side` names.
macro_rules! on_half {
    ($book:expr, $side:expr, $half:ident => $body:expr) => {
        match $side {
            Side::Buy => {
                let $half = &mut $book.bids;
                $body
            }
            Side::Sell => {
                let $half = &mut $book.asks;
                $body
            }
        }
    };
}

impl Book {
    pub fn new() -> Book {
        Book::default()
    }

    /// Number of resting orders.
    pub fn len(&self) -> usize {
        self.orders.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn best(&self, side: Side) -> Option<i64> {
        match side {
            Side::Buy => self.bids.best_price(),
            Side::Sell => self.asks.best_price(),
        }
    }

    /// Whether an order with this limit would trade at once.
    pub fn crosses(&self, side: Side, limit: i64) -> bool {
        match side {
            Side::Buy => self.asks.best_price().is_some_and(|ask| ask <= limit),
            Side::Sell => self.bids.best_price().is_some_and(|bid| bid >= limit),
        }
    }

    /// The order in a slot. The slot must be taken.
    #[inline]
    pub fn order(&self, slot: Slot) -> Resting {
        self.orders.of(slot)
    }

    /// The price at which the order in a slot rests. The slot must be taken, and by an order of this side.
    #[inline]
    pub fn price(&self, side: Side, slot: Slot) -> i64 {
        let level = self.orders.nodes[slot].level();
        match side {
            Side::Buy => self.bids.level(level).price,
            Side::Sell => self.asks.level(level).price,
        }
    }

    /// Lets an order join the end of its price's queue. The caller has matched it before.
    pub fn rest(&mut self, side: Side, price: i64, order: Resting) -> Slot {
        debug_assert!(order.leaves > 0);
        let (level, tail) = on_half!(self, side, half => half.join(price, order.leaves));
        let slot = self.orders.put(order, level, tail);
        if tail != NONE {
            self.orders.nodes[tail].next = slot;
        }
        on_half!(self, side, half => half.set_tail(level, slot));
        slot
    }

    /// Takes an order out of the book and says what it was.
    pub fn remove(&mut self, side: Side, slot: Slot) -> Resting {
        on_half!(self, side, half => unlink(&mut self.orders.nodes, half, slot));
        self.orders.of(slot)
    }

    /// Makes an order smaller; it keeps its place in the queue.
    pub fn reduce(&mut self, side: Side, slot: Slot, leaves: u64) {
        let node = &mut self.orders.nodes[slot];
        debug_assert!(leaves > 0 && leaves < node.leaves);
        let by = node.leaves - leaves;
        node.leaves = leaves;
        let level = node.level();
        on_half!(self, side, half => half.level_mut(level).qty -= by);
    }

    /// Matches an order against the other side, best price first, oldest order first.
    pub fn take(&mut self, taker: &mut Taker, tape: &mut impl Tape) -> Stop {
        match taker.side {
            Side::Buy => sweep(&mut self.asks, &mut self.orders, taker, tape),
            Side::Sell => sweep(&mut self.bids, &mut self.orders, taker, tape),
        }
    }

    /// Whether [`Book::take`] would fill the order whole: the same walk, without touching anything.
    pub fn reach(&self, taker: &Taker) -> Reach {
        match taker.side {
            Side::Buy => survey(&self.asks, &self.orders, taker),
            Side::Sell => survey(&self.bids, &self.orders, taker),
        }
    }

    /// Levels of a side from the best price on: price, quantity, number of orders.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = (i64, u64, u32)> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.levels()),
            Side::Sell => Box::new(self.asks.levels()),
        }
    }

    /// Resting orders of a side, best price first, FIFO within a price.
    pub fn orders(&self, side: Side) -> Box<dyn Iterator<Item = (i64, Slot, Resting)> + '_> {
        match side {
            Side::Buy => Box::new(walk(&self.bids, &self.orders)),
            Side::Sell => Box::new(walk(&self.asks, &self.orders)),
        }
    }

    /// Checks every structural promise. For tests, and for a state that was read back from disk.
    pub fn audit(&self) -> Result<(), String> {
        self.orders.nodes.audit()?;
        let counted =
            audit_half(&self.bids, &self.orders.nodes)? + audit_half(&self.asks, &self.orders.nodes)?;
        if counted != self.len() {
            return Err(format!("{counted} orders are linked, {} slots are taken", self.len()));
        }
        Ok(())
    }
}

/// Takes an order out of its queue; its slot is free from now on.
fn unlink<const SIDE: u8>(nodes: &mut Pool<Node>, half: &mut Half<SIDE>, slot: Slot) {
    let node = nodes[slot];
    let (Node { leaves, next, prev, .. }, level) = (node, node.level());
    if prev == NONE {
        half.level_mut(level).head = next;
    } else {
        nodes[prev].next = next;
    }
    if next == NONE {
        half.level_mut(level).tail = prev;
    } else {
        nodes[next].prev = prev;
    }
    half.leave(level, leaves);
    nodes.give_back(slot);
}

fn walk<'a, const SIDE: u8>(
    half: &'a Half<SIDE>,
    orders: &'a Orders,
) -> impl Iterator<Item = (i64, Slot, Resting)> + 'a {
    half.walk_levels().flat_map(move |(price, _, head)| {
        std::iter::successors((head != NONE).then_some(head), move |&slot| {
            let next = orders.nodes[slot].next;
            (next != NONE).then_some(next)
        })
        .map(move |slot| (price, slot, orders.of(slot)))
    })
}

fn audit_half<const SIDE: u8>(half: &Half<SIDE>, nodes: &Pool<Node>) -> Result<usize, String> {
    half.audit()?;
    let mut counted = 0;
    for (at, level) in half.taken() {
        let (mut slot, mut prev, mut qty, mut orders) = (level.head, NONE, 0u64, 0u32);
        while slot != NONE {
            let node = &nodes[slot];
            if node.level() != at || node.prev != prev || node.leaves == 0 {
                return Err(format!("slot {slot} at price {} is linked wrongly or empty", level.price));
            }
            qty += node.leaves;
            orders += 1;
            prev = slot;
            slot = node.next;
        }
        if level.tail != prev || level.qty != qty || level.orders != orders || orders == 0 {
            return Err(format!("the level at price {} does not sum up its orders", level.price));
        }
        counted += orders as usize;
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the audit holds its peace about two bids at one price and one below, after this was done to them.
    fn passes(what: fn(&mut Book)) -> bool {
        let mut book = Book::new();
        for (id, price) in [(1, 100), (2, 100), (3, 99)] {
            book.rest(Side::Buy, price, Resting { id, leaves: 5, owner: 1, group: 0 });
        }
        what(&mut book);
        book.audit().is_ok()
    }

    /// The other tests of the book, and whoever reads a state back, trust in this.
    #[test]
    fn the_audit_sees_each_promise_that_is_broken() {
        assert!(passes(|_| {}));
        assert!(!passes(|book| book.orders.nodes[1].level = 1), "an order of another level");
        assert!(!passes(|book| book.orders.nodes[1].prev = NONE), "an order that stands behind nobody");
        assert!(!passes(|book| {
            book.orders.nodes[1].leaves = 0;
            book.bids.level_mut(0).qty -= 5;
        }));
        assert!(!passes(|book| book.bids.level_mut(0).tail = 0), "a queue that ends too early");
        assert!(!passes(|book| book.bids.level_mut(0).qty += 1));
        assert!(!passes(|book| book.bids.level_mut(0).orders += 1));
        assert!(!passes(|book| {
            let (level, _) = book.bids.join(98, 0);
            book.bids.level_mut(level).orders = 0;
        }));
        assert!(!passes(|book| book.orders.nodes.give_back(2)), "a slot that is taken and free");
        assert!(!passes(|book| book.bids.level_mut(1).price = 98), "a level filed under another price");
    }
}
