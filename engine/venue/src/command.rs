//! What may be asked of the venue. Its bytes in the journal are in [`crate::command_bytes`].

pub use countersign_book::{Side, Stp};

pub type Id = [u8; 16];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Limit = 1,
    Market = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tif {
    Gtc = 1,
    Ioc = 2,
    Fok = 3,
    Gtd = 4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Preopen = 1,
    Auction = 2,
    Open = 3,
    PostOnly = 4,
    CancelOnly = 5,
    Halted = 6,
    Closed = 7,
}

macro_rules! numbered {
    ($name:ident: $($variant:ident),+) => {
        impl $name {
            pub fn from_number(number: i32) -> Option<$name> {
                match number {
                    $(n if n == $name::$variant as i32 => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use numbered;

numbered!(Kind: Limit, Market);
numbered!(Tif: Gtc, Ioc, Fok, Gtd);
numbered!(State: Preopen, Auction, Open, PostOnly, CancelOnly, Halted, Closed);

pub fn side_from_number(number: i32) -> Option<Side> {
    match number {
        1 => Some(Side::Buy),
        2 => Some(Side::Sell),
        _ => None,
    }
}

pub fn stp_from_number(number: i32) -> Option<Stp> {
    match number {
        1 => Some(Stp::CancelMaker),
        2 => Some(Stp::CancelTaker),
        3 => Some(Stp::CancelBoth),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    pub order_id: u64,
    pub account_id: u64,
    pub instrument_id: u32,
    pub side: Side,
    pub kind: Kind,
    pub tif: Tif,
    pub post_only: bool,
    pub price: i64,
    pub qty: u64,
    /// 0 = none.
    pub budget: u64,
    pub owner_ref: u64,
    pub stp_group: u64,
    pub stp: Stp,
    /// 0 = none.
    pub expire_at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    pub order_id: u64,
    pub account_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amend {
    pub order_id: u64,
    pub account_id: u64,
    /// 0 = as it is.
    pub total_qty: u64,
    /// 0 = as it is.
    pub price: i64,
    pub cancel_on_fail: bool,
}

/// Which orders: all that match every part that is not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub account_id: u64,
    pub owner_ref: u64,
    pub stp_group: u64,
    pub instrument_id: u32,
    pub session: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBody {
    New(NewOrder),
    Cancel(Cancel),
    Amend(Amend),
    CancelAll(Scope),
    CancelAllAfter { account_id: u64, timeout_ms: u64 },
}

/// A command of order entry, with what makes it idempotent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderCommand {
    pub command_id: Id,
    /// The venue's number of the session; 0 = none.
    pub session: u32,
    pub session_seq: u64,
    pub expires_at_ms: u64,
    pub body: OrderBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub transfer_id: Id,
    pub account_id: u64,
    pub asset_id: u32,
    pub into_venue: bool,
    pub units: u128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetSpec {
    pub asset_id: u32,
    pub symbol: String,
    pub decimals: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstrumentSpec {
    pub instrument_id: u32,
    pub kind: u32,
    pub symbol: String,
    pub base_asset_id: u32,
    pub quote_asset_id: u32,
    pub base_units_per_lot: u64,
    pub quote_units_per_ticklot: u64,
    pub min_price: i64,
    pub max_price: i64,
    pub min_qty: u64,
    pub max_qty: u64,
    pub maker_fee_ppm: u32,
    pub taker_fee_ppm: u32,
    pub price_band_ppm: u32,
    pub reference_price: i64,
}

/// `reference` is the administrator's own; it is journaled and told in the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminBody {
    PutAsset(AssetSpec),
    PutInstrument(InstrumentSpec),
    SetState { instrument_id: u32, state: State },
    SetPriceBand { instrument_id: u32, price_band_ppm: u32, reference_price: i64 },
    SetAccountFees { account_id: u64, fees: Option<(u32, u32)> },
    MassCancel(Scope),
    RunAuction { instrument_id: u32, then: State },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Order(OrderCommand),
    Transfer(Transfer),
    /// Settlement has stored all events up to here; transfer ids told before may be forgotten.
    Acknowledge {
        through_event_seq: u64,
    },
    Admin {
        reference: Id,
        body: AdminBody,
    },
    OpenSession {
        session_id: Id,
    },
    /// The session's stream ended and its client had asked for this.
    CancelSession {
        session: u32,
    },
    /// A session's stream begins; `cancels`: its orders are to go when it ends.
    AttachSession {
        session_id: Id,
        cancels: bool,
    },
    /// It has ended.
    DetachSession {
        session: u32,
    },
    /// Nothing but time: lets due timers fire.
    Tick,
    /// A process begins to lead.
    Lead {
        epoch: u64,
        logic_version: u32,
    },
}
