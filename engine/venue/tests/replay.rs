//! Random flow keeps every promise of the state, and replaying its journal gives the same bytes.

mod desk;

use countersign_venue::Venue;
use countersign_venue::command::{
    AdminBody, Amend, Cancel, Command, InstrumentSpec, Kind, NewOrder, OrderBody, Scope, Side, State, Stp,
    Tif,
};
use countersign_venue::event::{Body, Output, Reason};
use desk::{BTC, Desk, MARKET, TIA, TOM, USDT, spec};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[derive(Clone, Debug)]
enum Step {
    Enter(NewOrder),
    Cancel(u64, u64),
    Amend(Amend),
    CancelAll(Scope),
    Switch(u64, u64),
    Transfer { account: u64, asset: u32, units: u128, into: bool },
    State(State),
    RunAuction(State),
    Fees(u64, Option<(u32, u32)>),
    Band(u32),
    Retry(usize),
    Pass(u64),
}

fn account() -> impl Strategy<Value = u64> {
    prop_oneof![Just(TOM), Just(TIA), Just(13)]
}

fn order() -> impl Strategy<Value = Step> {
    let shape = (any::<bool>(), 0u8..12, any::<bool>(), 0u64..4, 1u8..4);
    (1u64..60, account(), 90i64..110, 1u64..50, shape, 0u64..3, 1u64..200_000).prop_map(
        |(order_id, account_id, price, qty, (buys, shape, post_only, group, stp), owner_ref, later)| {
            let (kind, tif) = match shape {
                0..=5 => (Kind::Limit, Tif::Gtc),
                6 | 7 => (Kind::Limit, Tif::Ioc),
                8 => (Kind::Limit, Tif::Fok),
                9 => (Kind::Limit, Tif::Gtd),
                _ => (Kind::Market, Tif::Ioc),
            };
            let side = if buys { Side::Buy } else { Side::Sell };
            let budgeted = shape == 11 && side == Side::Buy;
            Step::Enter(NewOrder {
                order_id,
                account_id,
                instrument_id: MARKET,
                side,
                kind,
                tif,
                post_only: post_only && shape < 3,
                price,
                qty: if budgeted { 0 } else { qty },
                budget: if budgeted { qty * 100 } else { 0 },
                owner_ref,
                stp_group: group,
                stp: [Stp::CancelMaker, Stp::CancelTaker, Stp::CancelBoth][usize::from(stp - 1)],
                // Made absolute when it is sent.
                expire_at_ms: if tif == Tif::Gtd { later } else { 0 },
            })
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let states = prop_oneof![
        6 => Just(State::Open),
        1 => Just(State::PostOnly),
        1 => Just(State::CancelOnly),
        2 => Just(State::Halted),
        3 => Just(State::Auction),
    ];
    prop_oneof![
        24 => order(),
        8 => (1u64..60, account()).prop_map(|(order, account)| Step::Cancel(order, account)),
        6 => (1u64..60, account(), 0u64..60, 85i64..115, any::<bool>()).prop_map(
            |(order_id, account_id, total_qty, price, cancel_on_fail)| {
                Step::Amend(Amend { order_id, account_id, total_qty, price, cancel_on_fail })
            }
        ),
        1 => (account(), 0u64..3).prop_map(|(account_id, owner_ref)| {
            Step::CancelAll(Scope { account_id, owner_ref, ..Scope::default() })
        }),
        1 => (account(), 0u64..5_000).prop_map(|(account, ms)| Step::Switch(account, ms)),
        2 => (account(), prop_oneof![Just(BTC), Just(USDT)], 1u128..50_000, any::<bool>())
            .prop_map(|(account, asset, units, into)| Step::Transfer { account, asset, units, into }),
        1 => states.prop_map(Step::State),
        2 => prop_oneof![4 => Just(State::Open), 1 => Just(State::PostOnly)].prop_map(Step::RunAuction),
        1 => (account(), prop::option::of((0u32..3_000, 0u32..3_000))).prop_map(|(a, fees)| Step::Fees(a, fees)),
        1 => (0u32..200_000).prop_map(Step::Band),
        2 => any::<usize>().prop_map(Step::Retry),
        4 => (1u64..3_000).prop_map(Step::Pass),
    ]
}

fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(256) as u32,
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Modest balances and an odd configuration, so that every refusal is reached too.
fn modest() -> Desk {
    let mut desk = Desk::open();
    desk.fund(13, USDT, 9_000);
    desk.fund(13, BTC, 90_000);
    let odd = InstrumentSpec { base_units_per_lot: 7, maker_fee_ppm: 333, taker_fee_ppm: 1_777, ..spec() };
    desk.admin(AdminBody::PutInstrument(odd));
    for account in [TOM, TIA] {
        desk.transfer(account, USDT, 1_000_000_000_000 - 60_000, false);
        desk.transfer(account, BTC, 1_000_000_000 - 4_000, false);
    }
    desk
}

/// [`Desk::give`] audits the whole state after each command: sums, holds, books, index.
fn play(desk: &mut Desk, steps: Vec<Step>) {
    let mut sent: Vec<Command> = Vec::new();
    for step in steps {
        let command = match step {
            Step::Pass(ms) => {
                desk.pass_ms(ms);
                Command::Tick
            }
            Step::Retry(_) if sent.is_empty() => continue,
            Step::Retry(at) => {
                let before = (desk.venue.engine_seq(), desk.venue.state_hash());
                desk.give(sent[at % sent.len()].clone());
                assert_eq!(
                    (desk.venue.engine_seq(), desk.venue.state_hash()),
                    before,
                    "a retry changes nothing"
                );
                continue;
            }
            Step::Enter(mut order) => {
                if order.tif == Tif::Gtd {
                    order.expire_at_ms += desk.now_ns / 1_000_000;
                }
                desk.wrap(OrderBody::New(order))
            }
            Step::Cancel(order_id, account_id) => {
                desk.wrap(OrderBody::Cancel(Cancel { order_id, account_id }))
            }
            Step::Amend(amend) => desk.wrap(OrderBody::Amend(amend)),
            Step::CancelAll(scope) => desk.wrap(OrderBody::CancelAll(scope)),
            Step::Switch(account_id, timeout_ms) => {
                desk.wrap(OrderBody::CancelAllAfter { account_id, timeout_ms })
            }
            Step::Transfer { account, asset, units, into } => {
                desk.transfer(account, asset, units, into);
                continue;
            }
            Step::State(state) => {
                desk.admin(AdminBody::SetState { instrument_id: MARKET, state });
                continue;
            }
            Step::RunAuction(then) => {
                desk.admin(AdminBody::RunAuction { instrument_id: MARKET, then });
                continue;
            }
            Step::Fees(account_id, fees) => {
                desk.admin(AdminBody::SetAccountFees { account_id, fees });
                continue;
            }
            Step::Band(price_band_ppm) => {
                desk.admin(AdminBody::SetPriceBand {
                    instrument_id: MARKET,
                    price_band_ppm,
                    reference_price: 0,
                });
                continue;
            }
        };
        let (outcome, _) = desk.give(command.clone());
        if outcome.engine_seq != 0 && matches!(command, Command::Order(_)) {
            sent.push(command);
        }
    }
}

fn replayed(desk: &Desk, upto: usize) -> (Venue, Vec<u8>) {
    let mut venue = Venue::new();
    let mut output = Output::default();
    for (time_ns, bytes) in &desk.journal[..upto] {
        venue.replay(*time_ns, bytes, &mut output).unwrap();
    }
    (venue, output.bytes)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_replayed_journal_gives_the_same_state_and_the_same_events(steps in prop::collection::vec(step(), 1..200)) {
        let mut desk = modest();
        play(&mut desk, steps);
        let (venue, bytes) = replayed(&desk, desk.journal.len());
        prop_assert_eq!(venue.state_hash(), desk.venue.state_hash());
        prop_assert_eq!(venue.chain(), desk.venue.chain());
        prop_assert_eq!(&bytes, &desk.bytes);
        prop_assert_eq!(venue.open_orders(0, 0), desk.venue.open_orders(0, 0));
        tell_every_order_once(&desk);
    }

    #[test]
    fn a_snapshot_and_the_rest_of_the_journal_give_what_the_whole_journal_gives(
        steps in prop::collection::vec(step(), 1..200),
        share in 0usize..100,
    ) {
        let mut desk = modest();
        play(&mut desk, steps);
        let at = desk.journal.len() * share / 100;
        let (before, told) = replayed(&desk, at);
        let bytes = before.snapshot();
        let mut venue = Venue::restore(&bytes).unwrap();
        prop_assert_eq!(&venue.snapshot(), &bytes, "a snapshot writes itself again");
        prop_assert_eq!(venue.next_timer_ns(), before.next_timer_ns());
        let mut output = Output::default();
        for (time_ns, record) in &desk.journal[at..] {
            venue.replay(*time_ns, record, &mut output).unwrap();
        }
        prop_assert_eq!(venue.state_hash(), desk.venue.state_hash());
        prop_assert_eq!(&output.bytes[..], &desk.bytes[told.len()..]);
        for cut in [0, bytes.len() / 3, bytes.len() - 1] {
            prop_assert!(Venue::restore(&bytes[..cut]).is_err());
        }
    }
}

/// From the events alone: every order that was accepted ends once, quantities add up, and no group trades with itself.
fn tell_every_order_once(desk: &Desk) {
    struct Told {
        total: u64,
        filled: u64,
        group: u64,
        budgeted: bool,
    }
    let mut open: std::collections::BTreeMap<u64, Told> = std::collections::BTreeMap::new();
    for event in &desk.events {
        match &event.body {
            Body::Accepted { order, .. } => {
                let told =
                    Told { total: order.qty, filled: 0, group: order.stp_group, budgeted: order.budget != 0 };
                assert!(open.insert(order.order_id, told).is_none(), "accepted twice");
            }
            Body::Trade(trade) => {
                assert!(trade.qty > 0);
                let groups = [trade.maker_order_id, trade.taker_order_id].map(|id| open[&id].group);
                assert!(groups[0] == 0 || groups[0] != groups[1], "a group traded with itself");
                for id in [trade.maker_order_id, trade.taker_order_id] {
                    open.get_mut(&id).unwrap().filled += trade.qty;
                }
            }
            Body::Amended { order_id, total, leaves, .. } => {
                let told = open.get_mut(order_id).unwrap();
                told.total = *total;
                assert_eq!(told.total, told.filled + leaves);
            }
            Body::Done(done) => {
                let told = open.remove(&done.order_id).expect("an order ends once");
                assert_eq!(told.filled, done.filled);
                if !told.budgeted {
                    assert_eq!(told.total, done.filled + done.cancelled);
                    assert_eq!(done.reason == Reason::Filled, done.cancelled == 0);
                }
            }
            _ => {}
        }
    }
    let resting = desk.venue.open_orders(0, 0);
    assert_eq!(open.len(), resting.len());
    for order in resting {
        let told = &open[&order.order_id];
        assert_eq!((told.total, told.total - told.filled), (order.total, order.leaves));
    }
}
