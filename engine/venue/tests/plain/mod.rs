//! A venue so plain that it can be checked by reading: one list of orders in the order of their arrival, nothing
//! cached, nothing indexed. What an account holds is counted anew from its orders each time it is asked for.
#![allow(dead_code)]

mod admin;
mod auction;
mod matching;
mod money;
mod sessions;
mod told;

use std::collections::BTreeMap;

use countersign_venue::auction::Indication;
use countersign_venue::command::{
    AdminBody, Amend, Cancel, Command, InstrumentSpec, NewOrder, OrderBody, Scope, Side, State, Stp, Tif,
};
use countersign_venue::event::{Code, Reason};

use sessions::{ENDS_SINCE, Session};
pub use told::{Told, Trade, told};

#[derive(Clone, Debug)]
pub struct Order {
    pub id: u64,
    pub account: u64,
    pub market: usize,
    pub side: Side,
    pub price: i64,
    pub total: u64,
    pub filled: u64,
    pub ticklots: u128,
    pub budget: Option<u64>,
    pub group: u64,
    pub stp: Stp,
    pub post_only: bool,
    pub owner_ref: u64,
    pub expire_ns: u64,
    pub session: u32,
}

impl Order {
    pub fn leaves(&self) -> u64 {
        if self.budget.is_some() { u64::MAX } else { self.total - self.filled }
    }
}

pub struct Market {
    pub spec: InstrumentSpec,
    pub state: State,
    pub last: i64,
    /// What was told last, and when it is looked at again.
    pub call: Option<(Indication, u64)>,
}

#[derive(Default)]
pub struct Plain {
    pub now: u64,
    /// The rules that count.
    pub logic: u32,
    /// In the order of arrival. An order that loses its place is taken out and put at the end.
    pub orders: Vec<Order>,
    /// All that an account owns of an asset, held or not.
    pub owned: BTreeMap<(u64, u32), u128>,
    pub accounts: Vec<u64>,
    pub fees: BTreeMap<u64, (u32, u32)>,
    pub markets: Vec<Market>,
    pub switches: BTreeMap<u64, u64>,
    /// By number; a place is empty once its session is forgotten.
    pub sessions: Vec<Option<Session>>,
    pub told: Vec<Told>,
}

impl Plain {
    /// Where the orders of one side stand, best price first, oldest first within it.
    pub fn queue(&self, market: usize, side: Side) -> Vec<usize> {
        let stands = |at: &usize| self.orders[*at].market == market && self.orders[*at].side == side;
        let mut queue: Vec<usize> = (0..self.orders.len()).filter(stands).collect();
        queue.sort_by_key(|&at| match side {
            Side::Buy => -self.orders[at].price,
            Side::Sell => self.orders[at].price,
        });
        queue
    }

    pub fn find(&self, id: u64) -> Option<usize> {
        self.orders.iter().position(|order| order.id == id)
    }

    pub fn market_at(&self, instrument_id: u32) -> usize {
        self.markets
            .iter()
            .position(|market| market.spec.instrument_id == instrument_id)
            .expect("it is listed")
    }

    fn end(&mut self, id: u64, reason: Reason) {
        let order = self.orders.remove(self.find(id).expect("it stands"));
        let (_, released) = self.hold(&order);
        self.done(&order, reason, order.leaves(), released);
    }

    pub fn done(&mut self, order: &Order, reason: Reason, cancelled: u64, released: u128) {
        self.told.push(Told::Done {
            order: order.id,
            reason,
            filled: order.filled,
            cancelled,
            ticklots: order.ticklots,
            released,
        });
    }

    /// What a command does; gives its code and how many orders it cancelled.
    pub fn apply(&mut self, now: u64, command: &Command) -> (Code, u32) {
        self.now = now;
        self.told.clear();
        if matches!(command, Command::Lead { logic_version: ENDS_SINCE.., .. }) {
            self.end_streams();
        }
        self.fire();
        match command {
            Command::Tick => (Code::Ok, 0),
            Command::Lead { epoch, logic_version } => {
                self.logic = self.logic.max(*logic_version);
                self.told.push(Told::Leads(*epoch, *logic_version));
                (Code::Ok, 0)
            }
            Command::Transfer(transfer) => (self.transfer(transfer), 0),
            Command::AttachSession { session_id, cancels } => {
                self.attach(*session_id, *cancels);
                (Code::Ok, 0)
            }
            Command::DetachSession { session } => (Code::Ok, self.detach(*session)),
            Command::Order(order) => match &order.body {
                OrderBody::New(new) => (self.enter(new, order.session), 0),
                OrderBody::Cancel(cancel) => self.cancel(cancel),
                OrderBody::Amend(amend) => self.amend(amend),
                OrderBody::CancelAll(scope) => (Code::Ok, self.cancel_all(*scope, Reason::MassCancel, true)),
                OrderBody::CancelAllAfter { account_id, timeout_ms } => {
                    self.switches.remove(account_id);
                    if *timeout_ms != 0 {
                        self.switches.insert(*account_id, now + timeout_ms * 1_000_000);
                    }
                    (Code::Ok, 0)
                }
            },
            Command::Admin { body: AdminBody::MassCancel(scope), .. } => {
                (Code::Ok, self.cancel_all(*scope, Reason::MassCancel, false))
            }
            Command::Admin { body, .. } => (self.admin(body), 0),
            other => panic!("{other:?} is not part of the flow"),
        }
    }

    /// Clocks that have run out, the earliest first: orders, then switches, then auctions, then sessions.
    fn fire(&mut self) {
        loop {
            let orders = self.orders.iter().filter(|order| order.expire_ns != 0);
            let orders = orders.map(|order| (order.expire_ns, 0, order.id));
            let switches = self.switches.iter().map(|(&account, &due)| (due, 1, account));
            let calls = (0..).zip(&self.markets).filter_map(|(at, market)| Some((market.call?.1, 2, at)));
            let sessions = (1..)
                .zip(&self.sessions)
                .filter_map(|(number, session)| Some((session.as_ref()?.due, number)));
            let sessions = sessions.filter(|(due, _)| *due != 0).map(|(due, number)| (due, 3, number));
            let Some((due, kind, whose)) = orders.chain(switches).chain(calls).chain(sessions).min() else {
                return;
            };
            if due > self.now {
                return;
            }
            match kind {
                0 => self.end(whose, Reason::Expired),
                1 => {
                    self.switches.remove(&whose);
                    let scope = Scope { account_id: whose, ..Scope::default() };
                    self.cancel_all(scope, Reason::CancelAllAfter, false);
                }
                2 => self.indicate(whose as usize, false),
                _ => self.end_session(whose as u32),
            }
        }
    }

    fn cancel(&mut self, cancel: &Cancel) -> (Code, u32) {
        match self.own(cancel.order_id, cancel.account_id) {
            Ok(_) => {
                self.end(cancel.order_id, Reason::Cancelled);
                (Code::Ok, 1)
            }
            Err(code) => (code, 0),
        }
    }

    pub fn own(&self, id: u64, account: u64) -> Result<usize, Code> {
        let at = self.find(id).ok_or(Code::UnknownOrder)?;
        if self.orders[at].account != account {
            return Err(Code::NotOwner);
        }
        match self.markets[self.orders[at].market].state {
            State::Halted | State::Closed => Err(Code::InstrumentState),
            _ => Ok(at),
        }
    }

    fn cancel_all(&mut self, scope: Scope, reason: Reason, by_owner: bool) -> u32 {
        let mut cancelled = 0;
        for market in 0..self.markets.len() {
            let Market { spec, state, .. } = &self.markets[market];
            let elsewhere = scope.instrument_id != 0 && scope.instrument_id != spec.instrument_id;
            if elsewhere || (by_owner && matches!(state, State::Halted | State::Closed)) {
                continue;
            }
            let both = [self.queue(market, Side::Buy), self.queue(market, Side::Sell)].concat();
            let ids: Vec<u64> = both
                .into_iter()
                .map(|at| &self.orders[at])
                .filter(|order| scope.account_id == 0 || scope.account_id == order.account)
                .filter(|order| scope.owner_ref == 0 || scope.owner_ref == order.owner_ref)
                .filter(|order| scope.stp_group == 0 || scope.stp_group == order.group)
                .filter(|order| scope.session == 0 || scope.session == order.session)
                .map(|order| order.id)
                .collect();
            for id in ids {
                self.end(id, reason);
                cancelled += 1;
            }
        }
        cancelled
    }

    pub fn is_outside_band(&self, market: usize, side: Side, price: i64) -> bool {
        let Market { spec, .. } = &self.markets[market];
        let anchor = self.anchor(market).unwrap_or(0);
        // Millionths of the anchor on either side, compared without dividing.
        let (price, anchor, band) = (price as i128 * 1_000_000, anchor as i128, spec.price_band_ppm as i128);
        anchor != 0
            && band != 0
            && match side {
                Side::Buy => price > anchor * (1_000_000 + band),
                Side::Sell => price < anchor * (1_000_000 - band),
            }
    }

    pub fn anchor(&self, market: usize) -> Option<i64> {
        let Market { spec, last, .. } = &self.markets[market];
        [*last, spec.reference_price].into_iter().find(|&price| price != 0)
    }

    pub fn is_crossed(&self, market: usize) -> bool {
        let best = |side| self.queue(market, side).first().map(|&at| self.orders[at].price);
        matches!((best(Side::Buy), best(Side::Sell)), (Some(bid), Some(ask)) if bid >= ask)
    }

    pub fn rests(tif: Tif) -> bool {
        matches!(tif, Tif::Gtc | Tif::Gtd)
    }

    pub fn fresh(&self, order: &NewOrder) -> Order {
        Order {
            id: order.order_id,
            account: order.account_id,
            market: self.market_at(order.instrument_id),
            side: order.side,
            price: order.price,
            total: order.qty,
            filled: 0,
            ticklots: 0,
            budget: (order.budget != 0).then_some(order.budget),
            group: order.stp_group,
            stp: order.stp,
            post_only: order.post_only,
            owner_ref: order.owner_ref,
            expire_ns: order.expire_at_ms * 1_000_000,
            session: 0,
        }
    }

    fn amend(&mut self, amend: &Amend) -> (Code, u32) {
        let at = match self.own(amend.order_id, amend.account_id) {
            Ok(at) => at,
            Err(code) => return (code, 0),
        };
        let Err(code) = self.try_amend(at, amend) else { return (Code::Ok, 0) };
        self.told.push(Told::AmendRejected(amend.order_id, code));
        if amend.cancel_on_fail {
            self.end(amend.order_id, Reason::AmendFailed);
            return (code, 1);
        }
        (code, 0)
    }
}
