//! A book ... (each test's name finishes the sentence). Shapes on which other engines have failed come first.

use countersign_book::{Book, Fill, Reach, Resting, Side, Slot, Stop, Stp, Taker, Tape};

#[derive(Default)]
struct Heard {
    fills: Vec<(u64, i64, u64, u64)>,
    pulled: Vec<u64>,
}

impl Tape for Heard {
    fn fill(&mut self, fill: Fill) {
        assert!(fill.qty > 0, "no trade is empty");
        self.fills.push((fill.maker, fill.price, fill.qty, fill.maker_leaves));
    }

    fn pulled(&mut self, _: Slot, order: Resting, _: i64) {
        self.pulled.push(order.id);
    }
}

fn rest(book: &mut Book, side: Side, price: i64, id: u64, leaves: u64) -> Slot {
    rest_of(book, side, price, id, leaves, 0)
}

fn rest_of(book: &mut Book, side: Side, price: i64, id: u64, leaves: u64, group: u64) -> Slot {
    book.rest(side, price, Resting { id, leaves, group, owner: 0 })
}

fn taker(side: Side, limit: i64, leaves: u64) -> Taker {
    Taker { side, limit, leaves, budget: None, group: 0, stp: Stp::CancelMaker }
}

fn take(book: &mut Book, mut taker: Taker) -> (Heard, Taker, Stop) {
    let mut heard = Heard::default();
    let stop = book.take(&mut taker, &mut heard);
    book.audit().unwrap();
    (heard, taker, stop)
}

#[test]
fn trades_at_the_makers_price_and_improves_the_takers() {
    let mut book = Book::new();
    rest(&mut book, Side::Sell, 100, 1, 5);
    let (heard, taker, _) = take(&mut book, taker(Side::Buy, 120, 5));
    assert_eq!(heard.fills, [(1, 100, 5, 0)]);
    assert_eq!(taker.leaves, 0);
    assert!(book.is_empty());
}

#[test]
fn serves_the_best_price_first_and_the_oldest_order_within_it() {
    let mut book = Book::new();
    for (id, price) in [(1, 102), (2, 100), (3, 101), (4, 100)] {
        rest(&mut book, Side::Sell, price, id, 1);
    }
    let (heard, ..) = take(&mut book, taker(Side::Buy, 102, 4));
    assert_eq!(heard.fills.iter().map(|fill| fill.0).collect::<Vec<_>>(), [2, 4, 3, 1]);
}

#[test]
fn keeps_the_place_of_a_partly_filled_maker() {
    let mut book = Book::new();
    rest(&mut book, Side::Buy, 100, 1, 10);
    rest(&mut book, Side::Buy, 100, 2, 10);
    take(&mut book, taker(Side::Sell, 100, 4));
    let (heard, ..) = take(&mut book, taker(Side::Sell, 100, 8));
    assert_eq!(heard.fills, [(1, 100, 6, 0), (2, 100, 2, 8)]);
}

#[test]
fn is_swept_past_an_order_cancelled_in_the_middle() {
    let mut book = Book::new();
    rest(&mut book, Side::Sell, 100, 1, 1);
    let middle = rest(&mut book, Side::Sell, 100, 2, 1);
    rest(&mut book, Side::Sell, 100, 3, 1);
    assert_eq!(book.remove(Side::Sell, middle).id, 2);
    let (heard, ..) = take(&mut book, taker(Side::Buy, 100, 9));
    assert_eq!(heard.fills.iter().map(|fill| fill.0).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn shows_no_phantom_level_after_the_last_order_at_a_price_has_gone() {
    let mut book = Book::new();
    let best = rest(&mut book, Side::Buy, 101, 1, 1);
    rest(&mut book, Side::Buy, 100, 2, 1);
    book.remove(Side::Buy, best);
    assert_eq!(book.best(Side::Buy), Some(100));
    assert!(!book.crosses(Side::Sell, 101));
    assert_eq!(book.levels(Side::Buy).count(), 1);
    book.audit().unwrap();
}

#[test]
fn finds_the_next_best_price_after_the_best_one_was_taken_or_cancelled() {
    let mut book = Book::new();
    let slots: Vec<Slot> = (1..=5).map(|id| rest(&mut book, Side::Sell, 100 + id as i64, id, 1)).collect();
    take(&mut book, taker(Side::Buy, 101, 1));
    assert_eq!(book.best(Side::Sell), Some(102));
    book.remove(Side::Sell, slots[2]);
    assert_eq!(book.best(Side::Sell), Some(102));
    book.remove(Side::Sell, slots[1]);
    assert_eq!(book.best(Side::Sell), Some(104));
    rest(&mut book, Side::Sell, 99, 9, 1);
    assert_eq!(book.best(Side::Sell), Some(99));
}

#[test]
fn stops_at_the_limit_and_not_one_tick_further() {
    let mut book = Book::new();
    rest(&mut book, Side::Sell, 100, 1, 1);
    rest(&mut book, Side::Sell, 101, 2, 1);
    let (heard, taker, stop) = take(&mut book, taker(Side::Buy, 100, 5));
    assert_eq!((heard.fills.len(), taker.leaves, stop), (1, 4, Stop::Done));
}

#[test]
fn counts_fill_or_kill_over_all_makers_and_not_each_alone() {
    let mut book = Book::new();
    for id in 1..=4 {
        rest(&mut book, Side::Sell, 99 + id as i64, id, 3);
    }
    assert_eq!(book.reach(&taker(Side::Buy, 103, 12)), Reach::Whole);
    assert_eq!(book.reach(&taker(Side::Buy, 103, 13)), Reach::Partly);
    assert_eq!(book.reach(&taker(Side::Buy, 102, 12)), Reach::Partly);
    assert_eq!(book.len(), 4, "looking changes nothing");
}

#[test]
fn does_not_count_own_orders_towards_fill_or_kill() {
    let mut book = Book::new();
    rest_of(&mut book, Side::Sell, 100, 1, 5, 7);
    rest_of(&mut book, Side::Sell, 101, 2, 5, 8);
    let own = |stp| Taker { group: 7, stp, ..taker(Side::Buy, 101, 5) };
    assert_eq!(book.reach(&own(Stp::CancelMaker)), Reach::Whole);
    assert_eq!(book.reach(&Taker { leaves: 6, ..own(Stp::CancelMaker) }), Reach::Partly);
    assert_eq!(book.reach(&own(Stp::CancelTaker)), Reach::SelfTrade);
    assert_eq!(book.reach(&own(Stp::CancelBoth)), Reach::SelfTrade);
}

#[test]
fn pulls_own_makers_in_queue_order_and_trades_with_the_others() {
    let mut book = Book::new();
    for (id, group) in [(1, 7), (2, 0), (3, 7), (4, 9)] {
        rest_of(&mut book, Side::Sell, 100, id, 2, group);
    }
    let own = Taker { group: 7, ..taker(Side::Buy, 100, 4) };
    let (heard, taker, stop) = take(&mut book, own);
    assert_eq!(heard.pulled, [1, 3]);
    assert_eq!(heard.fills, [(2, 100, 2, 0), (4, 100, 2, 0)]);
    assert_eq!((taker.leaves, stop), (0, Stop::Done));
}

#[test]
fn stops_a_taker_at_its_own_order_and_leaves_that_one_alone() {
    let mut book = Book::new();
    rest_of(&mut book, Side::Sell, 100, 1, 2, 0);
    rest_of(&mut book, Side::Sell, 100, 2, 2, 7);
    let own = Taker { group: 7, stp: Stp::CancelTaker, ..taker(Side::Buy, 100, 4) };
    let (heard, taker, stop) = take(&mut book, own);
    assert_eq!(heard.fills, [(1, 100, 2, 0)]);
    assert!(heard.pulled.is_empty());
    assert_eq!((taker.leaves, stop, book.len()), (2, Stop::SelfTrade, 1));
}

#[test]
fn takes_both_sides_of_a_self_trade_out_when_asked_to() {
    let mut book = Book::new();
    rest_of(&mut book, Side::Sell, 100, 2, 2, 7);
    rest_of(&mut book, Side::Sell, 100, 3, 2, 0);
    let own = Taker { group: 7, stp: Stp::CancelBoth, ..taker(Side::Buy, 100, 4) };
    let (heard, _, stop) = take(&mut book, own);
    assert_eq!((heard.pulled, stop, book.len()), (vec![2], Stop::SelfTrade, 1));
}

#[test]
fn spends_a_budget_to_the_last_whole_lot_and_never_beyond() {
    let mut book = Book::new();
    rest(&mut book, Side::Sell, 10, 1, 5);
    rest(&mut book, Side::Sell, 11, 2, 5);
    let buyer = Taker { budget: Some(80), leaves: u64::MAX, ..taker(Side::Buy, 20, 0) };
    let (heard, taker, stop) = take(&mut book, buyer);
    assert_eq!(heard.fills, [(1, 10, 5, 0), (2, 11, 2, 3)]);
    assert_eq!((taker.budget, stop), (Some(8), Stop::Budget));
}

#[test]
fn pulls_nobody_once_the_budget_is_spent() {
    let mut book = Book::new();
    rest(&mut book, Side::Sell, 10, 1, 5);
    rest_of(&mut book, Side::Sell, 10, 2, 5, 7);
    let buyer = Taker { budget: Some(25), leaves: u64::MAX, group: 7, ..taker(Side::Buy, 20, 0) };
    let (heard, _, stop) = take(&mut book, buyer);
    assert_eq!(heard.fills, [(1, 10, 2, 3)]);
    assert_eq!((heard.pulled, stop, book.len()), (vec![], Stop::Budget, 2));
}

#[test]
fn keeps_the_place_of_a_reduced_order() {
    let mut book = Book::new();
    let first = rest(&mut book, Side::Sell, 100, 1, 10);
    rest(&mut book, Side::Sell, 100, 2, 10);
    book.reduce(Side::Sell, first, 3);
    assert_eq!(book.levels(Side::Sell).next(), Some((100, 13, 2)));
    let (heard, ..) = take(&mut book, taker(Side::Buy, 100, 5));
    assert_eq!(heard.fills, [(1, 100, 3, 0), (2, 100, 2, 8)]);
}

#[test]
fn uses_slots_again_without_mixing_orders_up() {
    let mut book = Book::new();
    let first = rest(&mut book, Side::Buy, 100, 1, 1);
    book.remove(Side::Buy, first);
    let second = rest(&mut book, Side::Sell, 105, 2, 9);
    assert_eq!(first, second);
    assert_eq!(book.order(second).id, 2);
    assert_eq!(book.best(Side::Buy), None);
    book.audit().unwrap();
}

#[test]
fn sweeps_five_thousand_orders_in_one_go() {
    let mut book = Book::new();
    for id in 1..=5_000u64 {
        rest(&mut book, Side::Sell, 1_000 + (id % 50) as i64, id, 2);
    }
    let (heard, taker, _) = take(&mut book, taker(Side::Buy, 2_000, 10_000));
    assert_eq!((heard.fills.len(), taker.leaves), (5_000, 0));
    assert!(book.is_empty());
    assert!(heard.fills.is_sorted_by_key(|fill| (fill.1, fill.0)));
}

#[test]
fn holds_prices_at_both_ends_of_the_range() {
    let mut book = Book::new();
    rest(&mut book, Side::Buy, i64::MIN, 1, 1);
    rest(&mut book, Side::Buy, i64::MAX - 1, 2, 1);
    rest(&mut book, Side::Sell, i64::MAX, 3, 1);
    assert_eq!((book.best(Side::Buy), book.best(Side::Sell)), (Some(i64::MAX - 1), Some(i64::MAX)));
    let (heard, ..) = take(&mut book, taker(Side::Sell, i64::MIN, 2));
    assert_eq!(heard.fills.len(), 2);
}
