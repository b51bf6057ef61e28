//! Who makes the flow: it follows the book while it writes, so that it cancels and amends what is really there.

use countersign_book::{Book, Fill, Map, Resting, Side, Slot, Stp, Taker, Tape};

use crate::flow::Message;

/// Xorshift: the same flow from the same seed, everywhere.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Mostly near, sometimes far: halves per step, at most `max`.
    fn distance(&mut self, max: i64) -> i64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((unit.powf(-0.6) - 1.0) * 4.0).min(max as f64) as i64
    }
}

#[derive(Default)]
struct Gone(Vec<u64>);

impl Tape for Gone {
    fn fill(&mut self, fill: Fill) {
        if fill.maker_leaves == 0 {
            self.0.push(fill.maker);
        }
    }

    fn pulled(&mut self, _: Slot, _: Resting, _: i64) {}
}

pub struct Maker {
    pub random: Random,
    book: Book,
    live: Vec<u64>,
    at: Map<u64, (usize, Side, i64, u64, Slot)>,
    next_id: u64,
}

impl Maker {
    pub fn seeded(seed: u64) -> Self {
        Self {
            random: Random(seed),
            book: Book::new(),
            live: Vec::new(),
            at: Map::default(),
            next_id: 1,
        }
    }

    /// How many orders it has resting and may still cancel or amend.
    pub fn resting(&self) -> usize {
        self.live.len()
    }

    /// What rests now stays, unless somebody trades through it.
    pub fn leave_all(&mut self) {
        self.live.clear();
        self.at.clear();
    }

    fn forget(&mut self, id: u64) -> Option<(Side, i64, u64, Slot)> {
        let (place, side, price, qty, slot) = self.at.remove(&id)?;
        self.live.swap_remove(place);
        if let Some(&moved) = self.live.get(place) {
            self.at.get_mut(&moved)?.0 = place;
        }
        Some((side, price, qty, slot))
    }

    fn enter(&mut self, id: u64, side: Side, price: i64, qty: u64, rests: bool) {
        let mut taker = Taker {
            side,
            limit: price,
            leaves: qty,
            budget: None,
            group: 0,
            stp: Stp::CancelMaker,
        };
        let mut gone = Gone::default();
        self.book.take(&mut taker, &mut gone);
        for id in gone.0 {
            self.forget(id);
        }
        if rests && taker.leaves > 0 {
            let order = Resting {
                id,
                leaves: taker.leaves,
                group: 0,
                owner: 0,
            };
            let slot = self.book.rest(side, price, order);
            self.at
                .insert(id, (self.live.len(), side, price, qty, slot));
            self.live.push(id);
        }
    }

    /// Evenly over the whole depth: many levels, each with a queue.
    pub fn anywhere(&mut self, middle: i64, far: i64) -> Message {
        let side = if self.random.next() & 1 == 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        let away = 1 + self.random.below(far as u64) as i64;
        let price = if side == Side::Buy {
            middle - away
        } else {
            middle + away
        };
        let (id, qty) = (self.next_id, 1 + self.random.below(100));
        self.next_id += 1;
        self.enter(id, side, price, qty, true);
        Message::New {
            id,
            side,
            price,
            qty,
            rests: true,
        }
    }

    pub fn new_order(&mut self, middle: i64, spread: i64, far: i64, crosses: bool) -> Message {
        let side = if self.random.next() & 1 == 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        let qty = 1 + self.random.below(100);
        let away = if crosses {
            -(spread + self.random.distance(20))
        } else {
            spread + self.random.distance(far)
        };
        let price = match side {
            Side::Buy => middle - away,
            Side::Sell => middle + away,
        };
        if !crosses && self.book.crosses(side, price) {
            // The middle has moved over somebody, who withdraws before being met.
            let stale = self.book.orders(side.opposite()).next();
            if let Some((_, slot, Resting { id, .. })) = stale {
                self.forget(id);
                self.book.remove(side.opposite(), slot);
                return Message::Cancel { id };
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        self.enter(id, side, price, qty, !crosses);
        Message::New {
            id,
            side,
            price,
            qty,
            rests: !crosses,
        }
    }

    pub fn cancel(&mut self) -> Option<Message> {
        let id = *self
            .live
            .get(self.random.below(self.live.len() as u64) as usize)?;
        let (side, _, _, slot) = self.forget(id)?;
        self.book.remove(side, slot);
        Some(Message::Cancel { id })
    }

    pub fn amend(&mut self) -> Option<Message> {
        let id = *self
            .live
            .get(self.random.below(self.live.len() as u64) as usize)?;
        let (side, price, qty, slot) = self.forget(id)?;
        let leaves = self.book.remove(side, slot).leaves;
        let filled = qty - leaves;
        let moved = if self.random.next() & 1 == 0 {
            price
        } else {
            price + self.random.below(5) as i64 - 2
        };
        let total = filled + 1 + self.random.below(100);
        // The maker forgets what was filled before, as the book does: the rest enters anew.
        self.enter(id, side, moved, total - filled, true);
        if let Some(kept) = self.at.get_mut(&id) {
            kept.3 = total - filled;
        }
        Some(Message::Amend {
            id,
            price: moved,
            qty: total - filled,
        })
    }
}
