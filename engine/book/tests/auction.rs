//! An auction ... (each test's name finishes the sentence), held against one so plain that it tries every price.

use countersign_book::{Book, Clearing, Party, Resting, Ring, Side};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[derive(Default)]
struct Heard(Vec<(u64, u64, u64)>);

impl Ring for Heard {
    fn pair(&mut self, qty: u64, buy: Party, sell: Party) {
        self.0.push((buy.order.id, sell.order.id, qty));
    }
}

fn book_of(bids: &[(i64, u64)], asks: &[(i64, u64)]) -> Book {
    let mut book = Book::new();
    let mut id = 0;
    for (side, orders) in [(Side::Buy, bids), (Side::Sell, asks)] {
        for &(price, leaves) in orders {
            id += 1;
            book.rest(side, price, Resting { id, leaves, group: 0, owner: 0 });
        }
    }
    book
}

fn cleared(bids: &[(i64, u64)], asks: &[(i64, u64)], reference: Option<i64>) -> Option<(i64, u64, u64)> {
    let found = book_of(bids, asks).clearing(reference)?;
    Some((found.price, found.matched, found.unmatched))
}

#[test]
fn trades_the_most_that_any_price_allows() {
    let bids = [(105, 10), (103, 20), (101, 30)];
    let asks = [(100, 15), (102, 15), (104, 30)];
    // 102 and 103: 30 lots each; every other price trades fewer.
    assert_eq!(cleared(&bids, &asks, Some(1_000)), Some((103, 30, 0)));
}

#[test]
fn leaves_the_least_over_among_prices_that_trade_as_much() {
    // 100 and 101 trade 10; at 100 and 101 the demand is 25, above 101 only 10 of it is left.
    assert_eq!(cleared(&[(104, 10), (101, 15)], &[(100, 10)], Some(100)), Some((102, 10, 0)));
}

#[test]
fn goes_nearest_to_the_reference_price_among_those() {
    let (bids, asks) = ([(110, 10)], [(100, 10)]);
    for (reference, price) in [(Some(104), 104), (Some(90), 100), (Some(120), 110), (None, 105)] {
        assert_eq!(cleared(&bids, &asks, reference), Some((price, 10, 0)));
    }
}

#[test]
fn takes_the_lower_of_two_prices_that_are_as_near() {
    // A demand of 4 against a supply of 6 up to 103, then of 6 against 8: the same left over on either side of it.
    let (bids, asks) = ([(103, 6), (101, 2)], [(100, 4), (102, 4)]);
    let found = book_of(&bids, &asks).clearing(Some(102)).unwrap();
    assert_eq!((found.matched, found.price, found.surplus), (6, 102, Some(Side::Sell)));
    let (bids, asks) = ([(106, 5), (102, 5)], [(100, 5), (105, 5)]);
    // 103 and 104 leave nothing over; the middle of them is rounded down.
    assert_eq!(cleared(&bids, &asks, None), Some((103, 5, 0)));
}

#[test]
fn needs_a_bid_at_least_as_high_as_the_best_ask() {
    assert_eq!(cleared(&[(99, 5)], &[(100, 5)], None), None);
    assert_eq!(cleared(&[(99, 5)], &[], None), None);
    assert_eq!(cleared(&[(100, 5)], &[(100, 5)], None), Some((100, 5, 0)));
}

#[test]
fn reaches_both_ends_of_the_price_range() {
    let (bids, asks) = ([(i64::MAX, 3)], [(i64::MIN, 4)]);
    assert_eq!(cleared(&bids, &asks, None), Some((-1, 3, 1)));
    assert_eq!(cleared(&bids, &asks, Some(i64::MAX)), Some((i64::MAX, 3, 1)));
}

#[test]
fn serves_the_best_price_first_and_the_oldest_order_within_it() {
    let mut book = book_of(&[(101, 5), (102, 5), (101, 5)], &[(100, 6), (99, 6)]);
    let mut heard = Heard::default();
    let Clearing { price, matched, surplus, .. } = book.clearing(None).unwrap();
    book.uncross(price, usize::MAX, &mut heard);
    assert_eq!(heard.0, [(2, 5, 5), (1, 5, 1), (1, 4, 4), (3, 4, 2)]);
    assert_eq!((matched, surplus), (12, Some(Side::Buy)));
    assert_eq!(book.orders(Side::Buy).map(|(_, _, order)| order.leaves).collect::<Vec<_>>(), [3]);
    book.audit().unwrap();
}

/// Every integer price between the best ask and the best bid, one after the other.
fn plain(bids: &[(i64, u64)], asks: &[(i64, u64)], reference: Option<i64>) -> Option<(i64, u64, u64)> {
    let (top, bottom) = (bids.iter().map(|bid| bid.0).max()?, asks.iter().map(|ask| ask.0).min()?);
    let tried: Vec<(i64, u64, u64)> = (bottom..=top)
        .map(|price| {
            let demand: u64 = bids.iter().filter(|bid| bid.0 >= price).map(|bid| bid.1).sum();
            let supply: u64 = asks.iter().filter(|ask| ask.0 <= price).map(|ask| ask.1).sum();
            (price, demand.min(supply), demand.abs_diff(supply))
        })
        .collect();
    let most = tried.iter().map(|tried| tried.1).max()?;
    let least = tried.iter().filter(|tried| tried.1 == most).map(|tried| tried.2).min()?;
    let tied: Vec<_> = tried.into_iter().filter(|tried| (tried.1, tried.2) == (most, least)).collect();
    let reference = reference.unwrap_or((tied[0].0 + tied[tied.len() - 1].0).div_euclid(2));
    tied.into_iter().min_by_key(|&(price, ..)| ((price - reference).abs(), price))
}

fn orders() -> impl Strategy<Value = Vec<(i64, u64)>> {
    prop::collection::vec((80i64..120, 1u64..12), 0..24)
}

fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(2_000) as u32,
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn agrees_with_one_that_tries_every_price(
        bids in orders(),
        asks in orders(),
        reference in prop::option::of(70i64..130),
    ) {
        let mut book = book_of(&bids, &asks);
        let found = book.clearing(reference);
        prop_assert_eq!(
            found.map(|found| (found.price, found.matched, found.unmatched)),
            plain(&bids, &asks, reference)
        );
        let Some(Clearing { price, matched, .. }) = found else { return Ok(()) };

        // Both queues by price and age, and the lots dealt out one by one.
        let queue = |side: Side, orders: &[(i64, u64)], first: u64| {
            let mut queue: Vec<(i64, u64, u64)> =
                orders.iter().zip(first..).map(|(&(price, qty), id)| (price, id, qty)).collect();
            queue.sort_by_key(|&(price, id, _)| (if side == Side::Buy { -price } else { price }, id));
            queue
        };
        let mut buys = queue(Side::Buy, &bids, 1);
        let mut sells = queue(Side::Sell, &asks, 1 + bids.len() as u64);
        let mut expected: Vec<(u64, u64, u64)> = Vec::new();
        for _ in 0..matched {
            prop_assert!(buys[0].0 >= price && sells[0].0 <= price, "somebody trades beyond its limit");
            match expected.last_mut() {
                Some(last) if (last.0, last.1) == (buys[0].1, sells[0].1) => last.2 += 1,
                _ => expected.push((buys[0].1, sells[0].1, 1)),
            }
            for queue in [&mut buys, &mut sells] {
                queue[0].2 -= 1;
                if queue[0].2 == 0 {
                    queue.remove(0);
                }
            }
        }
        let mut heard = Heard::default();
        book.uncross(price, usize::MAX, &mut heard);
        prop_assert_eq!(heard.0, expected);
        prop_assert_eq!(book.audit(), Ok(()));
        for (side, queue) in [(Side::Buy, buys), (Side::Sell, sells)] {
            let left: Vec<_> =
                book.orders(side).map(|(price, _, order)| (price, order.id, order.leaves)).collect();
            prop_assert_eq!(left, queue);
        }
        if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
            prop_assert!(bid < ask, "the auction leaves the book crossed at {} and {}", bid, ask);
        }
    }
}
