//! Random flow for a venue with two markets: what three traders, an operator and the clock might do.
#![allow(dead_code)]

use countersign_venue::command::{
    AdminBody, Amend, AssetSpec, Cancel, Command, InstrumentSpec, Kind, NewOrder, OrderBody, OrderCommand,
    Scope, Side, State, Stp, Tif, Transfer,
};
use countersign_venue::{Code, LOGIC_VERSION};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::desk::{BTC, Desk, MARKET, TIA, TOM, USDT, spec};

pub const ETH: u32 = 3;
pub const OTHER: u32 = 2;
pub const UMA: u64 = 13;
pub const TRADERS: [u64; 3] = [TOM, TIA, UMA];

#[derive(Clone, Debug)]
pub enum Step {
    Enter(NewOrder),
    Cancel(u64, u64),
    Amend(Amend),
    CancelAll(Scope),
    Switch(u64, u64),
    Transfer {
        account: u64,
        asset: u32,
        units: u128,
        into: bool,
    },
    State(u32, State),
    RunAuction(u32, State),
    MassCancel(Scope),
    Fees(u64, Option<(u32, u32)>),
    Band(u32, u32, i64),
    Retry(usize),
    Pass(u64),
    /// Another process begins to lead, by the newest rules.
    Lead,
    /// Through one of a few sessions, if that is known.
    EnterBy(u8, NewOrder),
    Attach(u8, bool),
    Detach(u8),
}

fn account() -> impl Strategy<Value = u64> {
    prop::sample::select(&TRADERS)
}

fn instrument() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(MARKET), 1 => Just(OTHER)]
}

fn order() -> impl Strategy<Value = Step> {
    let shape = (any::<bool>(), 0u8..12, any::<bool>(), 0u64..4, 0usize..3);
    let whose = (1u64..60, account(), instrument());
    (whose, 90i64..110, 1u64..50, shape, 0u64..3, 1u64..200_000).prop_map(
        |(whose, price, qty, (buys, shape, post_only, stp_group, stp), owner_ref, later)| {
            let (order_id, account_id, instrument_id) = whose;
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
                instrument_id,
                side,
                kind,
                tif,
                post_only: post_only && shape < 3,
                price,
                qty: if budgeted { 0 } else { qty },
                budget: if budgeted { qty * 100 } else { 0 },
                owner_ref,
                stp_group,
                stp: [Stp::CancelMaker, Stp::CancelTaker, Stp::CancelBoth][stp],
                // Made absolute when it is sent.
                expire_at_ms: if tif == Tif::Gtd { later } else { 0 },
            })
        },
    )
}

fn scope() -> impl Strategy<Value = Scope> {
    (account(), 0u64..3, prop_oneof![2 => Just(0), 1 => instrument()]).prop_map(
        |(account_id, owner_ref, instrument_id)| Scope {
            account_id,
            owner_ref,
            instrument_id,
            ..Scope::default()
        },
    )
}

pub fn step() -> impl Strategy<Value = Step> {
    let states = prop_oneof![
        6 => Just(State::Open),
        1 => Just(State::PostOnly),
        1 => Just(State::CancelOnly),
        2 => Just(State::Halted),
        3 => Just(State::Auction),
    ];
    let assets = prop::sample::select(&[BTC, USDT, ETH]);
    let then = prop_oneof![4 => Just(State::Open), 1 => Just(State::PostOnly)];
    prop_oneof![
        28 => order(),
        8 => (1u64..60, account()).prop_map(|(order, account)| Step::Cancel(order, account)),
        7 => (1u64..60, account(), 0u64..60, prop_oneof![1 => Just(0), 2 => 85i64..115], any::<bool>()).prop_map(
            |(order_id, account_id, total_qty, price, cancel_on_fail)| {
                Step::Amend(Amend { order_id, account_id, total_qty, price, cancel_on_fail })
            }
        ),
        1 => scope().prop_map(Step::CancelAll),
        1 => (account(), 0u64..5_000).prop_map(|(account, ms)| Step::Switch(account, ms)),
        2 => (account(), assets, 1u128..50_000, any::<bool>())
            .prop_map(|(account, asset, units, into)| Step::Transfer { account, asset, units, into }),
        2 => (instrument(), states).prop_map(|(market, state)| Step::State(market, state)),
        2 => (instrument(), then).prop_map(|(market, then)| Step::RunAuction(market, then)),
        1 => (0u64..4, instrument()).prop_map(|(stp_group, instrument_id)| {
            Step::MassCancel(Scope { stp_group, instrument_id, ..Scope::default() })
        }),
        1 => (account(), prop::option::of((0u32..3_000, 0u32..3_000))).prop_map(|(a, fees)| Step::Fees(a, fees)),
        // Round bands too, so that prices fall on their very edge.
        1 => (instrument(), prop_oneof![0u32..200_000, (0u32..20).prop_map(|percent| percent * 10_000)], prop_oneof![2 => Just(0), 1 => 90i64..110])
            .prop_map(|(market, band, reference)| Step::Band(market, band, reference)),
        2 => any::<usize>().prop_map(Step::Retry),
        4 => (1u64..3_000).prop_map(Step::Pass),
        1 => prop_oneof![9 => Just(1u64), 1 => 9_000u64..200_000].prop_map(Step::Pass),
        1 => Just(Step::Lead),
        6 => (1u8..5, order()).prop_map(|(who, step)| match step {
            Step::Enter(order) => Step::EnterBy(who, order),
            other => other,
        }),
        2 => (1u8..5, any::<bool>()).prop_map(|(who, cancels)| Step::Attach(who, cancels)),
        1 => (1u8..5).prop_map(Step::Detach),
    ]
}

/// Up to `most` steps, among them up to four halts that end in an auction.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let auction = (any::<prop::sample::Index>(), 10usize..80, instrument());
    (prop::collection::vec(step(), 1..most), prop::collection::vec(auction, 0..5)).prop_map(
        |(mut steps, auctions)| {
            for (at, collects, market) in auctions {
                let at = at.index(steps.len());
                let run = steps.len().min(at + collects);
                steps.insert(run, Step::RunAuction(market, State::Open));
                steps.insert(at, Step::State(market, State::Auction));
                steps.insert(at, Step::State(market, State::Halted));
            }
            steps
        },
    )
}

/// The same runs every time; `PROPTEST_CASES` makes them more and `SEED` makes them others.
pub fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(256) as u32,
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Any rules that ever counted.
pub fn logic() -> impl Strategy<Value = u32> {
    1..=LOGIC_VERSION
}

/// Modest balances and an odd configuration, so that every refusal is reached too.
pub fn modest(logic_version: u32) -> Desk {
    let mut desk = Desk::open_under(logic_version);
    let ether = AssetSpec { asset_id: ETH, symbol: "ETH".into(), decimals: 18 };
    assert_eq!(desk.admin(AdminBody::PutAsset(ether)), Code::Ok);
    let odd = InstrumentSpec { base_units_per_lot: 7, maker_fee_ppm: 333, taker_fee_ppm: 1_777, ..spec() };
    assert_eq!(desk.admin(AdminBody::PutInstrument(odd.clone())), Code::Ok);
    let other = InstrumentSpec {
        instrument_id: OTHER,
        symbol: "ETH-USDT".into(),
        base_asset_id: ETH,
        base_units_per_lot: 11,
        quote_units_per_ticklot: 3,
        max_qty: 40,
        min_qty: 2,
        ..odd
    };
    assert_eq!(desk.admin(AdminBody::PutInstrument(other)), Code::Ok);
    assert_eq!(desk.admin(AdminBody::SetState { instrument_id: OTHER, state: State::Open }), Code::Ok);
    desk.fund(UMA, USDT, 9_000);
    desk.fund(UMA, BTC, 90_000);
    for account in TRADERS {
        desk.fund(account, ETH, 5_000);
    }
    for account in [TOM, TIA] {
        assert_eq!(desk.transfer(account, USDT, 1_000_000_000_000 - 60_000, false), Code::Ok);
        assert_eq!(desk.transfer(account, BTC, 1_000_000_000 - 4_000, false), Code::Ok);
    }
    desk
}

/// Its date was counted from when it is sent.
fn dated(order: NewOrder, desk: &Desk) -> NewOrder {
    match order.tif {
        Tif::Gtd => NewOrder { expire_at_ms: order.expire_at_ms + desk.now_ns / 1_000_000, ..order },
        _ => order,
    }
}

impl Step {
    /// What is sent; `None` for a retry, which repeats something older.
    pub fn command(self, desk: &mut Desk) -> Option<Command> {
        let admin = |body| Some(Command::Admin { reference: [0; 16], body });
        Some(match self {
            Step::Retry(_) => return None,
            Step::Pass(ms) => {
                desk.pass_ms(ms);
                Command::Tick
            }
            Step::Lead => Command::Lead { epoch: desk.venue.epoch() + 1, logic_version: LOGIC_VERSION },
            Step::Enter(order) => desk.wrap(OrderBody::New(dated(order, desk))),
            Step::EnterBy(who, order) => {
                let known = desk.venue.session(&[who; 16]);
                let Command::Order(command) = desk.wrap(OrderBody::New(dated(order, desk))) else {
                    unreachable!()
                };
                let (session, last_seq) = known.unwrap_or_default();
                let session_seq = if session == 0 { 0 } else { last_seq + 1 };
                Command::Order(OrderCommand { session, session_seq, ..command })
            }
            Step::Attach(who, cancels) => Command::AttachSession { session_id: [who; 16], cancels },
            Step::Detach(who) => match desk.venue.session(&[who; 16]) {
                Some((session, _)) => Command::DetachSession { session },
                None => Command::Tick,
            },
            Step::Cancel(order_id, account_id) => {
                desk.wrap(OrderBody::Cancel(Cancel { order_id, account_id }))
            }
            Step::Amend(amend) => desk.wrap(OrderBody::Amend(amend)),
            Step::CancelAll(scope) => desk.wrap(OrderBody::CancelAll(scope)),
            Step::Switch(account_id, timeout_ms) => {
                desk.wrap(OrderBody::CancelAllAfter { account_id, timeout_ms })
            }
            Step::Transfer { account, asset, units, into } => Command::Transfer(Transfer {
                transfer_id: desk.id(),
                account_id: account,
                asset_id: asset,
                into_venue: into,
                units,
            }),
            Step::State(instrument_id, state) => return admin(AdminBody::SetState { instrument_id, state }),
            Step::RunAuction(instrument_id, then) => {
                return admin(AdminBody::RunAuction { instrument_id, then });
            }
            Step::MassCancel(scope) => return admin(AdminBody::MassCancel(scope)),
            Step::Fees(account_id, fees) => return admin(AdminBody::SetAccountFees { account_id, fees }),
            Step::Band(instrument_id, price_band_ppm, reference_price) => {
                return admin(AdminBody::SetPriceBand { instrument_id, price_band_ppm, reference_price });
            }
        })
    }
}
