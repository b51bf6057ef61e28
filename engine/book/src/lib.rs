//! One market's order book: price-time priority over integer ticks and lots.
//!
//! Pure: no clock, no I/O, no randomness, std only. The caller owns the meaning of orders (accounts, money, time in
//! force); the book owns who trades with whom, in which order, at which price. Orders are addressed by [`Slot`], a
//! handle that the book hands out when an order rests; an [`Index`] from order ids to slots stands beside it.
//!
//! Cost: a price level is found in a B-tree, the best one is cached, the orders of a level are a linked list inside
//! one slab. So resting, cancelling and trading do not depend on how deep the book is.

mod auction;
mod hash;
mod index;
mod matching;
mod order;
mod pages;
mod side;

pub use auction::{Clearing, Party, Ring};
pub use hash::{FixedHasher, Map};
pub use index::Index;
use matching::{survey, sweep};
pub use order::{Fill, Reach, Resting, Side, Stop, Stp, Taker, Tape};
pub use pages::Pages;
use side::{Half, NONE};

/// Where a resting order lives. Valid until the order leaves the book; then the number is used again.
pub type Slot = u32;

#[derive(Clone, Copy)]
struct Node {
    order: Resting,
    level: u32,
    next: u32,
    prev: u32,
}

#[derive(Default)]
pub struct Book {
    bids: Half<{ Side::Buy as u8 }>,
    asks: Half<{ Side::Sell as u8 }>,
    nodes: Vec<Node>,
    free: Vec<Slot>,
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
        self.nodes.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the largest slot ever handed out: the size of a table beside the book.
    pub fn slots(&self) -> usize {
        self.nodes.len()
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
    pub fn order(&self, slot: Slot) -> &Resting {
        &self.nodes[slot as usize].order
    }

    /// Lets an order join the end of its price's queue. The caller has matched it before.
    pub fn rest(&mut self, side: Side, price: i64, order: Resting) -> Slot {
        debug_assert!(order.leaves > 0);
        let (level, tail) = on_half!(self, side, half => half.join(price, order.leaves));
        let node = Node { order, level, next: NONE, prev: tail };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.nodes[slot as usize] = node;
                slot
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as Slot
            }
        };
        if tail != NONE {
            self.nodes[tail as usize].next = slot;
        }
        on_half!(self, side, half => half.set_tail(level, slot));
        slot
    }

    /// Takes an order out of the book and says what it was.
    pub fn remove(&mut self, side: Side, slot: Slot) -> Resting {
        on_half!(self, side, half => unlink(&mut self.nodes, half, slot));
        self.free.push(slot);
        self.nodes[slot as usize].order
    }

    /// Makes an order smaller; it keeps its place in the queue.
    pub fn reduce(&mut self, side: Side, slot: Slot, leaves: u64) {
        let node = &mut self.nodes[slot as usize];
        debug_assert!(leaves > 0 && leaves < node.order.leaves);
        let by = node.order.leaves - leaves;
        node.order.leaves = leaves;
        let level = node.level;
        on_half!(self, side, half => half.level_mut(level).qty -= by);
    }

    /// Matches an order against the other side, best price first, oldest order first.
    pub fn take(&mut self, taker: &mut Taker, tape: &mut impl Tape) -> Stop {
        match taker.side {
            Side::Buy => sweep(&mut self.asks, &mut self.nodes, &mut self.free, taker, tape),
            Side::Sell => sweep(&mut self.bids, &mut self.nodes, &mut self.free, taker, tape),
        }
    }

    /// Whether [`Book::take`] would fill the order whole: the same walk, without touching anything.
    pub fn reach(&self, taker: &Taker) -> Reach {
        match taker.side {
            Side::Buy => survey(&self.asks, &self.nodes, taker),
            Side::Sell => survey(&self.bids, &self.nodes, taker),
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
    pub fn orders(&self, side: Side) -> Box<dyn Iterator<Item = (i64, Slot, &Resting)> + '_> {
        match side {
            Side::Buy => Box::new(walk(&self.bids, &self.nodes)),
            Side::Sell => Box::new(walk(&self.asks, &self.nodes)),
        }
    }

    /// Checks every structural promise. For tests, and for a state that was read back from disk.
    pub fn audit(&self) -> Result<(), String> {
        let counted = audit_half(&self.bids, &self.nodes)? + audit_half(&self.asks, &self.nodes)?;
        if counted != self.len() {
            return Err(format!("{counted} orders are linked, {} slots are taken", self.len()));
        }
        Ok(())
    }
}

fn unlink<const SIDE: u8>(nodes: &mut [Node], half: &mut Half<SIDE>, slot: Slot) {
    let Node { order, level, next, prev } = nodes[slot as usize];
    if prev == NONE {
        half.level_mut(level).head = next;
    } else {
        nodes[prev as usize].next = next;
    }
    if next == NONE {
        half.level_mut(level).tail = prev;
    } else {
        nodes[next as usize].prev = prev;
    }
    half.leave(level, order.leaves);
}

fn walk<'a, const SIDE: u8>(
    half: &'a Half<SIDE>,
    nodes: &'a [Node],
) -> impl Iterator<Item = (i64, Slot, &'a Resting)> {
    half.walk_levels().flat_map(move |(price, _, head)| {
        std::iter::successors((head != NONE).then_some(head), move |&slot| {
            let next = nodes[slot as usize].next;
            (next != NONE).then_some(next)
        })
        .map(move |slot| (price, slot, &nodes[slot as usize].order))
    })
}

fn audit_half<const SIDE: u8>(half: &Half<SIDE>, nodes: &[Node]) -> Result<usize, String> {
    half.audit()?;
    let mut counted = 0;
    for (at, level) in half.taken() {
        let (mut slot, mut prev, mut qty, mut orders) = (level.head, NONE, 0u64, 0u32);
        while slot != NONE {
            let node = &nodes[slot as usize];
            if node.level != at || node.prev != prev || node.order.leaves == 0 {
                return Err(format!("slot {slot} at price {} is linked wrongly or empty", level.price));
            }
            qty += node.order.leaves;
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
        assert!(!passes(|book| book.nodes[1].level = 1), "an order of another level");
        assert!(!passes(|book| book.nodes[1].prev = NONE), "an order that stands behind nobody");
        assert!(!passes(|book| {
            book.nodes[1].order.leaves = 0;
            book.bids.level_mut(0).qty -= 5;
        }));
        assert!(!passes(|book| book.bids.level_mut(0).tail = 0), "a queue that ends too early");
        assert!(!passes(|book| book.bids.level_mut(0).qty += 1));
        assert!(!passes(|book| book.bids.level_mut(0).orders += 1));
        assert!(!passes(|book| {
            let (level, _) = book.bids.join(98, 0);
            book.bids.level_mut(level).orders = 0;
        }));
        assert!(!passes(|book| book.free.push(2)), "a slot that is taken and free");
        assert!(!passes(|book| book.bids.level_mut(1).price = 98), "a level filed under another price");
    }
}
