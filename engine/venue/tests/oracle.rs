//! The venue agrees, event by event, order by order and unit by unit, with one so plain that it can be checked by
//! reading: limit, market, IOC, FOK, post-only and dated orders, amendments, self-trade prevention, bands, auctions,
//! cancel-all by account, by market and by the clock, fees, transfers, on two markets that share an asset.

use std::collections::BTreeSet;

use crate::desk::{BTC, Desk, USDT};
use crate::flow::{ETH, Step, TRADERS, config, logic, modest, steps};
use crate::plain::{Market, Plain, Told, told};
use countersign_venue::command::Side;
use countersign_venue::event::{Body, Reason};
use countersign_venue::{Code, LOGIC_VERSION};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// The plain venue as the desk stands, before the flow begins.
fn plain_of(desk: &Desk) -> Plain {
    let mut plain = Plain { logic: desk.venue.logic(), ..Plain::default() };
    for market in desk.venue.markets() {
        let (spec, state, last) = (market.spec.clone(), market.state, market.last_price);
        plain.markets.push(Market { spec, state, last, call: None });
    }
    for (account, asset, balance) in desk.venue.balances(&[]) {
        plain.owned.insert((account, asset), balance.available);
    }
    plain
}

fn agree(desk: &Desk, plain: &Plain) -> Result<(), TestCaseError> {
    for account in TRADERS.into_iter().chain([0]) {
        for asset in [BTC, USDT, ETH] {
            prop_assert_eq!(
                (desk.available(account, asset), desk.held(account, asset)),
                (plain.available(account, asset), plain.held(account, asset)),
                "account {} and asset {}",
                account,
                asset
            );
        }
    }
    let resting: Vec<_> = desk
        .venue
        .open_orders(0, 0)
        .into_iter()
        .map(|order| (order.order_id, order.price, order.total, order.leaves, order.filled_ticklots))
        .collect();
    let queues = (0..plain.markets.len()).flat_map(|at| [(at, Side::Buy), (at, Side::Sell)]);
    let expected: Vec<_> = queues
        .flat_map(|(at, side)| plain.queue(at, side))
        .map(|at| &plain.orders[at])
        .map(|order| (order.id, order.price, order.total, order.leaves(), order.ticklots))
        .collect();
    prop_assert_eq!(resting, expected);
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_venue_agrees_with_the_plain_one(steps in steps(200), logic_version in logic()) {
        let mut desk = modest(logic_version);
        let mut plain = plain_of(&desk);
        for step in steps {
            if matches!(step, Step::Retry(_)) {
                continue;
            }
            let Some(command) = step.command(&mut desk) else { continue };
            let (outcome, events) = desk.give(command.clone());
            if outcome.engine_seq == 0 {
                continue;
            }
            let expected = plain.apply(desk.now_ns, &command);
            let heard: Vec<Told> = events.iter().map(told).collect();
            prop_assert_eq!(&heard, &plain.told, "after {:?}", command);
            prop_assert_eq!((outcome.code, outcome.cancelled), expected, "after {:?}", command);
            agree(&desk, &plain)?;
        }
    }
}

/// A comparison proves nothing about what never happens: the random flow reaches every answer and every end.
#[test]
fn the_flow_reaches_every_answer_and_every_end() {
    let mut runner = TestRunner::new(ProptestConfig { cases: 1, ..config() });
    let (mut codes, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    let mut auction_trades = 0;
    for _ in 0..256 {
        let steps = steps(200).new_tree(&mut runner).unwrap().current();
        let mut desk = modest(LOGIC_VERSION);
        for step in steps {
            let Some(command) = step.command(&mut desk) else { continue };
            let (outcome, events) = desk.give(command);
            codes.insert(outcome.code as u8);
            for event in events {
                match event.body {
                    Body::Done(done) => drop(reasons.insert(done.reason as u8)),
                    Body::Trade(trade) => auction_trades += u32::from(trade.auction),
                    _ => {}
                }
            }
        }
    }
    for code in [
        Code::Ok,
        Code::BadCommand,
        Code::UnknownOrder,
        Code::NotOwner,
        Code::DuplicateOrderId,
        Code::InstrumentState,
        Code::PriceBand,
        Code::QuantityOutOfRange,
        Code::InsufficientBalance,
        Code::NoLiquidity,
        Code::WouldTake,
        Code::FokUnfillable,
        Code::SelfTrade,
        Code::Unchanged,
    ] {
        assert!(codes.contains(&(code as u8)), "{code:?} never happens");
    }
    for reason in [
        Reason::Filled,
        Reason::Cancelled,
        Reason::IocRemainder,
        Reason::Expired,
        Reason::Stp,
        Reason::MassCancel,
        Reason::CancelAllAfter,
        Reason::Disconnect,
        Reason::AmendFailed,
        Reason::BudgetSpent,
    ] {
        assert!(reasons.contains(&(reason as u8)), "no order ends by {reason:?}");
    }
    assert!(auction_trades > 100, "{auction_trades} auction trades");
}
