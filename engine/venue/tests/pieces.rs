//! What ends or trades many orders ... (each test's name finishes the sentence).

use crate::desk::{Desk, MARKET, TIA, TOM, buy, sell};
use countersign_venue::codec::digest;
use countersign_venue::command::{
    AdminBody, Amend, Cancel, Command, Id, NewOrder, OrderBody, OrderCommand, Scope, State, Tif,
};
use countersign_venue::event::{Body, Code, Event, Output, Reason};
use countersign_venue::{ACCOUNT_ORDERS_MAX, LOGIC_VERSION, Outcome, PIECE, Venue};

/// The rules before there were pieces.
const WHOLE: u32 = 3;
const START_NS: u64 = 1_900_000_000_000_000_000;

/// A venue of thousands of orders, which nobody checks after each command.
struct Hall {
    venue: Venue,
    now_ns: u64,
    /// Between two commands.
    pace_ns: u64,
    ids: u64,
}

impl Hall {
    fn open_under(logic_version: u32) -> Hall {
        Hall { venue: Desk::open_under(logic_version).venue, now_ns: START_NS, pace_ns: 1_000, ids: 0 }
    }

    /// As a start from a snapshot finds it.
    fn begin_again(&mut self) {
        self.venue.audit().unwrap();
        let again = Venue::restore(&self.venue.snapshot()).unwrap();
        assert_eq!(again.next_timer_ns(), self.venue.next_timer_ns());
        self.venue = again;
    }

    fn give(&mut self, command: &Command) -> (Outcome, Vec<Event>) {
        self.now_ns += self.pace_ns;
        let (mut bytes, mut output) = (Vec::new(), Output::default());
        let body = command.encode(&mut bytes);
        let outcome = self.venue.apply(self.now_ns, command, digest(&bytes[body..]), &mut output);
        (outcome, output.events().unwrap())
    }

    fn order(&mut self, body: OrderBody) -> (Outcome, Vec<Event>) {
        self.ids += 1;
        let mut command_id: Id = [0; 16];
        command_id[..6].copy_from_slice(&(self.now_ns / 1_000_000).to_be_bytes()[2..]);
        command_id[6] = 0x70;
        command_id[8..].copy_from_slice(&self.ids.to_be_bytes());
        let expires_at_ms = self.now_ns / 1_000_000 + 1_000;
        self.give(&Command::Order(OrderCommand {
            command_id,
            session: 0,
            session_seq: 0,
            expires_at_ms,
            body,
        }))
    }

    fn enter(&mut self, order: NewOrder) -> Code {
        self.order(OrderBody::New(order)).0.code
    }

    fn admin(&mut self, body: AdminBody) -> (Outcome, Vec<Event>) {
        self.give(&Command::Admin { reference: [7; 16], body })
    }

    fn state(&mut self, state: State) {
        assert_eq!(self.admin(AdminBody::SetState { instrument_id: MARKET, state }).0.code, Code::Ok);
    }

    fn tick(&mut self) -> Vec<Event> {
        self.give(&Command::Tick).1
    }

    /// The one buys, the other sells, and all of them cross in an auction.
    fn call(&mut self, each: u64) {
        self.state(State::Halted);
        self.state(State::Auction);
        for number in 0..each {
            let away = (number % 40) as i64;
            assert_eq!(self.enter(buy(1 + 2 * number, TIA, 1_000 + away, 1 + number % 3)), Code::Ok);
            assert_eq!(self.enter(sell(2 + 2 * number, TOM, 1_000 - away, 1 + number % 2)), Code::Ok);
        }
    }

    fn run(&mut self) -> (Outcome, Vec<Event>) {
        self.admin(AdminBody::RunAuction { instrument_id: MARKET, then: State::PostOnly })
    }

    fn is_in(&self, state: State) -> bool {
        self.venue.market(MARKET).unwrap().state == state
    }
}

/// (buy, sell, price, lots) of each pair.
fn pairs(events: &[Event]) -> Vec<(u64, u64, i64, u64)> {
    let pair = |event: &Event| match &event.body {
        Body::Trade(trade) => Some((trade.maker_order_id, trade.taker_order_id, trade.price, trade.qty)),
        _ => None,
    };
    events.iter().filter_map(pair).collect()
}

fn ended(events: &[Event], reason: Reason) -> Vec<u64> {
    let end = |event: &Event| match &event.body {
        Body::Done(done) if done.reason == reason => Some(done.order_id),
        _ => None,
    };
    events.iter().filter_map(end).collect()
}

#[test]
fn is_an_accounts_own_wish_and_so_it_has_no_more_of_them_than_end_at_once() {
    let most = u64::from(ACCOUNT_ORDERS_MAX);
    let rests = |id, account| buy(id, account, 1 + (id % 50) as i64, 1);
    for (logic_version, refused) in [(WHOLE, Code::Ok), (LOGIC_VERSION, Code::TooManyOrders)] {
        let mut hall = Hall::open_under(logic_version);
        for id in 1..=most {
            assert_eq!(hall.enter(rests(id, TOM)), Code::Ok);
        }
        hall.begin_again();
        assert_eq!(hall.enter(rests(most + 1, TOM)), refused);
        hall.order(OrderBody::Cancel(Cancel { order_id: most + 1, account_id: TOM }));
        // Whoever comes to take is no burden, and others have their own.
        assert_eq!(hall.enter(rests(most + 2, TIA)), Code::Ok);
        assert_eq!(hall.enter(sell(most + 3, TIA, 100, 1)), Code::Ok);
        let takes = NewOrder { tif: Tif::Ioc, ..buy(most + 4, TOM, 100, 1) };
        assert_eq!(hall.enter(takes), Code::Ok);
        // It moves, and one that leaves makes room.
        let amend = Amend { order_id: 7, account_id: TOM, total_qty: 0, price: 60, cancel_on_fail: false };
        assert_eq!(hall.order(OrderBody::Amend(amend)).0.code, Code::Ok);
        assert_eq!(hall.enter(rests(most + 5, TOM)), refused);
        hall.order(OrderBody::Cancel(Cancel { order_id: 8, account_id: TOM }));
        assert_eq!(hall.enter(rests(most + 6, TOM)), Code::Ok);
        hall.venue.audit().unwrap();
        let all = Scope { account_id: TOM, ..Scope::default() };
        assert!(u64::from(hall.order(OrderBody::CancelAll(all)).0.cancelled) >= most);
        assert_eq!(hall.venue.open_orders_count(), 1);
    }
}

#[test]
fn is_asked_for_again_by_an_administrator_and_ends_them_in_the_same_order() {
    let orders = 2 * PIECE as u64 + 300;
    let scope = Scope { instrument_id: MARKET, ..Scope::default() };
    let ends = |logic_version, expected: &[usize]| {
        let mut hall = Hall::open_under(logic_version);
        for id in 1..=orders {
            let (account, away) = ([TOM, TIA][id as usize % 2], (id % 70) as i64);
            let order =
                if id % 3 == 0 { sell(id, account, 200 + away, 1) } else { buy(id, account, 100 - away, 1) };
            assert_eq!(hall.enter(order), Code::Ok);
        }
        let mut ended_so = Vec::new();
        for count in expected {
            let (outcome, events) = hall.admin(AdminBody::MassCancel(scope));
            assert_eq!((outcome.code, outcome.cancelled as usize), (Code::Ok, *count));
            ended_so.extend(ended(&events, Reason::MassCancel));
            hall.begin_again();
        }
        assert_eq!(hall.venue.open_orders_count(), 0);
        ended_so
    };
    let whole = ends(WHOLE, &[orders as usize]);
    assert!(ends(LOGIC_VERSION, &[PIECE, PIECE, 300, 0]) == whole);
}

#[test]
fn is_an_auction_that_gives_way_between_its_pieces_and_trades_the_same() {
    let each = PIECE as u64 * 2;
    let mut whole = Hall::open_under(WHOLE);
    whole.call(each);
    let (_, told) = whole.run();
    assert!(whole.is_in(State::PostOnly) && pairs(&told).len() > 2 * PIECE, "{}", pairs(&told).len());

    let mut hall = Hall::open_under(LOGIC_VERSION);
    hall.call(each);
    let (outcome, mut events) = hall.run();
    assert_eq!((outcome.code, pairs(&events).len()), (Code::Ok, PIECE));
    // Not at the same moment, or nobody would come between.
    hall.pace_ns = 0;
    assert!(hall.tick().is_empty());
    hall.pace_ns = 1_000;
    assert!(hall.venue.next_timer_ns().is_some_and(|due| due <= hall.now_ns + 1));
    hall.begin_again();
    while hall.is_in(State::Auction) {
        let more = hall.tick();
        assert!(pairs(&more).len() <= PIECE);
        events.extend(more);
        hall.venue.audit().unwrap();
    }
    assert!(pairs(&events) == pairs(&told));
    assert_eq!(hall.venue.next_timer_ns(), None);
    let bodies = |events: &[Event]| events.iter().map(|event| event.body.clone()).collect::<Vec<_>>();
    assert!(bodies(&events) == bodies(&told), "and nothing else is told");
    assert!(matches!(events.last().unwrap().body, Body::Instrument { reference: [7, ..], .. }));
}

#[test]
fn lets_nobody_in_or_move_while_an_auction_is_run_and_everybody_out() {
    let mut hall = Hall::open_under(LOGIC_VERSION);
    hall.call(PIECE as u64 * 3 / 2);
    let price = pairs(&hall.run().1)[0].2;
    hall.pace_ns = 0;
    let left: Vec<_> = hall.venue.open_orders(TIA, MARKET);
    let (last, other) = (left[left.len() - 1], left[left.len() - 2]);
    assert_eq!(hall.enter(buy(9_001, TIA, price, 1)), Code::InstrumentState);
    let amend =
        Amend { order_id: other.order_id, account_id: TIA, total_qty: 0, price: 1, cancel_on_fail: false };
    assert_eq!(hall.order(OrderBody::Amend(amend)).0.code, Code::InstrumentState);
    assert_eq!(hall.run().0.code, Code::InstrumentState);
    let (outcome, _) = hall.order(OrderBody::Cancel(Cancel { order_id: last.order_id, account_id: TIA }));
    assert_eq!((outcome.code, outcome.cancelled), (Code::Ok, 1));
    assert!(hall.is_in(State::Auction));
    // An operator may still stop it.
    hall.state(State::Halted);
    hall.venue.audit().unwrap();
    assert_eq!((hall.venue.next_timer_ns(), hall.tick().len()), (None, 0));
}

#[test]
fn is_what_waits_where_many_switches_run_out_at_once_and_an_orders_own_date_does_not() {
    for (logic_version, turns) in [(WHOLE, &[2][..]), (LOGIC_VERSION, &[1, 1])] {
        let mut hall = Hall::open_under(logic_version);
        let ends_ms = START_NS / 1_000_000 + 100_000;
        let dated = NewOrder { tif: Tif::Gtd, expire_at_ms: ends_ms, ..buy(1, TIA, 100, 1) };
        assert_eq!(hall.enter(dated), Code::Ok);
        for account in [TOM, TIA] {
            for number in 0..PIECE as u64 {
                assert_eq!(hall.enter(buy(account * 10_000 + number, account, 50, 1)), Code::Ok);
            }
        }
        let timeout_ms = 60_000;
        hall.now_ns = (ends_ms - timeout_ms) * 1_000_000;
        hall.pace_ns = 0;
        for account_id in [TOM, TIA] {
            hall.order(OrderBody::CancelAllAfter { account_id, timeout_ms });
        }
        hall.now_ns = ends_ms * 1_000_000;
        hall.pace_ns = 1_000;
        for (turn, accounts) in turns.iter().enumerate() {
            let events = hall.tick();
            assert_eq!(ended(&events, Reason::CancelAllAfter).len(), accounts * PIECE);
            assert_eq!(ended(&events, Reason::Expired).len(), usize::from(turn == 0));
            hall.begin_again();
        }
        assert_eq!((hall.venue.open_orders_count(), hall.venue.next_timer_ns()), (0, None));
    }
}
