//! Each field is told under its own name: a consumer has nothing to compare it with.

use countersign_venue::command::{Kind, NewOrder, Side, State, Stp, Tif};
use countersign_venue::event::{Done, Reason, Trade};

use super::*;

/// Larger than either half.
const MUCH: u128 = 3 << 64 | 4;

fn much(asset_id: u32) -> Option<v1::Amount> {
    Some(v1::Amount { asset_id, units_hi: 3, units_lo: 4 })
}

fn units(asset_id: u32, units_lo: u64) -> Option<v1::Amount> {
    Some(v1::Amount { asset_id, units_hi: 0, units_lo })
}

fn told(body: Body) -> event::Body {
    let told = event(&Event { seq: 41, engine_seq: 42, time_ns: 43, instrument_id: 44, body });
    assert_eq!((told.event_seq, told.engine_seq, told.engine_time_ns, told.instrument_id), (41, 42, 43, 44));
    told.body.unwrap()
}

fn listed() -> (InstrumentSpec, v1::InstrumentSpec) {
    let spec = InstrumentSpec {
        instrument_id: 1,
        kind: 1,
        symbol: "BTC-USDT".into(),
        base_asset_id: 2,
        quote_asset_id: 3,
        base_units_per_lot: 4,
        quote_units_per_ticklot: 5,
        min_price: 6,
        max_price: 7,
        min_qty: 8,
        max_qty: 9,
        maker_fee_ppm: 10,
        taker_fee_ppm: 11,
        price_band_ppm: 12,
        reference_price: 13,
    };
    let told = v1::InstrumentSpec {
        instrument_id: 1,
        kind: v1::InstrumentKind::Spot as i32,
        symbol: "BTC-USDT".into(),
        base_asset_id: 2,
        quote_asset_id: 3,
        base_units_per_lot: 4,
        quote_units_per_ticklot: 5,
        min_price_ticks: 6,
        max_price_ticks: 7,
        min_qty_lots: 8,
        max_qty_lots: 9,
        maker_fee_ppm: 10,
        taker_fee_ppm: 11,
        price_band_ppm: 12,
        reference_price_ticks: 13,
    };
    (spec, told)
}

#[test]
fn what_is_listed_is_told_as_it_was_put() {
    let (spec, told_spec) = listed();
    let body = Body::Instrument { spec, state: State::Halted, last_price: 14, reference: [15; 16] };
    let instrument = v1::Instrument {
        spec: Some(told_spec.clone()),
        state: v1::InstrumentState::Halted as i32,
        last_price_ticks: 14,
    };
    let changed = v1::InstrumentChanged { instrument: Some(instrument), reference: vec![15; 16] };
    assert_eq!(told(body), event::Body::Instrument(changed));
    // And back: what is put is what was told.
    assert_eq!(crate::convert::instrument_spec(told_spec).unwrap(), listed().0);
    let spec = AssetSpec { asset_id: 1, symbol: "BTC".into(), decimals: 8 };
    let told_asset = v1::AssetSpec { asset_id: 1, symbol: "BTC".into(), decimals: 8 };
    assert_eq!(crate::convert::asset_spec(told_asset.clone()), spec);
    assert_eq!(told(Body::Asset(spec)), event::Body::Asset(v1::AssetChanged { asset: Some(told_asset) }));
}

#[test]
fn an_order_is_told_as_it_was_taken() {
    let order = NewOrder {
        order_id: 1,
        account_id: 2,
        instrument_id: 44,
        side: Side::Sell,
        kind: Kind::Market,
        tif: Tif::Ioc,
        post_only: true,
        price: 3,
        qty: 4,
        budget: 5,
        owner_ref: 6,
        stp_group: 7,
        stp: Stp::CancelBoth,
        expire_at_ms: 8,
    };
    let held = Amount { asset_id: 9, units: MUCH };
    let accepted = v1::OrderAccepted {
        order_id: 1,
        account_id: 2,
        command_id: vec![10; 16],
        side: v1::Side::Sell as i32,
        kind: v1::OrderKind::Market as i32,
        tif: v1::TimeInForce::Ioc as i32,
        post_only: true,
        price_ticks: 3,
        qty_lots: 4,
        budget_ticklots: 5,
        owner_ref: 6,
        stp_group: 7,
        stp: v1::StpMode::CancelBoth as i32,
        expire_at_ms: 8,
        held: much(9),
    };
    assert_eq!(told(Body::Accepted { order, command_id: [10; 16], held }), event::Body::Accepted(accepted));
    let rejected = v1::OrderRejected {
        order_id: 1,
        account_id: 2,
        command_id: vec![3; 16],
        code: v1::ResultCode::WouldTake as i32,
    };
    let body = Body::Rejected { order_id: 1, account_id: 2, command_id: [3; 16], code: Code::WouldTake };
    assert_eq!(told(body), event::Body::Rejected(rejected));
}

#[test]
fn a_trades_fees_and_holds_are_told_in_the_assets_of_their_sides() {
    let trade = |taker_side| Trade {
        auction: true,
        price: 1,
        qty: 2,
        taker_side,
        maker_order_id: 3,
        taker_order_id: 4,
        maker_leaves: 5,
        taker_leaves: 6,
        maker_account_id: 7,
        taker_account_id: 8,
        base_asset_id: 9,
        quote_asset_id: 10,
        base: 11,
        quote: MUCH,
        maker_fee: 12,
        taker_fee: 13,
        maker_held: 14,
        taker_held: 15,
    };
    // The buyer pays with the quote asset, and its fee is taken from what it receives.
    for (taker_side, shown, taker_pays, maker_pays) in
        [(Side::Buy, v1::Side::Buy, 10, 9), (Side::Sell, v1::Side::Sell, 9, 10)]
    {
        let expected = v1::Trade {
            trade_id: 41,
            price_ticks: 1,
            qty_lots: 2,
            taker_side: shown as i32,
            maker_order_id: 3,
            taker_order_id: 4,
            maker_leaves_lots: 5,
            taker_leaves_lots: 6,
            maker_account_id: 7,
            taker_account_id: 8,
            maker_fee: units(taker_pays, 12),
            taker_fee: units(maker_pays, 13),
            base: units(9, 11),
            quote: much(10),
            maker_held: units(maker_pays, 14),
            taker_held: units(taker_pays, 15),
            auction: true,
        };
        assert_eq!(told(Body::Trade(trade(taker_side))), event::Body::Trade(expected));
    }
}

#[test]
fn an_orders_end_and_its_amendments_are_told_whole() {
    let done = Done {
        order_id: 1,
        account_id: 2,
        reason: Reason::MassCancel,
        filled: 3,
        cancelled: 4,
        filled_ticklots: MUCH,
        released: Amount { asset_id: 5, units: MUCH },
    };
    let expected = v1::OrderDone {
        order_id: 1,
        reason: v1::DoneReason::MassCancel as i32,
        filled_lots: 3,
        cancelled_lots: 4,
        filled_ticklots_hi: 3,
        filled_ticklots_lo: 4,
        account_id: 2,
        released: much(5),
    };
    assert_eq!(told(Body::Done(done)), event::Body::Done(expected));
    let body = Body::Amended {
        order_id: 1,
        account_id: 2,
        command_id: [3; 16],
        price: 4,
        total: 5,
        leaves: 6,
        kept: true,
        held: Amount { asset_id: 7, units: MUCH },
    };
    let expected = v1::OrderAmended {
        order_id: 1,
        account_id: 2,
        command_id: vec![3; 16],
        price_ticks: 4,
        total_qty_lots: 5,
        leaves_lots: 6,
        kept_priority: true,
        held: much(7),
    };
    assert_eq!(told(body), event::Body::Amended(expected));
    let body = Body::AmendRejected { order_id: 1, account_id: 2, command_id: [3; 16], code: Code::NotOwner };
    let expected = v1::AmendRejected {
        order_id: 1,
        account_id: 2,
        command_id: vec![3; 16],
        code: v1::ResultCode::NotOwner as i32,
    };
    assert_eq!(told(body), event::Body::AmendRejected(expected));
}

#[test]
fn fees_auctions_leaders_and_transfers_are_told_whole() {
    for (fees, default_fees) in [(Some((2, 3)), false), (None, true)] {
        let (maker_fee_ppm, taker_fee_ppm) = fees.unwrap_or((0, 0));
        let expected = v1::AccountChanged { account_id: 1, maker_fee_ppm, taker_fee_ppm, default_fees };
        assert_eq!(told(Body::Account { account_id: 1, fees }), event::Body::Account(expected));
    }
    for (surplus, unmatched_side) in [(Some(Side::Sell), 2), (None, 0)] {
        let indication = Indication { price: 1, matched: 2, unmatched: 3, surplus };
        let expected = v1::AuctionIndicative {
            price_ticks: 1,
            matched_lots: 2,
            unmatched_lots: 3,
            unmatched_side,
            uncrossed: true,
        };
        assert_eq!(told(Body::Auction { indication, uncrossed: true }), event::Body::Auction(expected));
    }
    let expected = v1::ShardMarker { epoch: 1, state: v1::ShardState::Running as i32, logic_version: 2 };
    assert_eq!(told(Body::Marker { epoch: 1, logic_version: 2 }), event::Body::Marker(expected));
    let transfer = |code| Body::Transfer {
        transfer_id: [1; 16],
        account_id: 2,
        into_venue: true,
        amount: Amount { asset_id: 3, units: MUCH },
        code,
    };
    let (transfer_id, account_id, into_venue) = (vec![1; 16], 2, true);
    let amount = much(3);
    let applied = v1::TransferApplied { transfer_id: transfer_id.clone(), account_id, into_venue, amount };
    assert_eq!(told(transfer(Code::Ok)), event::Body::TransferApplied(applied));
    let code = v1::ResultCode::InsufficientBalance as i32;
    let rejected = v1::TransferRejected { transfer_id, account_id, into_venue, amount, code };
    assert_eq!(told(transfer(Code::InsufficientBalance)), event::Body::TransferRejected(rejected));
}

#[test]
fn an_open_order_and_an_answer_are_told_whole() {
    let open = OpenOrder {
        order_id: 1,
        account_id: 2,
        instrument_id: 3,
        side: Side::Sell,
        price: 4,
        total: 5,
        leaves: 6,
        owner_ref: 7,
        stp_group: 8,
        stp: Stp::CancelTaker,
        tif: Tif::Gtd,
        post_only: true,
        expire_at_ms: 9,
        held: Amount { asset_id: 10, units: MUCH },
        filled_ticklots: MUCH,
        session: 11,
    };
    let expected = v1::OpenOrder {
        order_id: 1,
        account_id: 2,
        instrument_id: 3,
        side: v1::Side::Sell as i32,
        price_ticks: 4,
        total_qty_lots: 5,
        leaves_lots: 6,
        owner_ref: 7,
        stp_group: 8,
        stp: v1::StpMode::CancelTaker as i32,
        tif: v1::TimeInForce::Gtd as i32,
        post_only: true,
        expire_at_ms: 9,
        held: much(10),
        filled_ticklots_hi: 3,
        filled_ticklots_lo: 4,
    };
    assert_eq!(order(&open), expected);
    let outcome = Outcome {
        code: Code::SelfTrade,
        engine_seq: 1,
        time_ns: 2,
        order_id: 3,
        filled: 4,
        leaves: 5,
        cancelled: 6,
    };
    let expected = v1::CommandResult {
        session_seq: 7,
        command_id: vec![8; 16].into(),
        code: v1::ResultCode::SelfTrade as i32,
        engine_seq: 1,
        order_id: 3,
        filled_lots: 4,
        leaves_lots: 5,
        duplicate: true,
        engine_time_ns: 2,
        durability: v1::Durability::Disk as i32,
        cancelled_orders: 6,
    };
    let durability = v1::Durability::Disk;
    assert_eq!(result(vec![8; 16].into(), 7, &outcome, true, durability), expected);
}
