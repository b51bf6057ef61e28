//! A book that is followed event by event is the venue's own, after every command.

use countersign_venue::command::{
    AdminBody, Amend, AssetSpec, Cancel, InstrumentSpec, NewOrder, OrderBody, OrderCommand, Stp, Transfer,
};
use countersign_venue::{Command, Output};

use super::*;

const MARKET: u32 = 9;
/// Places of a piece: so that several commands fall into a copy.
const FEW: u32 = 3;

/// A reader's copy, which only knows the deltas.
#[derive(Default)]
struct Reader {
    bids: BTreeMap<i64, Level>,
    asks: BTreeMap<i64, Level>,
    book_seq: u64,
}

impl Reader {
    fn take(&mut self, frame: &BookFrame) {
        for (half, levels) in [(&mut self.bids, &frame.bids), (&mut self.asks, &frame.asks)] {
            for level in levels {
                match level.qty_lots {
                    // It may have come and gone within one command.
                    0 => drop(half.remove(&level.price_ticks)),
                    _ => drop(half.insert(level.price_ticks, *level)),
                }
            }
        }
        self.book_seq = frame.book_seq;
    }

    fn levels(&self) -> (Vec<Level>, Vec<Level>) {
        (self.bids.values().rev().copied().collect(), self.asks.values().copied().collect())
    }
}

fn resting(order_id: u64, side: Side, price: i64, qty: u64) -> NewOrder {
    NewOrder {
        order_id,
        account_id: 1 + order_id % 2,
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

/// A venue, two who follow it, and one who copies it again and again, a piece between any two commands.
struct Told {
    venue: Venue,
    depth: Depth,
    copy: Reader,
    at: u64,
    begun: Depth,
    next: Option<Place>,
    /// Since its first piece.
    since: Vec<Event>,
    copies: u64,
}

impl Told {
    fn apply(&mut self, command: Command) {
        self.at += 1;
        let mut output = Output::default();
        self.venue.apply(self.at * 1_000_000, &command, self.at, &mut output);
        let events = output.events().unwrap();
        events.iter().for_each(|event| self.depth.follow(event));
        self.copy_on(events);
        for frame in self.depth.deltas() {
            assert_eq!((frame.instrument_id, frame.snapshot), (MARKET, false));
            assert_eq!((frame.prev_book_seq, frame.book_seq), (self.copy.book_seq, self.venue.event_seq()));
            assert_eq!((frame.engine_seq, frame.epoch), (self.venue.engine_seq(), self.venue.epoch()));
            assert_eq!((frame.event_seq, frame.engine_time_ns), (frame.book_seq, self.venue.time_ns()));
            assert!(frame.bids.is_sorted_by_key(|level| -level.price_ticks));
            self.copy.take(&frame);
            let (bids, asks) = self.copy.levels();
            assert_eq!(frame.checksum, checksum(&bids, &asks));
        }
        assert!(self.depth.deltas().is_empty(), "each change is told once");
        self.compare();
    }

    fn compare(&self) {
        for most in [0, 1, 2] {
            let Some(own) = look(&self.venue, MARKET, most) else {
                assert_eq!(self.depth.snapshot(MARKET, most), None);
                return;
            };
            let told = self.depth.snapshot(MARKET, most).unwrap();
            assert_eq!((own.prev_book_seq, own.snapshot, own.book_seq), (0, true, self.venue.event_seq()));
            // A market's own are older where others have moved since.
            let BookFrame { book_seq, engine_seq, engine_time_ns, .. } = told;
            assert_eq!(told, BookFrame { book_seq, engine_seq, engine_time_ns, ..own });
            assert_eq!(book_seq, self.copy.book_seq);
            let (mut bids, mut asks) = self.copy.levels();
            if most > 0 {
                bids.truncate(most);
                asks.truncate(most);
            }
            assert_eq!((told.bids, told.asks), (bids, asks));
        }
    }

    fn admin(&mut self, body: AdminBody) {
        self.apply(Command::Admin { reference: [0; 16], body });
    }

    fn order(&mut self, body: OrderBody) {
        let command_id = u128::from(self.at).to_be_bytes();
        self.apply(Command::Order(OrderCommand {
            command_id,
            session: 0,
            session_seq: 0,
            expires_at_ms: u64::MAX,
            body,
        }));
    }

    /// Orders around one price, amended and cancelled; the same every time.
    fn flow(&mut self, count: u64) {
        let mut dice = 7_u64;
        let mut roll = move |below: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % below
        };
        for _ in 0..count {
            let old = self.at.saturating_sub(roll(40)).max(1);
            let account_id = 1 + old % 2;
            match roll(10) {
                0 => self.order(OrderBody::Cancel(Cancel { order_id: old, account_id })),
                1 | 2 => self.order(OrderBody::Amend(Amend {
                    order_id: old,
                    account_id,
                    total_qty: 1 + roll(8),
                    price: [0, 95 + roll(11) as i64][roll(2) as usize],
                    cancel_on_fail: false,
                })),
                _ => {
                    let tif = [Tif::Gtc, Tif::Gtc, Tif::Gtd, Tif::Ioc][roll(4) as usize];
                    let gone_ms = self.at + 1 + roll(30);
                    let side = [Side::Buy, Side::Sell][roll(2) as usize];
                    let order = NewOrder {
                        tif,
                        expire_at_ms: if tif == Tif::Gtd { gone_ms } else { 0 },
                        ..resting(self.at, side, 95 + roll(11) as i64, 1 + roll(8))
                    };
                    self.order(OrderBody::New(order));
                }
            }
        }
    }

    /// Of each side one that lies behind what was copied, and moves to the place of a maker that lies in it.
    fn amend_behind_a_copys_back(&mut self) {
        for (side, maker, price) in [(Side::Buy, Side::Sell, 90), (Side::Sell, Side::Buy, 110)] {
            let first = self.at;
            self.order(OrderBody::New(resting(first, maker, 100, 1)));
            for away in 1..=5 {
                self.order(OrderBody::New(resting(first + away, side, price, 5)));
            }
            let order_id = first + 5;
            while self.next.is_none_or(|next| next.slot != FEW) {
                self.order(OrderBody::Cancel(Cancel { order_id: u64::MAX, account_id: 1 }));
            }
            self.order(OrderBody::Amend(Amend {
                order_id,
                account_id: 1 + order_id % 2,
                total_qty: 5,
                price: 100,
                cancel_on_fail: false,
            }));
            let rests = self.venue.open_orders(0, MARKET);
            assert!(rests.iter().any(|order| (order.order_id, order.leaves) == (order_id, 4)));
            for old in first..first + 6 {
                self.order(OrderBody::Cancel(Cancel { order_id: old, account_id: 1 + old % 2 }));
            }
        }
    }

    fn copy_on(&mut self, events: Vec<Event>) {
        self.since.extend(events);
        let piece = Piece::of(&self.venue, self.next.unwrap_or(Piece::FIRST), FEW);
        if self.next.is_none() {
            self.since.clear();
        }
        self.next = piece.next;
        self.begun.copy(piece);
        if self.next.is_some() {
            return;
        }
        let mut begun = std::mem::take(&mut self.begun);
        assert_eq!(begun.is_of_one_moment(), self.since.is_empty());
        self.since.drain(..).for_each(|event| begun.follow(&event));
        assert!(begun.is_of_one_moment());
        let seen = |depth: &Depth| {
            let frame = depth.snapshot(MARKET, 0)?;
            let orders: BTreeMap<u64, i64> =
                depth.ladders[&MARKET].orders.iter().map(|(id, shown)| (*id, shown.price)).collect();
            Some((frame.bids, frame.asks, frame.auction, frame.epoch, frame.event_seq, orders))
        };
        assert_eq!(seen(&begun), seen(&self.depth));
        self.copies += 1;
    }

    fn set(&mut self, state: State) {
        self.admin(AdminBody::SetState { instrument_id: MARKET, state });
        assert_eq!(self.venue.market(MARKET).unwrap().state, state);
    }

    fn auction(&self) -> bool {
        self.depth.snapshot(MARKET, 0).unwrap().auction.is_some()
    }
}

#[test]
fn a_followed_book_is_the_venues_own_through_trades_amendments_auctions_and_leaders() {
    let venue = Venue::new();
    let mut told = Told {
        depth: Depth::of(&venue),
        venue,
        copy: Reader::default(),
        at: 0,
        begun: Depth::default(),
        next: None,
        since: Vec::new(),
        copies: 0,
    };
    for asset_id in [1, 2] {
        told.admin(AdminBody::PutAsset(AssetSpec { asset_id, symbol: "A".into(), decimals: 0 }));
        for account_id in [1, 2] {
            let transfer_id = [(asset_id * 2) as u8 + account_id as u8; 16];
            let units = 1 << 40;
            told.apply(Command::Transfer(Transfer {
                transfer_id,
                account_id,
                asset_id,
                into_venue: true,
                units,
            }));
        }
    }
    told.admin(AdminBody::PutInstrument(InstrumentSpec {
        instrument_id: MARKET,
        kind: 1,
        symbol: "A-B".into(),
        base_asset_id: 1,
        quote_asset_id: 2,
        base_units_per_lot: 1,
        quote_units_per_ticklot: 1,
        min_price: 1,
        max_price: 1_000,
        min_qty: 1,
        max_qty: 1_000,
        maker_fee_ppm: 0,
        taker_fee_ppm: 0,
        price_band_ppm: 0,
        reference_price: 0,
    }));
    told.set(State::Open);
    told.amend_behind_a_copys_back();
    let copies = told.copies;
    told.flow(400);
    assert!((5..100).contains(&(told.copies - copies)), "several commands fall into each");
    assert!(told.copy.bids.len() + told.copy.asks.len() > 3 && !told.auction());
    // Once it is uncrossed, and once it is given up.
    told.set(State::Halted);
    told.set(State::Auction);
    told.flow(60);
    assert!(told.auction());
    told.admin(AdminBody::RunAuction { instrument_id: MARKET, then: State::Open });
    assert!(!told.auction());
    told.set(State::Halted);
    told.set(State::Auction);
    told.flow(5);
    assert!(told.auction());
    told.set(State::Halted);
    assert!(!told.auction());
    let logic_version = told.venue.logic();
    told.apply(Command::Lead { epoch: told.venue.epoch() + 1, logic_version });
    told.set(State::Auction);
    told.flow(5);
    // Whoever begins to follow now has the same.
    let (fresh, book_seq) = (Depth::of(&told.venue), told.copy.book_seq);
    assert!(Depth::of(&told.venue).deltas().is_empty(), "its snapshot has told everything");
    for most in [0, 1] {
        let followed = told.depth.snapshot(MARKET, most).unwrap();
        let mut begun = fresh.snapshot(MARKET, most).unwrap();
        assert_eq!((begun.book_seq, begun.engine_seq), (told.venue.event_seq(), told.venue.engine_seq()));
        (begun.book_seq, begun.engine_seq) = (book_seq, followed.engine_seq);
        assert_eq!(BookFrame { engine_time_ns: followed.engine_time_ns, ..begun }, followed);
    }
    assert_eq!(fresh.snapshot(MARKET + 1, 0), None);
}
