//! One connection after the other, over real sockets: what leaves when, what a socket did not take, and what becomes of
//! those who wait.

use std::sync::Arc;
use std::time::Duration;

use crate::frames::message;
use crate::peer::*;
use countersign_bridge::faults::{Place, line_fault};
use countersign_bridge::guard::guarded;
use countersign_bridge::http::*;
use countersign_bridge::line::{Heard, Line};
use countersign_bridge::session::{Busy, FRAMES_IN_FLIGHT_MAX, WAITING_MAX};
use countersign_bridge::ticket::State;

/// Ends a hang, and decides nothing: each look finds more room than one message takes.
const HEARD_MAX: usize = 1_000;

/// Hands a command over and takes it back at once: whether it had left by then.
fn leaves(line: &Line) -> bool {
    let ticket = call(1);
    assert_eq!(line.submit(&ticket, Duration::ZERO), Ok(false));
    let state = ticket.answers().each[0].state;
    state != State::Unsent
}

#[test]
fn no_command_leaves_on_a_connection_before_its_own_greeting() {
    let (_turn, line) = alone();
    for epoch in 1..=2 {
        let mut peer = connected(&line);
        line.say(b"hello");
        assert_eq!(peer.body(), message(b"hello"), "at once");
        assert!(!leaves(&line));
        assert_eq!(peer.body(), message(b"hello"), "nor does what the last connection left unanswered");
        line.resume(epoch, 0);
        assert!(leaves(&line));
        assert!(peer.body().len() > message(b"hello").len());
        line.close();
        assert!(!leaves(&line));
    }
}

#[test]
fn what_a_full_socket_did_not_take_follows_whole_and_in_its_order() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    let messages: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 1_500]).collect();
    messages.iter().for_each(|one| line.say(one));
    let whole: Vec<u8> = messages.iter().flat_map(|one| message(one)).collect();
    assert!(peer.body().len() < whole.len(), "the socket was full");
    for _ in 0..HEARD_MAX {
        if peer.body().len() < whole.len() {
            assert_eq!(line.hear(), Heard::Nothing);
        }
    }
    assert_eq!(peer.body(), whole);
}

#[test]
fn a_socket_that_takes_nothing_any_more_is_given_no_further_command() {
    let (_turn, line) = alone();
    drop(connected(&line));
    line.resume(1, 0);
    assert!(leaves(&line), "whether it arrived is not known");
    assert!(!leaves(&line));
    assert!(matches!(line.hear(), Heard::Ended(_)));
}

#[test]
fn answers_go_to_those_who_wait_and_all_else_to_whoever_hears_in_its_order() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    line.resume(1, 0);
    let calls = [Waiting::of(&line, 2), Waiting::of(&line, 1)];
    assert_eq!(peer.numbers(), [1, 2, 3]);
    peer.says(&[told(ping(1)), answers(1, &[3, 1]), told(ping(2)), answers(1, &[2])]);
    assert_eq!((line.hear(), line.depth()), (heard(ping(1)), 0));
    assert_eq!((line.hear(), line.hear()), (heard(ping(2)), Heard::Nothing));
    for call in calls {
        let (whole, states) = call.came_to();
        assert!(whole && states.iter().all(|state| *state == State::Told));
    }
}

#[test]
fn answers_make_room_at_once_for_what_waits() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    line.resume(1, 0);
    assert!((0..FRAMES_IN_FLIGHT_MAX).all(|_| leaves(&line)));
    let last = Waiting::of(&line, 1);
    assert_eq!(peer.numbers().len(), FRAMES_IN_FLIGHT_MAX);
    peer.says(&[answers(1, &[3]), told(ping(1))]);
    assert_eq!(line.hear(), heard(ping(1)), "and nobody had to hear that nothing more came");
    assert_eq!(peer.numbers().last(), Some(&9));
    peer.says(&[answers(1, &[9])]);
    assert_eq!((line.hear(), last.came_to()), (Heard::Nothing, (true, vec![State::Told])));
}

#[test]
fn what_is_unanswered_goes_to_the_next_leader_under_numbers_above_all_that_it_has_seen() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    line.resume(1, 0);
    let waiting = Waiting::of(&line, 3);
    peer.says(&[answers(1, &[2])]);
    assert_eq!(line.hear(), Heard::Nothing);
    line.close();
    let mut peer = connected(&line);
    line.resume(7, 40);
    assert_eq!((peer.numbers(), line.next_seq(), line.epoch()), (vec![41, 42], 43, 7));
    peer.says(&[answers(7, &[41, 42])]);
    assert_eq!((line.hear(), waiting.came_to()), (Heard::Nothing, (true, vec![State::Told; 3])));
}

#[test]
fn a_leader_that_was_replaced_is_not_heard_to_its_end() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    line.resume(5, 0);
    let waiting = Waiting::of(&line, 3);
    peer.says(&[answers(5, &[1]), answers(4, &[2]), answers(5, &[3])]);
    for _ in 0..2 {
        assert_eq!(line.hear(), away("answers of epoch 4 after 5"));
    }
    assert_eq!(line.depth(), 2);
    line.close();
    let mut peer = connected(&line);
    line.resume(6, 3);
    assert_eq!(peer.numbers(), [4, 5]);
    peer.says(&[answers(6, &[4, 5])]);
    assert_eq!((line.hear(), waiting.came_to().0), (Heard::Nothing, true));
}

#[test]
fn what_the_engine_said_before_its_end_counts() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    line.resume(1, 0);
    let waiting = Waiting::of(&line, 1);
    let mut trailers = Vec::new();
    frame(&mut trailers, HEADERS, END_STREAM | END_HEADERS, CALL, b"block");
    peer.says(&[answers(1, &[1]), told(ping(1)), trailers]);
    assert_eq!(line.hear(), heard(ping(1)));
    for _ in 0..2 {
        assert_eq!(line.hear(), Heard::Ended(End::Trailers(b"block".to_vec())));
    }
    assert!(waiting.came_to().0);
    let mut peer = connected(&line);
    assert_eq!(peer.body(), Vec::<u8>::new());
    drop(peer);
    for _ in 0..2 {
        assert_eq!(line.hear(), away("the connection ended"));
    }
}

#[test]
fn the_connections_own_words_are_answered() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    let mut asked = Vec::new();
    frame_of(&mut asked, PING, b"are you?");
    peer.says(&[asked]);
    assert_eq!(line.hear(), Heard::Nothing);
    assert_eq!(peer.frames().last(), Some(&(PING, ACK, WHOLE, b"are you?".to_vec())));
}

#[test]
fn a_connection_that_was_let_go_neither_says_nor_hears_anything() {
    let (_turn, line) = alone();
    assert_eq!(line.hear(), away("there is no connection"));
    let mut peer = connected(&line);
    peer.says(&[told(ping(1))]);
    line.close();
    line.say(b"late");
    assert_eq!((line.hear(), peer.body()), (away("there is no connection"), Vec::new()));
}

#[test]
fn a_call_for_which_there_is_no_room_is_refused_whole() {
    let (_turn, line) = alone();
    let many = call(WAITING_MAX + 1);
    assert_eq!((line.submit(&many, FOR_EVER), line.depth()), (Err(Busy(0)), 0));
}

/// Has whoever comes by there next panic, and does what comes by.
fn at_fault<T>(place: Place, act: impl FnOnce() -> T) {
    line_fault(place as u32);
    assert!(guarded(act).is_err(), "nobody came by");
}

/// A line on which a fault has broken everything: the next connection, once greeted, goes on as if nothing were.
fn begins_anew(line: &Arc<Line>, next: u64) {
    let mut peer = connected(line);
    assert!(!leaves(line), "not before a greeting of its own");
    line.resume(2, 0);
    let waiting = Waiting::of(line, 1);
    assert_eq!(peer.numbers(), [next], "nothing of what was under way is sent again");
    peer.says(&[answers(2, &[next])]);
    assert_eq!((line.hear(), waiting.came_to()), (Heard::Nothing, (true, vec![State::Told])));
}

#[test]
fn a_fault_ends_the_connection_and_lets_all_go_who_wait() {
    let (_turn, line) = alone();
    for place in [Place::Taking, Place::Greeted] {
        let mut peer = connected(&line);
        line.resume(1, 0);
        let begun = line.next_seq();
        let waiting = Waiting::of(&line, 2);
        at_fault(place, || match place {
            Place::Taking => drop(line.submit(&call(1), Duration::ZERO)),
            _ => line.resume(1, 0),
        });
        assert_eq!((line.depth(), line.next_seq()), (0, begun + 2));
        assert_eq!(waiting.came_to(), (false, vec![State::Open; 2]));
        let said = peer.body();
        line.say(b"late");
        assert_eq!(peer.body(), said);
        assert_eq!(line.hear(), away("a fault in the order stream ended this connection"));
        begins_anew(&line, begun + 2);
        line.close();
    }
}

#[test]
fn a_fault_between_two_answers_leaves_the_first_told_and_the_second_unknown() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    line.resume(1, 0);
    let waiting = Waiting::of(&line, 2);
    peer.says(&[answers(1, &[1, 2])]);
    at_fault(Place::Kept, || line.hear());
    assert_eq!(line.hear(), away("there is no connection"));
    assert_eq!(line.depth(), 0);
    assert_eq!(waiting.came_to(), (false, vec![State::Told, State::Open]));
    begins_anew(&line, 3);
}

#[test]
fn a_fault_behind_the_last_answer_of_a_call_wakes_it_all_the_same() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    line.resume(1, 0);
    let waiting = [Waiting::of(&line, 2), Waiting::of(&line, 1)];
    peer.says(&[answers(1, &[1, 2, 3])]);
    at_fault(Place::Settled, || line.hear());
    let [answered, open] = waiting;
    assert_eq!(answered.came_to(), (true, vec![State::Told; 2]));
    assert_eq!((line.depth(), open.came_to()), (0, (false, vec![State::Open])));
    begins_anew(&line, 4);
}

#[test]
fn a_fault_with_what_was_read_costs_the_connection_and_no_command() {
    let (_turn, line) = alone();
    let mut peer = connected(&line);
    line.resume(1, 0);
    let waiting = Waiting::of(&line, 1);
    peer.says(&[answers(1, &[1])]);
    at_fault(Place::Read, || line.hear());
    assert_eq!((line.hear(), line.depth()), (away("there is no connection"), 1));
    line.close();
    let mut peer = connected(&line);
    line.resume(1, 1);
    assert_eq!(peer.numbers(), [2]);
    peer.says(&[answers(1, &[2])]);
    assert_eq!((line.hear(), waiting.came_to()), (Heard::Nothing, (true, vec![State::Told])));
}

#[test]
fn a_fault_in_the_middle_of_a_frame_lets_all_go_whose_commands_it_was_to_take_along() {
    let (_turn, line) = alone();
    let peer = connected(&line);
    let waiting = [Waiting::of(&line, 1), Waiting::of(&line, 2)];
    at_fault(Place::Numbered, || line.resume(1, 0));
    assert_eq!(line.depth(), 0);
    for one in waiting {
        let (whole, states) = one.came_to();
        assert!(!whole && states.iter().all(|state| *state == State::Open));
    }
    drop(peer);
    begins_anew(&line, 4);
}
