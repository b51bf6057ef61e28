//! The venue's whole state, and how a command changes it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_book::{Index, Map, Pages};
use countersign_risk::{AssetIndex, Gate};

use crate::codec::{Chain, digest};
use crate::command::{AssetSpec, Command, Id, OrderBody, OrderCommand, Scope};
use crate::dedupe::{Dedupe, Outcome, Remembered};
use crate::event::{Body, Code, Output, Reason};
use crate::logic::{IN_PIECES, Refused, is_known};
use crate::market::{Market, Place};
use crate::sessions::Sessions;
use crate::standing::Standing;
use crate::transfers::Told;

/// A limit on everything: resting orders of one shard.
pub const ORDERS_MAX: usize = 1 << 22;
/// Resting orders of one account: all of them end by one command where their owner wishes so.
pub const ACCOUNT_ORDERS_MAX: u32 = 4_000;
/// Orders that an administrator's mass cancel ends, or pairs that an auction lets trade, before others have their turn.
pub const PIECE: usize = 1_000;

pub(crate) const NS_PER_MS: u64 = 1_000_000;

pub(crate) struct Asset {
    pub spec: AssetSpec,
    pub index: AssetIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Order(u64),
    CancelAllAfter(u64),
    /// The place of a market that is in `AUCTION`.
    Indication(u32),
    /// A session whose stream has ended.
    Session(u32),
}

pub struct Venue {
    pub(crate) epoch: u64,
    /// The rules that commands are applied by.
    pub(crate) logic: u32,
    pub(crate) engine_seq: u64,
    pub(crate) event_seq: u64,
    pub(crate) time_ns: u64,
    pub(crate) gate: Gate,
    pub(crate) assets: BTreeMap<u32, Asset>,
    /// In the order in which they were listed; `Place::market` points here.
    pub(crate) markets: Vec<Market>,
    pub(crate) market_of: Map<u32, u32>,
    pub(crate) index: Index<Place>,
    pub(crate) standing: Standing,
    /// Fees of accounts that have their own, by handle.
    pub(crate) fees: Pages<Option<(u32, u32)>>,
    pub(crate) dedupe: Dedupe,
    pub(crate) sessions: Sessions,
    pub(crate) transfers: Index<Told, Id>,
    /// Transfer ids by the event that told them, for forgetting in order.
    pub(crate) transfer_log: BTreeMap<u64, Id>,
    pub(crate) timers: BTreeSet<(u64, Timer)>,
    pub(crate) switches: BTreeMap<u64, u64>,
    pub(crate) chain: Chain,
}

impl Default for Venue {
    fn default() -> Self {
        Venue::new()
    }
}

impl Venue {
    pub fn new() -> Venue {
        Venue {
            epoch: 0,
            logic: 1,
            engine_seq: 0,
            event_seq: 0,
            time_ns: 0,
            gate: Gate::new(),
            assets: BTreeMap::new(),
            markets: Vec::new(),
            market_of: Map::default(),
            index: Index::default(),
            standing: Standing::default(),
            fees: Pages::new(None),
            dedupe: Dedupe::default(),
            sessions: Sessions::default(),
            transfers: Index::default(),
            transfer_log: BTreeMap::new(),
            timers: BTreeSet::new(),
            switches: BTreeMap::new(),
            chain: Chain::default(),
        }
    }

    /// Applies one command at the time that the journal gives it. `digest` is that of the command's retried part.
    pub fn apply(&mut self, time_ns: u64, command: &Command, digest: u64, out: &mut Output) -> Outcome {
        debug_assert!(time_ns >= self.time_ns, "journaled time never runs backwards");
        self.engine_seq += 1;
        self.time_ns = self.time_ns.max(time_ns);
        let began = out.bytes.len();
        if let Command::Lead { logic_version, .. } = command {
            // Before anything is due: nobody could come back while nobody led.
            self.end_streams(*logic_version);
        }
        self.fire_due_timers(out);
        let mut outcome = Outcome {
            code: Code::Ok,
            engine_seq: self.engine_seq,
            time_ns: self.time_ns,
            order_id: 0,
            filled: 0,
            leaves: 0,
            cancelled: 0,
        };
        match command {
            Command::Order(order) => {
                self.order(order, &mut outcome, out);
                self.dedupe.remember(order.command_id, Remembered { digest, outcome });
                if let Some(session) = self.sessions.get_mut(order.session) {
                    session.last_seq = order.session_seq;
                }
            }
            Command::Transfer(transfer) => outcome.code = self.transfer(transfer, digest, out),
            Command::Acknowledge { through_event_seq } => {
                outcome.filled = self.forget_transfers(*through_event_seq);
            }
            Command::Admin { reference, body } => self.admin(reference, body, &mut outcome, out),
            Command::OpenSession { session_id } => self.open_session(session_id),
            Command::CancelSession { session } => outcome.cancelled = self.cancel_session(*session, out),
            Command::AttachSession { session_id, cancels } => {
                (outcome.order_id, outcome.filled) = self.attach_session(session_id, *cancels);
            }
            Command::DetachSession { session } => {
                outcome.cancelled = self.detach_session(*session, out);
            }
            #[cfg(test)]
            Command::Tick if self.logic >= crate::logic::TRIAL => {
                self.emit(0, &Body::Marker { epoch: self.epoch, logic_version: self.logic }, out);
            }
            Command::Tick => {}
            Command::Lead { epoch, logic_version } => {
                self.epoch = *epoch;
                // Rules never go back: a program of older ones refuses the folder.
                self.logic = self.logic.max(*logic_version);
                self.emit(0, &Body::Marker { epoch: *epoch, logic_version: *logic_version }, out);
            }
        }
        self.chain.absorb(&out.bytes[began..]);
        outcome
    }

    /// Applies a command from its journaled bytes, by the rules under which it was journaled.
    pub fn replay(&mut self, time_ns: u64, bytes: &[u8], out: &mut Output) -> Result<Outcome, Refused> {
        let (command, body) = Command::decode(bytes)?;
        if let Command::Lead { logic_version, .. } = command
            && !is_known(logic_version)
        {
            return Err(Refused::Logic(logic_version));
        }
        Ok(self.apply(time_ns, &command, digest(&bytes[body..]), out))
    }

    pub(crate) fn emit(&mut self, instrument_id: u32, body: &Body, out: &mut Output) {
        self.event_seq += 1;
        out.push(self.event_seq, self.engine_seq, self.time_ns, instrument_id, body);
    }

    fn order(&mut self, command: &OrderCommand, outcome: &mut Outcome, out: &mut Output) {
        match &command.body {
            OrderBody::New(order) => self.new_order(command, order, outcome, out),
            OrderBody::Cancel(cancel) => self.cancel(cancel, outcome, out),
            OrderBody::Amend(amend) => self.amend(command, amend, outcome, out),
            OrderBody::CancelAll(scope) => {
                outcome.cancelled = self.cancel_scope(scope, Reason::MassCancel, true, usize::MAX, out);
            }
            OrderBody::CancelAllAfter { account_id, timeout_ms } => self.set_switch(*account_id, *timeout_ms),
        }
    }

    fn set_switch(&mut self, account_id: u64, timeout_ms: u64) {
        if let Some(at) = self.switches.remove(&account_id) {
            self.timers.remove(&(at, Timer::CancelAllAfter(account_id)));
        }
        if timeout_ms != 0 {
            let at = self.time_ns + timeout_ms * NS_PER_MS;
            self.switches.insert(account_id, at);
            self.timers.insert((at, Timer::CancelAllAfter(account_id)));
        }
    }

    /// All that are due; but where many orders end or trade by one, what can wait comes behind the next command. An
    /// order's own date cannot: others might still trade with it.
    fn fire_due_timers(&mut self, out: &mut Output) {
        let mut done = 0;
        while let Some(&(at, timer)) = self.timers.first()
            && at <= self.time_ns
        {
            self.timers.remove(&(at, timer));
            let is_full = self.logic >= IN_PIECES && done >= PIECE;
            match timer {
                Timer::CancelAllAfter(account_id) if is_full => {
                    self.switches.insert(account_id, self.time_ns + 1);
                    self.timers.insert((self.time_ns + 1, timer));
                }
                Timer::Indication(at) if is_full => self.look_again(at, self.time_ns + 1),
                Timer::Order(order_id) => {
                    if let Some(place) = self.index.get(&order_id).copied() {
                        self.end_order(place, Reason::Expired, out);
                    }
                }
                Timer::Indication(at) if self.is_uncrossing(at) => done += self.uncross(at, out),
                Timer::Indication(at) => self.indicate(at, false, out),
                Timer::Session(number) => self.session_is_due(number, out),
                Timer::CancelAllAfter(account_id) => {
                    self.switches.remove(&account_id);
                    let scope = Scope { account_id, ..Scope::default() };
                    done +=
                        self.cancel_scope(&scope, Reason::CancelAllAfter, false, usize::MAX, out) as usize;
                }
            }
        }
    }

    /// When the next timer is due, so that somebody can send [`Command::Tick`] when nothing else comes.
    pub fn next_timer_ns(&self) -> Option<u64> {
        self.timers.first().map(|&(at, _)| at)
    }
}
