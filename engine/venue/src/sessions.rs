//! Sessions of order entry: what their clients wish for the end of a stream, and when they are forgotten.
//!
//! A stream's begin and end are journaled. A leader that dies ends all its streams, so the next one's first command does:
//! whoever had asked for it loses its orders after [`GRACE_MS`], unless its stream has come back by then. A session without
//! a stream is forgotten once no retry could still be answered from memory and none of its orders rests.

use std::collections::BTreeSet;

use countersign_book::Map;

use crate::codec::{Malformed, Put, Reader};
use crate::command::{Id, Scope};
use crate::dedupe::{AHEAD_MS_MAX, WINDOW_MS};
use crate::event::{Output, Reason};
use crate::logic::SESSIONS_END;
use crate::standing::Owner;
use crate::state::{NS_PER_MS, Timer, Venue};

/// How long the orders of a session stay whose stream ended with its leader: for its client to find the next one.
pub const GRACE_MS: u64 = 10_000;
/// A session whose stream has ended is kept for as long as an id of its last command is.
pub const KEPT_MS: u64 = WINDOW_MS + AHEAD_MS_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub id: Id,
    pub last_seq: u64,
    pub stream: Stream,
}

/// `cancels`: its client wishes that its orders go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Rules before [`SESSIONS_END`] counted, by which no end was journaled.
    Unknown,
    Open {
        cancels: bool,
    },
    /// Something is due then: the cancel, or the end of the session.
    Ended {
        cancels: bool,
        due_ns: u64,
    },
}

/// By the number that orders name. A number is used again once its session is forgotten.
#[derive(Default)]
pub(crate) struct Sessions {
    all: Vec<Option<Session>>,
    of: Map<Id, u32>,
    free: BTreeSet<u32>,
}

impl Sessions {
    pub fn get(&self, number: u32) -> Option<&Session> {
        self.all.get((number as usize).wrapping_sub(1))?.as_ref()
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut Session> {
        self.all.get_mut((number as usize).wrapping_sub(1))?.as_mut()
    }

    pub fn find(&self, id: &Id) -> Option<u32> {
        self.of.get(id).copied()
    }

    /// Gives the number of a session that is new.
    fn open(&mut self, id: Id) -> u32 {
        let session = Some(Session { id, last_seq: 0, stream: Stream::Unknown });
        let number = match self.free.pop_first() {
            Some(number) => {
                self.all[number as usize - 1] = session;
                number
            }
            None => {
                self.all.push(session);
                self.all.len() as u32
            }
        };
        self.of.insert(id, number);
        number
    }

    fn forget(&mut self, number: u32) {
        let Some(session) = self.all[number as usize - 1].take() else { return };
        self.of.remove(&session.id);
        self.free.insert(number);
        while let Some(None) = self.all.last() {
            self.free.remove(&(self.all.len() as u32));
            self.all.pop();
        }
    }

    fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        1..=self.all.len() as u32
    }

    /// As every state holds them: an empty place is a session that never was.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.all.len() as u64);
        for session in &self.all {
            let (id, last_seq) = session.map_or(([0; 16], 0), |session| (session.id, session.last_seq));
            out.put_id(&id);
            out.put_u64(last_seq);
        }
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Sessions, Malformed> {
        let mut sessions = Sessions::default();
        for _ in 0..reader.u64()? {
            let (id, last_seq) = (reader.id()?, reader.u64()?);
            sessions.all.push(Some(Session { id, last_seq, stream: Stream::Unknown }));
        }
        Ok(sessions)
    }

    /// What a state holds besides where these rules count.
    pub fn encode_streams(&self, out: &mut Vec<u8>) {
        for session in &self.all {
            match session.map(|session| session.stream) {
                None => out.put_u8(0),
                Some(Stream::Unknown) => out.put_u8(1),
                Some(Stream::Open { cancels }) => out.put_u8(2 + u8::from(cancels)),
                Some(Stream::Ended { cancels, due_ns }) => {
                    out.put_u8(4 + u8::from(cancels));
                    out.put_u64(due_ns);
                }
            }
        }
    }

    pub fn decode_streams(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        for place in &mut self.all {
            let stream = match reader.u8()? {
                0 => {
                    *place = None;
                    continue;
                }
                1 => Stream::Unknown,
                kind @ 2..=3 => Stream::Open { cancels: kind == 3 },
                kind @ 4..=5 => Stream::Ended { cancels: kind == 5, due_ns: reader.u64()? },
                _ => return Err(Malformed("no such stream of a session")),
            };
            place.as_mut().expect("every place was read").stream = stream;
        }
        Ok(())
    }

    /// Finds each by its id from now on; gives what is due.
    pub fn list(&mut self) -> Result<Vec<(u64, Timer)>, Malformed> {
        let mut due = Vec::new();
        for number in self.numbers() {
            match self.get(number).copied() {
                None => {
                    self.free.insert(number);
                }
                Some(session) => {
                    if self.of.insert(session.id, number).is_some() {
                        return Err(Malformed("a session comes twice"));
                    }
                    if let Stream::Ended { due_ns, .. } = session.stream {
                        due.push((due_ns, Timer::Session(number)));
                    }
                }
            }
        }
        if let Some(None) = self.all.last() {
            return Err(Malformed("the last session is none"));
        }
        Ok(due)
    }
}

impl Venue {
    pub(crate) fn open_session(&mut self, session_id: &Id) {
        if self.sessions.find(session_id).is_none() {
            let number = self.sessions.open(*session_id);
            if self.logic >= SESSIONS_END {
                self.keep(number);
            }
        }
    }

    /// A session's stream begins; the session does too, where nobody knows it. Gives its number and the last command
    /// that was applied of it.
    pub(crate) fn attach_session(&mut self, session_id: &Id, cancels: bool) -> (u64, u64) {
        self.open_session(session_id);
        let (number, last_seq) = self.session(session_id).expect("it was just opened");
        if self.logic >= SESSIONS_END {
            self.set_stream(number, Stream::Open { cancels });
        }
        (number.into(), last_seq)
    }

    /// A session's stream has ended, and its leader has seen that.
    pub(crate) fn detach_session(&mut self, number: u32, out: &mut Output) -> u32 {
        let cancelled = match self.sessions.get(number).map(|session| session.stream) {
            Some(Stream::Open { cancels: true } | Stream::Ended { cancels: true, .. }) => {
                self.cancel_session(number, out)
            }
            _ => 0,
        };
        if self.logic >= SESSIONS_END && self.sessions.get(number).is_some() {
            self.keep(number);
        }
        cancelled
    }

    pub(crate) fn cancel_session(&mut self, number: u32, out: &mut Output) -> u32 {
        let scope = Scope { session: number, ..Scope::default() };
        self.cancel_scope(&scope, Reason::Disconnect, false, usize::MAX, out)
    }

    /// Another leader begins: no stream is open any more.
    pub(crate) fn end_streams(&mut self, logic_version: u32) {
        if logic_version < SESSIONS_END {
            return;
        }
        let grace = Stream::Ended { cancels: true, due_ns: self.time_ns + GRACE_MS * NS_PER_MS };
        for number in self.sessions.numbers() {
            match self.sessions.get(number).map(|session| session.stream) {
                None => {}
                Some(Stream::Open { cancels: true } | Stream::Ended { cancels: true, .. }) => {
                    self.set_stream(number, grace);
                }
                Some(Stream::Ended { cancels: false, .. }) => {}
                Some(Stream::Open { cancels: false } | Stream::Unknown) => self.keep(number),
            }
        }
    }

    pub(crate) fn session_is_due(&mut self, number: u32, out: &mut Output) {
        let Some(Stream::Ended { cancels, .. }) = self.sessions.get(number).map(|session| session.stream)
        else {
            return;
        };
        if cancels {
            self.cancel_session(number, out);
        }
        if cancels || self.standing.of(Owner::Session(number)).next().is_some() {
            self.keep(number);
        } else {
            self.sessions.forget(number);
        }
    }

    fn keep(&mut self, number: u32) {
        let due_ns = self.time_ns + KEPT_MS * NS_PER_MS;
        self.set_stream(number, Stream::Ended { cancels: false, due_ns });
    }

    fn set_stream(&mut self, number: u32, stream: Stream) {
        let Some(session) = self.sessions.get_mut(number) else { return };
        let former = std::mem::replace(&mut session.stream, stream);
        if let Stream::Ended { due_ns, .. } = former {
            self.timers.remove(&(due_ns, Timer::Session(number)));
        }
        if let Stream::Ended { due_ns, .. } = stream {
            self.timers.insert((due_ns, Timer::Session(number)));
        }
    }

    /// Sessions that are not forgotten.
    pub fn sessions_count(&self) -> usize {
        self.sessions.of.len()
    }

    pub(crate) fn audit_sessions(&self) -> Result<(), String> {
        let sessions = &self.sessions;
        if sessions.of.len() + sessions.free.len() != sessions.all.len() {
            return Err(format!("{} sessions have {} places", sessions.of.len(), sessions.all.len()));
        }
        for number in sessions.numbers() {
            let Some(session) = sessions.get(number) else {
                if !sessions.free.contains(&number)
                    || self.standing.of(Owner::Session(number)).next().is_some()
                {
                    return Err(format!("session {number} is forgotten, and its orders are not"));
                }
                continue;
            };
            let is_due = |due_ns| self.timers.contains(&(due_ns, Timer::Session(number)));
            if sessions.find(&session.id) != Some(number)
                || matches!(session.stream, Stream::Ended { due_ns, .. } if !is_due(due_ns))
            {
                return Err(format!("session {number} is not found where it is"));
            }
        }
        Ok(())
    }
}
