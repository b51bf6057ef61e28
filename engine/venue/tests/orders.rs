//! An order ... (each test's name finishes the sentence). Several of these are faults that other engines had.

use crate::desk::{BTC, Desk, MARKET, TIA, TOM, USDT, buy, ends, sell, trades};
use countersign_venue::command::{AdminBody, Kind, NewOrder, OrderBody, Scope, Side, State, Stp, Tif};
use countersign_venue::event::{Body, Code, Reason};

fn tif(tif: Tif, order: NewOrder) -> NewOrder {
    NewOrder { tif, ..order }
}

fn market(order: NewOrder) -> NewOrder {
    NewOrder { kind: Kind::Market, tif: Tif::Ioc, ..order }
}

fn post_only(order: NewOrder) -> NewOrder {
    NewOrder { post_only: true, ..order }
}

fn grouped(stp_group: u64, stp: Stp, order: NewOrder) -> NewOrder {
    NewOrder { stp_group, stp, ..order }
}

#[test]
fn pays_exactly_at_the_makers_price_with_fees_from_what_is_received() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 600_000, 1_000));
    let (outcome, events) = desk.enter(buy(2, TIA, 600_010, 400));
    assert_eq!((outcome.code, outcome.filled, outcome.leaves), (Code::Ok, 400, 0));
    assert_eq!(trades(&events), [(1, 600_000, 400)]);
    assert_eq!(desk.available(TIA, USDT), 1_000_000_000_000 - 240_000_000);
    assert_eq!(desk.available(TIA, BTC), 1_000_000_000 + 400_000 - 400);
    assert_eq!(desk.available(TOM, USDT), 1_000_000_000_000 + 240_000_000 - 192_000);
    assert_eq!((desk.available(TOM, BTC), desk.held(TOM, BTC)), (999_000_000, 600_000));
    assert_eq!((desk.available(0, BTC), desk.available(0, USDT)), (400, 192_000));
    assert_eq!(desk.held(TIA, USDT), 0);
}

#[test]
fn rests_with_what_it_could_not_fill_and_holds_only_that() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 300));
    let (outcome, _) = desk.enter(buy(2, TIA, 110, 1_000));
    assert_eq!((outcome.filled, outcome.leaves), (300, 700));
    assert_eq!(desk.held(TIA, USDT), 700 * 110);
    assert_eq!(desk.cancel(2, TIA), Code::Ok);
    assert_eq!(desk.held(TIA, USDT), 0);
    assert_eq!(desk.available(TIA, USDT), 1_000_000_000_000 - 300 * 100);
}

#[test]
fn is_refused_beyond_the_balance_and_leaves_no_hold() {
    let mut desk = Desk::open();
    let (outcome, events) = desk.enter(sell(1, TOM, 100, 1_000_000));
    assert_eq!((outcome.code, desk.held(TOM, BTC)), (Code::Ok, 1_000_000_000));
    assert_eq!(events.len(), 1);
    let (outcome, events) = desk.enter(sell(2, TOM, 100, 1));
    assert_eq!(outcome.code, Code::InsufficientBalance);
    assert!(matches!(events[0].body, Body::Rejected { code: Code::InsufficientBalance, .. }));
    assert_eq!(desk.enter(buy(3, 99, 100, 1)).0.code, Code::InsufficientBalance);
    assert_eq!(desk.resting(), [1]);
}

#[test]
fn is_cancelled_only_by_its_owner_and_only_once() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TOM, 100, 10));
    assert_eq!(desk.cancel(1, TIA), Code::NotOwner);
    assert_eq!(desk.cancel(1, TOM), Code::Ok);
    assert_eq!(desk.cancel(1, TOM), Code::UnknownOrder);
    assert_eq!(desk.cancel(7, TOM), Code::UnknownOrder);
}

#[test]
fn that_is_filled_cannot_be_cancelled_or_amended_any_more() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 10));
    desk.enter(buy(2, TIA, 100, 10));
    assert_eq!(desk.cancel(1, TOM), Code::UnknownOrder);
    assert_eq!(desk.amend(1, TOM, 20, 0).0.code, Code::UnknownOrder);
}

#[test]
fn may_not_take_the_id_of_one_that_rests() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TOM, 100, 10));
    assert_eq!(desk.enter(buy(1, TIA, 99, 10)).0.code, Code::DuplicateOrderId);
    assert_eq!(desk.held(TIA, USDT), 0);
}

#[test]
fn immediate_or_cancel_never_rests() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 3));
    let (outcome, events) = desk.enter(tif(Tif::Ioc, buy(2, TIA, 100, 10)));
    assert_eq!((outcome.filled, outcome.leaves), (3, 0));
    assert_eq!(ends(&events), [(1, Reason::Filled), (2, Reason::IocRemainder)]);
    assert_eq!(desk.enter(tif(Tif::Ioc, buy(3, TIA, 100, 10))).0.filled, 0);
    assert!(desk.resting().is_empty());
    assert_eq!(desk.held(TIA, USDT), 0);
}

#[test]
fn fill_or_kill_fills_whole_or_leaves_everything_as_it_was() {
    let mut desk = Desk::open();
    for (id, price) in [(1, 100), (2, 101), (3, 102)] {
        desk.enter(sell(id, TOM, price, 5));
    }
    let (outcome, events) = desk.enter(tif(Tif::Fok, buy(4, TIA, 101, 11)));
    assert_eq!((outcome.code, trades(&events).len()), (Code::FokUnfillable, 0));
    assert_eq!((desk.resting(), desk.held(TIA, USDT)), (vec![1, 2, 3], 0));
    let (outcome, events) = desk.enter(tif(Tif::Fok, buy(5, TIA, 101, 10)));
    assert_eq!((outcome.filled, trades(&events).len()), (10, 2));
}

#[test]
fn fill_or_kill_that_its_own_group_blocks_cancels_nobody() {
    let mut desk = Desk::open();
    desk.enter(grouped(7, Stp::CancelMaker, sell(1, TOM, 100, 5)));
    desk.enter(sell(2, TOM, 101, 5));
    let killed = |stp| tif(Tif::Fok, grouped(7, stp, buy(3, TIA, 101, 6)));
    assert_eq!(desk.enter(killed(Stp::CancelMaker)).0.code, Code::FokUnfillable);
    assert_eq!(desk.enter(killed(Stp::CancelTaker)).0.code, Code::SelfTrade);
    assert_eq!(desk.resting(), [1, 2]);
    let (outcome, events) = desk.enter(tif(Tif::Fok, grouped(7, Stp::CancelMaker, buy(4, TIA, 101, 5))));
    assert_eq!(outcome.filled, 5);
    assert_eq!(ends(&events), [(1, Reason::Stp), (2, Reason::Filled), (4, Reason::Filled)]);
}

#[test]
fn post_only_never_takes() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 5));
    assert_eq!(desk.enter(post_only(buy(2, TIA, 100, 5))).0.code, Code::WouldTake);
    assert_eq!(desk.enter(post_only(buy(2, TIA, 99, 5))).0.leaves, 5);
    let (outcome, _) = desk.amend(2, TIA, 0, 100);
    assert_eq!(outcome.code, Code::WouldTake);
    assert_eq!(desk.held(TIA, USDT), 99 * 5, "a refused amendment changes nothing");
}

#[test]
fn to_the_market_needs_somebody_to_trade_with() {
    let mut desk = Desk::open();
    assert_eq!(desk.enter(market(buy(1, TIA, 1_000, 5))).0.code, Code::NoLiquidity);
    desk.enter(sell(2, TOM, 2_000, 5));
    assert_eq!(desk.enter(market(buy(3, TIA, 1_000, 5))).0.code, Code::NoLiquidity);
    let (outcome, events) = desk.enter(market(buy(4, TIA, 3_000, 8)));
    assert_eq!((outcome.filled, trades(&events)), (5, vec![(2, 2_000, 5)]));
    assert_eq!(desk.held(TIA, USDT), 0);
}

#[test]
fn to_the_market_with_a_budget_spends_no_more_and_gives_the_rest_back() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 10, 5));
    desk.enter(sell(2, TOM, 11, 5));
    let order = NewOrder { budget: 80, qty: 0, ..market(buy(3, TIA, 20, 0)) };
    let (outcome, events) = desk.enter(order);
    assert_eq!((outcome.filled, outcome.leaves), (7, 0));
    assert_eq!(ends(&events), [(1, Reason::Filled), (3, Reason::BudgetSpent)]);
    assert_eq!(desk.available(TIA, USDT), 1_000_000_000_000 - 72);
    let (outcome, events) = desk.enter(NewOrder { order_id: 4, budget: 33, ..order });
    assert_eq!(outcome.filled, 3);
    assert_eq!(ends(&events), [(2, Reason::Filled), (4, Reason::Filled)]);
}

#[test]
fn meets_its_own_group_in_queue_order() {
    let mut desk = Desk::open();
    for id in [1, 3] {
        desk.enter(grouped(7, Stp::CancelMaker, sell(id, TOM, 100, 5)));
    }
    desk.enter(sell(2, TIA, 100, 5));
    let (outcome, events) = desk.enter(grouped(7, Stp::CancelMaker, buy(4, TOM, 100, 5)));
    assert_eq!((outcome.filled, trades(&events)), (5, vec![(2, 100, 5)]));
    assert_eq!(ends(&events), [(1, Reason::Stp), (3, Reason::Stp), (2, Reason::Filled), (4, Reason::Filled)]);
    assert_eq!(desk.held(TOM, BTC), 0);
}

#[test]
fn is_cancelled_itself_where_its_mode_says_so() {
    let mut desk = Desk::open();
    desk.enter(grouped(7, Stp::CancelMaker, sell(1, TOM, 100, 5)));
    let (outcome, events) = desk.enter(grouped(7, Stp::CancelTaker, buy(2, TOM, 100, 5)));
    assert_eq!((outcome.filled, ends(&events)), (0, vec![(2, Reason::Stp)]));
    let (_, events) = desk.enter(grouped(7, Stp::CancelBoth, buy(3, TOM, 100, 5)));
    assert_eq!(ends(&events), [(1, Reason::Stp), (3, Reason::Stp)]);
    assert!(desk.resting().is_empty());
    assert_eq!((desk.held(TOM, BTC), desk.held(TOM, USDT)), (0, 0));
}

#[test]
fn outside_its_instruments_rules_is_refused() {
    let mut desk = Desk::open();
    for (order, code) in [
        (buy(1, TOM, 10_000_001, 1), Code::PriceOutOfRange),
        (buy(1, TOM, 100, 1_000_001), Code::QuantityOutOfRange),
        (buy(1, TOM, 100, 0), Code::BadCommand),
        (buy(1, TOM, 0, 1), Code::BadCommand),
        (buy(1, TOM, -5, 1), Code::BadCommand),
        (buy(0, TOM, 100, 1), Code::BadCommand),
        (buy(1, 0, 100, 1), Code::BadCommand),
        (NewOrder { instrument_id: 9, ..buy(1, TOM, 100, 1) }, Code::UnknownInstrument),
        (NewOrder { kind: Kind::Market, ..buy(1, TOM, 100, 1) }, Code::BadCommand),
        (NewOrder { post_only: true, ..tif(Tif::Ioc, buy(1, TOM, 100, 1)) }, Code::BadCommand),
        (NewOrder { budget: 5, ..buy(1, TOM, 100, 0) }, Code::BadCommand),
        (tif(Tif::Gtd, buy(1, TOM, 100, 1)), Code::BadCommand),
    ] {
        assert_eq!(desk.enter(order).0.code, code, "{order:?}");
    }
    assert_eq!(desk.held(TOM, USDT), 0);
}

#[test]
fn priced_beyond_the_band_is_refused_on_the_paying_side_only() {
    let mut desk = Desk::open();
    let band = |price_band_ppm, reference_price| AdminBody::SetPriceBand {
        instrument_id: MARKET,
        price_band_ppm,
        reference_price,
    };
    assert_eq!(desk.admin(band(50_000, 1_000)), Code::Ok);
    assert_eq!(desk.enter(buy(1, TOM, 1_051, 1)).0.code, Code::PriceBand);
    assert_eq!(desk.enter(sell(1, TOM, 949, 1)).0.code, Code::PriceBand);
    assert_eq!(desk.enter(buy(1, TOM, 500, 1)).0.code, Code::Ok);
    assert_eq!(desk.enter(sell(2, TOM, 1_040, 1)).0.code, Code::Ok);
    desk.enter(buy(3, TIA, 1_050, 1));
    assert_eq!(desk.enter(buy(4, TIA, 1_092, 1)).0.code, Code::Ok, "the last trade was at 1,040");
    assert_eq!(desk.amend(1, TOM, 0, 1_093).0.code, Code::PriceBand);
}

#[test]
fn is_taken_or_refused_as_the_instruments_state_says() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TOM, 100, 1));
    desk.enter(buy(2, TOM, 100, 1));
    desk.state(State::PostOnly);
    assert_eq!(desk.enter(sell(3, TIA, 100, 1)).0.code, Code::WouldTake);
    assert_eq!(desk.enter(tif(Tif::Ioc, sell(3, TIA, 100, 1))).0.code, Code::InstrumentState);
    assert_eq!(desk.enter(sell(3, TIA, 101, 1)).0.code, Code::Ok);
    desk.state(State::CancelOnly);
    assert_eq!(desk.enter(buy(4, TOM, 100, 1)).0.code, Code::InstrumentState);
    assert_eq!(desk.amend(2, TOM, 0, 99).0.code, Code::InstrumentState);
    assert_eq!(desk.cancel(1, TOM), Code::Ok);
    desk.state(State::Halted);
    assert_eq!(desk.cancel(2, TOM), Code::InstrumentState);
    assert_eq!(desk.cancel_all(Scope { account_id: TOM, ..Scope::default() }), 0);
    let all = Scope { instrument_id: MARKET, ..Scope::default() };
    assert_eq!(
        desk.admin(AdminBody::SetState { instrument_id: MARKET, state: State::Closed }),
        Code::NotEmpty
    );
    assert_eq!(desk.admin(AdminBody::MassCancel(all)), Code::Ok);
    desk.state(State::Closed);
    let reopened = desk.admin(AdminBody::SetState { instrument_id: MARKET, state: State::Open });
    assert_eq!(reopened, Code::InstrumentState);
}

#[test]
fn good_till_a_date_ends_then_and_not_before() {
    let mut desk = Desk::open();
    let expire_at_ms = desk.now_ns / 1_000_000 + 500;
    desk.enter(NewOrder { expire_at_ms, ..tif(Tif::Gtd, buy(1, TOM, 100, 1)) });
    desk.pass_ms(499);
    desk.enter(buy(2, TOM, 90, 1));
    assert_eq!(desk.resting(), [1, 2]);
    desk.pass_ms(1);
    let (_, events) = desk.enter(sell(3, TIA, 100, 1));
    assert_eq!(ends(&events), [(1, Reason::Expired)], "it is gone before the next order could meet it");
    assert_eq!(desk.resting(), [2, 3]);
    assert_eq!(desk.venue.next_timer_ns(), None);
}

#[test]
fn is_cancelled_when_its_owners_switch_runs_out() {
    let mut desk = Desk::open();
    let switch = |timeout_ms| OrderBody::CancelAllAfter { account_id: TOM, timeout_ms };
    desk.enter(buy(1, TOM, 100, 1));
    desk.enter(buy(2, TIA, 100, 1));
    desk.order(switch(1_000));
    desk.pass_ms(900);
    desk.order(switch(1_000));
    desk.pass_ms(999);
    desk.give(countersign_venue::Command::Tick);
    assert_eq!(desk.resting(), [1, 2]);
    desk.pass_ms(1);
    let (_, events) = desk.give(countersign_venue::Command::Tick);
    assert_eq!(ends(&events), [(1, Reason::CancelAllAfter)]);
    desk.enter(buy(3, TOM, 100, 1));
    desk.order(switch(1_000));
    desk.order(switch(0));
    desk.pass_ms(5_000);
    desk.give(countersign_venue::Command::Tick);
    assert_eq!(desk.resting(), [2, 3]);
}

#[test]
fn is_cancelled_together_with_those_of_its_scope() {
    let mut desk = Desk::open();
    for (id, account, owner_ref) in [(1, TOM, 5), (2, TOM, 6), (3, TIA, 5)] {
        desk.enter(NewOrder { owner_ref, ..buy(id, account, 100, 1) });
    }
    let scope = |account_id, owner_ref| Scope { account_id, owner_ref, ..Scope::default() };
    assert_eq!(desk.cancel_all(scope(TOM, 5)), 1);
    assert_eq!(desk.resting(), [2, 3]);
    assert_eq!(desk.cancel_all(scope(TOM, 0)), 1);
    assert_eq!(desk.admin(AdminBody::MassCancel(scope(0, 5))), Code::Ok);
    assert!(desk.resting().is_empty());
}

#[test]
fn pays_the_fees_of_its_account_where_it_has_its_own() {
    let mut desk = Desk::open();
    let fees = |fees| AdminBody::SetAccountFees { account_id: TIA, fees };
    assert_eq!(desk.admin(fees(Some((0, 0)))), Code::Ok);
    desk.enter(sell(1, TOM, 100, 1_000));
    desk.enter(buy(2, TIA, 100, 500));
    assert_eq!(desk.available(TIA, BTC), 1_000_500_000);
    assert_eq!(desk.admin(fees(None)), Code::Ok);
    desk.enter(buy(3, TIA, 100, 500));
    assert_eq!(desk.available(TIA, BTC), 1_001_000_000 - 500);
}

#[test]
fn on_either_side_of_one_account_keeps_the_sums() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 10));
    let (outcome, _) = desk.enter(buy(2, TOM, 100, 10));
    assert_eq!(outcome.filled, 10);
    assert_eq!(desk.available(TOM, BTC) + desk.available(0, BTC), 1_000_000_000);
    assert_eq!(desk.available(TOM, USDT) + desk.available(0, USDT), 1_000_000_000_000);
    assert_eq!(desk.venue.open_orders_count(), 0);
    assert_eq!(Side::Buy.opposite(), Side::Sell);
}
