//! Two runs that must correspond, without anybody knowing the right answer of either.

use crate::desk::{self, BTC, Desk, MARKET, USDT, spec};
use crate::flow::{self, ETH, OTHER, Step, TRADERS, config, steps};
use countersign_venue::LOGIC_VERSION;
use countersign_venue::command::{AdminBody, Command, InstrumentSpec, Side, State};
use countersign_venue::event::{Body, Event, Reason};
use proptest::prelude::*;

/// Everybody is rich and nothing costs a fee, so that only the book decides.
fn rich() -> Desk {
    let mut desk = flow::modest(LOGIC_VERSION);
    for account in TRADERS {
        for asset in [BTC, USDT, ETH] {
            desk.fund(account, asset, 1 << 60);
        }
    }
    let free = InstrumentSpec { base_units_per_lot: 7, maker_fee_ppm: 0, taker_fee_ppm: 0, ..spec() };
    desk.admin(AdminBody::PutInstrument(free));
    desk
}

/// Trades and ends of one market: who, at which price, how much, why.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Trade(u64, u64, i64, u64),
    End(u64, Reason, u64, u64),
    Refused(u64, u8),
}

fn seen(events: &[Event], market: u32, price: impl Fn(i64) -> i64) -> Vec<Seen> {
    let of = |event: &Event| match &event.body {
        Body::Trade(trade) => {
            let (maker, taker) = (trade.maker_order_id, trade.taker_order_id);
            Some(Seen::Trade(maker, taker, price(trade.price), trade.qty))
        }
        Body::Done(done) => Some(Seen::End(done.order_id, done.reason, done.filled, done.cancelled)),
        Body::Rejected { order_id, code, .. } | Body::AmendRejected { order_id, code, .. } => {
            Some(Seen::Refused(*order_id, *code as u8))
        }
        _ => None,
    };
    events.iter().filter(|event| event.instrument_id == market).filter_map(of).collect()
}

/// Bands are parts of a price, budgets and auctions' ties have a direction: these neither shift nor mirror.
fn plain(steps: Vec<Step>, auctions: bool) -> Vec<Step> {
    steps
        .into_iter()
        .filter(|step| match step {
            Step::Enter(order) => order.budget == 0,
            Step::Band(..) | Step::Fees(..) | Step::Retry(_) | Step::Transfer { .. } => false,
            Step::EnterBy(..) | Step::Attach(..) | Step::Detach(_) => false,
            Step::State(_, State::Auction) | Step::RunAuction(..) => auctions,
            _ => true,
        })
        .collect()
}

fn change(steps: &[Step], price: impl Fn(i64) -> i64, side: impl Fn(Side) -> Side) -> Vec<Step> {
    let mut steps = steps.to_vec();
    for step in &mut steps {
        match step {
            Step::Enter(order) => {
                order.price = price(order.price);
                order.side = side(order.side);
            }
            Step::Amend(amend) if amend.price != 0 => amend.price = price(amend.price),
            _ => {}
        }
    }
    steps
}

fn play(desk: &mut Desk, steps: Vec<Step>) -> Vec<Event> {
    let before = desk.events.len();
    for step in steps {
        if let Some(command) = step.command(desk) {
            desk.give(command);
        }
    }
    desk.events[before..].to_vec()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn prices_shifted_by_a_thousand_ticks_trade_a_thousand_ticks_higher(steps in steps(150)) {
        let steps = plain(steps, true);
        let shifted = change(&steps, |price| price + 1_000, |side| side);
        let (one, other) = (play(&mut rich(), steps), play(&mut rich(), shifted));
        prop_assert_eq!(seen(&one, MARKET, |price| price + 1_000), seen(&other, MARKET, |price| price));
    }

    #[test]
    fn buyers_and_sellers_swapped_trade_in_the_mirror(steps in steps(150)) {
        let steps = plain(steps, false);
        let mirrored = change(&steps, |price| 1_000 - price, Side::opposite);
        let (one, other) = (play(&mut rich(), steps), play(&mut rich(), mirrored));
        let (mut one, mut other) = (seen(&one, MARKET, |price| 1_000 - price), seen(&other, MARKET, |price| price));
        // A cancel-all goes through the buys first, whichever they are.
        let unordered = |seen: &mut Vec<Seen>| seen.retain(|seen| !matches!(seen, Seen::End(_, Reason::MassCancel
            | Reason::CancelAllAfter, ..)));
        unordered(&mut one);
        unordered(&mut other);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn every_command_sent_twice_is_as_if_sent_once(steps in steps(120)) {
        let (mut one, mut other) = (flow::modest(LOGIC_VERSION), flow::modest(LOGIC_VERSION));
        for step in steps {
            if matches!(step, Step::Retry(_) | Step::Pass(_)) {
                continue;
            }
            let Some(command) = step.command(&mut one) else { continue };
            let (outcome, _) = one.give(command.clone());
            prop_assert_eq!(other.give(command.clone()).0, outcome);
            if matches!(command, Command::Order(_) | Command::Transfer(_)) && outcome.engine_seq != 0 {
                prop_assert_eq!(other.give(command).0.code, outcome.code);
            }
        }
        prop_assert_eq!(&one.bytes, &other.bytes);
        prop_assert_eq!(one.venue.state_hash(), other.venue.state_hash());
    }

    #[test]
    fn what_happens_in_another_market_changes_nothing_here(steps in steps(150)) {
        let touches = |step: &Step, market: u32| match step {
            Step::Enter(order) => order.instrument_id == market,
            Step::State(at, _) | Step::RunAuction(at, _) | Step::Band(at, ..) => *at == market,
            Step::MassCancel(scope) | Step::CancelAll(scope) => scope.instrument_id == market,
            // Orders of both markets have their own ids here, so these find theirs only.
            Step::Cancel(..) | Step::Amend(_) => true,
            _ => false,
        };
        let mut steps = steps;
        for step in &mut steps {
            if let Step::Enter(order) = step && order.instrument_id == OTHER {
                order.order_id += 1_000;
            }
        }
        let both: Vec<Step> = steps.iter().filter(|step| touches(step, MARKET) || touches(step, OTHER)).cloned().collect();
        let here: Vec<Step> = steps.into_iter().filter(|step| touches(step, MARKET)).collect();
        let (one, other) = (play(&mut rich(), both), play(&mut rich(), here));
        prop_assert_eq!(seen(&one, MARKET, |price| price), seen(&other, MARKET, |price| price));
    }
}

/// Two venues, the same accounts and the same order ids in both: what one does leaves no trace in the other, and
/// either can be rebuilt from its own journal while the other goes on.
#[test]
fn venues_share_nothing() {
    let (mut one, mut other) = (Desk::open(), Desk::open());
    one.enter(desk::buy(1, desk::TOM, 100, 5));
    let untouched = (one.venue.state_hash(), one.venue.chain());
    other.enter(desk::buy(1, desk::TOM, 100, 5));
    other.enter(desk::sell(2, desk::TIA, 100, 5));
    assert_eq!(other.cancel(1, desk::TOM), countersign_venue::Code::UnknownOrder);
    assert_eq!(other.transfer(desk::TOM, USDT, 1_000, false), countersign_venue::Code::Ok);
    other.state(State::Halted);
    assert_eq!((one.venue.state_hash(), one.venue.chain()), untouched);
    let mut rebuilt = countersign_venue::Venue::new();
    let mut output = countersign_venue::Output::default();
    let half = one.journal.len() / 2;
    for (at, (time_ns, bytes)) in one.journal.iter().enumerate() {
        if at == half {
            other.state(State::Open);
        }
        rebuilt.replay(*time_ns, bytes, &mut output).unwrap();
    }
    assert_eq!(rebuilt.state_hash(), one.venue.state_hash());
    assert_eq!(one.cancel(1, desk::TOM), countersign_venue::Code::Ok);
}
