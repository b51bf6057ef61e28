//! The book agrees, fill by fill and order by order, with a matcher so plain that it can be checked by reading.

use std::collections::HashMap;

use countersign_book::{Book, Fill, Reach, Resting, Side, Slot, Stop, Stp, Taker, Tape};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    Fill { maker: u64, price: i64, qty: u64, maker_leaves: u64, taker_leaves: u64 },
    Pulled { maker: u64 },
}

/// One vector, best order first: sorted by price, then by arrival.
#[derive(Default)]
struct Naive {
    bids: Vec<(i64, Resting)>,
    asks: Vec<(i64, Resting)>,
}

impl Naive {
    fn half(&mut self, side: Side) -> &mut Vec<(i64, Resting)> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn rest(&mut self, side: Side, price: i64, order: Resting) {
        let half = self.half(side);
        let better = |other: i64| if side == Side::Buy { other >= price } else { other <= price };
        let at = half.iter().position(|(other, _)| !better(*other)).unwrap_or(half.len());
        half.insert(at, (price, order));
    }

    fn remove(&mut self, side: Side, id: u64) {
        self.half(side).retain(|(_, order)| order.id != id);
    }

    fn take(&mut self, taker: &mut Taker) -> (Vec<Report>, Stop) {
        let mut reports = Vec::new();
        let (limit, side) = (taker.limit, taker.side);
        let accepts = |price: i64| if side == Side::Buy { price <= limit } else { price >= limit };
        let half = self.half(side.opposite());
        while taker.leaves > 0 {
            let Some((price, maker)) = half.first_mut() else { break };
            let price = *price;
            if !accepts(price) {
                break;
            }
            let affordable = taker.budget.map_or(u64::MAX, |budget| budget / price as u64);
            if affordable == 0 {
                return (reports, Stop::Budget);
            }
            if taker.group != 0 && maker.group == taker.group {
                if taker.stp == Stp::CancelTaker {
                    return (reports, Stop::SelfTrade);
                }
                reports.push(Report::Pulled { maker: maker.id });
                half.remove(0);
                if taker.stp == Stp::CancelBoth {
                    return (reports, Stop::SelfTrade);
                }
                continue;
            }
            let qty = maker.leaves.min(taker.leaves).min(affordable);
            if let Some(budget) = &mut taker.budget {
                *budget -= qty * price as u64;
            }
            maker.leaves -= qty;
            taker.leaves -= qty;
            reports.push(Report::Fill {
                maker: maker.id,
                price,
                qty,
                maker_leaves: maker.leaves,
                taker_leaves: taker.leaves,
            });
            if maker.leaves == 0 {
                half.remove(0);
            }
        }
        (reports, Stop::Done)
    }
}

#[derive(Default)]
struct Heard {
    reports: Vec<Report>,
    gone: Vec<u64>,
}

impl Tape for Heard {
    fn fill(&mut self, fill: Fill) {
        let Fill { maker, price, qty, maker_leaves, taker_leaves, .. } = fill;
        self.reports.push(Report::Fill { maker, price, qty, maker_leaves, taker_leaves });
        if maker_leaves == 0 {
            self.gone.push(maker);
        }
    }

    fn pulled(&mut self, _: Slot, order: Resting, _: i64) {
        self.reports.push(Report::Pulled { maker: order.id });
        self.gone.push(order.id);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Enter { side: Side, price: i64, qty: u64, group: u64, stp: Stp, budget: Option<u64>, rests: bool },
    Cancel(usize),
    Reduce(usize, u64),
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn stp() -> impl Strategy<Value = Stp> {
    prop_oneof![Just(Stp::CancelMaker), Just(Stp::CancelTaker), Just(Stp::CancelBoth)]
}

fn step() -> impl Strategy<Value = Step> {
    let enter =
        (side(), 1i64..30, 1u64..20, 0u64..4, stp(), prop::option::weighted(0.1, 1u64..200), any::<bool>());
    prop_oneof![
        6 => enter.prop_map(|(side, price, qty, group, stp, budget, rests)| {
            let budget = budget.filter(|_| side == Side::Buy);
            Step::Enter { side, price, qty, group, stp, budget, rests }
        }),
        3 => any::<usize>().prop_map(Step::Cancel),
        1 => (any::<usize>(), 1u64..20).prop_map(|(at, leaves)| Step::Reduce(at, leaves)),
    ]
}

/// The same runs every time; `PROPTEST_CASES` makes them more and `SEED` makes them others.
fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(256) as u32,
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_book_agrees_with_the_naive_matcher(steps in prop::collection::vec(step(), 1..400)) {
        let (mut book, mut naive) = (Book::new(), Naive::default());
        let mut open: Vec<(u64, Side, i64)> = Vec::new();
        let mut slots: HashMap<u64, Slot> = HashMap::new();
        let mut next_id = 1u64;
        for step in steps {
            match step {
                Step::Enter { side, price, qty, group, stp, budget, rests } => {
                    let id = next_id;
                    next_id += 1;
                    let leaves = if budget.is_some() { u64::MAX } else { qty };
                    let mut taker = Taker { side, limit: price, leaves, budget, group, stp };
                    let mut twin = taker;
                    if budget.is_none() {
                        let reach = book.reach(&taker);
                        let mut rehearsal = Naive { bids: naive.bids.clone(), asks: naive.asks.clone() };
                        let mut walker = taker;
                        let (_, stop) = rehearsal.take(&mut walker);
                        prop_assert_eq!(reach == Reach::Whole, walker.leaves == 0);
                        prop_assert_eq!(reach == Reach::SelfTrade, walker.leaves > 0 && stop == Stop::SelfTrade);
                    }
                    let mut heard = Heard::default();
                    let stop = book.take(&mut taker, &mut heard);
                    let (reports, expected) = naive.take(&mut twin);
                    prop_assert_eq!(&heard.reports, &reports);
                    prop_assert_eq!(stop, expected);
                    prop_assert_eq!(taker, twin);
                    open.retain(|(id, ..)| !heard.gone.contains(id));
                    if budget.is_none() && rests && taker.leaves > 0 && stop == Stop::Done {
                        let order = Resting { id, leaves: taker.leaves, group, owner: id as u32 };
                        slots.insert(id, book.rest(side, price, order));
                        naive.rest(side, price, order);
                        open.push((id, side, price));
                    }
                }
                Step::Cancel(at) if !open.is_empty() => {
                    let (id, side, _) = open.swap_remove(at % open.len());
                    prop_assert_eq!(book.remove(side, slots[&id]).id, id);
                    naive.remove(side, id);
                }
                Step::Reduce(at, leaves) if !open.is_empty() => {
                    let (id, side, _) = open[at % open.len()];
                    if leaves < book.order(slots[&id]).leaves {
                        book.reduce(side, slots[&id], leaves);
                        for (_, order) in naive.half(side).iter_mut().filter(|(_, order)| order.id == id) {
                            order.leaves = leaves;
                        }
                    }
                }
                Step::Cancel(_) | Step::Reduce(..) => {}
            }
            prop_assert_eq!(book.audit(), Ok(()));
            for (side, half) in [(Side::Buy, &naive.bids), (Side::Sell, &naive.asks)] {
                let orders: Vec<(i64, Resting)> =
                    book.orders(side).map(|(price, _, order)| (price, order)).collect();
                prop_assert_eq!(&orders, half);
                prop_assert_eq!(book.best(side), half.first().map(|(price, _)| *price));
            }
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
                prop_assert!(bid < ask, "the book rests crossed at {} and {}", bid, ask);
            }
        }
    }
}
