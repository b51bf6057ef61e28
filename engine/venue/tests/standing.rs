//! Cancelling all that one has: a list per account and per session stands in for a walk through every book.

use crate::desk::{Desk, MARKET, TIA, TOM, buy, ends, limit, sell, spec};
use countersign_book::Side;
use countersign_venue::command::{
    AdminBody, Command, InstrumentSpec, NewOrder, OrderBody, OrderCommand, Scope,
};
use countersign_venue::event::Reason;
use countersign_venue::{OpenOrder, Venue};

const OTHER: u32 = 2;

/// Orders of both traders on both sides of two markets, at a few prices, entered through two sessions and none; some
/// traded, some amended, some gone, so that slots and list entries have been used again.
fn busy() -> (Desk, u32) {
    let mut desk = Desk::open();
    let other = InstrumentSpec { instrument_id: OTHER, symbol: "BTC-USDC".into(), ..spec() };
    assert_eq!(desk.admin(AdminBody::PutInstrument(other)), countersign_venue::Code::Ok);
    let open = countersign_venue::command::State::Open;
    desk.admin(AdminBody::SetState { instrument_id: OTHER, state: open });
    for session_id in [[1; 16], [2; 16]] {
        desk.give(Command::OpenSession { session_id });
    }
    let session = desk.venue.session(&[2; 16]).unwrap().0;
    let mut seq = 0;
    for id in 1..=120u64 {
        let (account, side) = ([TOM, TIA][id as usize % 2], [Side::Buy, Side::Sell][id as usize / 2 % 2]);
        let price = if side == Side::Buy { 100 - (id % 5) as i64 } else { 110 + (id % 7) as i64 };
        let instrument_id = if id % 3 == 0 { OTHER } else { MARKET };
        let order = NewOrder { instrument_id, ..limit(id, account, side, price, 10) };
        let Command::Order(mut command) = desk.wrap(OrderBody::New(order)) else { unreachable!() };
        if id % 4 < 2 {
            seq += 1;
            command = OrderCommand { session, session_seq: seq, ..command };
        }
        desk.give(Command::Order(command));
        match id % 6 {
            0 => drop(desk.cancel(id / 2, [TOM, TIA][(id / 2) as usize % 2])),
            1 => drop(desk.amend(id, account, 4, 0)),
            2 => drop(desk.amend(id, account, 20, price - 1)),
            3 => drop(desk.enter(buy(1_000 + id, TIA, 111, 3))),
            4 => drop(desk.enter(sell(1_000 + id, TOM, 99, 3))),
            _ => {}
        }
    }
    (desk, session)
}

/// Ids of the orders that a walk through every book finds.
fn walked(venue: &Venue, wanted: impl Fn(&OpenOrder) -> bool) -> Vec<u64> {
    venue.open_orders(0, 0).iter().filter(|order| wanted(order)).map(|order| order.order_id).collect()
}

#[test]
fn whether_more_orders_rest_is_said_of_every_scope() {
    let (desk, _) = busy();
    for account_id in [0, TOM, TIA, 9] {
        for instrument_id in [0, MARKET, OTHER, 7] {
            let count = desk.venue.open_orders(account_id, instrument_id).len();
            let more = |most| desk.venue.rest_more_than(most, account_id, instrument_id);
            assert!(!more(count), "{count} of account {account_id} in {instrument_id}");
            assert!(count == 0 || more(count - 1), "{count} of account {account_id} in {instrument_id}");
        }
    }
}

#[test]
fn an_account_is_cancelled_in_the_order_in_which_a_walk_would_find_its_orders() {
    let (mut desk, _) = busy();
    let expected = walked(&desk.venue, |order| order.account_id == TOM);
    let others = walked(&desk.venue, |order| order.account_id == TIA);
    assert!(expected.len() > 10 && others.len() > 10);
    let told: Vec<u64> = desk.venue.open_orders(TOM, 0).iter().map(|order| order.order_id).collect();
    assert_eq!(told, expected, "and a query tells them in that order");
    let (outcome, events) = desk.order(OrderBody::CancelAll(Scope { account_id: TOM, ..Scope::default() }));
    let cancelled: Vec<_> = expected.iter().map(|&id| (id, Reason::MassCancel)).collect();
    assert_eq!(ends(&events), cancelled);
    assert_eq!(outcome.cancelled as usize, expected.len());
    assert_eq!(desk.resting(), others);
}

#[test]
fn a_session_takes_its_own_orders_along_and_no_others() {
    let (mut desk, session) = busy();
    let expected = walked(&desk.venue, |order| order.session == session);
    let others = walked(&desk.venue, |order| order.session != session);
    assert!(expected.len() > 10 && others.len() > 10);
    let (_, events) = desk.give(Command::CancelSession { session });
    let cancelled: Vec<_> = expected.iter().map(|&id| (id, Reason::Disconnect)).collect();
    assert_eq!(ends(&events), cancelled);
    assert_eq!(desk.resting(), others);
}

#[test]
fn one_market_of_an_account_is_cancelled_alone() {
    let (mut desk, _) = busy();
    let expected = walked(&desk.venue, |order| order.account_id == TIA && order.instrument_id == OTHER);
    assert!(!expected.is_empty());
    let scope = Scope { account_id: TIA, instrument_id: OTHER, ..Scope::default() };
    let (_, events) = desk.order(OrderBody::CancelAll(scope));
    assert_eq!(ends(&events).iter().map(|&(id, _)| id).collect::<Vec<_>>(), expected);
}

#[test]
fn a_snapshot_says_nothing_of_the_lists_and_gives_the_same_cancels() {
    let (mut desk, _) = busy();
    let bytes = desk.venue.snapshot();
    let mut again = Venue::restore(&bytes).unwrap();
    let scope = Scope { account_id: TOM, ..Scope::default() };
    let command = desk.wrap(OrderBody::CancelAll(scope));
    let mut output = countersign_venue::Output::default();
    again.apply(desk.now_ns, &command, 0, &mut output);
    let (_, events) = desk.give(command);
    assert!(events.len() > 10);
    assert_eq!(output.events().unwrap(), events);
    again.audit().unwrap();
}

#[test]
fn an_order_of_a_session_that_nobody_opened_is_refused_with_its_snapshot() {
    let mut desk = Desk::open();
    desk.enter(buy(99, TOM, 50, 7));
    let mut bytes = desk.venue.snapshot();
    // Side, number, account, price twice over, what is left, total, group; then two modes and a flag, then the session.
    let order = [Side::Buy as u8, 99, TOM as u8, 100, 7, 7, 0];
    let at = bytes.windows(order.len()).position(|window| window == order).unwrap();
    bytes[at + order.len() + 3] = 5;
    let refused = Venue::restore(&bytes).err().unwrap();
    assert_eq!(refused.0, "an order of a session that nobody opened");
}
