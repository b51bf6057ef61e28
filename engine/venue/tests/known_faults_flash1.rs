//! What recurred in about 110 engines that flash1 ran, and that this venue does not have.

use crate::desk::{BTC, Desk, MARKET, TIA, TOM, USDT, buy, sell, trades};
use crate::known_faults::tif;
use countersign_venue::Outcome;
use countersign_venue::command::{Kind, NewOrder, OrderBody, Side, Tif};
use countersign_venue::event::{Code, Output};

#[test]
fn flash1_a_trade_is_priced_at_the_makers_price() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 5));
    assert_eq!(trades(&desk.enter(buy(2, TIA, 120, 5)).1), [(1, 100, 5)]);
    desk.enter(buy(3, TIA, 90, 5));
    assert_eq!(trades(&desk.enter(sell(4, TOM, 50, 5)).1), [(3, 90, 5)]);
}

#[test]
fn flash1_no_best_price_is_stale_after_a_cancel_and_no_level_is_a_phantom() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 5));
    desk.enter(sell(2, TOM, 101, 5));
    desk.cancel(1, TOM);
    let book = &desk.venue.market(MARKET).unwrap().book;
    assert_eq!((book.best(Side::Sell), book.levels(Side::Sell).count()), (Some(101), 1));
    assert_eq!(desk.enter(buy(3, TIA, 100, 5)).0.filled, 0);
    assert_eq!(desk.enter(NewOrder { post_only: true, ..buy(4, TIA, 100, 5) }).0.code, Code::Ok);
}

#[test]
fn flash1_an_amendment_through_the_spread_trades_and_does_not_rest_crossed() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 105, 3));
    desk.enter(buy(2, TIA, 100, 5));
    let (outcome, events) = desk.amend(2, TIA, 0, 110);
    assert_eq!((trades(&events), outcome.leaves), (vec![(1, 105, 3)], 2));
    assert!(!desk.venue.market(MARKET).unwrap().is_crossed());
    assert_eq!(desk.held(TIA, USDT), 220);
}

#[test]
fn flash1_no_order_and_no_trade_is_of_nothing() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 5));
    assert_eq!(desk.enter(buy(2, TIA, 100, 0)).0.code, Code::BadCommand);
    let tiny = NewOrder { kind: Kind::Market, budget: 99, qty: 0, ..tif(Tif::Ioc, buy(3, TIA, 200, 0)) };
    let (outcome, events) = desk.enter(tiny);
    assert_eq!((outcome.filled, trades(&events)), (0, vec![]));
    assert_eq!(desk.held(TIA, USDT), 0);
}

#[test]
fn flash1_a_filled_order_can_be_neither_cancelled_nor_amended() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 5));
    desk.enter(buy(2, TIA, 100, 5));
    for (id, account) in [(1, TOM), (2, TIA)] {
        assert_eq!(desk.cancel(id, account), Code::UnknownOrder);
        assert_eq!(desk.amend(id, account, 9, 0).0.code, Code::UnknownOrder);
    }
}

#[test]
fn flash1_fill_or_kill_counts_all_makers_together() {
    let mut desk = Desk::open();
    for id in 1..=4 {
        desk.enter(sell(id, TOM, 99 + id as i64, 3));
    }
    assert_eq!(desk.enter(tif(Tif::Fok, buy(5, TIA, 103, 12))).0.filled, 12);
}

#[test]
fn flash1_a_sweep_passes_an_order_cancelled_in_the_middle() {
    let mut desk = Desk::open();
    for id in 1..=3 {
        desk.enter(sell(id, TOM, 100, 1));
    }
    desk.cancel(2, TOM);
    assert_eq!(trades(&desk.enter(buy(4, TIA, 100, 9)).1), [(1, 100, 1), (3, 100, 1)]);
}

#[test]
fn flash1_a_used_id_may_come_again_once_its_order_is_done() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 5));
    assert_eq!(desk.enter(sell(1, TOM, 101, 5)).0.code, Code::DuplicateOrderId);
    desk.cancel(1, TOM);
    assert_eq!(desk.enter(sell(1, TOM, 101, 5)).0.code, Code::Ok);
    assert_eq!(trades(&desk.enter(buy(2, TIA, 101, 5)).1), [(1, 101, 5)]);
}

#[test]
fn flash1_a_sweep_of_five_thousand_orders_is_one_command() {
    let mut desk = Desk::open();
    let mut output = Output::default();
    // Without the desk, which audits the whole state each time.
    let give = |desk: &mut Desk, order, output: &mut Output| -> Outcome {
        let command = desk.wrap(OrderBody::New(order));
        output.clear();
        desk.venue.apply(desk.now_ns, &command, 0, output)
    };
    // More than one account may have.
    let other = 13;
    desk.fund(other, BTC, 1_000_000_000);
    for id in 1..=5_000 {
        let maker = if id % 2 == 0 { TOM } else { other };
        give(&mut desk, sell(id, maker, 1_000 + (id % 50) as i64, 2), &mut output);
    }
    let outcome = give(&mut desk, buy(9_999, TIA, 2_000, 10_000), &mut output);
    assert_eq!((outcome.filled, outcome.leaves, desk.venue.open_orders_count()), (10_000, 0, 0));
    assert_eq!(output.count, 1 + 2 * 5_000 + 1);
    desk.venue.audit().unwrap();
}
