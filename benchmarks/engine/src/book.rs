//! The book alone, with its index of order ids.

use countersign_book::{Book, Fill, Index, Resting, Side, Slot, Stp, Taker, Tape};

use crate::flow::Message;
use crate::reports::Reports;
use crate::round::Engine;

#[derive(Clone, Copy)]
pub struct Place {
    pub slot: Slot,
    pub side: Side,
}

#[derive(Default)]
pub struct BookOnly {
    book: Book,
    index: Index<Place>,
    reports: Reports,
}

struct Floor<'a> {
    index: &'a mut Index<Place>,
    reports: &'a mut Reports,
}

impl Tape for Floor<'_> {
    #[inline]
    fn fill(&mut self, fill: Fill) {
        self.reports.write(1, fill.maker, fill.price, fill.qty);
        if fill.maker_leaves == 0 {
            self.index.remove(&fill.maker);
        }
    }

    fn pulled(&mut self, _: Slot, _: Resting, _: i64) {}
}

impl BookOnly {
    fn enter(&mut self, id: u64, side: Side, price: i64, qty: u64, rests: bool) {
        let mut leaves = qty;
        if self.book.crosses(side, price) {
            let mut taker = Taker {
                side,
                limit: price,
                leaves,
                budget: None,
                group: 0,
                stp: Stp::CancelMaker,
            };
            self.book.take(
                &mut taker,
                &mut Floor {
                    index: &mut self.index,
                    reports: &mut self.reports,
                },
            );
            leaves = taker.leaves;
        }
        if rests && leaves > 0 {
            let slot = self.book.rest(
                side,
                price,
                Resting {
                    id,
                    leaves,
                    group: 0,
                    owner: 0,
                },
            );
            self.index.insert(id, Place { slot, side });
        }
        self.reports.write(2, id, price, leaves);
    }
}

impl Engine for BookOnly {
    #[inline]
    fn take(&mut self, message: &Message) {
        match *message {
            Message::New {
                id,
                side,
                price,
                qty,
                rests,
            } => self.enter(id, side, price, qty, rests),
            Message::Cancel { id } => {
                if let Some(place) = self.index.remove(&id) {
                    let price = self.book.price(place.side, place.slot);
                    let order = self.book.remove(place.side, place.slot);
                    self.reports.write(3, id, price, order.leaves);
                }
            }
            Message::Amend { id, price, qty } => {
                let Some(place) = self.index.get(&id).copied() else {
                    return;
                };
                let leaves = self.book.order(place.slot).leaves;
                if price == self.book.price(place.side, place.slot) && qty < leaves {
                    self.book.reduce(place.side, place.slot, qty);
                    self.reports.write(4, id, price, qty);
                } else {
                    self.index.remove(&id);
                    self.book.remove(place.side, place.slot);
                    self.enter(id, place.side, price, qty, true);
                }
            }
        }
    }
}
