//! What happened: the venue's output. Its bytes in the archive are in [`crate::event_bytes`].

use crate::auction::Indication;
use crate::codec::{Malformed, Put, Reader};
use crate::command::{AssetSpec, Id, InstrumentSpec, NewOrder, Side, State, numbered};

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
    Unconfirmed = 105,
    Overtaken = 106,
}

numbered!(Code: Ok, BadCommand, Expired, CommandMismatch, UnknownCommand, UnknownInstrument, UnknownAsset,
    UnknownOrder, NotOwner, DuplicateOrderId, InstrumentState, PriceOutOfRange, PriceBand, QuantityOutOfRange,
    InsufficientBalance, NoLiquidity, WouldTake, FokUnfillable, SelfTrade, TooManyOrders, NotEmpty, Unsupported,
    Overflow, Unchanged, Forgotten, Draining, Busy, NotLeader, Failed, SessionGap,
    Unconfirmed, Overtaken);

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
    /// Both rested when a call auction was run: `maker` names the buy, `taker` the sell, and neither took.
    pub auction: bool,
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
    /// What a call auction would do, or, `uncrossed`, does now: its trades follow.
    Auction {
        indication: Indication,
        uncrossed: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Kind, Stp, Tif};

    #[test]
    fn an_order_is_read_only_where_every_bit_of_its_types_is_known() {
        let (kind, tif, stp) = (Kind::Market, Tif::Fok, Stp::CancelBoth);
        let order = NewOrder {
            order_id: 1,
            account_id: 2,
            instrument_id: 0,
            side: Side::Sell,
            kind,
            tif,
            post_only: false,
            price: 3,
            qty: 4,
            budget: 0,
            owner_ref: 0,
            stp_group: 5,
            stp,
            expire_at_ms: 0,
        };
        let body = Body::Accepted { order, command_id: [7; 16], held: Amount::default() };
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        let types = 1 + 16 + 2;
        let mut known = 0;
        for (flags, both) in (0..=u8::MAX).flat_map(|flags| (0..=u8::MAX).map(move |both| (flags, both))) {
            (bytes[types], bytes[types + 1]) = (flags, both);
            let Ok(read) = Body::decode(&mut Reader::new(&bytes)) else { continue };
            known += 1;
            let mut again = Vec::new();
            read.encode(&mut again);
            assert_eq!(again, bytes, "something was guessed");
        }
        // Side and kind, post-only or not; time in force and mode.
        assert_eq!(known, (2 * 2 * 2) * (4 * 3));
    }
}
