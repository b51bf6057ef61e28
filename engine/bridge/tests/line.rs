//! One connection after the other, over real sockets: what leaves when, and what a socket did not take.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use countersign_bridge::http::{CALL, DATA, HEAD, PREFACE, Scheme, word};
use countersign_bridge::line::{Heard, Line};
use countersign_bridge::outward::Outward;
use countersign_bridge::ticket::{State, Ticket};

/// Ends a hang, and decides nothing: each look finds more room than one message takes.
const HEARD_MAX: usize = 1_000;

/// The engine's end: keeps what came.
struct Peer {
    socket: UnixStream,
    came: Vec<u8>,
}

impl Peer {
    /// What the frames of the call hold so far.
    fn body(&mut self) -> Vec<u8> {
        let mut piece = [0; 65_536];
        while let Ok(size @ 1..) = self.socket.read(&mut piece) {
            self.came.extend_from_slice(&piece[..size]);
        }
        let (mut rest, mut body) = (&self.came[PREFACE.len()..], Vec::new());
        while rest.len() >= HEAD {
            let size = (word(rest) >> 8) as usize;
            let Some(payload) = rest.get(HEAD..HEAD + size) else { break };
            if (rest[3], word(&rest[5..])) == (DATA, CALL) {
                body.extend_from_slice(payload);
            }
            rest = &rest[HEAD + size..];
        }
        body
    }
}

/// A connection that the line uses from now on. Its end is never closed, as the line asks.
fn connected(line: &Line) -> Peer {
    let (ours, socket) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    socket.set_nonblocking(true).unwrap();
    rustix::net::sockopt::set_socket_send_buffer_size(&ours, 4_096).unwrap();
    let ours: &'static UnixStream = Box::leak(Box::new(ours));
    line.open(ours.as_fd(), Outward::new("/p.S/M", "localhost", Scheme::Http), None);
    Peer { socket, came: Vec::new() }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

/// Hands a command over and takes it back at once: whether it had left by then.
fn leaves(line: &Line) -> bool {
    let ticket = Arc::new(Ticket::new(b"command", &[7]).expect("the sizes are its own"));
    assert_eq!(line.submit(&ticket, Duration::ZERO), Ok(false));
    let state = ticket.answers().each[0].state;
    state != State::Unsent
}

#[test]
fn no_command_leaves_on_a_connection_before_its_own_greeting() {
    let line = Line::default();
    for epoch in 1..=2 {
        let mut peer = connected(&line);
        line.say(b"hello");
        assert!(!leaves(&line));
        assert_eq!(peer.body(), framed(b"hello"), "nor does what the last connection left unanswered");
        line.resume(epoch, 0);
        assert!(leaves(&line));
        assert!(peer.body().len() > framed(b"hello").len());
        line.close();
        assert!(!leaves(&line));
    }
}

#[test]
fn what_a_full_socket_did_not_take_follows_whole_and_in_its_order() {
    let line = Line::default();
    let mut peer = connected(&line);
    let messages: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 1_500]).collect();
    messages.iter().for_each(|message| line.say(message));
    let whole: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
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
    let line = Line::default();
    drop(connected(&line));
    line.resume(1, 0);
    assert!(leaves(&line), "whether it arrived is not known");
    assert!(!leaves(&line));
    assert!(matches!(line.hear(), Heard::Ended(_)));
}
