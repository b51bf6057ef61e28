//! Events as bytes in the archive.

use crate::auction::Indication;
use crate::codec::{Malformed, Put, Reader};
use crate::command::{
    AssetSpec, Id, InstrumentSpec, Kind, NewOrder, State, Tif, side_from_number, stp_from_number,
};
use crate::event::{Amount, Body, Code, Done, Reason, Trade};

const ACCEPTED: u8 = 1;
const REJECTED: u8 = 2;
const TRADE: u8 = 3;
const DONE: u8 = 4;
const AMENDED: u8 = 5;
const AMEND_REJECTED: u8 = 6;
const INSTRUMENT: u8 = 7;
const ASSET: u8 = 8;
const ACCOUNT: u8 = 9;
const MARKER: u8 = 10;
const TRANSFER: u8 = 11;
const AUCTION: u8 = 12;

/// Beside the side of a trade's taker.
const IN_AUCTION: u8 = 4;

impl Body {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Body::Accepted { order, command_id, held } => {
                out.put_u8(ACCEPTED);
                out.put_id(command_id);
                out.put_u64(order.order_id);
                out.put_u64(order.account_id);
                out.put_u8(order.side as u8 | (order.kind as u8) << 2 | u8::from(order.post_only) << 4);
                out.put_u8(order.tif as u8 | (order.stp as u8) << 4);
                out.put_i64(order.price);
                out.put_u64(order.qty);
                out.put_u64(order.budget);
                out.put_u64(order.owner_ref);
                out.put_u64(order.stp_group);
                out.put_u64(order.expire_at_ms);
                put_amount(out, held);
            }
            Body::Rejected { order_id, account_id, command_id, code } => {
                out.put_u8(REJECTED);
                put_refusal(out, *order_id, *account_id, command_id, *code);
            }
            Body::Trade(trade) => {
                out.put_u8(TRADE);
                out.put_u8(trade.taker_side as u8 | if trade.auction { IN_AUCTION } else { 0 });
                out.put_i64(trade.price);
                for number in [
                    trade.qty,
                    trade.maker_order_id,
                    trade.taker_order_id,
                    trade.maker_leaves,
                    trade.taker_leaves,
                    trade.maker_account_id,
                    trade.taker_account_id,
                ] {
                    out.put_u64(number);
                }
                out.put_u32(trade.base_asset_id);
                out.put_u32(trade.quote_asset_id);
                for units in [
                    trade.base,
                    trade.quote,
                    trade.maker_fee,
                    trade.taker_fee,
                    trade.maker_held,
                    trade.taker_held,
                ] {
                    out.put_u128(units);
                }
            }
            Body::Done(done) => {
                out.put_u8(DONE);
                out.put_u8(done.reason as u8);
                out.put_u64(done.order_id);
                out.put_u64(done.account_id);
                out.put_u64(done.filled);
                out.put_u64(done.cancelled);
                out.put_u128(done.filled_ticklots);
                put_amount(out, &done.released);
            }
            Body::Amended { order_id, account_id, command_id, price, total, leaves, kept, held } => {
                out.put_u8(AMENDED);
                out.put_id(command_id);
                out.put_u64(*order_id);
                out.put_u64(*account_id);
                out.put_i64(*price);
                out.put_u64(*total);
                out.put_u64(*leaves);
                out.put_bool(*kept);
                put_amount(out, held);
            }
            Body::AmendRejected { order_id, account_id, command_id, code } => {
                out.put_u8(AMEND_REJECTED);
                put_refusal(out, *order_id, *account_id, command_id, *code);
            }
            Body::Instrument { spec, state, last_price, reference } => {
                out.put_u8(INSTRUMENT);
                spec.encode(out);
                out.put_u8(*state as u8);
                out.put_i64(*last_price);
                out.put_id(reference);
            }
            Body::Asset(spec) => {
                out.put_u8(ASSET);
                spec.encode(out);
            }
            Body::Account { account_id, fees } => {
                out.put_u8(ACCOUNT);
                out.put_u64(*account_id);
                out.put_bool(fees.is_some());
                let (maker, taker) = fees.unwrap_or_default();
                out.put_u32(maker);
                out.put_u32(taker);
            }
            Body::Auction { indication, uncrossed } => {
                out.put_u8(AUCTION);
                indication.encode(out);
                out.put_bool(*uncrossed);
            }
            Body::Marker { epoch, logic_version } => {
                out.put_u8(MARKER);
                out.put_u64(*epoch);
                out.put_u32(*logic_version);
            }
            Body::Transfer { transfer_id, account_id, into_venue, amount, code } => {
                out.put_u8(TRANSFER);
                out.put_id(transfer_id);
                out.put_u64(*account_id);
                out.put_bool(*into_venue);
                put_amount(out, amount);
                out.put_u8(*code as u8);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Body, Malformed> {
        Ok(match reader.u8()? {
            ACCEPTED => {
                let command_id = reader.id()?;
                let (order_id, account_id) = (reader.u64()?, reader.u64()?);
                let (flags, types) = (i32::from(reader.u8()?), i32::from(reader.u8()?));
                if flags & !31 != 0 {
                    return Err(Malformed("an unknown flag of an order"));
                }
                let order = NewOrder {
                    order_id,
                    account_id,
                    instrument_id: 0,
                    side: side_from_number(flags & 3).ok_or(Malformed("no such side"))?,
                    kind: Kind::from_number(flags >> 2 & 3).ok_or(Malformed("no such kind"))?,
                    post_only: flags & 16 != 0,
                    tif: Tif::from_number(types & 15).ok_or(Malformed("no such time in force"))?,
                    stp: stp_from_number(types >> 4).ok_or(Malformed("no such STP mode"))?,
                    price: reader.i64()?,
                    qty: reader.u64()?,
                    budget: reader.u64()?,
                    owner_ref: reader.u64()?,
                    stp_group: reader.u64()?,
                    expire_at_ms: reader.u64()?,
                };
                Body::Accepted { order, command_id, held: amount(reader)? }
            }
            REJECTED => {
                let (command_id, order_id, account_id, code) = refusal(reader)?;
                Body::Rejected { order_id, account_id, command_id, code }
            }
            TRADE => {
                let flags = reader.u8()?;
                Body::Trade(Trade {
                    auction: flags & IN_AUCTION != 0,
                    taker_side: side_from_number(i32::from(flags & !IN_AUCTION))
                        .ok_or(Malformed("no such side"))?,
                    price: reader.i64()?,
                    qty: reader.u64()?,
                    maker_order_id: reader.u64()?,
                    taker_order_id: reader.u64()?,
                    maker_leaves: reader.u64()?,
                    taker_leaves: reader.u64()?,
                    maker_account_id: reader.u64()?,
                    taker_account_id: reader.u64()?,
                    base_asset_id: reader.u32()?,
                    quote_asset_id: reader.u32()?,
                    base: reader.u128()?,
                    quote: reader.u128()?,
                    maker_fee: reader.u128()?,
                    taker_fee: reader.u128()?,
                    maker_held: reader.u128()?,
                    taker_held: reader.u128()?,
                })
            }
            DONE => Body::Done(Done {
                reason: Reason::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such reason"))?,
                order_id: reader.u64()?,
                account_id: reader.u64()?,
                filled: reader.u64()?,
                cancelled: reader.u64()?,
                filled_ticklots: reader.u128()?,
                released: amount(reader)?,
            }),
            AMENDED => Body::Amended {
                command_id: reader.id()?,
                order_id: reader.u64()?,
                account_id: reader.u64()?,
                price: reader.i64()?,
                total: reader.u64()?,
                leaves: reader.u64()?,
                kept: reader.bool()?,
                held: amount(reader)?,
            },
            AMEND_REJECTED => {
                let (command_id, order_id, account_id, code) = refusal(reader)?;
                Body::AmendRejected { order_id, account_id, command_id, code }
            }
            INSTRUMENT => Body::Instrument {
                spec: InstrumentSpec::decode(reader)?,
                state: State::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such state"))?,
                last_price: reader.i64()?,
                reference: reader.id()?,
            },
            ASSET => Body::Asset(AssetSpec::decode(reader)?),
            ACCOUNT => {
                let account_id = reader.u64()?;
                let own = reader.bool()?;
                let fees = (reader.u32()?, reader.u32()?);
                Body::Account { account_id, fees: own.then_some(fees) }
            }
            AUCTION => Body::Auction { indication: Indication::decode(reader)?, uncrossed: reader.bool()? },
            MARKER => Body::Marker { epoch: reader.u64()?, logic_version: reader.u32()? },
            TRANSFER => Body::Transfer {
                transfer_id: reader.id()?,
                account_id: reader.u64()?,
                into_venue: reader.bool()?,
                amount: amount(reader)?,
                code: Code::decode(reader)?,
            },
            _ => return Err(Malformed("no such event")),
        })
    }
}

fn put_amount(out: &mut Vec<u8>, amount: &Amount) {
    out.put_u32(amount.asset_id);
    out.put_u128(amount.units);
}

fn amount(reader: &mut Reader<'_>) -> Result<Amount, Malformed> {
    Ok(Amount { asset_id: reader.u32()?, units: reader.u128()? })
}

fn put_refusal(out: &mut Vec<u8>, order_id: u64, account_id: u64, command_id: &Id, code: Code) {
    out.put_id(command_id);
    out.put_u64(order_id);
    out.put_u64(account_id);
    out.put_u8(code as u8);
}

fn refusal(reader: &mut Reader<'_>) -> Result<(Id, u64, u64, Code), Malformed> {
    Ok((reader.id()?, reader.u64()?, reader.u64()?, Code::decode(reader)?))
}

impl Code {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Code, Malformed> {
        Code::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such code"))
    }
}

impl Indication {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_i64(self.price);
        out.put_u64(self.matched);
        out.put_u64(self.unmatched);
        out.put_u8(self.surplus.map_or(0, |side| side as u8));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Indication, Malformed> {
        Ok(Indication {
            price: reader.i64()?,
            matched: reader.u64()?,
            unmatched: reader.u64()?,
            surplus: match reader.u8()? {
                0 => None,
                side => Some(side_from_number(i32::from(side)).ok_or(Malformed("no such side"))?),
            },
        })
    }
}
