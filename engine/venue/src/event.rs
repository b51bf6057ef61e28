//! What happened: the venue's output, and its bytes in the archive.

use crate::codec::{Malformed, Put, Reader};
use crate::command::{
    AssetSpec, Id, InstrumentSpec, Kind, NewOrder, Side, State, Tif, numbered, side_from_number,
    stp_from_number,
};

/// How a command ended. The numbers are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Ok = 1,
    BadCommand = 2,
    Expired = 3,
    CommandMismatch = 4,
    UnknownCommand = 5,
    UnknownInstrument = 6,
    UnknownAsset = 7,
    UnknownOrder = 8,
    NotOwner = 9,
    DuplicateOrderId = 10,
    InstrumentState = 11,
    PriceOutOfRange = 12,
    PriceBand = 13,
    QuantityOutOfRange = 14,
    InsufficientBalance = 15,
    NoLiquidity = 16,
    WouldTake = 17,
    FokUnfillable = 18,
    SelfTrade = 19,
    TooManyOrders = 20,
    NotEmpty = 21,
    Unsupported = 22,
    Overflow = 23,
    Unchanged = 24,
    Forgotten = 25,
    Draining = 100,
    Busy = 101,
    NotLeader = 102,
    Failed = 103,
    SessionGap = 104,
}

numbered!(Code: Ok, BadCommand, Expired, CommandMismatch, UnknownCommand, UnknownInstrument, UnknownAsset,
    UnknownOrder, NotOwner, DuplicateOrderId, InstrumentState, PriceOutOfRange, PriceBand, QuantityOutOfRange,
    InsufficientBalance, NoLiquidity, WouldTake, FokUnfillable, SelfTrade, TooManyOrders, NotEmpty, Unsupported,
    Overflow, Unchanged, Forgotten, Draining, Busy, NotLeader, Failed, SessionGap);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    Filled = 1,
    Cancelled = 2,
    IocRemainder = 3,
    Expired = 4,
    Stp = 5,
    MassCancel = 6,
    CancelAllAfter = 7,
    Disconnect = 8,
    AmendFailed = 9,
    BudgetSpent = 10,
}

numbered!(Reason: Filled, Cancelled, IocRemainder, Expired, Stp, MassCancel, CancelAllAfter, Disconnect,
    AmendFailed, BudgetSpent);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub asset_id: u32,
    pub units: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    pub price: i64,
    pub qty: u64,
    pub taker_side: Side,
    pub maker_order_id: u64,
    pub taker_order_id: u64,
    pub maker_leaves: u64,
    pub taker_leaves: u64,
    pub maker_account_id: u64,
    pub taker_account_id: u64,
    pub base_asset_id: u32,
    pub quote_asset_id: u32,
    pub base: u128,
    pub quote: u128,
    pub maker_fee: u128,
    pub taker_fee: u128,
    pub maker_held: u128,
    pub taker_held: u128,
}

impl Trade {
    /// The asset that the buyer pays with and the seller receives, and the other way round.
    pub fn assets_of(&self, side: Side) -> (u32, u32) {
        match side {
            Side::Buy => (self.quote_asset_id, self.base_asset_id),
            Side::Sell => (self.base_asset_id, self.quote_asset_id),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub order_id: u64,
    pub account_id: u64,
    pub reason: Reason,
    pub filled: u64,
    pub cancelled: u64,
    pub filled_ticklots: u128,
    pub released: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Accepted {
        order: NewOrder,
        command_id: Id,
        held: Amount,
    },
    Rejected {
        order_id: u64,
        account_id: u64,
        command_id: Id,
        code: Code,
    },
    Trade(Trade),
    Done(Done),
    Amended {
        order_id: u64,
        account_id: u64,
        command_id: Id,
        price: i64,
        total: u64,
        leaves: u64,
        kept: bool,
        held: Amount,
    },
    AmendRejected {
        order_id: u64,
        account_id: u64,
        command_id: Id,
        code: Code,
    },
    Instrument {
        spec: InstrumentSpec,
        state: State,
        last_price: i64,
        reference: Id,
    },
    Asset(AssetSpec),
    Account {
        account_id: u64,
        fees: Option<(u32, u32)>,
    },
    Marker {
        epoch: u64,
        logic_version: u32,
    },
    Transfer {
        transfer_id: Id,
        account_id: u64,
        into_venue: bool,
        amount: Amount,
        code: Code,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub seq: u64,
    pub engine_seq: u64,
    pub time_ns: u64,
    /// 0 where none applies.
    pub instrument_id: u32,
    pub body: Body,
}

/// The events of some commands, encoded as they happen.
///
/// Each is a length (u32, little-endian) and its bytes, so that readers can skip.
#[derive(Default)]
pub struct Output {
    pub bytes: Vec<u8>,
    pub count: u64,
}

impl Output {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    pub(crate) fn push(&mut self, seq: u64, engine_seq: u64, time_ns: u64, instrument_id: u32, body: &Body) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.put_u64(seq);
        self.bytes.put_u64(engine_seq);
        self.bytes.put_u64(time_ns);
        self.bytes.put_u32(instrument_id);
        body.encode(&mut self.bytes);
        let length = (self.bytes.len() - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    /// Reads the events back, as a consumer of the archive does.
    pub fn events(&self) -> Result<Vec<Event>, Malformed> {
        let mut events = Vec::new();
        let mut rest = self.bytes.as_slice();
        while let Some((event, after)) = split_event(rest)? {
            events.push(Event::decode(event)?);
            rest = after;
        }
        Ok(events)
    }
}

/// One event's bytes, and what follows.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The first event's bytes and what follows; `None` at the end.
pub fn split_event(bytes: &[u8]) -> Result<Option<Split<'_>>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed("an event is cut short"))?;
    let parts = rest.split_at_checked(u32::from_le_bytes(*length) as usize);
    parts.map(Some).ok_or(Malformed("an event is cut short"))
}

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

impl Body {
    fn encode(&self, out: &mut Vec<u8>) {
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
                out.put_u8(trade.taker_side as u8);
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

    fn decode(reader: &mut Reader<'_>) -> Result<Body, Malformed> {
        Ok(match reader.u8()? {
            ACCEPTED => {
                let command_id = reader.id()?;
                let (order_id, account_id) = (reader.u64()?, reader.u64()?);
                let (flags, types) = (i32::from(reader.u8()?), i32::from(reader.u8()?));
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
            TRADE => Body::Trade(Trade {
                taker_side: side_from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such side"))?,
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
            }),
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
            MARKER => Body::Marker { epoch: reader.u64()?, logic_version: reader.u32()? },
            TRANSFER => Body::Transfer {
                transfer_id: reader.id()?,
                account_id: reader.u64()?,
                into_venue: reader.bool()?,
                amount: amount(reader)?,
                code: code(reader)?,
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

fn code(reader: &mut Reader<'_>) -> Result<Code, Malformed> {
    Code::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such code"))
}

fn put_refusal(out: &mut Vec<u8>, order_id: u64, account_id: u64, command_id: &Id, code: Code) {
    out.put_id(command_id);
    out.put_u64(order_id);
    out.put_u64(account_id);
    out.put_u8(code as u8);
}

fn refusal(reader: &mut Reader<'_>) -> Result<(Id, u64, u64, Code), Malformed> {
    Ok((reader.id()?, reader.u64()?, reader.u64()?, code(reader)?))
}

impl Event {
    /// The event's own sequence and that of its command, without reading the rest.
    pub fn sequences(bytes: &[u8]) -> Result<(u64, u64), Malformed> {
        let mut reader = Reader::new(bytes);
        Ok((reader.u64()?, reader.u64()?))
    }

    pub fn decode(bytes: &[u8]) -> Result<Event, Malformed> {
        let mut reader = Reader::new(bytes);
        let event = Event {
            seq: reader.u64()?,
            engine_seq: reader.u64()?,
            time_ns: reader.u64()?,
            instrument_id: reader.u32()?,
            body: Body::decode(&mut reader)?,
        };
        reader.finish()?;
        Ok(event)
    }
}
