//! Decoders, and the venue behind them: whatever bytes come, they are refused or keep every promise of the state.

use countersign_venue::codec::digest;
use countersign_venue::command::{
    AdminBody, Amend, AssetSpec, Cancel, Id, InstrumentSpec, Kind, NewOrder, OrderBody, OrderCommand, Scope,
    Side, State, Stp, Tif, Transfer,
};
use countersign_venue::event::{Event, split_event};
use countersign_venue::logic::{Refused, is_known};
use countersign_venue::{Command, Output, Venue};

use crate::Bytes;

const START_MS: u64 = 1_800_000_000_000;
const NS: u64 = 1_000_000;

/// A command that can be read writes bytes that read the same.
pub fn command(bytes: &[u8]) {
    let Ok((command, body)) = Command::decode(bytes) else { return };
    assert!(body <= bytes.len());
    let mut again = Vec::new();
    let body = command.encode(&mut again);
    assert_eq!(Command::decode(&again), Ok((command, body)));
}

/// Any bytes can be walked through as events, and read or refused.
pub fn event(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((event, after))) = split_event(rest) {
        let read = Event::decode(event);
        if let (Ok(event), Ok(sequences)) = (read, Event::sequences(event)) {
            assert_eq!((event.seq, event.engine_seq), sequences);
        }
        rest = after;
    }
}

/// A state that is accepted keeps its promises and writes itself again.
pub fn snapshot(bytes: &[u8]) {
    let Ok(venue) = Venue::restore(bytes) else { return };
    assert_eq!(venue.snapshot(), bytes);
    venue.audit().expect("the state keeps its promises");
}

/// Two markets, funded traders; `at` is the time in milliseconds after the start.
struct Room {
    venue: Venue,
    output: Output,
    journal: Vec<(u64, Vec<u8>)>,
    told: Vec<u8>,
    now_ms: u64,
    ids: u64,
}

impl Room {
    fn open() -> Room {
        let mut room = Room {
            venue: Venue::new(),
            output: Output::default(),
            journal: Vec::new(),
            told: Vec::new(),
            now_ms: START_MS,
            ids: 0,
        };
        for (asset_id, symbol) in [(1, "BTC"), (2, "USDT")] {
            let spec = AssetSpec { asset_id, symbol: symbol.into(), decimals: 8 };
            room.admin(AdminBody::PutAsset(spec));
        }
        let spec = InstrumentSpec {
            instrument_id: 1,
            kind: 1,
            symbol: "BTC-USDT".into(),
            base_asset_id: 1,
            quote_asset_id: 2,
            base_units_per_lot: 7,
            quote_units_per_ticklot: 3,
            min_price: 1,
            max_price: 1_000,
            min_qty: 1,
            max_qty: 1_000,
            maker_fee_ppm: 800,
            taker_fee_ppm: 1_000,
            price_band_ppm: 0,
            reference_price: 0,
        };
        room.admin(AdminBody::PutInstrument(spec));
        room.admin(AdminBody::SetState { instrument_id: 1, state: State::Open });
        for account_id in [1, 2, 3] {
            for asset_id in [1, 2] {
                let transfer_id = room.id();
                let units = 40_000;
                let transfer = Transfer { transfer_id, account_id, asset_id, into_venue: true, units };
                room.give(&Command::Transfer(transfer));
            }
        }
        room
    }

    fn id(&mut self) -> Id {
        self.ids += 1;
        let mut id = [0; 16];
        id[..6].copy_from_slice(&self.now_ms.to_be_bytes()[2..]);
        id[6] = 0x70;
        id[8..].copy_from_slice(&self.ids.to_be_bytes());
        id
    }

    fn admin(&mut self, body: AdminBody) {
        self.give(&Command::Admin { reference: [0; 16], body });
    }

    /// As the engine thread does it: screened, then applied.
    fn give(&mut self, command: &Command) {
        let mut bytes = Vec::new();
        let body = command.encode(&mut bytes);
        let digest = digest(&bytes[body..]);
        if self.venue.screen(command, digest, self.now_ms).is_some() {
            return;
        }
        self.output.clear();
        self.venue.apply(self.now_ms * NS, command, digest, &mut self.output);
        self.output.events().expect("every event can be read back");
        self.venue.audit().expect("the state keeps its promises");
        self.told.extend_from_slice(&self.output.bytes);
        self.journal.push((self.now_ms * NS, bytes));
    }

    /// The journal gives the same state and the same events again, also from a snapshot in its middle.
    fn close(self) {
        let (mut venue, mut output) = (Venue::new(), Output::default());
        for (at, (time_ns, bytes)) in self.journal.iter().enumerate() {
            if at == self.journal.len() / 2 {
                venue = Venue::restore(&venue.snapshot()).expect("a state writes what it reads");
            }
            venue.replay(*time_ns, bytes, &mut output).expect("the journal can be read");
        }
        assert_eq!(output.bytes, self.told);
        assert_eq!(venue.state_hash(), self.venue.state_hash());
    }
}

/// Commands as they lie in a journal, each behind its length: whatever the screen lets through is applied.
pub fn venue(bytes: &[u8]) {
    let mut room = Room::open();
    let mut rest = bytes;
    while let Some((&length, after)) = rest.split_first() {
        let (bytes, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        match Command::decode(bytes) {
            // A leader names its own rules; a record that names others is refused by the replay, before it does anything.
            Ok((Command::Lead { logic_version, .. }, _)) if !is_known(logic_version) => {
                let hash = room.venue.state_hash();
                let refused = room.venue.replay(room.now_ms * NS, bytes, &mut Output::default());
                assert_eq!(refused.unwrap_err(), Refused::Logic(logic_version));
                assert_eq!(room.venue.state_hash(), hash);
            }
            Ok((command, _)) => room.give(&command),
            Err(_) => {}
        }
    }
    room.close();
}

/// Well-formed orders of three traders, with auctions, clocks and transfers, chosen by the bytes.
pub fn orders(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let mut room = Room::open();
    while !bytes.is_empty() {
        room.now_ms += bytes.below(4) * 50;
        let kind = bytes.below(16);
        let (order_id, account_id) = (1 + bytes.below(32), 1 + bytes.below(3));
        let body = match kind {
            0..=7 => OrderBody::New(new_order(&mut bytes, order_id, account_id, room.now_ms)),
            8 | 9 => OrderBody::Cancel(Cancel { order_id, account_id }),
            10 | 11 => OrderBody::Amend(Amend {
                order_id,
                account_id,
                total_qty: bytes.below(40),
                price: 90 + bytes.below(20) as i64,
                cancel_on_fail: bytes.below(2) == 0,
            }),
            12 => OrderBody::CancelAllAfter { account_id, timeout_ms: bytes.below(3) * 100 },
            13 => OrderBody::CancelAll(Scope { account_id, ..Scope::default() }),
            _ => {
                administer(&mut bytes, &mut room);
                continue;
            }
        };
        let command_id = room.id();
        let expires_at_ms = room.now_ms + 1_000;
        room.give(&Command::Order(OrderCommand {
            command_id,
            session: 0,
            session_seq: 0,
            expires_at_ms,
            body,
        }));
    }
    room.close();
}

fn new_order(bytes: &mut Bytes<'_>, order_id: u64, account_id: u64, now_ms: u64) -> NewOrder {
    let side = if bytes.below(2) == 0 { Side::Buy } else { Side::Sell };
    let (kind, tif) = match bytes.below(8) {
        0..=3 => (Kind::Limit, Tif::Gtc),
        4 => (Kind::Limit, Tif::Ioc),
        5 => (Kind::Limit, Tif::Fok),
        6 => (Kind::Limit, Tif::Gtd),
        _ => (Kind::Market, Tif::Ioc),
    };
    let budgeted = kind == Kind::Market && side == Side::Buy && bytes.below(2) == 0;
    let qty = 1 + bytes.below(40);
    NewOrder {
        order_id,
        account_id,
        instrument_id: 1,
        side,
        kind,
        tif,
        post_only: tif == Tif::Gtc && bytes.below(4) == 0,
        price: 90 + bytes.below(20) as i64,
        qty: if budgeted { 0 } else { qty },
        budget: if budgeted { qty * 100 } else { 0 },
        owner_ref: 0,
        stp_group: bytes.below(3),
        stp: [Stp::CancelMaker, Stp::CancelTaker, Stp::CancelBoth][bytes.below(3) as usize],
        expire_at_ms: if tif == Tif::Gtd { now_ms + 1 + bytes.below(8) * 50 } else { 0 },
    }
}

fn administer(bytes: &mut Bytes<'_>, room: &mut Room) {
    let state = [State::Open, State::PostOnly, State::CancelOnly, State::Halted, State::Auction];
    let (account_id, instrument_id) = (1 + bytes.below(3), 1);
    match bytes.below(6) {
        0 => room.admin(AdminBody::RunAuction { instrument_id, then: State::Open }),
        1 => room.admin(AdminBody::SetState { instrument_id, state: State::Halted }),
        2 => room.admin(AdminBody::SetState { instrument_id, state: State::Auction }),
        3 => {
            let state = state[bytes.below(5) as usize];
            room.admin(AdminBody::SetState { instrument_id, state });
        }
        4 => room.admin(AdminBody::SetPriceBand {
            instrument_id,
            price_band_ppm: bytes.below(20) as u32 * 10_000,
            reference_price: bytes.below(2) as i64 * 100,
        }),
        _ => {
            let (transfer_id, asset_id) = (room.id(), 1 + bytes.below(2) as u32);
            let (into_venue, units) = (bytes.below(2) == 0, 1 + u128::from(bytes.byte()) * 100);
            room.give(&Command::Transfer(Transfer { transfer_id, account_id, asset_id, into_venue, units }));
        }
    }
}
