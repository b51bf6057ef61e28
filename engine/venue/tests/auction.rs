//! The call auction ... (each test's name finishes the sentence).

use crate::desk::{BTC, Desk, MARKET, TIA, TOM, USDT, buy, ends, sell};
use countersign_venue::auction::{INDICATION_NS, Indication};
use countersign_venue::command::{AdminBody, NewOrder, Scope, Side, State, Stp, Tif};
use countersign_venue::event::{Body, Code, Event, Reason};
use countersign_venue::{Command, Output, Venue};

fn collecting() -> Desk {
    let mut desk = Desk::open();
    desk.state(State::Halted);
    desk.state(State::Auction);
    desk
}

fn run(desk: &mut Desk, then: State) -> (Code, Vec<Event>) {
    let body = AdminBody::RunAuction { instrument_id: MARKET, then };
    let (outcome, events) = desk.give(Command::Admin { reference: [7; 16], body });
    (outcome.code, events)
}

/// (buy, sell, price, quantity)
fn pairs(events: &[Event]) -> Vec<(u64, u64, i64, u64)> {
    let pair = |event: &Event| match &event.body {
        Body::Trade(trade) => {
            assert!(trade.auction);
            Some((trade.maker_order_id, trade.taker_order_id, trade.price, trade.qty))
        }
        _ => None,
    };
    events.iter().filter_map(pair).collect()
}

fn indications(events: &[Event]) -> Vec<(Indication, bool)> {
    let told = |event: &Event| match event.body {
        Body::Auction { indication, uncrossed } => Some((indication, uncrossed)),
        _ => None,
    };
    events.iter().filter_map(told).collect()
}

#[test]
fn lets_orders_rest_crossed_and_trades_nothing_until_it_is_run() {
    let mut desk = collecting();
    for order in [buy(1, TIA, 110, 5), sell(2, TOM, 100, 3), sell(3, TOM, 105, 4)] {
        let (outcome, events) = desk.enter(order);
        assert_eq!((outcome.code, outcome.filled, outcome.leaves, events.len()), (Code::Ok, 0, order.qty, 1));
    }
    assert_eq!(desk.resting(), [1, 2, 3]);
    let (code, events) = run(&mut desk, State::Open);
    assert_eq!((code, pairs(&events)), (Code::Ok, vec![(1, 2, 107, 3), (1, 3, 107, 2)]));
    assert_eq!(desk.resting(), [3]);
    assert_eq!(desk.venue.market(MARKET).unwrap().state, State::Open);
    assert_eq!(desk.venue.market(MARKET).unwrap().last_price, 107);
    assert!(matches!(events.last().unwrap().body, Body::Instrument { reference: [7, ..], .. }));
    let (outcome, _) = desk.enter(buy(4, TIA, 105, 1));
    assert_eq!(outcome.filled, 1, "and then the market is open");
}

#[test]
fn gives_the_buyer_back_what_it_would_have_paid_more_and_both_sides_pay_the_makers_fee() {
    let mut desk = collecting();
    desk.enter(buy(1, TIA, 600_000, 400));
    desk.enter(sell(2, TOM, 500_000, 400));
    assert_eq!(desk.held(TIA, USDT), 240_000_000);
    assert_eq!(desk.admin(AdminBody::SetAccountFees { account_id: TOM, fees: Some((1_000, 0)) }), Code::Ok);
    let (_, events) = run(&mut desk, State::Open);
    assert_eq!(pairs(&events), [(1, 2, 550_000, 400)]);
    assert_eq!(desk.available(TIA, USDT), 1_000_000_000_000 - 220_000_000);
    assert_eq!(desk.available(TIA, BTC), 1_000_000_000 + 400_000 - 320);
    assert_eq!(desk.available(TOM, USDT), 1_000_000_000_000 + 220_000_000 - 220_000);
    assert_eq!((desk.available(0, BTC), desk.available(0, USDT)), (320, 220_000));
    assert_eq!((desk.held(TIA, USDT), desk.held(TOM, BTC)), (0, 0));
    assert_eq!(ends(&events), [(1, Reason::Filled), (2, Reason::Filled)]);
}

#[test]
fn keeps_the_hold_of_what_is_left_at_its_own_limit() {
    let mut desk = collecting();
    desk.enter(buy(1, TIA, 110, 10));
    desk.enter(sell(2, TOM, 100, 4));
    let (_, events) = run(&mut desk, State::PostOnly);
    assert_eq!(pairs(&events), [(1, 2, 105, 4)], "midway, without a reference");
    assert_eq!(desk.held(TIA, USDT), 6 * 110);
    let left = desk.venue.open_orders(0, 0)[0];
    assert_eq!((left.leaves, left.total, left.filled_ticklots), (6, 10, 420));
    assert_eq!(desk.cancel(1, TIA), Code::Ok);
    assert_eq!(desk.held(TIA, USDT), 0);
}

#[test]
fn takes_only_limit_orders_that_may_rest() {
    let mut desk = collecting();
    for tif in [Tif::Ioc, Tif::Fok] {
        assert_eq!(desk.enter(NewOrder { tif, ..buy(1, TIA, 100, 1) }).0.code, Code::InstrumentState);
    }
    let post_only = NewOrder { post_only: true, ..buy(1, TIA, 100, 1) };
    assert_eq!(desk.enter(post_only).0.code, Code::InstrumentState);
    let expire_at_ms = desk.now_ns / 1_000_000 + 500;
    let dated = NewOrder { tif: Tif::Gtd, expire_at_ms, ..buy(2, TIA, 100, 1) };
    assert_eq!(desk.enter(dated).0.code, Code::Ok);
    desk.enter(buy(3, TIA, 100, 1));
    assert_eq!(desk.cancel(3, TIA), Code::Ok);
    desk.pass_ms(500);
    let (_, events) = desk.give(Command::Tick);
    assert_eq!(ends(&events), [(2, Reason::Expired)]);
    assert_eq!(desk.held(TIA, USDT), 0);
}

#[test]
fn lets_an_order_move_through_the_other_side_without_trading() {
    let mut desk = collecting();
    desk.enter(sell(1, TOM, 100, 5));
    desk.enter(buy(2, TIA, 90, 5));
    let (outcome, events) = desk.amend(2, TIA, 0, 105);
    assert_eq!((outcome.code, outcome.filled, outcome.leaves, events.len()), (Code::Ok, 0, 5, 1));
    assert_eq!(desk.held(TIA, USDT), 5 * 105);
    let (outcome, _) = desk.amend(2, TIA, 3, 0);
    assert_eq!((outcome.leaves, desk.held(TIA, USDT)), (3, 3 * 105));
    assert_eq!(pairs(&run(&mut desk, State::Open).1), [(2, 1, 102, 3)]);
}

#[test]
fn lets_no_post_only_order_move_into_the_other_side() {
    let mut desk = Desk::open();
    desk.enter(NewOrder { post_only: true, ..buy(1, TIA, 90, 5) });
    desk.enter(sell(2, TOM, 100, 5));
    desk.state(State::Halted);
    desk.state(State::Auction);
    assert_eq!(desk.amend(1, TIA, 0, 100).0.code, Code::WouldTake);
    desk.enter(sell(3, TOM, 90, 5));
    assert_eq!(pairs(&run(&mut desk, State::Open).1), [(1, 3, 90, 5)], "but others may come to it");
}

#[test]
fn lets_an_order_meet_its_own_group_at_entry_as_its_mode_says() {
    let own = |stp, order| NewOrder { stp_group: 7, stp, ..order };
    let set_up = || {
        let mut desk = collecting();
        for id in [1, 2] {
            desk.enter(own(Stp::CancelMaker, sell(id, TOM, 99 + id as i64, 5)));
        }
        desk.enter(sell(3, TOM, 100, 5));
        desk
    };
    let mut desk = set_up();
    let (outcome, events) = desk.enter(own(Stp::CancelMaker, buy(4, TOM, 101, 5)));
    assert_eq!((outcome.leaves, ends(&events)), (5, vec![(1, Reason::Stp), (2, Reason::Stp)]));
    assert_eq!(pairs(&run(&mut desk, State::Open).1), [(4, 3, 100, 5)]);
    let mut desk = set_up();
    let (outcome, events) = desk.enter(own(Stp::CancelTaker, buy(4, TOM, 101, 5)));
    assert_eq!((outcome.leaves, ends(&events)), (0, vec![(4, Reason::Stp)]));
    assert_eq!(desk.held(TOM, USDT), 0);
    let mut desk = set_up();
    let (_, events) = desk.enter(own(Stp::CancelBoth, buy(4, TOM, 101, 5)));
    assert_eq!(ends(&events), [(1, Reason::Stp), (4, Reason::Stp)]);
    let mut desk = set_up();
    desk.enter(own(Stp::CancelMaker, buy(4, TOM, 99, 5)));
    let (_, events) = desk.amend(4, TOM, 0, 100);
    assert_eq!(ends(&events), [(1, Reason::Stp)], "the one at 101 is out of its reach");
}

#[test]
fn tells_its_price_at_most_once_a_second_and_only_when_it_changes() {
    let mut desk = Desk::open();
    desk.state(State::Halted);
    let body = AdminBody::SetState { instrument_id: MARKET, state: State::Auction };
    let (_, events) = desk.give(Command::Admin { reference: [0; 16], body });
    assert_eq!(indications(&events), [(Indication::default(), false)]);
    for order in [buy(1, TIA, 110, 5), sell(2, TOM, 100, 3)] {
        assert!(indications(&desk.enter(order).1).is_empty());
    }
    assert_eq!(desk.venue.next_timer_ns(), Some(desk.now_ns + INDICATION_NS));
    let mut tick = |ms| {
        desk.pass_ms(ms);
        indications(&desk.give(Command::Tick).1)
    };
    let expected = Indication { price: 105, matched: 3, unmatched: 2, surplus: Some(Side::Buy) };
    assert!(tick(999).is_empty());
    assert_eq!(tick(1), [(expected, false)]);
    assert!(tick(1_000).is_empty(), "nothing has changed");
    let (_, events) = run(&mut desk, State::Open);
    assert_eq!(indications(&events), [(expected, true)]);
    assert!(matches!(events[0].body, Body::Auction { .. }), "it is told before the trades");
    assert_eq!(desk.venue.next_timer_ns(), None);
}

#[test]
fn goes_on_after_a_snapshot_as_if_there_had_been_none() {
    let mut desk = collecting();
    desk.pass_ms(300);
    for order in [buy(1, TIA, 110, 5), sell(2, TOM, 100, 3), buy(3, TIA, 108, 9), sell(4, TOM, 107, 20)] {
        desk.enter(order);
    }
    let taken = desk.venue.snapshot();
    let told = desk.bytes.len();
    let at = desk.journal.len();
    desk.pass_ms(700);
    desk.give(Command::Tick);
    run(&mut desk, State::Open);
    let mut other = Venue::restore(&taken).unwrap();
    let mut output = Output::default();
    for (time_ns, bytes) in &desk.journal[at..] {
        other.replay(*time_ns, bytes, &mut output).unwrap();
    }
    assert_eq!(output.bytes, desk.bytes[told..]);
    assert_eq!(other.state_hash(), desk.venue.state_hash());
}

#[test]
fn is_run_only_where_it_collects_and_ends_only_in_trading() {
    let mut desk = Desk::open();
    assert_eq!(run(&mut desk, State::Open).0, Code::InstrumentState);
    desk.state(State::Halted);
    desk.state(State::Auction);
    for then in [State::Halted, State::Auction, State::Closed] {
        assert_eq!(run(&mut desk, then).0, Code::BadCommand);
    }
    let elsewhere = AdminBody::RunAuction { instrument_id: 9, then: State::Open };
    assert_eq!(desk.admin(elsewhere), Code::UnknownInstrument);
    assert_eq!(run(&mut desk, State::Open).0, Code::Ok, "an empty book opens too");
}

#[test]
fn that_is_broken_off_cannot_open_crossed_and_can_be_called_again() {
    let mut desk = collecting();
    desk.enter(buy(1, TIA, 110, 5));
    desk.enter(sell(2, TOM, 100, 5));
    desk.state(State::Halted);
    assert_eq!(desk.venue.next_timer_ns(), None);
    for state in [State::Open, State::PostOnly] {
        let opened = desk.admin(AdminBody::SetState { instrument_id: MARKET, state });
        assert_eq!(opened, Code::InstrumentState);
    }
    let direct = desk.admin(AdminBody::SetState { instrument_id: MARKET, state: State::Auction });
    assert_eq!(direct, Code::Ok);
    assert_eq!(pairs(&run(&mut desk, State::Open).1), [(1, 2, 105, 5)]);
}

#[test]
fn that_would_clear_outside_the_band_waits_for_the_operator() {
    let mut desk = Desk::open();
    let band = |price_band_ppm, reference_price| AdminBody::SetPriceBand {
        instrument_id: MARKET,
        price_band_ppm,
        reference_price,
    };
    desk.state(State::Halted);
    desk.state(State::Auction);
    assert_eq!(desk.admin(band(100_000, 100)), Code::Ok);
    assert_eq!(desk.enter(buy(1, TIA, 111, 5)).0.code, Code::PriceBand);
    desk.enter(buy(1, TIA, 110, 5));
    desk.enter(sell(2, TOM, 110, 5));
    assert_eq!(desk.admin(band(100_000, 90)), Code::Ok);
    let before = (desk.venue.state_hash(), desk.resting());
    assert_eq!(run(&mut desk, State::Open).0, Code::PriceBand);
    assert_eq!(desk.resting(), before.1, "nothing has moved");
    assert_eq!(desk.admin(band(0, 0)), Code::Ok);
    assert_eq!(run(&mut desk, State::Open).0, Code::Ok);
}

#[test]
fn lets_an_owner_or_its_switch_withdraw_everything_before_it_is_run() {
    let mut desk = collecting();
    let switch = countersign_venue::command::OrderBody::CancelAllAfter { account_id: TIA, timeout_ms: 50 };
    desk.enter(buy(1, TIA, 110, 5));
    desk.enter(sell(2, TOM, 100, 5));
    desk.enter(sell(3, TOM, 100, 5));
    desk.order(switch);
    assert_eq!(desk.cancel_all(Scope { account_id: TOM, ..Scope::default() }), 2);
    desk.pass_ms(50);
    let (code, events) = run(&mut desk, State::Open);
    assert_eq!((code, ends(&events)), (Code::Ok, vec![(1, Reason::CancelAllAfter)]));
    assert!(pairs(&events).is_empty());
    assert_eq!((desk.held(TIA, USDT), desk.held(TOM, BTC)), (0, 0));
}
