//! Orders leave: by their owner, by administration, by a clock.

use crate::command::{Cancel, Scope, Side, State};
use crate::dedupe::Outcome;
use crate::event::{Amount, Body, Code, Done, Output, Reason};
use crate::market::Place;
use crate::standing::Owner;
use crate::state::{NS_PER_MS, Timer, Venue};

impl Venue {
    pub(crate) fn cancel(&mut self, cancel: &Cancel, outcome: &mut Outcome, out: &mut Output) {
        outcome.order_id = cancel.order_id;
        match self.find_own(cancel.order_id, cancel.account_id) {
            Ok(place) => {
                let market = &self.markets[place.market as usize];
                let resting = market.book.order(place.slot);
                outcome.filled = market.details[place.slot].total - resting.leaves;
                self.end_order(place, Reason::Cancelled, out);
                outcome.cancelled = 1;
            }
            Err(code) => outcome.code = code,
        }
    }

    pub(crate) fn find_own(&self, order_id: u64, account_id: u64) -> Result<Place, Code> {
        let place = self.index.get(&order_id).copied().ok_or(Code::UnknownOrder)?;
        let market = &self.markets[place.market as usize];
        if self.gate.account(market.book.order(place.slot).owner) != account_id {
            return Err(Code::NotOwner);
        }
        if matches!(market.state, State::Halted | State::Closed) {
            return Err(Code::InstrumentState);
        }
        Ok(place)
    }

    /// Takes a resting order out of its book, gives its hold back and tells why.
    pub(crate) fn end_order(&mut self, place: Place, reason: Reason, out: &mut Output) {
        let market = &mut self.markets[place.market as usize];
        let details = market.details[place.slot];
        let resting = market.book.remove(details.side, place.slot);
        let (asset, asset_id, units) = market.hold_of(details.side, details.price, resting.leaves);
        let instrument_id = market.spec.instrument_id;
        self.index.remove(&resting.id);
        self.standing.leave(details.listed);
        if details.expire_at_ms != 0 {
            self.timers.remove(&(details.expire_at_ms * NS_PER_MS, Timer::Order(resting.id)));
        }
        self.gate.release(asset, resting.owner, units);
        let account_id = self.gate.account(resting.owner);
        self.emit(
            instrument_id,
            &Body::Done(Done {
                order_id: resting.id,
                account_id,
                reason,
                filled: details.total - resting.leaves,
                cancelled: resting.leaves,
                filled_ticklots: details.filled_ticklots,
                released: Amount { asset_id, units },
            }),
            out,
        );
    }

    /// Cancels what matches, the first `most` in book order. An owner's own wish does not reach into a halted market;
    /// administration does, and so do clocks and lost connections, whose promise was made before the halt.
    pub(crate) fn cancel_scope(
        &mut self,
        scope: &Scope,
        reason: Reason,
        by_owner: bool,
        most: usize,
        out: &mut Output,
    ) -> u32 {
        let mut matching = self.in_scope(scope, most);
        if by_owner {
            matching.retain(|place| {
                !matches!(self.markets[place.market as usize].state, State::Halted | State::Closed)
            });
        }
        for &place in &matching {
            self.end_order(place, reason, out);
        }
        matching.len() as u32
    }

    /// Where the first `most` orders rest that a scope names, in book order: market by market as they were listed, bids
    /// before asks, best price first, FIFO within a price. Nobody else's orders are looked at where the scope names an
    /// account or a session.
    pub(crate) fn in_scope(&self, scope: &Scope, most: usize) -> Vec<Place> {
        let owner = match scope {
            Scope { account_id: 0, session: 0, .. } => return self.in_books(scope, most),
            Scope { account_id: 0, session, .. } => Owner::Session(*session),
            Scope { account_id, .. } => match self.gate.find(*account_id) {
                Some(account) => Owner::Account(account),
                None => return Vec::new(),
            },
        };
        let mut found: Vec<_> = self
            .standing
            .of(owner)
            .filter(|&(place, _)| self.matches(scope, place))
            .map(|(place, turn)| {
                let details = &self.markets[place.market as usize].details[place.slot];
                let rank = match details.side {
                    Side::Buy => !details.price,
                    Side::Sell => details.price,
                };
                (place.market, details.side, rank, turn, place.slot)
            })
            .collect();
        found.sort_unstable();
        found.into_iter().take(most).map(|(market, .., slot)| Place { market, slot }).collect()
    }

    /// The same by looking at every order: for administration, which names a market, a group or nothing at all.
    fn in_books(&self, scope: &Scope, most: usize) -> Vec<Place> {
        let mut found = Vec::new();
        for (at, market) in (0..).zip(&self.markets) {
            if scope.instrument_id != 0 && market.spec.instrument_id != scope.instrument_id {
                continue;
            }
            for side in [Side::Buy, Side::Sell] {
                let places = market.book.orders(side).map(|(_, slot, _)| Place { market: at, slot });
                found.extend(places.filter(|&place| self.matches(scope, place)).take(most - found.len()));
            }
        }
        found
    }

    pub(crate) fn matches(&self, scope: &Scope, place: Place) -> bool {
        let market = &self.markets[place.market as usize];
        let resting = market.book.order(place.slot);
        let details = &market.details[place.slot];
        (scope.instrument_id == 0 || market.spec.instrument_id == scope.instrument_id)
            && (scope.account_id == 0 || self.gate.account(resting.owner) == scope.account_id)
            && (scope.owner_ref == 0 || details.owner_ref == scope.owner_ref)
            && (scope.stp_group == 0 || resting.group == scope.stp_group)
            && (scope.session == 0 || details.session == scope.session)
    }
}
