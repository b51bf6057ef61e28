//! The engine's end of a line, and calls that wait for it.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use countersign_bridge::http::*;
use countersign_bridge::line::{Heard, Line};
use countersign_bridge::outward::Outward;
use countersign_bridge::session::Busy;
use countersign_bridge::ticket::{State, Ticket};
use countersign_wire::v1::{
    ClientFrame, Command, CommandResult, Ping, ResultBatch, ServerFrame, client_frame, server_frame,
};
use prost::Message;

use crate::frames::{Frame, message};

/// Longer than anybody waits for a test.
pub const FOR_EVER: Duration = Duration::from_secs(86_400);
/// Ends a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fault on purpose happens to whoever comes by next: so one test at a time has a line.
static TURN: Mutex<()> = Mutex::new(());

pub fn alone() -> (MutexGuard<'static, ()>, Arc<Line>) {
    (TURN.lock().unwrap_or_else(PoisonError::into_inner), Arc::default())
}

/// The engine's end: keeps what came.
pub struct Peer {
    socket: UnixStream,
    came: Vec<u8>,
}

impl Peer {
    pub fn frames(&mut self) -> Vec<Frame> {
        let mut piece = [0; 65_536];
        while let Ok(size @ 1..) = self.socket.read(&mut piece) {
            self.came.extend_from_slice(&piece[..size]);
        }
        let (mut rest, mut found) = (&self.came[PREFACE.len()..], Vec::new());
        while rest.len() >= HEAD {
            let size = (word(rest) >> 8) as usize;
            let Some(payload) = rest.get(HEAD..HEAD + size) else { break };
            found.push((rest[3], rest[4], word(&rest[5..]), payload.to_vec()));
            rest = &rest[HEAD + size..];
        }
        found
    }

    /// What the frames of the call hold so far.
    pub fn body(&mut self) -> Vec<u8> {
        let frames = self.frames().into_iter();
        frames.filter(|frame| (frame.0, frame.2) == (DATA, CALL)).flat_map(|frame| frame.3).collect()
    }

    /// The numbers of the commands that came so far.
    pub fn numbers(&mut self) -> Vec<u64> {
        let body = self.body();
        let (mut rest, mut found) = (&body[..], Vec::new());
        while rest.len() >= PREFIX {
            let (one, more) = rest[PREFIX..].split_at(word(&rest[1..]) as usize);
            let told = ClientFrame::decode(one).expect("a frame");
            let Some(client_frame::Frame::Batch(batch)) = told.frame else { panic!("no batch: {told:?}") };
            found.extend(batch.commands.iter().map(|command| command.session_seq));
            rest = more;
        }
        found
    }

    /// In one piece, so that it is read as one.
    pub fn says(&mut self, pieces: &[Vec<u8>]) {
        self.socket.write_all(&pieces.concat()).expect("it fits");
    }
}

pub fn told(frame: server_frame::Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame_of(&mut bytes, DATA, &message(&ServerFrame { frame: Some(frame) }.encode_to_vec()));
    bytes
}

pub fn frame_of(bytes: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    frame(bytes, kind, 0, if kind == PING { WHOLE } else { CALL }, payload);
}

pub fn answers(epoch: u64, numbers: &[u64]) -> Vec<u8> {
    let result = |&session_seq: &u64| CommandResult { session_seq, code: 1, ..CommandResult::default() };
    let results = numbers.iter().map(result).collect();
    told(server_frame::Frame::Results(ResultBatch { epoch, results, durable_seq: 0 }))
}

pub fn ping(nonce: u64) -> server_frame::Frame {
    server_frame::Frame::Ping(Ping { nonce })
}

pub fn heard(frame: server_frame::Frame) -> Heard {
    Heard::Message(ServerFrame { frame: Some(frame) }.encode_to_vec().into())
}

pub fn away(why: &str) -> Heard {
    Heard::Ended(End::Away(why.into()))
}

/// A connection that the line uses from now on. Its end is never closed, as the line asks.
pub fn connected(line: &Line) -> Peer {
    let (ours, socket) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    socket.set_nonblocking(true).unwrap();
    rustix::net::sockopt::set_socket_send_buffer_size(&ours, 4_096).unwrap();
    let ours: &'static UnixStream = Box::leak(Box::new(ours));
    line.open(ours.as_fd(), Outward::new("/p.S/M", "localhost", Scheme::Http), None);
    Peer { socket, came: Vec::new() }
}

/// A call that a thread waits for, with all the time in the world.
pub struct Waiting {
    ticket: Arc<Ticket>,
    came_to: Receiver<Result<bool, Busy>>,
}

impl Waiting {
    /// Returns once the line has the commands, and has sent what may leave.
    pub fn of(line: &Arc<Line>, count: usize) -> Self {
        let ticket = call(count);
        let (tell, came_to) = channel();
        let (before, theirs, waiter) = (line.depth(), line.clone(), ticket.clone());
        thread::spawn(move || tell.send(theirs.submit(&waiter, FOR_EVER)));
        while line.depth() == before {
            thread::yield_now();
        }
        Self { ticket, came_to }
    }

    /// Whether all was answered, and what is known of each.
    pub fn came_to(self) -> (bool, Vec<State>) {
        let whole = self.came_to.recv_timeout(PATIENCE).expect("it is let go").expect("it was taken");
        (whole, self.ticket.answers().each.iter().map(|one| one.state).collect())
    }
}

pub fn call(count: usize) -> Arc<Ticket> {
    let one = Command { expires_at_ms: 9, ..Command::default() }.encode_to_vec();
    Arc::new(Ticket::new(&one.repeat(count), &vec![one.len() as u8; count]).expect("the sizes are its own"))
}
