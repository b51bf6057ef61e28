//! From the venue's own words to the contract's messages.

use countersign_venue::auction::Indication;
use countersign_venue::command::{AssetSpec, InstrumentSpec};
use countersign_venue::event::{Amount, Body, Code, Event};
use countersign_venue::market::Market;
use countersign_venue::{OpenOrder, Outcome};
use countersign_wire::Bytes;
use countersign_wire::v1;
use countersign_wire::v1::event;

pub fn auction(indication: &Indication, uncrossed: bool) -> v1::AuctionIndicative {
    v1::AuctionIndicative {
        price_ticks: indication.price,
        matched_lots: indication.matched,
        unmatched_lots: indication.unmatched,
        unmatched_side: indication.surplus.map_or(0, |side| side as i32),
        uncrossed,
    }
}

pub fn asset(spec: &AssetSpec) -> v1::AssetSpec {
    v1::AssetSpec { asset_id: spec.asset_id, symbol: spec.symbol.clone(), decimals: spec.decimals }
}

fn spec(spec: &InstrumentSpec) -> v1::InstrumentSpec {
    v1::InstrumentSpec {
        instrument_id: spec.instrument_id,
        kind: spec.kind as i32,
        symbol: spec.symbol.clone(),
        base_asset_id: spec.base_asset_id,
        quote_asset_id: spec.quote_asset_id,
        base_units_per_lot: spec.base_units_per_lot,
        quote_units_per_ticklot: spec.quote_units_per_ticklot,
        min_price_ticks: spec.min_price,
        max_price_ticks: spec.max_price,
        min_qty_lots: spec.min_qty,
        max_qty_lots: spec.max_qty,
        maker_fee_ppm: spec.maker_fee_ppm,
        taker_fee_ppm: spec.taker_fee_ppm,
        price_band_ppm: spec.price_band_ppm,
        reference_price_ticks: spec.reference_price,
    }
}

pub fn market(market: &Market) -> v1::Instrument {
    v1::Instrument {
        spec: Some(spec(&market.spec)),
        state: market.state as i32,
        last_price_ticks: market.last_price,
    }
}

pub fn amount(amount: Amount) -> v1::Amount {
    v1::Amount {
        asset_id: amount.asset_id,
        units_hi: (amount.units >> 64) as u64,
        units_lo: amount.units as u64,
    }
}

fn sum(asset_id: u32, units: u128) -> Option<v1::Amount> {
    Some(amount(Amount { asset_id, units }))
}

pub fn result(
    command_id: Bytes,
    session_seq: u64,
    outcome: &Outcome,
    duplicate: bool,
    durability: v1::Durability,
) -> v1::CommandResult {
    v1::CommandResult {
        session_seq,
        command_id,
        code: outcome.code as i32,
        engine_seq: outcome.engine_seq,
        order_id: outcome.order_id,
        filled_lots: outcome.filled,
        leaves_lots: outcome.leaves,
        duplicate,
        engine_time_ns: outcome.time_ns,
        durability: durability as i32,
        cancelled_orders: outcome.cancelled,
    }
}

pub fn order(order: &OpenOrder) -> v1::OpenOrder {
    v1::OpenOrder {
        order_id: order.order_id,
        account_id: order.account_id,
        instrument_id: order.instrument_id,
        side: order.side as i32,
        price_ticks: order.price,
        total_qty_lots: order.total,
        leaves_lots: order.leaves,
        owner_ref: order.owner_ref,
        stp_group: order.stp_group,
        stp: order.stp as i32,
        tif: order.tif as i32,
        post_only: order.post_only,
        expire_at_ms: order.expire_at_ms,
        held: Some(amount(order.held)),
        filled_ticklots_hi: (order.filled_ticklots >> 64) as u64,
        filled_ticklots_lo: order.filled_ticklots as u64,
    }
}

pub fn event(event: &Event) -> v1::Event {
    v1::Event {
        event_seq: event.seq,
        engine_seq: event.engine_seq,
        engine_time_ns: event.time_ns,
        instrument_id: event.instrument_id,
        body: Some(body(event.seq, &event.body)),
    }
}

fn body(seq: u64, body: &Body) -> event::Body {
    match body {
        Body::Accepted { order, command_id, held } => event::Body::Accepted(v1::OrderAccepted {
            order_id: order.order_id,
            account_id: order.account_id,
            command_id: command_id.to_vec(),
            side: order.side as i32,
            kind: order.kind as i32,
            tif: order.tif as i32,
            post_only: order.post_only,
            price_ticks: order.price,
            qty_lots: order.qty,
            budget_ticklots: order.budget,
            owner_ref: order.owner_ref,
            stp_group: order.stp_group,
            stp: order.stp as i32,
            expire_at_ms: order.expire_at_ms,
            held: Some(amount(*held)),
        }),
        Body::Rejected { order_id, account_id, command_id, code } => {
            event::Body::Rejected(v1::OrderRejected {
                order_id: *order_id,
                account_id: *account_id,
                command_id: command_id.to_vec(),
                code: *code as i32,
            })
        }
        Body::Trade(trade) => {
            let (taker_pays, maker_pays) = trade.assets_of(trade.taker_side);
            event::Body::Trade(v1::Trade {
                trade_id: seq,
                price_ticks: trade.price,
                qty_lots: trade.qty,
                taker_side: trade.taker_side as i32,
                maker_order_id: trade.maker_order_id,
                taker_order_id: trade.taker_order_id,
                maker_leaves_lots: trade.maker_leaves,
                taker_leaves_lots: trade.taker_leaves,
                maker_account_id: trade.maker_account_id,
                taker_account_id: trade.taker_account_id,
                maker_fee: sum(taker_pays, trade.maker_fee),
                taker_fee: sum(maker_pays, trade.taker_fee),
                base: sum(trade.base_asset_id, trade.base),
                quote: sum(trade.quote_asset_id, trade.quote),
                maker_held: sum(maker_pays, trade.maker_held),
                taker_held: sum(taker_pays, trade.taker_held),
                auction: trade.auction,
            })
        }
        Body::Done(done) => event::Body::Done(v1::OrderDone {
            order_id: done.order_id,
            reason: done.reason as i32,
            filled_lots: done.filled,
            cancelled_lots: done.cancelled,
            filled_ticklots_hi: (done.filled_ticklots >> 64) as u64,
            filled_ticklots_lo: done.filled_ticklots as u64,
            account_id: done.account_id,
            released: Some(amount(done.released)),
        }),
        Body::Amended { order_id, account_id, command_id, price, total, leaves, kept, held } => {
            event::Body::Amended(v1::OrderAmended {
                order_id: *order_id,
                account_id: *account_id,
                command_id: command_id.to_vec(),
                price_ticks: *price,
                total_qty_lots: *total,
                leaves_lots: *leaves,
                kept_priority: *kept,
                held: Some(amount(*held)),
            })
        }
        Body::AmendRejected { order_id, account_id, command_id, code } => {
            event::Body::AmendRejected(v1::AmendRejected {
                order_id: *order_id,
                account_id: *account_id,
                command_id: command_id.to_vec(),
                code: *code as i32,
            })
        }
        Body::Instrument { spec, state, last_price, reference } => {
            event::Body::Instrument(v1::InstrumentChanged {
                instrument: Some(v1::Instrument {
                    spec: Some(self::spec(spec)),
                    state: *state as i32,
                    last_price_ticks: *last_price,
                }),
                reference: reference.to_vec(),
            })
        }
        Body::Asset(spec) => event::Body::Asset(v1::AssetChanged { asset: Some(asset(spec)) }),
        Body::Account { account_id, fees } => {
            let (maker_fee_ppm, taker_fee_ppm) = fees.unwrap_or_default();
            event::Body::Account(v1::AccountChanged {
                account_id: *account_id,
                maker_fee_ppm,
                taker_fee_ppm,
                default_fees: fees.is_none(),
            })
        }
        Body::Auction { indication, uncrossed } => event::Body::Auction(auction(indication, *uncrossed)),
        Body::Marker { epoch, logic_version } => event::Body::Marker(v1::ShardMarker {
            epoch: *epoch,
            state: v1::ShardState::Running as i32,
            logic_version: *logic_version,
        }),
        Body::Transfer { transfer_id, account_id, into_venue, amount, code: Code::Ok } => {
            event::Body::TransferApplied(v1::TransferApplied {
                transfer_id: transfer_id.to_vec(),
                account_id: *account_id,
                into_venue: *into_venue,
                amount: Some(self::amount(*amount)),
            })
        }
        Body::Transfer { transfer_id, account_id, into_venue, amount, code } => {
            event::Body::TransferRejected(v1::TransferRejected {
                transfer_id: transfer_id.to_vec(),
                account_id: *account_id,
                into_venue: *into_venue,
                amount: Some(self::amount(*amount)),
                code: *code as i32,
            })
        }
    }
}

#[cfg(test)]
mod tests;
