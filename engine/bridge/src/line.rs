//! A process's line to the engine, over one connection after the other.
//!
//! Whoever hands commands over writes the frame, and whoever reads an answer writes what has gathered and wakes only
//! whose call is answered. One lock is held for moments: nobody reads or waits with it, and to write never waits.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use countersign_wire::Bytes;
use countersign_wire::v1::{ResultBatch, ServerFrame, server_frame};
use prost::Message;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustls::ClientConnection;

use crate::faults::{self, Place};
use crate::http::{End, Word};
use crate::inward::Inward;
use crate::link::Link;
use crate::outward::Outward;
use crate::session::{Busy, Session};
use crate::ticket::Ticket;

const PIECE: usize = 256 * 1024;

#[derive(Default)]
pub struct Line {
    sending: Mutex<Sending>,
    reading: Mutex<Option<Reading>>,
}

#[derive(Default)]
struct Sending {
    session: Session,
    link: Option<Link>,
    /// Whether the engine has greeted us: before, only messages of the caller's own are sent.
    greeted: bool,
}

/// Belongs to whoever hears.
struct Reading {
    socket: BorrowedFd<'static>,
    piece: Vec<u8>,
    inward: Inward,
    heard: VecDeque<Bytes>,
    end: Option<End>,
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    /// A message that answers no command.
    Message(Bytes),
    Ended(End),
}

/// Calls that are answered as a whole. No frame remembers them any more, so they are woken even where a fault follows.
#[derive(Default)]
struct Answered(Vec<Arc<Ticket>>);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.iter().for_each(|ticket| ticket.wake());
    }
}

impl Sending {
    /// Something broke in the middle: neither half a frame nor a number is believed, so this connection says nothing
    /// any more, and of what was under way nothing is known.
    fn give_up(&mut self) {
        self.link = None;
        self.greeted = false;
        self.session.give_up();
    }

    /// Send what has gathered, as far as it may go.
    fn send(&mut self) {
        let Some(link) = self.link.as_mut() else { return };
        while self.greeted && link.is_whole() {
            let Some(message) = self.session.following() else { break };
            link.message(&message);
            link.push();
        }
        link.push();
    }
}

impl Line {
    /// Whoever comes first after a fault puts it right.
    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(|broken| {
            let mut sending = broken.into_inner();
            sending.give_up();
            self.sending.clear_poison();
            sending
        })
    }

    /// What is read after a fault is not believed: then the connection is at its end.
    fn reading(&self) -> MutexGuard<'_, Option<Reading>> {
        self.reading.lock().unwrap_or_else(|broken| {
            let mut reading = broken.into_inner();
            *reading = None;
            self.reading.clear_poison();
            reading
        })
    }

    /// Use this connection from now on, and ask for the call. The socket stays open until after `close`.
    pub fn open(&self, socket: BorrowedFd<'static>, out: Outward, tls: Option<ClientConnection>) {
        *self.reading() = Some(Reading {
            socket,
            piece: vec![0; PIECE],
            inward: Inward::default(),
            heard: VecDeque::new(),
            end: None,
        });
        let mut sending = self.sending();
        sending.link = Some(Link::new(socket, out, tls));
        sending.send();
    }

    /// Send a message of the caller's own.
    pub fn say(&self, message: &[u8]) {
        let mut sending = self.sending();
        if let Some(link) = sending.link.as_mut() {
            link.message(message);
            link.push();
        }
    }

    /// The engine has greeted us: send again what is unanswered, and from now on whatever is handed over.
    pub fn resume(&self, epoch: u64, last_applied: u64) {
        let mut sending = self.sending();
        sending.session.resume(epoch, last_applied);
        sending.greeted = true;
        sending.send();
    }

    /// Let the connection go. What is unanswered waits for the next.
    pub fn close(&self) {
        let mut sending = self.sending();
        sending.link = None;
        sending.greeted = false;
        drop(sending);
        *self.reading() = None;
    }

    /// Read until there is something to tell, or nothing came for as long as the socket waits. Answers go to those who
    /// wait for them.
    pub fn hear(&self) -> Heard {
        let mut reading = self.reading();
        let Some(reading) = reading.as_mut() else {
            return Heard::Ended(End::Away("there is no connection".into()));
        };
        loop {
            if let Some(message) = reading.heard.pop_front() {
                return Heard::Message(message);
            }
            if let Some(end) = &reading.end {
                return Heard::Ended(end.clone());
            }
            match recv(reading.socket, &mut reading.piece[..], RecvFlags::empty()) {
                Ok((0, _)) => reading.end = Some(End::Away("the connection ended".into())),
                Ok((size, _)) => self.take(reading, size),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let mut sending = self.sending();
                    if sending.link.is_some() {
                        sending.send();
                        return Heard::Nothing;
                    }
                    reading.end = Some(given_up());
                }
                Err(why) => reading.end = Some(End::Away(std::io::Error::from(why).to_string())),
            }
        }
    }

    fn take(&self, reading: &mut Reading, size: usize) {
        let mut plain = Vec::new();
        let mut words = Vec::new();
        let opened = match &mut self.sending().link {
            Some(link) => link.open(&reading.piece[..size], &mut plain),
            None => Err(given_up()),
        };
        faults::pass(Place::Read);
        let mut end = reading.inward.hear(&plain, &mut words).and(opened);
        let mut answers: Vec<ResultBatch> = Vec::new();
        words.retain_mut(|word| {
            let Word::Message(message) = word else { return true };
            let message = Bytes::from(std::mem::take(message));
            match ServerFrame::decode(message.clone()) {
                Ok(ServerFrame { frame: Some(server_frame::Frame::Results(batch)) }) => answers.push(batch),
                _ => reading.heard.push_back(message), // and whoever cannot read it says so
            }
            false
        });
        let mut answered = Answered::default();
        let mut sending = self.sending();
        if let Some(link) = &mut sending.link {
            words.iter().for_each(|word| link.hear(word));
        }
        for batch in &answers {
            if let Err(stale) = sending.session.settle(batch, &mut answered.0) {
                end = Err(End::Away(format!("answers of epoch {} after {}", stale.epoch, stale.newest)));
                break;
            }
        }
        sending.send();
        drop(sending);
        drop(answered);
        reading.end = end.err();
    }

    /// Send the ticket's commands in their order, or queue them, and wait; whether all were answered within the time.
    /// What had not left by then is taken back.
    pub fn submit(&self, ticket: &Arc<Ticket>, limit: Duration) -> Result<bool, Busy> {
        let mut sending = self.sending();
        sending.session.take(ticket)?;
        sending.send();
        drop(sending);
        faults::pass(Place::Sent);
        let whole = ticket.wait(limit);
        if !whole {
            self.sending().session.withdraw(ticket);
        }
        Ok(whole)
    }

    /// What a greeting has to say: the number of the command that leaves next.
    pub fn next_seq(&self) -> u64 {
        self.sending().session.next_seq()
    }

    /// The newest leader's.
    pub fn epoch(&self) -> u64 {
        self.sending().session.epoch()
    }

    /// How many commands are here, waiting or unanswered.
    pub fn depth(&self) -> usize {
        self.sending().session.depth()
    }
}

/// Whoever hears has a connection, and whoever sends has let it go.
fn given_up() -> End {
    End::Away("a fault in the order stream ended this connection".into())
}
