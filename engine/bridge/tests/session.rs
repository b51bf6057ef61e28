//! What leaves under which number, and whose answer is whose, in whatever order and after whatever breaks.

use crate::seeded;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use countersign_bridge::session::{BATCH_MAX, Busy, FRAMES_IN_FLIGHT_MAX, Session, Stale, WAITING_MAX};
use countersign_bridge::ticket::{State, Ticket};
use countersign_wire::v1::{
    CancelOrder, ClientFrame, Command, CommandResult, ResultBatch, ResultCode, client_frame, command,
};
use proptest::prelude::*;
use prost::Message;

/// Commands whose order says whose they are, as the bridge writes them: without a number.
fn call(orders: impl Iterator<Item = u64>) -> Arc<Ticket> {
    let (mut bytes, mut sizes) = (Vec::new(), Vec::new());
    for order_id in orders {
        let body = command::Body::Cancel(CancelOrder { order_id, account_id: 7 });
        let one = Command { body: Some(body), expires_at_ms: 9, ..Command::default() }.encode_to_vec();
        sizes.push(one.len() as u8);
        bytes.extend(one);
    }
    Arc::new(Ticket::new(&bytes, &sizes).expect("the sizes are theirs"))
}

/// The other end: keeps what it was sent, and answers what and when it is told to.
#[derive(Default)]
struct Engine {
    open: BTreeMap<u64, u64>,
    newest: u64,
    /// Orders that were ever sent, and whether one came for the first time since the connection began.
    seen: BTreeSet<u64>,
    fresh: bool,
}

impl Engine {
    fn hear(&mut self, session: &mut Session) {
        while let Some(message) = session.following() {
            let told = ClientFrame::decode(&message[..]).expect("a frame");
            let Some(client_frame::Frame::Batch(batch)) = told.frame else { panic!("no batch: {told:?}") };
            assert!(!batch.commands.is_empty() && batch.commands.len() <= BATCH_MAX);
            for command in batch.commands {
                assert_eq!(command.session_seq, self.newest + 1);
                assert_eq!(command.expires_at_ms, 9);
                let Some(command::Body::Cancel(cancel)) = command.body else { panic!("another command") };
                self.newest = command.session_seq;
                if self.seen.contains(&cancel.order_id) {
                    assert!(!self.fresh, "what is sent again goes first");
                } else {
                    assert!(self.seen.last() < Some(&cancel.order_id), "in the order of the calls");
                    self.fresh = true;
                    self.seen.insert(cancel.order_id);
                }
                self.open.insert(command.session_seq, cancel.order_id);
            }
        }
        assert!(session.under_way() <= FRAMES_IN_FLIGHT_MAX);
    }

    /// The connection breaks, and what was not answered comes again under numbers of its own.
    fn breaks(&mut self, session: &mut Session) {
        self.open.clear();
        self.fresh = false;
        session.resume(1, self.newest);
    }

    fn answer(&mut self, numbers: &[u64], again: &[u64]) -> ResultBatch {
        let first = numbers.iter().map(|number| CommandResult {
            session_seq: *number,
            code: 1,
            order_id: self.open.remove(number).expect("it is open"),
            ..CommandResult::default()
        });
        let mut results: Vec<_> = first.collect();
        results.extend(again.iter().map(|number| CommandResult {
            session_seq: *number,
            code: 2,
            ..CommandResult::default()
        }));
        ResultBatch { epoch: 1, results, durable_seq: 0 }
    }
}

const TURNS_MAX: usize = 100_000;

proptest! {
    #![proptest_config(seeded::config(64))]

    #[test]
    fn every_command_gets_its_own_first_answer(
        sizes in prop::collection::vec(1..2_500usize, 1..10),
        acts in prop::collection::vec((0..10u8, any::<prop::sample::Index>(), any::<u64>()), 400),
    ) {
        let (mut session, mut engine) = (Session::default(), Engine::default());
        session.resume(1, 0);
        let mut tickets = BTreeMap::new();
        let mut withdrawn: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        let mut told = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let index = index as u64;
            let ticket = call((0..*size as u64).map(|at| index * 10_000 + at));
            let depth = session.depth();
            let taken = session.take(&ticket);
            if depth + size <= WAITING_MAX {
                taken.expect("there is room");
                tickets.insert(index, ticket);
            } else {
                assert_eq!((taken, session.depth()), (Err(Busy(depth)), depth));
            }
            engine.hear(&mut session);
        }
        let mut acts = acts.into_iter().cycle().take(TURNS_MAX);
        while session.depth() > 0 {
            let (act, which, chance) = acts.next().expect("everything is answered in the end");
            match act {
                0 if chance % 4 == 0 => engine.breaks(&mut session),
                1 | 3 => {
                    let (index, ticket) = tickets.iter().nth(which.index(tickets.len())).expect("one of them");
                    session.withdraw(ticket);
                    let answers = ticket.answers();
                    let unsent = answers.each.iter().enumerate().filter(|(_, one)| one.state == State::Unsent);
                    withdrawn.entry(*index).or_default().extend(unsent.map(|(place, _)| place));
                }
                _ => {
                    let count = [1, 5, 600, 2_000][chance as usize % 4];
                    let mut numbers: Vec<u64> = engine.open.keys().copied().take(count).collect();
                    if act == 2 {
                        numbers.reverse();
                    }
                    let again: Vec<u64> = told.iter().rev().take(3).copied().collect();
                    told.extend(&numbers);
                    let mut answered = Vec::new();
                    let batch = engine.answer(&numbers, &again);
                    session.settle(&batch, &mut answered).expect("of this epoch");
                    assert!(answered.iter().all(|ticket| ticket.wait(Duration::ZERO)));
                }
            }
            // Not at once after a break, so that something waits to be sent again.
            if act != 0 {
                engine.hear(&mut session);
            }
        }
        for (index, ticket) in tickets {
            let taken_back = withdrawn.remove(&index).unwrap_or_default();
            let answers = ticket.answers();
            assert_eq!(answers.left, taken_back.len());
            for (place, answer) in answers.each.iter().enumerate() {
                let order_id = index * 10_000 + place as u64;
                if taken_back.contains(&place) {
                    assert!(!engine.seen.contains(&order_id), "taken back, and it had left");
                } else {
                    assert_eq!((answer.state, answer.code, answer.order_id), (State::Told, 1, order_id));
                }
            }
        }
    }
}

#[test]
fn a_leader_that_was_replaced_answers_nothing_any_more() {
    let (mut session, mut engine) = (Session::default(), Engine::default());
    session.resume(5, 0);
    let ticket = call(1..2);
    session.take(&ticket).expect("there is room");
    engine.hear(&mut session);
    let mut answers = engine.answer(&[1], &[]);
    answers.epoch = 4;
    assert_eq!(session.settle(&answers, &mut Vec::new()).unwrap_err(), Stale { epoch: 4, newest: 5 });
    assert_eq!(session.depth(), 1, "the command waits for the leader's own answer");
    answers.epoch = 5;
    let mut answered = Vec::new();
    session.settle(&answers, &mut answered).expect("the leader's");
    assert_eq!(answered.len(), 1);
    assert_eq!(session.depth(), 0);
}

#[test]
fn a_command_is_repeated_byte_for_byte_under_another_number() {
    let mut session = Session::default();
    session.resume(1, 0);
    session.take(&call(5..6)).expect("there is room");
    let first = ClientFrame::decode(&session.following().expect("one")[..]).expect("a frame");
    session.resume(2, 300);
    let again = ClientFrame::decode(&session.following().expect("one")[..]).expect("a frame");
    let numbers = [first, again].map(|frame| {
        let Some(client_frame::Frame::Batch(mut batch)) = frame.frame else { panic!("no batch") };
        let number = std::mem::take(&mut batch.commands[0].session_seq);
        (number, batch.encode_to_vec())
    });
    assert_eq!([numbers[0].0, numbers[1].0], [1, 301]);
    assert_eq!(numbers[0].1, numbers[1].1);
}

#[test]
fn a_command_that_left_twice_is_not_answered_by_whoever_takes_none() {
    let at_the_door =
        [ResultCode::Busy, ResultCode::Draining, ResultCode::NotLeader, ResultCode::Failed].map(i32::from);
    for code in 1..=ResultCode::Overtaken as i32 {
        let mut session = Session::default();
        session.resume(1, 0);
        let (former, new) = (call(5..7), call(7..8));
        session.take(&former).expect("there is room");
        session.following().expect("one");
        session.resume(2, 2);
        session.take(&new).expect("there is room");
        session.following().expect("one");
        for number in 3..=5 {
            let result = CommandResult { session_seq: number, code, ..CommandResult::default() };
            let results = vec![result.clone(), result];
            let batch = ResultBatch { epoch: 2, results, durable_seq: 0 };
            session.settle(&batch, &mut Vec::new()).expect("the leader's");
        }
        let is_unclear = at_the_door.contains(&code);
        // At once: the time only ends a hang.
        assert_eq!(former.wait(Duration::from_secs(3_600)), !is_unclear, "{code}");
        let state = if is_unclear { State::Unclear } else { State::Told };
        assert!(former.answers().each.iter().all(|one| one.state == state), "{code}");
        assert!(new.wait(Duration::ZERO), "what left once was certainly not taken: {code}");
        session.resume(3, 9);
        assert_eq!((session.depth(), session.under_way(), sent(&mut session)), (0, 0, None), "{code}");
    }
}

#[test]
fn sizes_that_are_not_the_commands_are_refused() {
    assert!(Ticket::new(b"abc", &[1, 1]).is_none());
    assert!(Ticket::new(b"abc", &[1, 2]).is_some());
}

/// The commands of the next frame, if one may leave.
fn sent(session: &mut Session) -> Option<usize> {
    let told = ClientFrame::decode(&session.following()?[..]).expect("a frame");
    let Some(client_frame::Frame::Batch(batch)) = told.frame else { panic!("no batch: {told:?}") };
    Some(batch.commands.len())
}

fn answer(session: &mut Session, session_seq: u64) -> Vec<Arc<Ticket>> {
    let result = CommandResult { session_seq, code: 1, ..CommandResult::default() };
    let mut answered = Vec::new();
    let batch = ResultBatch { epoch: 1, results: vec![result], durable_seq: 0 };
    session.settle(&batch, &mut answered).expect("of this epoch");
    answered
}

#[test]
fn what_gathers_behind_frames_without_an_answer_leaves_in_one() {
    let mut session = Session::default();
    session.resume(1, 0);
    for order in 0..FRAMES_IN_FLIGHT_MAX as u64 {
        session.take(&call(order..order + 1)).expect("there is room");
        assert_eq!(sent(&mut session), Some(1), "nothing is kept back while a frame may leave");
    }
    for order in 100..120 {
        session.take(&call(order..order + 1)).expect("there is room");
    }
    assert_eq!(sent(&mut session), None);
    assert_eq!(answer(&mut session, 3).len(), 1);
    assert_eq!((sent(&mut session), sent(&mut session)), (Some(20), None));
}

#[test]
fn a_session_that_is_given_up_lets_everybody_go_and_keeps_its_numbers_and_its_leader() {
    let mut session = Session::default();
    session.resume(1, 0);
    let tickets = [call(0..3), call(3..4), call(4..7)];
    for ticket in &tickets[..2] {
        session.take(ticket).expect("there is room");
    }
    assert_eq!(sent(&mut session), Some(4));
    session.take(&tickets[2]).expect("there is room");
    assert!(answer(&mut session, 2).is_empty());
    session.give_up();
    assert_eq!((session.depth(), session.under_way(), sent(&mut session)), (0, 0, None));
    assert_eq!((session.epoch(), session.next_seq()), (1, 5));
    for ticket in &tickets {
        // At once: the time only ends a hang.
        assert!(!ticket.wait(Duration::from_secs(3_600)));
    }
    let told =
        |ticket: &Ticket| -> Vec<State> { ticket.answers().each.iter().map(|one| one.state).collect() };
    assert_eq!(told(&tickets[0]), [State::Open, State::Told, State::Open], "what was told stays so");
    assert!(answer(&mut session, 1).is_empty(), "and what comes late is nobody's");
    assert_eq!(told(&tickets[0]), [State::Open, State::Told, State::Open]);
}
