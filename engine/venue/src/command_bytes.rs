//! Commands as bytes in the journal.

use crate::codec::{Malformed, Put, Reader};
use crate::command::{
    AdminBody, Amend, AssetSpec, Cancel, Command, Id, InstrumentSpec, Kind, NewOrder, OrderBody,
    OrderCommand, Scope, Side, State, Tif, Transfer, stp_from_number,
};

const NEW: u8 = 1;
const CANCEL: u8 = 2;
const AMEND: u8 = 3;
const CANCEL_ALL: u8 = 4;
const CANCEL_ALL_AFTER: u8 = 5;
const TRANSFER: u8 = 16;
const ACKNOWLEDGE: u8 = 17;
const PUT_ASSET: u8 = 32;
const PUT_INSTRUMENT: u8 = 33;
const SET_STATE: u8 = 34;
const SET_PRICE_BAND: u8 = 35;
const SET_ACCOUNT_FEES: u8 = 36;
const MASS_CANCEL: u8 = 37;
const RUN_AUCTION: u8 = 38;
const OPEN_SESSION: u8 = 48;
const CANCEL_SESSION: u8 = 49;
const TICK: u8 = 50;
const LEAD: u8 = 51;
const ATTACH_SESSION: u8 = 52;
const DETACH_SESSION: u8 = 53;

impl Command {
    /// Appends the command's bytes; gives where the part begins that a retry repeats byte for byte.
    pub fn encode(&self, out: &mut Vec<u8>) -> usize {
        match self {
            Command::Order(command) => return encode_order(command, out),
            Command::Transfer(transfer) => {
                out.put_u8(TRANSFER);
                let body = out.len();
                out.put_id(&transfer.transfer_id);
                out.put_u64(transfer.account_id);
                out.put_u32(transfer.asset_id);
                out.put_bool(transfer.into_venue);
                out.put_u128(transfer.units);
                return body;
            }
            Command::Acknowledge { through_event_seq } => {
                out.put_u8(ACKNOWLEDGE);
                out.put_u64(*through_event_seq);
            }
            Command::Admin { reference, body } => encode_admin(reference, body, out),
            Command::OpenSession { session_id } => {
                out.put_u8(OPEN_SESSION);
                out.put_id(session_id);
            }
            Command::CancelSession { session } => {
                out.put_u8(CANCEL_SESSION);
                out.put_u32(*session);
            }
            Command::AttachSession { session_id, cancels } => {
                out.put_u8(ATTACH_SESSION);
                out.put_id(session_id);
                out.put_bool(*cancels);
            }
            Command::DetachSession { session } => {
                out.put_u8(DETACH_SESSION);
                out.put_u32(*session);
            }
            Command::Tick => out.put_u8(TICK),
            Command::Lead { epoch, logic_version } => {
                out.put_u8(LEAD);
                out.put_u64(*epoch);
                out.put_u32(*logic_version);
            }
        }
        out.len()
    }

    /// Reads one command that fills `bytes`; gives the offset of its retried part too.
    pub fn decode(bytes: &[u8]) -> Result<(Command, usize), Malformed> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u8()?;
        let mut body = bytes.len();
        let command = match kind {
            NEW | CANCEL | AMEND | CANCEL_ALL | CANCEL_ALL_AFTER => {
                let session = reader.u32()?;
                let session_seq = reader.u64()?;
                body = bytes.len() - reader.rest().len();
                let command_id = reader.id()?;
                let expires_at_ms = reader.u64()?;
                let order = decode_order(kind, &mut reader)?;
                Command::Order(OrderCommand { command_id, session, session_seq, expires_at_ms, body: order })
            }
            TRANSFER => {
                body = 1;
                Command::Transfer(Transfer {
                    transfer_id: reader.id()?,
                    account_id: reader.u64()?,
                    asset_id: reader.u32()?,
                    into_venue: reader.bool()?,
                    units: reader.u128()?,
                })
            }
            ACKNOWLEDGE => Command::Acknowledge { through_event_seq: reader.u64()? },
            PUT_ASSET..=RUN_AUCTION => {
                let reference = reader.id()?;
                Command::Admin { reference, body: decode_admin(kind, &mut reader)? }
            }
            OPEN_SESSION => Command::OpenSession { session_id: reader.id()? },
            CANCEL_SESSION => Command::CancelSession { session: reader.u32()? },
            ATTACH_SESSION => Command::AttachSession { session_id: reader.id()?, cancels: reader.bool()? },
            DETACH_SESSION => Command::DetachSession { session: reader.u32()? },
            TICK => Command::Tick,
            LEAD => Command::Lead { epoch: reader.u64()?, logic_version: reader.u32()? },
            _ => return Err(Malformed("no such command")),
        };
        reader.finish()?;
        Ok((command, body))
    }
}

const SELL: u8 = 1;
const MARKET: u8 = 2;
const POST_ONLY: u8 = 4;
const HAS_BUDGET: u8 = 8;
const HAS_OWNER: u8 = 16;
const HAS_GROUP: u8 = 32;
const HAS_EXPIRY: u8 = 64;

fn encode_order(command: &OrderCommand, out: &mut Vec<u8>) -> usize {
    out.put_u8(match command.body {
        OrderBody::New(_) => NEW,
        OrderBody::Cancel(_) => CANCEL,
        OrderBody::Amend(_) => AMEND,
        OrderBody::CancelAll(_) => CANCEL_ALL,
        OrderBody::CancelAllAfter { .. } => CANCEL_ALL_AFTER,
    });
    out.put_u32(command.session);
    out.put_u64(command.session_seq);
    let body = out.len();
    out.put_id(&command.command_id);
    out.put_u64(command.expires_at_ms);
    match &command.body {
        OrderBody::New(order) => {
            let flag = |set: bool, bit: u8| if set { bit } else { 0 };
            out.put_u8(
                flag(order.side == Side::Sell, SELL)
                    | flag(order.kind == Kind::Market, MARKET)
                    | flag(order.post_only, POST_ONLY)
                    | flag(order.budget != 0, HAS_BUDGET)
                    | flag(order.owner_ref != 0, HAS_OWNER)
                    | flag(order.stp_group != 0, HAS_GROUP)
                    | flag(order.expire_at_ms != 0, HAS_EXPIRY),
            );
            out.put_u8(order.tif as u8 | (order.stp as u8) << 4);
            out.put_u64(order.order_id);
            out.put_u64(order.account_id);
            out.put_u32(order.instrument_id);
            out.put_i64(order.price);
            out.put_u64(order.qty);
            for optional in [order.budget, order.owner_ref, order.stp_group, order.expire_at_ms] {
                if optional != 0 {
                    out.put_u64(optional);
                }
            }
        }
        OrderBody::Cancel(cancel) => {
            out.put_u64(cancel.order_id);
            out.put_u64(cancel.account_id);
        }
        OrderBody::Amend(amend) => {
            out.put_u64(amend.order_id);
            out.put_u64(amend.account_id);
            out.put_u64(amend.total_qty);
            out.put_i64(amend.price);
            out.put_bool(amend.cancel_on_fail);
        }
        OrderBody::CancelAll(scope) => encode_scope(scope, out),
        OrderBody::CancelAllAfter { account_id, timeout_ms } => {
            out.put_u64(*account_id);
            out.put_u64(*timeout_ms);
        }
    }
    body
}

fn decode_order(kind: u8, reader: &mut Reader<'_>) -> Result<OrderBody, Malformed> {
    Ok(match kind {
        NEW => {
            let flags = reader.u8()?;
            if flags & 0x80 != 0 {
                return Err(Malformed("an unknown flag of an order"));
            }
            let types = reader.u8()?;
            let (order_id, account_id) = (reader.u64()?, reader.u64()?);
            let instrument_id = reader.u32()?;
            let (price, qty) = (reader.i64()?, reader.u64()?);
            let mut optional = |bit: u8| if flags & bit != 0 { reader.u64() } else { Ok(0) };
            OrderBody::New(NewOrder {
                order_id,
                account_id,
                instrument_id,
                side: if flags & SELL != 0 { Side::Sell } else { Side::Buy },
                kind: if flags & MARKET != 0 { Kind::Market } else { Kind::Limit },
                tif: Tif::from_number(i32::from(types & 15)).ok_or(Malformed("no such time in force"))?,
                stp: stp_from_number(i32::from(types >> 4)).ok_or(Malformed("no such STP mode"))?,
                post_only: flags & POST_ONLY != 0,
                price,
                qty,
                budget: optional(HAS_BUDGET)?,
                owner_ref: optional(HAS_OWNER)?,
                stp_group: optional(HAS_GROUP)?,
                expire_at_ms: optional(HAS_EXPIRY)?,
            })
        }
        CANCEL => OrderBody::Cancel(Cancel { order_id: reader.u64()?, account_id: reader.u64()? }),
        AMEND => OrderBody::Amend(Amend {
            order_id: reader.u64()?,
            account_id: reader.u64()?,
            total_qty: reader.u64()?,
            price: reader.i64()?,
            cancel_on_fail: reader.bool()?,
        }),
        CANCEL_ALL => OrderBody::CancelAll(decode_scope(reader)?),
        _ => OrderBody::CancelAllAfter { account_id: reader.u64()?, timeout_ms: reader.u64()? },
    })
}

fn encode_scope(scope: &Scope, out: &mut Vec<u8>) {
    out.put_u64(scope.account_id);
    out.put_u64(scope.owner_ref);
    out.put_u64(scope.stp_group);
    out.put_u32(scope.instrument_id);
    out.put_u32(scope.session);
}

fn decode_scope(reader: &mut Reader<'_>) -> Result<Scope, Malformed> {
    Ok(Scope {
        account_id: reader.u64()?,
        owner_ref: reader.u64()?,
        stp_group: reader.u64()?,
        instrument_id: reader.u32()?,
        session: reader.u32()?,
    })
}

fn encode_admin(reference: &Id, body: &AdminBody, out: &mut Vec<u8>) {
    out.put_u8(match body {
        AdminBody::PutAsset(_) => PUT_ASSET,
        AdminBody::PutInstrument(_) => PUT_INSTRUMENT,
        AdminBody::SetState { .. } => SET_STATE,
        AdminBody::SetPriceBand { .. } => SET_PRICE_BAND,
        AdminBody::SetAccountFees { .. } => SET_ACCOUNT_FEES,
        AdminBody::MassCancel(_) => MASS_CANCEL,
        AdminBody::RunAuction { .. } => RUN_AUCTION,
    });
    out.put_id(reference);
    match body {
        AdminBody::PutAsset(spec) => spec.encode(out),
        AdminBody::PutInstrument(spec) => spec.encode(out),
        AdminBody::SetState { instrument_id, state } => {
            out.put_u32(*instrument_id);
            out.put_u8(*state as u8);
        }
        AdminBody::SetPriceBand { instrument_id, price_band_ppm, reference_price } => {
            out.put_u32(*instrument_id);
            out.put_u32(*price_band_ppm);
            out.put_i64(*reference_price);
        }
        AdminBody::SetAccountFees { account_id, fees } => {
            out.put_u64(*account_id);
            out.put_bool(fees.is_some());
            let (maker, taker) = fees.unwrap_or_default();
            out.put_u32(maker);
            out.put_u32(taker);
        }
        AdminBody::MassCancel(scope) => encode_scope(scope, out),
        AdminBody::RunAuction { instrument_id, then } => {
            out.put_u32(*instrument_id);
            out.put_u8(*then as u8);
        }
    }
}

fn decode_state(reader: &mut Reader<'_>) -> Result<State, Malformed> {
    State::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such instrument state"))
}

fn decode_admin(kind: u8, reader: &mut Reader<'_>) -> Result<AdminBody, Malformed> {
    Ok(match kind {
        PUT_ASSET => AdminBody::PutAsset(AssetSpec::decode(reader)?),
        PUT_INSTRUMENT => AdminBody::PutInstrument(InstrumentSpec::decode(reader)?),
        SET_STATE => AdminBody::SetState { instrument_id: reader.u32()?, state: decode_state(reader)? },
        SET_PRICE_BAND => AdminBody::SetPriceBand {
            instrument_id: reader.u32()?,
            price_band_ppm: reader.u32()?,
            reference_price: reader.i64()?,
        },
        SET_ACCOUNT_FEES => {
            let account_id = reader.u64()?;
            let own = reader.bool()?;
            let fees = (reader.u32()?, reader.u32()?);
            AdminBody::SetAccountFees { account_id, fees: own.then_some(fees) }
        }
        MASS_CANCEL => AdminBody::MassCancel(decode_scope(reader)?),
        _ => AdminBody::RunAuction { instrument_id: reader.u32()?, then: decode_state(reader)? },
    })
}
