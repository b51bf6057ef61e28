//! Order flow, made beforehand and always the same.
//!
//! Shape of every scenario, as shares of all new orders: about 15 % are immediate or cancel and priced to cross, the
//! others rest at a distance from the middle that follows a power law; there is an amendment for every fifth order; and
//! nearly all that rest are cancelled later. The number of resting orders stays where it was. What differs is how the
//! middle moves and how deep the book is. [`Flow::shares`] tells what a flow really holds.

use countersign_book::{Book, Fill, Map, Resting, Side, Slot, Stp, Taker, Tape};

#[derive(Clone, Copy, Debug)]
pub enum Message {
    New {
        id: u64,
        side: Side,
        price: i64,
        qty: u64,
        rests: bool,
    },
    Cancel {
        id: u64,
    },
    /// The new total; the price stays when it is the same as before.
    Amend {
        id: u64,
        price: i64,
        qty: u64,
    },
}

/// "deep" has 400,000 orders at 20,000 prices a side behind the activity; "churn" cancels and amends all over them,
/// so that nearly every message misses the caches.
pub const SCENARIOS: [&str; 6] = ["normal", "deep", "churn", "swing-25", "swing-40", "crash"];

pub struct Flow {
    pub name: &'static str,
    /// Orders that rest before the clock starts.
    pub before: Vec<Message>,
    pub messages: Vec<Message>,
}

impl Flow {
    /// Immediate or cancel and amendments for each hundred new orders; cancels for each hundred that were to rest.
    pub fn shares(&self) -> (f64, f64, f64) {
        let (mut resting, mut crossing, mut cancels, mut amends) = (0u32, 0u32, 0u32, 0u32);
        for message in &self.messages {
            match message {
                Message::New { rests: true, .. } => resting += 1,
                Message::New { .. } => crossing += 1,
                Message::Cancel { .. } => cancels += 1,
                Message::Amend { .. } => amends += 1,
            }
        }
        let per = |part: u32, whole: u32| 100.0 * f64::from(part) / f64::from(whole.max(1));
        let new = resting + crossing;
        (per(crossing, new), per(amends, new), per(cancels, resting))
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
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

/// Follows the book while it writes, so that it cancels and amends orders that are really there.
struct Maker {
    random: Random,
    book: Book,
    live: Vec<u64>,
    at: Map<u64, (usize, Side, i64, u64, Slot)>,
    next_id: u64,
}

impl Maker {
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

    fn new_order(&mut self, middle: i64, spread: i64, far: i64, crosses: bool) -> Message {
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
            if let Some((_, slot, &Resting { id, .. })) = stale {
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

    fn cancel(&mut self) -> Option<Message> {
        let id = *self
            .live
            .get(self.random.below(self.live.len() as u64) as usize)?;
        let (side, _, _, slot) = self.forget(id)?;
        self.book.remove(side, slot);
        Some(Message::Cancel { id })
    }

    fn amend(&mut self) -> Option<Message> {
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

pub fn make(name: &'static str, count: usize) -> Flow {
    let mut maker = Maker {
        random: Random(0x9E37_79B9_7F4A_7C15),
        book: Book::new(),
        live: Vec::new(),
        at: Map::default(),
        next_id: 1,
    };
    let full = matches!(name, "deep" | "churn");
    let (middle, spread, far) = (100_000i64, 1, if full { 20_000 } else { 400 });
    let mut before = Vec::new();
    for _ in 0..if full { 400_000 } else { 2_000 } {
        let message = if full {
            // Evenly over the whole depth: many levels, each with a queue.
            let side = if maker.random.next() & 1 == 0 {
                Side::Buy
            } else {
                Side::Sell
            };
            let away = 1 + maker.random.below(far as u64) as i64;
            let price = if side == Side::Buy {
                middle - away
            } else {
                middle + away
            };
            let (id, qty) = (maker.next_id, 1 + maker.random.below(100));
            maker.next_id += 1;
            maker.enter(id, side, price, qty, true);
            Message::New {
                id,
                side,
                price,
                qty,
                rests: true,
            }
        } else {
            maker.new_order(middle, spread, far, false)
        };
        before.push(message);
    }
    if name == "deep" {
        // What lies there stays, unless somebody trades through it.
        maker.live.clear();
        maker.at.clear();
    }
    // Kept at this number: what trades away is replaced.
    let kept = maker.live.len().max(500);
    let mut messages = Vec::with_capacity(count);
    let mut drift = 0i64;
    while messages.len() < count {
        let at = messages.len() as i64;
        let now = middle
            + match name {
                "swing-25" => swing(at, 25),
                "swing-40" => swing(at, 40),
                // Down two thousand ticks in a fiftieth of the time, back in ten times as long.
                "crash" => match at % 500_000 {
                    fall @ 0..10_000 => -fall / 5,
                    rise @ 10_000..110_000 => -2_000 + (rise - 10_000) / 50,
                    _ => 0,
                },
                "deep" | "churn" => 0,
                _ => {
                    if at % 64 == 0 {
                        drift += maker.random.below(3) as i64 - 1;
                    }
                    drift
                }
            };
        let message = match maker.random.below(1_000) {
            0..100 => maker.amend(),
            100..173 => Some(maker.new_order(now, spread, far, true)),
            _ if maker.live.len() < kept => Some(maker.new_order(now, spread, far, false)),
            173..587 if maker.live.len() <= kept + 1_000 => {
                Some(maker.new_order(now, spread, far, false))
            }
            _ => maker.cancel(),
        };
        messages.extend(message);
    }
    Flow {
        name,
        before,
        messages,
    }
}

/// Back and forth between plus and minus `ticks`, a tick every twenty messages.
fn swing(at: i64, ticks: i64) -> i64 {
    let phase = at / 20 % (4 * ticks);
    if phase < 2 * ticks {
        phase - ticks
    } else {
        3 * ticks - phase
    }
}
