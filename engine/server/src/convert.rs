//! From the contract's messages to the venue's own words. Whatever the venue has no word for is refused here.

use countersign_venue::command::{
    AdminBody, Amend, AssetSpec, Cancel, Command, Id, InstrumentSpec, Kind, NewOrder, OrderBody,
    OrderCommand, Scope, State, Stp, Tif, Transfer, side_from_number, stp_from_number,
};
use countersign_venue::event::Code;
use countersign_wire::v1;
use countersign_wire::v1::command;

pub fn id(bytes: &[u8]) -> Result<Id, Code> {
    bytes.try_into().map_err(|_| Code::BadCommand)
}

/// An administrator's reference: up to 16 bytes, filled up with zeros.
pub fn reference(bytes: &[u8]) -> Result<Id, Code> {
    let mut reference = Id::default();
    reference.get_mut(..bytes.len()).ok_or(Code::BadCommand)?.copy_from_slice(bytes);
    Ok(reference)
}

pub fn state(number: i32) -> Result<State, Code> {
    State::from_number(number).ok_or(Code::BadCommand)
}

pub fn units(hi: u64, lo: u64) -> u128 {
    u128::from(hi) << 64 | u128::from(lo)
}

pub fn order_command(command: &v1::Command, session: u32) -> Result<OrderCommand, Code> {
    let body = match command.body.as_ref().ok_or(Code::BadCommand)? {
        command::Body::NewOrder(order) => OrderBody::New(new_order(order)?),
        command::Body::Cancel(cancel) => {
            OrderBody::Cancel(Cancel { order_id: cancel.order_id, account_id: cancel.account_id })
        }
        command::Body::Amend(amend) => OrderBody::Amend(Amend {
            order_id: amend.order_id,
            account_id: amend.account_id,
            total_qty: amend.new_total_qty_lots,
            price: amend.new_price_ticks,
            cancel_on_fail: amend.cancel_on_fail,
        }),
        command::Body::CancelAll(all) => OrderBody::CancelAll(Scope {
            account_id: all.account_id,
            owner_ref: all.owner_ref,
            instrument_id: all.instrument_id,
            ..Scope::default()
        }),
        command::Body::CancelAllAfter(after) => {
            OrderBody::CancelAllAfter { account_id: after.account_id, timeout_ms: after.timeout_ms }
        }
    };
    Ok(OrderCommand {
        command_id: id(&command.command_id)?,
        session,
        session_seq: command.session_seq,
        expires_at_ms: command.expires_at_ms,
        body,
    })
}

fn new_order(order: &v1::NewOrder) -> Result<NewOrder, Code> {
    if order.reduce_only {
        return Err(Code::Unsupported);
    }
    let stp = match order.stp {
        0 if order.stp_group == 0 => Stp::CancelMaker,
        number => stp_from_number(number).ok_or(Code::BadCommand)?,
    };
    Ok(NewOrder {
        order_id: order.order_id,
        account_id: order.account_id,
        instrument_id: order.instrument_id,
        side: side_from_number(order.side).ok_or(Code::BadCommand)?,
        kind: Kind::from_number(order.kind).ok_or(Code::BadCommand)?,
        tif: Tif::from_number(order.tif).ok_or(Code::BadCommand)?,
        post_only: order.post_only,
        price: order.price_ticks,
        qty: order.qty_lots,
        budget: order.budget_ticklots,
        owner_ref: order.owner_ref,
        stp_group: order.stp_group,
        stp,
        expire_at_ms: order.expire_at_ms,
    })
}

pub fn transfer(transfer: &v1::Transfer) -> Result<Command, Code> {
    Ok(Command::Transfer(Transfer {
        transfer_id: id(&transfer.transfer_id)?,
        account_id: transfer.account_id,
        asset_id: transfer.asset_id,
        into_venue: transfer.into_venue,
        units: units(transfer.units_hi, transfer.units_lo),
    }))
}

pub fn asset_spec(spec: v1::AssetSpec) -> AssetSpec {
    AssetSpec { asset_id: spec.asset_id, symbol: spec.symbol, decimals: spec.decimals }
}

pub fn instrument_spec(spec: v1::InstrumentSpec) -> Result<InstrumentSpec, Code> {
    if spec.kind == 0 {
        return Err(Code::BadCommand);
    }
    Ok(InstrumentSpec {
        instrument_id: spec.instrument_id,
        kind: spec.kind as u32,
        symbol: spec.symbol,
        base_asset_id: spec.base_asset_id,
        quote_asset_id: spec.quote_asset_id,
        base_units_per_lot: spec.base_units_per_lot,
        quote_units_per_ticklot: spec.quote_units_per_ticklot,
        min_price: spec.min_price_ticks,
        max_price: spec.max_price_ticks,
        min_qty: spec.min_qty_lots,
        max_qty: spec.max_qty_lots,
        maker_fee_ppm: spec.maker_fee_ppm,
        taker_fee_ppm: spec.taker_fee_ppm,
        price_band_ppm: spec.price_band_ppm,
        reference_price: spec.reference_price_ticks,
    })
}

pub fn admin(reference_bytes: &[u8], body: Result<AdminBody, Code>) -> Result<Command, Code> {
    Ok(Command::Admin { reference: reference(reference_bytes)?, body: body? })
}

#[cfg(test)]
mod tests;
