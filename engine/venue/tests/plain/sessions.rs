//! Sessions: what their streams' ends mean.

use countersign_venue::command::{Id, Scope};
use countersign_venue::event::Reason;

use super::Plain;

/// Since these rules the end of a stream means something.
pub const ENDS_SINCE: u32 = 3;
const GRACE_NS: u64 = 10_000 * 1_000_000;
const KEPT_NS: u64 = 130_000 * 1_000_000;

/// `due`: when its orders go, or it does; 0 = its stream is open, or the rules know no end of it.
#[derive(Clone, Copy)]
pub struct Session {
    pub id: Id,
    pub cancels: bool,
    pub due: u64,
}

impl Plain {
    /// Another leader begins, under rules that know what that means: no stream is open any more.
    pub fn end_streams(&mut self) {
        for session in self.sessions.iter_mut().flatten() {
            match (session.cancels, session.due) {
                (true, _) => session.due = self.now + GRACE_NS,
                (false, 0) => session.due = self.now + KEPT_NS,
                _ => {}
            }
        }
    }

    pub fn attach(&mut self, id: Id, cancels: bool) {
        let at = self.sessions.iter().position(|known| known.is_some_and(|known| known.id == id));
        let at = at.unwrap_or_else(|| {
            let free = self.sessions.iter().position(Option::is_none);
            free.unwrap_or_else(|| {
                self.sessions.push(None);
                self.sessions.len() - 1
            })
        });
        let cancels = self.logic >= ENDS_SINCE && cancels;
        self.sessions[at] = Some(Session { id, cancels, due: 0 });
    }

    /// How many orders went with the stream.
    pub fn detach(&mut self, number: u32) -> u32 {
        let at = number as usize - 1;
        let cancelled = match self.sessions[at] {
            Some(known) if known.cancels => self.cancel_session(number),
            _ => 0,
        };
        if let (ENDS_SINCE.., Some(known)) = (self.logic, &mut self.sessions[at]) {
            known.cancels = false;
            known.due = self.now + KEPT_NS;
        }
        cancelled
    }

    fn cancel_session(&mut self, session: u32) -> u32 {
        self.cancel_all(Scope { session, ..Scope::default() }, Reason::Disconnect, false)
    }

    /// A session without a stream is due: its orders go, or it is forgotten once none of them rests.
    pub fn end_session(&mut self, number: u32) {
        let at = number as usize - 1;
        let Some(session) = self.sessions[at] else { unreachable!("nothing of it is due") };
        if session.cancels {
            self.cancel_session(number);
        }
        let kept = session.cancels || self.orders.iter().any(|order| order.session == number);
        let due = self.now + KEPT_NS;
        self.sessions[at] = kept.then_some(Session { cancels: false, due, ..session });
    }
}
