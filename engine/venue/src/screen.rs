//! What is decided before anything is journaled.

use crate::command::{Command, Id, Kind, NewOrder, OrderBody, OrderCommand, Side, Tif};
use crate::dedupe::{Age, LIFETIME_MS_MAX, Outcome, age};
use crate::event::Code;
use crate::state::{NS_PER_MS, Venue};

/// A dead man's switch may be set this far ahead.
const SWITCH_MS_MAX: u64 = 600_000;

/// An answer that needs no journal entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub outcome: Outcome,
    /// The first outcome, told again.
    pub duplicate: bool,
    /// For transfers: where the feed told it.
    pub event_seq: u64,
}

fn refusal(code: Code, now_ms: u64) -> Answer {
    let outcome = Outcome {
        code,
        engine_seq: 0,
        time_ns: now_ms * NS_PER_MS,
        order_id: 0,
        filled: 0,
        leaves: 0,
        cancelled: 0,
    };
    Answer { outcome, duplicate: false, event_seq: 0 }
}

/// The last moment that the engine's clock can tell, in milliseconds.
pub(crate) const DATE_MS_MAX: u64 = u64::MAX / NS_PER_MS;

impl Venue {
    /// `None`: the command is to be journaled and applied. `digest` is that of its retried part.
    pub fn screen(&mut self, command: &Command, digest: u64, now_ms: u64) -> Option<Answer> {
        match command {
            Command::Order(order) => self.screen_order(order, digest, now_ms),
            Command::Transfer(transfer) => {
                if let Some(told) = self.told_transfer(&transfer.transfer_id) {
                    if told.digest != digest {
                        return Some(refusal(Code::CommandMismatch, now_ms));
                    }
                    let mut answer = refusal(told.code, now_ms);
                    answer.outcome.engine_seq = told.engine_seq;
                    answer.outcome.time_ns = told.time_ns;
                    answer.event_seq = told.event_seq;
                    answer.duplicate = true;
                    return Some(answer);
                }
                let malformed = transfer.units == 0 || transfer.account_id == 0;
                malformed.then(|| refusal(Code::BadCommand, now_ms))
            }
            _ => None,
        }
    }

    fn screen_order(&mut self, command: &OrderCommand, digest: u64, now_ms: u64) -> Option<Answer> {
        let no = |code| Some(refusal(code, now_ms));
        match age(&command.command_id, now_ms) {
            Age::NotVersion7 => return no(Code::BadCommand),
            Age::Outside => return no(Code::Forgotten),
            Age::Current => {}
        }
        if let Some(remembered) = self.dedupe.find(&command.command_id) {
            if remembered.digest != digest {
                return no(Code::CommandMismatch);
            }
            return Some(Answer { outcome: remembered.outcome, duplicate: true, event_seq: 0 });
        }
        // Before it is called expired, which would say that it never was applied.
        if self.dedupe.may_be_lost(&command.command_id) {
            return no(Code::Forgotten);
        }
        if command.expires_at_ms < now_ms {
            return no(Code::Expired);
        }
        if command.expires_at_ms > now_ms + LIFETIME_MS_MAX + crate::dedupe::AHEAD_MS_MAX {
            return no(Code::BadCommand);
        }
        // Numbers grow. They need not be dense here: what was refused before the journal took a number along.
        if command.session != 0 {
            let session = self.sessions.get(command.session);
            if session.is_none_or(|session| command.session_seq <= session.last_seq) {
                return no(Code::SessionGap);
            }
        }
        let well_formed = match &command.body {
            OrderBody::New(order) => is_well_formed(order),
            OrderBody::Cancel(cancel) => cancel.order_id != 0,
            OrderBody::Amend(amend) => {
                amend.order_id != 0 && amend.price >= 0 && (amend.total_qty != 0 || amend.price != 0)
            }
            OrderBody::CancelAll(scope) => scope.account_id != 0,
            OrderBody::CancelAllAfter { account_id, timeout_ms } => {
                *account_id != 0 && *timeout_ms <= SWITCH_MS_MAX
            }
        };
        if well_formed { None } else { no(Code::BadCommand) }
    }

    /// What became of a command, from memory: `UnknownCommand` means not applied so far.
    pub fn query(&self, command_id: &Id, now_ms: u64) -> Answer {
        match age(command_id, now_ms) {
            Age::NotVersion7 => refusal(Code::BadCommand, now_ms),
            Age::Outside => refusal(Code::Forgotten, now_ms),
            Age::Current => match self.dedupe.look_for(command_id) {
                Some(remembered) => Answer { outcome: remembered.outcome, duplicate: true, event_seq: 0 },
                None if self.dedupe.may_be_lost(command_id) => refusal(Code::Forgotten, now_ms),
                None => refusal(Code::UnknownCommand, now_ms),
            },
        }
    }
}

/// Fields that go together, whatever the state of the market is.
fn is_well_formed(order: &NewOrder) -> bool {
    let sized = match order.budget {
        0 => order.qty != 0,
        _ => order.qty == 0 && order.kind == Kind::Market && order.side == Side::Buy && order.tif == Tif::Ioc,
    };
    let timed = (order.tif == Tif::Gtd) == (order.expire_at_ms != 0) && order.expire_at_ms <= DATE_MS_MAX;
    let rests = matches!(order.tif, Tif::Gtc | Tif::Gtd);
    let typed = match order.kind {
        Kind::Limit => true,
        Kind::Market => !rests,
    };
    order.order_id != 0
        && order.account_id != 0
        && order.price > 0
        && sized
        && timed
        && typed
        && (!order.post_only || rests)
}
