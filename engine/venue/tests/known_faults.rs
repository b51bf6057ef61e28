//! Faults that other engines had; each test says whose, and that this venue does not have it. Those that need a disk and
//! a restart are in `server/tests/known_faults.rs`.
//!
//! | where it happened | what happened |
//! |---|---|
//! | exchange-core #87 #104 | fill-or-kill and budget orders existed as names only |
//! | Peatio #2377 | settlement rejected a trade that the book had made |
//! | Peatio #1324 | most messages to settlement were stale or came twice |
//! | liquibook #43 #32 | IOC rested; replacing corrupted the book |
//! | OrderBook-rs #94 | self-trade prevention went through a hash map |
//! | OrderBook-rs #101 #208 #102 | replay ignored the configuration; its oracle passed a reversed queue |
//! | OrderBook-rs #88 #205 | a partly filled maker lost its place; a lost place came back with a snapshot |
//! | OrderBook-rs #199 #200 | trades carried random ids |
//! | OrderBook-rs #209 #210 | post-only and fill-or-kill acted before they refused; lots appeared or vanished |
//! | opexdev #688 | an amendment kept a stale filled quantity |
//! | dingir #98, fasenderos #596 | no self-trade prevention across the accounts of one owner |
//! | about 110 engines run by flash1 | what recurred in them: `known_faults_flash1.rs` |

use crate::desk::{BTC, Desk, MARKET, TIA, TOM, USDT, buy, ends, sell, spec, trades};
use countersign_venue::Venue;
use countersign_venue::command::{
    AdminBody, Amend, Command, InstrumentSpec, Kind, NewOrder, OrderBody, Side, State, Stp, Tif,
};
use countersign_venue::event::{Body, Code, Event, Output, Reason};

pub fn tif(tif: Tif, order: NewOrder) -> NewOrder {
    NewOrder { tif, ..order }
}

fn grouped(stp_group: u64, stp: Stp, order: NewOrder) -> NewOrder {
    NewOrder { stp_group, stp, ..order }
}

fn replayed(desk: &Desk) -> (Venue, Vec<u8>) {
    let mut venue = Venue::new();
    let mut output = Output::default();
    for (time_ns, bytes) in &desk.journal {
        venue.replay(*time_ns, bytes, &mut output).unwrap();
    }
    (venue, output.bytes)
}

#[test]
fn exchange_core_87_104_fill_or_kill_and_budgets_are_built() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 5));
    desk.enter(sell(2, TOM, 101, 5));
    assert_eq!(desk.enter(tif(Tif::Fok, buy(3, TIA, 101, 11))).0.code, Code::FokUnfillable);
    let spend = NewOrder { kind: Kind::Market, budget: 710, qty: 0, ..tif(Tif::Ioc, buy(4, TIA, 200, 0)) };
    let (outcome, events) = desk.enter(spend);
    assert_eq!((outcome.filled, ends(&events).last()), (7, Some(&(4, Reason::BudgetSpent))));
    assert_eq!(desk.enter(tif(Tif::Fok, buy(5, TIA, 101, 3))).0.filled, 3);
}

/// The hold was taken with the order, so nothing that happens in between can make its trade impossible.
#[test]
fn peatio_2377_no_trade_of_the_book_can_be_refused_by_settlement() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TIA, 100, 1_000));
    let rest = desk.available(TIA, USDT);
    assert_eq!(desk.transfer(TIA, USDT, rest, false), Code::Ok);
    assert_eq!(desk.transfer(TIA, USDT, 1, false), Code::InsufficientBalance);
    let (outcome, _) = desk.enter(sell(2, TOM, 100, 1_000));
    assert_eq!(outcome.filled, 1_000);
    assert_eq!((desk.available(TIA, USDT), desk.held(TIA, USDT)), (0, 0));
}

#[test]
fn peatio_1324_every_event_is_told_once_under_its_own_number() {
    let mut desk = Desk::open();
    let command = desk.wrap(OrderBody::New(sell(1, TOM, 100, 5)));
    desk.give(command.clone());
    desk.give(command);
    desk.enter(buy(2, TIA, 100, 5));
    let numbers: Vec<u64> = desk.events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=desk.events.len() as u64).collect::<Vec<_>>());
    let accepted =
        |event: &&Event| matches!(&event.body, Body::Accepted { order, .. } if order.order_id == 1);
    assert_eq!(desk.events.iter().filter(accepted).count(), 1);
}

#[test]
fn liquibook_43_immediate_or_cancel_never_rests() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 3));
    assert_eq!(desk.enter(tif(Tif::Ioc, buy(2, TIA, 100, 10))).0.leaves, 0);
    assert_eq!(desk.enter(tif(Tif::Ioc, buy(3, TIA, 99, 10))).0.leaves, 0);
    assert!(desk.resting().is_empty());
}

/// [`Desk::give`] audits the whole book after each of these.
#[test]
fn liquibook_32_replacing_over_and_over_leaves_the_book_whole() {
    let mut desk = Desk::open();
    for id in 1..=20 {
        desk.enter(buy(id, TOM, 100 + id as i64 % 3, 5));
    }
    for round in 0..200u64 {
        let (id, price) = (1 + round * 7 % 20, 95 + (round * 11 % 13) as i64);
        desk.amend(id, TOM, 1 + round % 9, price);
    }
    assert_eq!(desk.resting().len(), 20);
    let (outcome, _) = desk.enter(sell(99, TIA, 1, 1_000));
    assert_eq!(outcome.filled + outcome.leaves, 1_000);
    assert_eq!(desk.resting(), [99]);
}

#[test]
fn order_book_rs_94_own_orders_are_met_in_queue_order_in_every_run() {
    let run = || {
        let mut desk = Desk::open();
        for id in (1..=50u64).rev() {
            desk.enter(grouped(id % 2, Stp::CancelMaker, sell(id, TOM, 100 + id as i64 % 5, 1)));
        }
        let (_, events) = desk.enter(grouped(1, Stp::CancelMaker, buy(99, TOM, 110, 25)));
        (ends(&events), desk.bytes)
    };
    let (met, bytes) = run();
    let pulled: Vec<u64> =
        met.iter().filter(|(_, reason)| *reason == Reason::Stp).map(|(id, _)| *id).collect();
    let mut expected: Vec<u64> = (1..=50).rev().filter(|id| id % 2 == 1).collect();
    expected.sort_by_key(|id| id % 5);
    assert_eq!(pulled, expected);
    assert_eq!(run(), (met, bytes));
}

#[test]
fn order_book_rs_101_a_replay_knows_ticks_lots_groups_bands_and_fees() {
    let mut desk = Desk::open();
    let odd = InstrumentSpec {
        base_units_per_lot: 7,
        quote_units_per_ticklot: 3,
        min_qty: 2,
        max_qty: 900,
        maker_fee_ppm: 123,
        taker_fee_ppm: 4_567,
        price_band_ppm: 90_000,
        reference_price: 100,
        ..spec()
    };
    desk.admin(AdminBody::PutInstrument(odd));
    desk.admin(AdminBody::SetAccountFees { account_id: TIA, fees: Some((1, 99_999)) });
    desk.enter(grouped(5, Stp::CancelBoth, sell(1, TOM, 100, 10)));
    desk.enter(sell(2, TOM, 101, 10));
    assert_eq!(desk.enter(buy(3, TIA, 110, 5)).0.code, Code::PriceBand);
    assert_eq!(desk.enter(buy(3, TIA, 101, 1)).0.code, Code::QuantityOutOfRange);
    desk.enter(grouped(5, Stp::CancelTaker, buy(3, TIA, 101, 5)));
    desk.enter(buy(4, TIA, 101, 15));
    let (venue, bytes) = replayed(&desk);
    assert_eq!((venue.state_hash(), bytes), (desk.venue.state_hash(), desk.bytes));
}

#[test]
fn order_book_rs_208_102_a_reversed_queue_has_another_hash() {
    let run = |ids: [u64; 2]| {
        let mut desk = Desk::open();
        for id in ids {
            desk.enter(sell(id, TOM, 100, 5));
        }
        desk
    };
    let (one, other) = (run([1, 2]), run([2, 1]));
    let levels = |desk: &Desk| desk.venue.market(MARKET).unwrap().book.levels(Side::Sell).collect::<Vec<_>>();
    assert_eq!(levels(&one), levels(&other), "the sums are the same");
    assert_ne!(one.venue.state_hash(), other.venue.state_hash());
    assert_ne!(one.venue.chain(), other.venue.chain());
    // Their histories differ, too. That the queue itself is in what is hashed is seen where it is read back.
    for (desk, queue) in [(one, [1, 2]), (other, [2, 1])] {
        let restored = Venue::restore(&desk.venue.snapshot()).unwrap();
        let ids: Vec<u64> = restored.open_orders(0, 0).iter().map(|order| order.order_id).collect();
        assert_eq!(ids, queue);
    }
}

#[test]
fn order_book_rs_88_a_partly_filled_maker_stays_first() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 10));
    desk.enter(sell(2, TOM, 100, 10));
    desk.enter(buy(3, TIA, 100, 4));
    assert_eq!(desk.resting(), [1, 2]);
    assert_eq!(trades(&desk.enter(buy(4, TIA, 100, 7)).1), [(1, 100, 6), (2, 100, 1)]);
}

#[test]
fn order_book_rs_205_a_lost_place_stays_lost_across_a_snapshot() {
    let mut desk = Desk::open();
    for id in [1, 2, 3] {
        desk.enter(sell(id, TOM, 100, 10));
    }
    desk.amend(1, TOM, 11, 0);
    desk.amend(2, TOM, 9, 0);
    assert_eq!(desk.resting(), [2, 3, 1]);
    let restored = Venue::restore(&desk.venue.snapshot()).unwrap();
    let queue: Vec<u64> = restored.open_orders(0, 0).iter().map(|order| order.order_id).collect();
    assert_eq!(queue, [2, 3, 1]);
}

#[test]
fn order_book_rs_199_200_two_runs_give_the_same_ids_and_the_same_bytes() {
    let run = || {
        let mut desk = Desk::open();
        desk.enter(sell(1, TOM, 100, 5));
        desk.enter(buy(2, TIA, 100, 5));
        desk.bytes
    };
    assert_eq!(run(), run());
}

#[test]
fn order_book_rs_209_a_refused_order_has_done_nothing() {
    let mut desk = Desk::open();
    desk.enter(grouped(7, Stp::CancelMaker, sell(1, TOM, 100, 5)));
    desk.enter(sell(2, TOM, 101, 5));
    let before = (desk.resting(), desk.held(TOM, BTC), desk.available(TIA, USDT));
    for order in [
        NewOrder { post_only: true, ..buy(3, TIA, 100, 1) },
        tif(Tif::Fok, buy(3, TIA, 100, 6)),
        tif(Tif::Fok, grouped(7, Stp::CancelMaker, buy(3, TIA, 101, 6))),
        tif(Tif::Fok, grouped(7, Stp::CancelBoth, buy(3, TIA, 101, 5))),
    ] {
        let (outcome, events) = desk.enter(order);
        assert_ne!(outcome.code, Code::Ok);
        assert!(matches!(events[..], [Event { body: Body::Rejected { .. }, .. }]));
        assert_eq!((desk.resting(), desk.held(TOM, BTC), desk.available(TIA, USDT)), before);
    }
}

#[test]
fn order_book_rs_210_every_lot_is_traded_resting_or_cancelled() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 7));
    let (outcome, events) = desk.enter(tif(Tif::Ioc, buy(2, TIA, 100, 10)));
    let Body::Done(done) = &events.last().unwrap().body else { panic!() };
    assert_eq!((outcome.filled, done.filled, done.cancelled), (7, 7, 3));
    let (outcome, _) = desk.enter(buy(3, TIA, 100, 10));
    assert_eq!(outcome.filled + outcome.leaves, 10);
}

#[test]
fn opexdev_688_an_amendment_counts_what_was_filled_since() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TIA, 100, 10));
    desk.enter(sell(2, TOM, 100, 4));
    let (outcome, _) = desk.amend(1, TIA, 12, 0);
    assert_eq!((outcome.filled, outcome.leaves), (4, 8));
    desk.enter(sell(3, TOM, 100, 3));
    let (outcome, _) = desk.amend(1, TIA, 12, 101);
    assert_eq!((outcome.filled, outcome.leaves), (7, 5));
    assert_eq!(desk.amend(1, TIA, 7, 0).0.code, Code::QuantityOutOfRange);
}

#[test]
fn dingir_98_fasenderos_596_accounts_of_one_group_do_not_trade_with_each_other() {
    let mut desk = Desk::open();
    desk.enter(grouped(42, Stp::CancelMaker, sell(1, TOM, 100, 5)));
    let (outcome, events) = desk.enter(grouped(42, Stp::CancelMaker, buy(2, TIA, 100, 5)));
    assert_eq!((outcome.filled, ends(&events)), (0, vec![(1, Reason::Stp)]));
}

/// A table indexed by the callers' ids grew to gigabytes when an id was large.
#[test]
fn prototypes_of_ours_any_order_id_costs_the_same_memory() {
    let mut desk = Desk::open();
    for id in [u64::MAX, 1 << 40, 150_000_000] {
        assert_eq!(desk.enter(buy(id, TOM, 100, 1)).0.code, Code::Ok);
    }
    assert_eq!(desk.venue.market(MARKET).unwrap().details.len(), 3);
}

/// Two threads in one book: here the compiler refuses it, for every change needs the venue mutably.
#[test]
fn cpp_trader_29_a_venue_moves_between_threads_and_is_never_shared_by_two() {
    let mut desk = Desk::open();
    let order = desk.wrap(OrderBody::New(buy(1, TOM, 100, 1)));
    let (now, mut venue) = (desk.now_ns, std::mem::take(&mut desk.venue));
    let moved = std::thread::spawn(move || {
        venue.apply(now, &order, 0, &mut Output::default());
        venue
    });
    assert_eq!(moved.join().unwrap().open_orders_count(), 1);
}

/// Kraken and OKX tell apart what a halt stops; a stop that also stops cancelling is a state of its own.
#[test]
fn okx_30030_what_is_halted_takes_nothing_and_says_so() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TOM, 100, 1));
    desk.state(State::Halted);
    assert_eq!(desk.enter(buy(2, TOM, 100, 1)).0.code, Code::InstrumentState);
    let amend = Amend { order_id: 1, account_id: TOM, total_qty: 0, price: 99, cancel_on_fail: true };
    assert_eq!(desk.order(OrderBody::Amend(amend)).0.code, Code::InstrumentState);
    assert_eq!(desk.resting(), [1]);
    let body = AdminBody::SetState { instrument_id: MARKET, state: State::CancelOnly };
    desk.give(Command::Admin { reference: [0; 16], body });
    assert_eq!(desk.cancel(1, TOM), Code::Ok);
}
