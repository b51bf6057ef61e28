//! A venue with two traders at it, and short words for what they do.
#![allow(dead_code)]

use countersign_venue::codec::digest;
use countersign_venue::command::{
    AdminBody, Amend, AssetSpec, Cancel, Command, Id, InstrumentSpec, Kind, NewOrder, OrderBody,
    OrderCommand, Scope, Side, State, Stp, Tif, Transfer,
};
use countersign_venue::event::{Body, Code, Event, Output, Reason};
use countersign_venue::{LOGIC_VERSION, Outcome, Venue};

pub const BTC: u32 = 1;
pub const USDT: u32 = 2;
pub const TOM: u64 = 11;
pub const TIA: u64 = 12;
pub const MARKET: u32 = 1;

pub struct Desk {
    pub venue: Venue,
    pub now_ns: u64,
    /// Everything that was applied, as the journal would hold it.
    pub journal: Vec<(u64, Vec<u8>)>,
    pub events: Vec<Event>,
    pub bytes: Vec<u8>,
    ids: u64,
}

pub fn spec() -> InstrumentSpec {
    InstrumentSpec {
        instrument_id: MARKET,
        kind: 1,
        symbol: "BTC-USDT".into(),
        base_asset_id: BTC,
        quote_asset_id: USDT,
        base_units_per_lot: 1_000,
        quote_units_per_ticklot: 1,
        min_price: 1,
        max_price: 10_000_000,
        min_qty: 1,
        max_qty: 1_000_000,
        maker_fee_ppm: 800,
        taker_fee_ppm: 1_000,
        price_band_ppm: 0,
        reference_price: 0,
    }
}

/// A limit order, good till cancelled.
pub fn limit(order_id: u64, account_id: u64, side: Side, price: i64, qty: u64) -> NewOrder {
    NewOrder {
        order_id,
        account_id,
        instrument_id: MARKET,
        side,
        kind: Kind::Limit,
        tif: Tif::Gtc,
        post_only: false,
        price,
        qty,
        budget: 0,
        owner_ref: 0,
        stp_group: 0,
        stp: Stp::CancelMaker,
        expire_at_ms: 0,
    }
}

pub fn buy(order_id: u64, account_id: u64, price: i64, qty: u64) -> NewOrder {
    limit(order_id, account_id, Side::Buy, price, qty)
}

pub fn sell(order_id: u64, account_id: u64, price: i64, qty: u64) -> NewOrder {
    limit(order_id, account_id, Side::Sell, price, qty)
}

impl Desk {
    /// Nothing listed, nobody funded; somebody leads by the newest rules.
    pub fn empty() -> Desk {
        Desk::under(LOGIC_VERSION)
    }

    /// The same by these rules.
    pub fn under(logic_version: u32) -> Desk {
        let mut desk = Desk {
            venue: Venue::new(),
            now_ns: 1_800_000_000_000_000_000,
            journal: Vec::new(),
            events: Vec::new(),
            bytes: Vec::new(),
            ids: 0,
        };
        desk.lead(logic_version);
        desk
    }

    /// Another process begins to lead.
    pub fn lead(&mut self, logic_version: u32) {
        self.give(Command::Lead { epoch: self.venue.epoch() + 1, logic_version });
    }

    /// BTC-USDT is open; Tom and Tia have 10 BTC and 1,000,000 USDT each.
    pub fn open() -> Desk {
        Desk::open_under(LOGIC_VERSION)
    }

    pub fn open_under(logic_version: u32) -> Desk {
        let mut desk = Desk::under(logic_version);
        for (asset_id, symbol, decimals) in [(BTC, "BTC", 8), (USDT, "USDT", 6)] {
            let spec = AssetSpec { asset_id, symbol: symbol.into(), decimals };
            assert_eq!(desk.admin(AdminBody::PutAsset(spec)), Code::Ok);
        }
        assert_eq!(desk.admin(AdminBody::PutInstrument(spec())), Code::Ok);
        desk.state(State::Open);
        for account in [TOM, TIA] {
            desk.fund(account, BTC, 1_000_000_000);
            desk.fund(account, USDT, 1_000_000_000_000);
        }
        desk
    }

    /// Screens and, if nothing was answered, applies; checks the whole state afterwards.
    pub fn give(&mut self, command: Command) -> (Outcome, Vec<Event>) {
        let mut bytes = Vec::new();
        let body = command.encode(&mut bytes);
        let digest = digest(&bytes[body..]);
        if let Some(answer) = self.venue.screen(&command, digest, self.now_ns / 1_000_000) {
            return (answer.outcome, Vec::new());
        }
        assert_eq!(
            Command::decode(&bytes),
            Ok((command.clone(), body)),
            "the journal gives back what was written"
        );
        let mut output = Output::default();
        let outcome = self.venue.apply(self.now_ns, &command, digest, &mut output);
        let events = output.events().unwrap();
        self.venue.audit().unwrap();
        for (event, expected) in events.iter().zip(self.events.len() as u64 + 1..) {
            assert_eq!(event.seq, expected, "events are numbered without gaps");
        }
        self.journal.push((self.now_ns, bytes));
        self.bytes.extend_from_slice(&output.bytes);
        self.events.extend(events.iter().cloned());
        (outcome, events)
    }

    pub fn id(&mut self) -> Id {
        self.ids += 1;
        let mut id = [0; 16];
        id[..6].copy_from_slice(&(self.now_ns / 1_000_000).to_be_bytes()[2..]);
        id[8..].copy_from_slice(&self.ids.to_be_bytes());
        id[6] = 0x70;
        id
    }

    pub fn wrap(&mut self, body: OrderBody) -> Command {
        Command::Order(OrderCommand {
            command_id: self.id(),
            session: 0,
            session_seq: 0,
            expires_at_ms: self.now_ns / 1_000_000 + 1_000,
            body,
        })
    }

    pub fn order(&mut self, body: OrderBody) -> (Outcome, Vec<Event>) {
        let command = self.wrap(body);
        self.give(command)
    }

    pub fn enter(&mut self, order: NewOrder) -> (Outcome, Vec<Event>) {
        self.order(OrderBody::New(order))
    }

    pub fn cancel(&mut self, order_id: u64, account_id: u64) -> Code {
        self.order(OrderBody::Cancel(Cancel { order_id, account_id })).0.code
    }

    pub fn amend(
        &mut self,
        order_id: u64,
        account_id: u64,
        total_qty: u64,
        price: i64,
    ) -> (Outcome, Vec<Event>) {
        self.order(OrderBody::Amend(Amend { order_id, account_id, total_qty, price, cancel_on_fail: false }))
    }

    pub fn cancel_all(&mut self, scope: Scope) -> u32 {
        self.order(OrderBody::CancelAll(scope)).0.cancelled
    }

    pub fn admin(&mut self, body: AdminBody) -> Code {
        self.give(Command::Admin { reference: [0; 16], body }).0.code
    }

    pub fn state(&mut self, state: State) {
        assert_eq!(self.admin(AdminBody::SetState { instrument_id: MARKET, state }), Code::Ok);
    }

    pub fn transfer(&mut self, account_id: u64, asset_id: u32, units: u128, into_venue: bool) -> Code {
        let transfer_id = self.id();
        self.give(Command::Transfer(Transfer { transfer_id, account_id, asset_id, into_venue, units })).0.code
    }

    pub fn fund(&mut self, account_id: u64, asset_id: u32, units: u128) {
        assert_eq!(self.transfer(account_id, asset_id, units, true), Code::Ok);
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.now_ns += ms * 1_000_000;
    }

    pub fn available(&self, account_id: u64, asset_id: u32) -> u128 {
        self.venue.balance(account_id, asset_id).available
    }

    pub fn held(&self, account_id: u64, asset_id: u32) -> u128 {
        self.venue.balance(account_id, asset_id).held
    }

    /// Ids of resting orders in book order.
    pub fn resting(&self) -> Vec<u64> {
        self.venue.open_orders(0, 0).iter().map(|order| order.order_id).collect()
    }
}

/// (maker, price, quantity) of each trade.
pub fn trades(events: &[Event]) -> Vec<(u64, i64, u64)> {
    events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Trade(trade) => Some((trade.maker_order_id, trade.price, trade.qty)),
            _ => None,
        })
        .collect()
}

/// (order, reason) of each order that ended.
pub fn ends(events: &[Event]) -> Vec<(u64, Reason)> {
    events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Done(done) => Some((done.order_id, done.reason)),
            _ => None,
        })
        .collect()
}
