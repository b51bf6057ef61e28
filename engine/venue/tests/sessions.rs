//! A session ... (each test's name finishes the sentence).

use crate::desk::{Desk, TIA, TOM, buy, ends, sell};
use countersign_venue::command::{Command, OrderBody, OrderCommand, State};
use countersign_venue::event::{Event, Reason};
use countersign_venue::sessions::{GRACE_MS, KEPT_MS};
use countersign_venue::{LOGIC_VERSION, Venue};

fn attach(desk: &mut Desk, who: u8, cancels: bool) -> u32 {
    desk.give(Command::AttachSession { session_id: [who; 16], cancels });
    desk.venue.session(&[who; 16]).unwrap().0
}

fn enter(desk: &mut Desk, session: u32, order_id: u64) {
    let Command::Order(command) = desk.wrap(OrderBody::New(buy(order_id, TOM, 100, 1))) else {
        unreachable!()
    };
    let command = OrderCommand { session, session_seq: order_id, ..command };
    assert_ne!(desk.give(Command::Order(command)).0.engine_seq, 0);
}

fn tick(desk: &mut Desk) -> Vec<Event> {
    desk.give(Command::Tick).1
}

/// As a start from a snapshot finds it.
fn restored(desk: &Desk) -> Venue {
    let venue = Venue::restore(&desk.venue.snapshot()).unwrap();
    assert_eq!(venue.next_timer_ns(), desk.venue.next_timer_ns());
    venue
}

#[test]
fn loses_its_orders_when_its_stream_ends_if_its_client_wished_so() {
    let mut desk = Desk::open();
    let (wishes, stays) = (attach(&mut desk, 1, true), attach(&mut desk, 2, false));
    enter(&mut desk, wishes, 1);
    enter(&mut desk, stays, 2);
    let (outcome, events) = desk.give(Command::DetachSession { session: wishes });
    assert_eq!((outcome.cancelled, ends(&events)), (1, vec![(1, Reason::Disconnect)]));
    let (outcome, events) = desk.give(Command::DetachSession { session: stays });
    assert_eq!((outcome.cancelled, events.len()), (0, 0));
    assert_eq!(desk.resting(), [2]);
    // The wish was for that stream.
    desk.lead(LOGIC_VERSION);
    desk.pass_ms(10 * GRACE_MS);
    assert!(tick(&mut desk).is_empty());
}

#[test]
fn whose_leader_died_keeps_its_orders_for_as_long_as_its_client_may_take_to_come_back() {
    let mut desk = Desk::open();
    let session = attach(&mut desk, 1, true);
    enter(&mut desk, session, 1);
    desk.state(State::Halted);
    // However long nobody led, and however often that happens.
    for _ in 0..3 {
        desk.pass_ms(10 * GRACE_MS);
        desk.lead(LOGIC_VERSION);
        desk.pass_ms(GRACE_MS - 1);
        assert!(tick(&mut desk).is_empty());
        desk.venue = restored(&desk);
    }
    desk.pass_ms(1);
    assert_eq!(desk.venue.next_timer_ns(), Some(desk.now_ns));
    let told = tick(&mut desk);
    assert_eq!(
        ends(&told),
        [(1, Reason::Disconnect)],
        "in a halted market too: the wish was before the halt"
    );
    assert!(tick(&mut desk).is_empty());
}

#[test]
fn that_comes_back_in_time_keeps_its_orders_and_says_anew_what_it_wishes() {
    for (wish, left) in [(true, vec![]), (false, vec![1])] {
        let mut desk = Desk::open();
        let session = attach(&mut desk, 1, true);
        enter(&mut desk, session, 1);
        desk.lead(LOGIC_VERSION);
        desk.pass_ms(GRACE_MS - 1);
        assert_eq!(attach(&mut desk, 1, wish), session);
        assert_eq!(desk.venue.session(&[1; 16]), Some((session, 1)));
        desk.pass_ms(10 * GRACE_MS);
        assert!(tick(&mut desk).is_empty());
        desk.lead(LOGIC_VERSION);
        desk.pass_ms(GRACE_MS);
        tick(&mut desk);
        assert_eq!(desk.resting(), left);
    }
}

#[test]
fn is_forgotten_once_nothing_can_be_asked_of_it_and_not_before() {
    let mut desk = Desk::open();
    let [open, gone, rests] = [1, 2, 3].map(|who| attach(&mut desk, who, false));
    enter(&mut desk, rests, 1);
    for session in [gone, rests] {
        desk.give(Command::DetachSession { session });
    }
    desk.pass_ms(KEPT_MS - 1);
    tick(&mut desk);
    assert_eq!(desk.venue.session(&[2; 16]), Some((gone, 0)));
    desk.pass_ms(1);
    tick(&mut desk);
    assert_eq!(desk.venue.session(&[2; 16]), None);
    assert_eq!(desk.venue.session(&[3; 16]), Some((rests, 1)), "an order of it rests");
    assert_eq!(desk.venue.session(&[1; 16]), Some((open, 0)), "its stream is open");
    desk.venue = restored(&desk);
    // The next one takes its number, and finds nothing of it.
    assert_eq!(attach(&mut desk, 4, true), gone);
    desk.enter(sell(9, TIA, 100, 1));
    desk.pass_ms(KEPT_MS);
    tick(&mut desk);
    assert_eq!(desk.venue.session(&[3; 16]), None);
    assert_eq!(desk.venue.sessions_count(), 2);
    // What names it now is no command of anybody's.
    let Command::Order(late) = desk.wrap(OrderBody::New(buy(7, TOM, 100, 1))) else { unreachable!() };
    let late = OrderCommand { session: rests, session_seq: 9, ..late };
    assert_eq!(desk.give(Command::Order(late)).0.engine_seq, 0);
}

#[test]
fn leaves_nothing_behind_however_many_there_were() {
    let mut desk = Desk::open();
    let began = desk.venue.snapshot().len();
    for round in 0..40u64 {
        for who in 0..50u8 {
            let mut session_id = [who; 16];
            session_id[..8].copy_from_slice(&round.to_le_bytes());
            desk.give(Command::AttachSession { session_id, cancels: who % 2 == 0 });
            let (session, _) = desk.venue.session(&session_id).unwrap();
            assert!(session <= 50, "numbers are used again: {session}");
            // Some streams end with their leader.
            if who % 5 != 0 {
                desk.give(Command::DetachSession { session });
            }
        }
        desk.lead(LOGIC_VERSION);
        desk.pass_ms(GRACE_MS);
        tick(&mut desk);
        desk.pass_ms(KEPT_MS);
        tick(&mut desk);
        assert_eq!(desk.venue.sessions_count(), 0);
    }
    assert!(desk.venue.snapshot().len() < began + 64);
    assert_eq!(desk.venue.next_timer_ns(), None);
}

#[test]
fn of_former_rules_is_forgotten_too_once_newer_ones_count() {
    let mut desk = Desk::open_under(2);
    for who in 1..=3 {
        desk.give(Command::OpenSession { session_id: [who; 16] });
    }
    desk.pass_ms(100 * KEPT_MS);
    tick(&mut desk);
    assert_eq!(desk.venue.sessions_count(), 3, "as it was then, so it is replayed");
    enter(&mut desk, 2, 1);
    desk.lead(LOGIC_VERSION);
    desk.pass_ms(KEPT_MS);
    tick(&mut desk);
    assert_eq!(desk.venue.sessions_count(), 1);
    assert_eq!(desk.venue.session(&[2; 16]), Some((2, 1)));
    assert_eq!(desk.resting(), [1], "nobody had journaled a wish");
}
