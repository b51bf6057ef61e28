//! The book alone: resting, matching, cancelling, making smaller, auctions. Nothing may be lost and nothing be crossed.

use std::collections::BTreeMap;

use countersign_book::{Book, Fill, Party, Resting, Ring, Side, Slot, Stop, Stp, Taker, Tape};

use crate::Bytes;

#[derive(Default)]
struct Floor {
    open: BTreeMap<u64, (Side, Slot, u64)>,
    traded: u64,
}

impl Floor {
    fn leaves(&mut self, id: u64, leaves: u64) {
        match leaves {
            0 => drop(self.open.remove(&id)),
            _ => self.open.get_mut(&id).expect("it rests").2 = leaves,
        }
    }
}

impl Tape for Floor {
    fn fill(&mut self, fill: Fill) {
        assert!(fill.qty > 0);
        self.traded += fill.qty;
        self.leaves(fill.maker, fill.maker_leaves);
    }

    fn pulled(&mut self, _: Slot, order: Resting, _: i64) {
        self.leaves(order.id, 0);
    }
}

impl Ring for Floor {
    fn pair(&mut self, qty: u64, buy: Party, sell: Party) {
        assert!(qty > 0 && buy.limit >= sell.limit);
        self.traded += qty;
        self.leaves(buy.order.id, buy.order.leaves);
        self.leaves(sell.order.id, sell.order.leaves);
    }
}

pub fn book(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let (mut book, mut floor, mut collects) = (Book::new(), Floor::default(), false);
    let mut next_id = 0;
    while !bytes.is_empty() {
        let kind = bytes.below(8);
        let chosen = |floor: &Floor, at: u64| {
            let at = at as usize % floor.open.len().max(1);
            floor.open.iter().nth(at).map(|(&id, &found)| (id, found))
        };
        match kind {
            0..=3 => {
                let side = if bytes.below(2) == 0 { Side::Buy } else { Side::Sell };
                let price = match bytes.byte() {
                    255 => i64::MAX,
                    254 => i64::MIN,
                    near => 1 + i64::from(near % 16),
                };
                next_id += 1;
                let (leaves, group) = (1 + bytes.below(20), bytes.below(3));
                let stp = [Stp::CancelMaker, Stp::CancelTaker, Stp::CancelBoth][bytes.below(3) as usize];
                let mut taker = Taker { side, limit: price, leaves, budget: None, group, stp };
                let mut stop = Stop::Done;
                if !collects {
                    let whole = book.reach(&taker) == countersign_book::Reach::Whole;
                    let before = floor.traded;
                    stop = book.take(&mut taker, &mut floor);
                    assert_eq!(floor.traded - before + taker.leaves, leaves);
                    assert_eq!(whole, taker.leaves == 0);
                }
                if kind > 0 && stop == Stop::Done && taker.leaves > 0 {
                    let order = Resting { id: next_id, leaves: taker.leaves, group, owner: 0 };
                    let slot = book.rest(side, price, order);
                    floor.open.insert(next_id, (side, slot, taker.leaves));
                }
            }
            4 | 5 => {
                if let Some((id, (side, slot, leaves))) = chosen(&floor, bytes.below(256)) {
                    assert_eq!(book.remove(side, slot).leaves, leaves);
                    floor.open.remove(&id);
                }
            }
            6 => {
                if let Some((id, (side, slot, leaves))) = chosen(&floor, bytes.below(256))
                    && leaves > 1
                {
                    book.reduce(side, slot, leaves - 1);
                    floor.open.insert(id, (side, slot, leaves - 1));
                }
            }
            _ if collects => {
                let reference = (bytes.below(2) == 0).then_some(8);
                if let Some(clearing) = book.clearing(reference) {
                    let before = floor.traded;
                    book.uncross(clearing.price, usize::MAX, &mut floor);
                    assert_eq!(floor.traded - before, clearing.matched);
                }
                collects = false;
            }
            _ => collects = true,
        }
        book.audit().expect("the book keeps its promises");
        assert_eq!(book.len(), floor.open.len());
        if !collects {
            let crossed =
                matches!((book.best(Side::Buy), book.best(Side::Sell)), (Some(b), Some(a)) if b >= a);
            assert!(!crossed);
        }
    }
}
