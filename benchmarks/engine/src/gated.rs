//! The book behind the gate.

use countersign_book::{Book, Fill, Index, Resting, Side, Slot, Stp, Taker, Tape};
use countersign_risk::{Gate, Handle, Leg, fee};

use crate::book::Place;
use crate::flow::Message;
use crate::reports::Reports;
use crate::round::Engine;
use crate::venue::ACCOUNTS;

/// Every order reserves, every trade moves four balances and two fees.
pub struct Gated {
    book: Book,
    index: Index<Place>,
    reports: Reports,
    gate: Gate,
    handles: Vec<Handle>,
}

const BASE: u32 = 0;
const QUOTE: u32 = 1;

struct GatedFloor<'a> {
    index: &'a mut Index<Place>,
    reports: &'a mut Reports,
    gate: &'a mut Gate,
    side: Side,
    limit: i64,
    account: Handle,
}

impl Tape for GatedFloor<'_> {
    #[inline]
    fn fill(&mut self, fill: Fill) {
        let base = u128::from(fill.qty) * 1_000;
        let quote = fill.price as u128 * u128::from(fill.qty);
        let (taker, maker);
        match self.side {
            Side::Buy => {
                let freed = (self.limit - fill.price) as u128 * u128::from(fill.qty);
                taker = Leg {
                    account: self.account,
                    pays: quote,
                    freed,
                    fee: fee(base, 1_000),
                };
                maker = Leg {
                    account: fill.owner,
                    pays: base,
                    freed: 0,
                    fee: fee(quote, 800),
                };
                self.gate.trade(BASE, QUOTE, taker, maker);
            }
            Side::Sell => {
                taker = Leg {
                    account: self.account,
                    pays: base,
                    freed: 0,
                    fee: fee(quote, 1_000),
                };
                maker = Leg {
                    account: fill.owner,
                    pays: quote,
                    freed: 0,
                    fee: fee(base, 800),
                };
                self.gate.trade(BASE, QUOTE, maker, taker);
            }
        }
        self.reports.write(1, fill.maker, fill.price, fill.qty);
        if fill.maker_leaves == 0 {
            self.index.remove(&fill.maker);
        }
    }

    fn pulled(&mut self, _: Slot, _: Resting, _: i64) {}
}

fn hold_of(side: Side, price: i64, qty: u64) -> (u32, u128) {
    match side {
        Side::Buy => (QUOTE, price as u128 * u128::from(qty)),
        Side::Sell => (BASE, u128::from(qty) * 1_000),
    }
}

impl Gated {
    pub fn new() -> Gated {
        let mut gate = Gate::new();
        gate.add_asset();
        gate.add_asset();
        let handles = (1..=ACCOUNTS)
            .map(|account| gate.open(account))
            .collect::<Vec<_>>();
        for &handle in &handles {
            gate.transfer_in(BASE, handle, 1 << 80).expect("it fits");
            gate.transfer_in(QUOTE, handle, 1 << 80).expect("it fits");
        }
        Gated {
            book: Book::new(),
            index: Index::default(),
            reports: Reports::default(),
            gate,
            handles,
        }
    }

    fn enter(&mut self, id: u64, account: Handle, side: Side, price: i64, qty: u64, rests: bool) {
        let (asset, units) = hold_of(side, price, qty);
        if self.gate.hold(asset, account, units).is_err() {
            self.reports.write(9, id, price, qty);
            return;
        }
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
            let (index, reports, gate) = (&mut self.index, &mut self.reports, &mut self.gate);
            self.book.take(
                &mut taker,
                &mut GatedFloor {
                    index,
                    reports,
                    gate,
                    side,
                    limit: price,
                    account,
                },
            );
            leaves = taker.leaves;
        }
        if leaves > 0 {
            if rests {
                let slot = self.book.rest(
                    side,
                    price,
                    Resting {
                        id,
                        leaves,
                        group: 0,
                        owner: account,
                    },
                );
                self.index.insert(id, Place { slot, side });
            } else {
                self.gate
                    .release(asset, account, hold_of(side, price, leaves).1);
            }
        }
        self.reports.write(2, id, price, leaves);
    }
}

impl Engine for Gated {
    #[inline]
    fn take(&mut self, message: &Message) {
        match *message {
            Message::New {
                id,
                side,
                price,
                qty,
                rests,
            } => {
                // The account number is looked up, as an order that comes from outside would need.
                let account = self.gate.find(1 + id % ACCOUNTS).unwrap_or(self.handles[0]);
                self.enter(id, account, side, price, qty, rests);
            }
            Message::Cancel { id } => {
                if let Some(place) = self.index.remove(&id) {
                    let price = self.book.price(place.side, place.slot);
                    let order = self.book.remove(place.side, place.slot);
                    let (asset, units) = hold_of(place.side, price, order.leaves);
                    self.gate.release(asset, order.owner, units);
                    self.reports.write(3, id, price, order.leaves);
                }
            }
            Message::Amend { id, price, qty } => {
                let Some(place) = self.index.get(&id).copied() else {
                    return;
                };
                let order = self.book.order(place.slot);
                let before = self.book.price(place.side, place.slot);
                let (asset, units) = hold_of(place.side, before, order.leaves);
                if price == before && qty < order.leaves {
                    self.book.reduce(place.side, place.slot, qty);
                    self.gate.release(
                        asset,
                        order.owner,
                        units - hold_of(place.side, price, qty).1,
                    );
                    self.reports.write(4, id, price, qty);
                } else {
                    self.index.remove(&id);
                    self.book.remove(place.side, place.slot);
                    self.gate.release(asset, order.owner, units);
                    self.enter(id, order.owner, place.side, price, qty, true);
                }
            }
        }
    }
}
