//! Orders: entry, matching, cancelling, amending. Each hold is taken and given back in the same command as its order.

use std::collections::BTreeSet;

use countersign_book::{Fill, Index, Reach, Resting, Slot, Stop, Taker, Tape};
use countersign_risk::{AssetIndex, Gate, Handle, Leg, fee};

use crate::command::{
    Amend, Cancel, InstrumentSpec, Kind, NewOrder, OrderCommand, Scope, Side, State, Stp, Tif,
};
use crate::dedupe::Outcome;
use crate::event::{Amount, Body, Code, Done, Output, Reason, Trade};
use crate::market::{Details, Market, Place};
use crate::state::{ORDERS_MAX, Timer, Venue};

const NS_PER_MS: u64 = 1_000_000;

/// Everything that a trade touches, apart from the book itself, while an order walks through the book.
struct Floor<'a> {
    gate: &'a mut Gate,
    index: &'a mut Index<Place>,
    timers: &'a mut BTreeSet<(u64, Timer)>,
    details: &'a mut [Details],
    fees: &'a [Option<(u32, u32)>],
    spec: &'a InstrumentSpec,
    base: AssetIndex,
    quote: AssetIndex,
    last_price: &'a mut i64,
    event_seq: &'a mut u64,
    engine_seq: u64,
    time_ns: u64,
    out: &'a mut Output,
    taker: Walker,
}

/// The order that walks.
struct Walker {
    order_id: u64,
    account_id: u64,
    account: Handle,
    side: Side,
    limit: i64,
    /// Remaining quote budget in ticklots; `None` where the quantity decides.
    budget: Option<u64>,
    fee_ppm: u32,
    filled: u64,
    filled_ticklots: u128,
}

impl Floor<'_> {
    fn emit(&mut self, body: &Body) {
        *self.event_seq += 1;
        self.out.push(*self.event_seq, self.engine_seq, self.time_ns, self.spec.instrument_id, body);
    }

    fn quote_units(&self, price: i64, qty: u64) -> u128 {
        price as u128 * u128::from(qty) * u128::from(self.spec.quote_units_per_ticklot)
    }

    fn base_units(&self, qty: u64) -> u128 {
        u128::from(qty) * u128::from(self.spec.base_units_per_lot)
    }

    fn forget(&mut self, order_id: u64, details: &Details) {
        self.index.remove(&order_id);
        if details.expire_at_ms != 0 {
            self.timers.remove(&(details.expire_at_ms * NS_PER_MS, Timer::Order(order_id)));
        }
    }
}

impl Tape for Floor<'_> {
    #[inline]
    fn fill(&mut self, fill: Fill) {
        let Fill { slot, maker, owner, price, qty, maker_leaves, taker_leaves } = fill;
        let ticklots = price as u128 * u128::from(qty);
        let quote = ticklots * u128::from(self.spec.quote_units_per_ticklot);
        let base = self.base_units(qty);
        let maker_ppm =
            self.fees.get(owner as usize).copied().flatten().map_or(self.spec.maker_fee_ppm, |own| own.0);
        self.taker.filled += qty;
        self.taker.filled_ticklots += ticklots;
        *self.last_price = price;
        let (maker_fee, taker_fee, maker_held, taker_held);
        match self.taker.side {
            Side::Buy => {
                let freed = match &mut self.taker.budget {
                    Some(budget) => {
                        *budget -= ticklots as u64;
                        0
                    }
                    None => self.quote_units(self.taker.limit - price, qty),
                };
                maker_fee = fee(quote, maker_ppm);
                taker_fee = fee(base, self.taker.fee_ppm);
                self.gate.trade(
                    self.base,
                    self.quote,
                    Leg { account: self.taker.account, pays: quote, freed, fee: taker_fee },
                    Leg { account: owner, pays: base, freed: 0, fee: maker_fee },
                );
                maker_held = self.base_units(maker_leaves);
                taker_held = match self.taker.budget {
                    Some(budget) => u128::from(budget) * u128::from(self.spec.quote_units_per_ticklot),
                    None => self.quote_units(self.taker.limit, taker_leaves),
                };
            }
            Side::Sell => {
                maker_fee = fee(base, maker_ppm);
                taker_fee = fee(quote, self.taker.fee_ppm);
                self.gate.trade(
                    self.base,
                    self.quote,
                    Leg { account: owner, pays: quote, freed: 0, fee: maker_fee },
                    Leg { account: self.taker.account, pays: base, freed: 0, fee: taker_fee },
                );
                maker_held = self.quote_units(price, maker_leaves);
                taker_held = self.base_units(taker_leaves);
            }
        }
        let maker_account_id = self.gate.account(owner);
        let details = &mut self.details[slot as usize];
        details.filled_ticklots += ticklots;
        let details = *details;
        self.emit(&Body::Trade(Trade {
            price,
            qty,
            taker_side: self.taker.side,
            maker_order_id: maker,
            taker_order_id: self.taker.order_id,
            maker_leaves,
            // A budget order has no quantity to leave.
            taker_leaves: if self.taker.budget.is_some() { 0 } else { taker_leaves },
            maker_account_id,
            taker_account_id: self.taker.account_id,
            base_asset_id: self.spec.base_asset_id,
            quote_asset_id: self.spec.quote_asset_id,
            base,
            quote,
            maker_fee,
            taker_fee,
            maker_held,
            taker_held,
        }));
        if maker_leaves == 0 {
            self.forget(maker, &details);
            let asset_id = match details.side {
                Side::Buy => self.spec.quote_asset_id,
                Side::Sell => self.spec.base_asset_id,
            };
            self.emit(&Body::Done(Done {
                order_id: maker,
                account_id: maker_account_id,
                reason: Reason::Filled,
                filled: details.total,
                cancelled: 0,
                filled_ticklots: details.filled_ticklots,
                released: Amount { asset_id, units: 0 },
            }));
        }
    }

    fn pulled(&mut self, slot: Slot, order: Resting, price: i64) {
        let details = self.details[slot as usize];
        self.forget(order.id, &details);
        let (asset, asset_id, units) = match details.side {
            Side::Buy => (self.quote, self.spec.quote_asset_id, self.quote_units(price, order.leaves)),
            Side::Sell => (self.base, self.spec.base_asset_id, self.base_units(order.leaves)),
        };
        self.gate.release(asset, order.owner, units);
        let account_id = self.gate.account(order.owner);
        self.emit(&Body::Done(Done {
            order_id: order.id,
            account_id,
            reason: Reason::Stp,
            filled: details.total - order.leaves,
            cancelled: order.leaves,
            filled_ticklots: details.filled_ticklots,
            released: Amount { asset_id, units },
        }));
    }
}

/// How a walk through the book ended.
struct Walked {
    stop: Stop,
    leaves: u64,
    budget: Option<u64>,
    filled: u64,
    filled_ticklots: u128,
}

/// An order that is about to walk, with what it brings along when it was amended.
struct Entry {
    order_id: u64,
    account: Handle,
    account_id: u64,
    side: Side,
    limit: i64,
    leaves: u64,
    budget: Option<u64>,
    group: u64,
    stp: Stp,
}

impl Entry {
    fn taker(&self) -> Taker {
        Taker {
            side: self.side,
            limit: self.limit,
            leaves: self.leaves,
            budget: self.budget,
            group: self.group,
            stp: self.stp,
        }
    }
}

impl Venue {
    fn walk(&mut self, at: u32, entry: &Entry, out: &mut Output) -> Walked {
        let Market { spec, last_price, base, quote, book, details, .. } = &mut self.markets[at as usize];
        let own = self.fees.get(entry.account as usize).copied().flatten();
        let mut taker = entry.taker();
        let mut floor = Floor {
            gate: &mut self.gate,
            index: &mut self.index,
            timers: &mut self.timers,
            details,
            fees: &self.fees,
            base: *base,
            quote: *quote,
            last_price,
            event_seq: &mut self.event_seq,
            engine_seq: self.engine_seq,
            time_ns: self.time_ns,
            out,
            taker: Walker {
                order_id: entry.order_id,
                account_id: entry.account_id,
                account: entry.account,
                side: entry.side,
                limit: entry.limit,
                budget: entry.budget,
                fee_ppm: own.map_or(spec.taker_fee_ppm, |own| own.1),
                filled: 0,
                filled_ticklots: 0,
            },
            spec,
        };
        let stop = book.take(&mut taker, &mut floor);
        let Walker { filled, filled_ticklots, .. } = floor.taker;
        Walked { stop, leaves: taker.leaves, budget: taker.budget, filled, filled_ticklots }
    }

    pub(crate) fn new_order(
        &mut self,
        command: &OrderCommand,
        order: &NewOrder,
        outcome: &mut Outcome,
        out: &mut Output,
    ) {
        outcome.order_id = order.order_id;
        match self.admit(order) {
            Ok((at, account, held)) => self.enter(at, account, held, command, order, outcome, out),
            Err(code) => {
                outcome.code = code;
                self.emit(
                    order.instrument_id,
                    &Body::Rejected {
                        order_id: order.order_id,
                        account_id: order.account_id,
                        command_id: command.command_id,
                        code,
                    },
                    out,
                );
            }
        }
    }

    /// Decides whether an order may enter, and takes its hold as the very last step.
    fn admit(&mut self, order: &NewOrder) -> Result<(u32, Handle, u128), Code> {
        let &at = self.market_of.get(&order.instrument_id).ok_or(Code::UnknownInstrument)?;
        let market = &self.markets[at as usize];
        let rests = matches!(order.tif, Tif::Gtc | Tif::Gtd);
        let must_rest = match market.state {
            State::Open => order.post_only,
            State::PostOnly if rests => true,
            State::Auction if rests && !order.post_only => false,
            _ => return Err(Code::InstrumentState),
        };
        if self.index.contains_key(&order.order_id) {
            return Err(Code::DuplicateOrderId);
        }
        if self.index.len() >= ORDERS_MAX {
            return Err(Code::TooManyOrders);
        }
        if order.price < market.spec.min_price || order.price > market.spec.max_price {
            return Err(Code::PriceOutOfRange);
        }
        if order.budget == 0 && (order.qty < market.spec.min_qty || order.qty > market.spec.max_qty) {
            return Err(Code::QuantityOutOfRange);
        }
        if order.expire_at_ms != 0 && order.expire_at_ms.saturating_mul(NS_PER_MS) <= self.time_ns {
            return Err(Code::Expired);
        }
        if market.is_outside_band(order.side, order.price) {
            return Err(Code::PriceBand);
        }
        let account = self.gate.find(order.account_id).ok_or(Code::InsufficientBalance)?;
        let crosses = market.book.crosses(order.side, order.price);
        if must_rest && crosses {
            return Err(Code::WouldTake);
        }
        if order.kind == Kind::Market && !crosses {
            return Err(Code::NoLiquidity);
        }
        if order.tif == Tif::Fok {
            let entry = entry_of(order, account);
            match market.book.reach(&entry.taker()) {
                Reach::Whole => {}
                Reach::Partly => return Err(Code::FokUnfillable),
                Reach::SelfTrade => return Err(Code::SelfTrade),
            }
        }
        let (asset, units) = match order.side {
            Side::Buy if order.budget != 0 => {
                (market.quote, u128::from(order.budget) * u128::from(market.spec.quote_units_per_ticklot))
            }
            side => {
                let (asset, _, units) = market.hold_of(side, order.price, order.qty);
                (asset, units)
            }
        };
        self.gate.hold(asset, account, units).map_err(|_| Code::InsufficientBalance)?;
        Ok((at, account, units))
    }

    #[allow(clippy::too_many_arguments)]
    fn enter(
        &mut self,
        at: u32,
        account: Handle,
        held: u128,
        command: &OrderCommand,
        order: &NewOrder,
        outcome: &mut Outcome,
        out: &mut Output,
    ) {
        let market = &self.markets[at as usize];
        let asset_id = match order.side {
            Side::Buy => market.spec.quote_asset_id,
            Side::Sell => market.spec.base_asset_id,
        };
        let matches = market.state != State::Auction;
        self.emit(
            order.instrument_id,
            &Body::Accepted {
                order: *order,
                command_id: command.command_id,
                held: Amount { asset_id, units: held },
            },
            out,
        );
        let entry = entry_of(order, account);
        let walked = if matches {
            self.walk(at, &entry, out)
        } else {
            Walked { stop: Stop::Done, leaves: order.qty, budget: None, filled: 0, filled_ticklots: 0 }
        };
        outcome.filled = walked.filled;
        let reason = match walked.stop {
            _ if walked.budget == Some(0) => Reason::Filled,
            Stop::SelfTrade => Reason::Stp,
            Stop::Budget => Reason::BudgetSpent,
            Stop::Done if walked.leaves == 0 => Reason::Filled,
            Stop::Done if matches!(order.tif, Tif::Gtc | Tif::Gtd) => {
                outcome.leaves = walked.leaves;
                let details = Details {
                    side: order.side,
                    tif: order.tif,
                    stp: order.stp,
                    post_only: order.post_only,
                    session: command.session,
                    price: order.price,
                    total: order.qty,
                    owner_ref: order.owner_ref,
                    expire_at_ms: order.expire_at_ms,
                    filled_ticklots: walked.filled_ticklots,
                };
                let resting = Resting {
                    id: order.order_id,
                    leaves: walked.leaves,
                    group: order.stp_group,
                    owner: account,
                };
                self.rest(at, resting, details);
                return;
            }
            Stop::Done => Reason::IocRemainder,
        };
        // A quantity that was not given cannot be cancelled either.
        let cancelled = if order.budget == 0 { walked.leaves } else { 0 };
        let market = &self.markets[at as usize];
        let (asset, _, mut released) = market.hold_of(order.side, order.price, cancelled);
        if let Some(budget) = walked.budget {
            released = u128::from(budget) * u128::from(market.spec.quote_units_per_ticklot);
        }
        self.gate.release(asset, account, released);
        self.emit(
            order.instrument_id,
            &Body::Done(Done {
                order_id: order.order_id,
                account_id: order.account_id,
                reason,
                filled: walked.filled,
                cancelled,
                filled_ticklots: walked.filled_ticklots,
                released: Amount { asset_id, units: released },
            }),
            out,
        );
    }

    pub(crate) fn rest(&mut self, at: u32, resting: Resting, details: Details) {
        let order_id = resting.id;
        let market = &mut self.markets[at as usize];
        let slot = market.book.rest(details.side, details.price, resting);
        market.put_details(slot, details);
        self.index.insert(order_id, Place { market: at, slot });
        if details.expire_at_ms != 0 {
            self.timers.insert((details.expire_at_ms * NS_PER_MS, Timer::Order(order_id)));
        }
    }

    pub(crate) fn cancel(&mut self, cancel: &Cancel, outcome: &mut Outcome, out: &mut Output) {
        outcome.order_id = cancel.order_id;
        match self.find_own(cancel.order_id, cancel.account_id) {
            Ok(place) => {
                let market = &self.markets[place.market as usize];
                let resting = market.book.order(place.slot);
                outcome.filled = market.details[place.slot as usize].total - resting.leaves;
                self.end_order(place, Reason::Cancelled, out);
                outcome.cancelled = 1;
            }
            Err(code) => outcome.code = code,
        }
    }

    fn find_own(&self, order_id: u64, account_id: u64) -> Result<Place, Code> {
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
        let details = market.details[place.slot as usize];
        let resting = market.book.remove(details.side, place.slot);
        let (asset, asset_id, units) = market.hold_of(details.side, details.price, resting.leaves);
        let instrument_id = market.spec.instrument_id;
        self.index.remove(&resting.id);
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

    /// Cancels all that matches, in book order. An owner's own wish does not reach into a halted market;
    /// administration does, and so do clocks and lost connections, whose promise was made before the halt.
    pub(crate) fn cancel_scope(
        &mut self,
        scope: &Scope,
        reason: Reason,
        by_owner: bool,
        out: &mut Output,
    ) -> u32 {
        let mut cancelled = 0;
        for at in 0..self.markets.len() as u32 {
            let market = &self.markets[at as usize];
            if scope.instrument_id != 0 && market.spec.instrument_id != scope.instrument_id {
                continue;
            }
            if by_owner && matches!(market.state, State::Halted | State::Closed) {
                continue;
            }
            let mut matching = Vec::new();
            for side in [Side::Buy, Side::Sell] {
                for (_, slot, resting) in market.book.orders(side) {
                    let details = &market.details[slot as usize];
                    let matches = (scope.account_id == 0
                        || self.gate.account(resting.owner) == scope.account_id)
                        && (scope.owner_ref == 0 || details.owner_ref == scope.owner_ref)
                        && (scope.stp_group == 0 || resting.group == scope.stp_group)
                        && (scope.session == 0 || details.session == scope.session);
                    if matches {
                        matching.push(slot);
                    }
                }
            }
            for slot in matching {
                self.end_order(Place { market: at, slot }, reason, out);
                cancelled += 1;
            }
        }
        cancelled
    }

    pub(crate) fn amend(
        &mut self,
        command: &OrderCommand,
        amend: &Amend,
        outcome: &mut Outcome,
        out: &mut Output,
    ) {
        outcome.order_id = amend.order_id;
        let place = match self.find_own(amend.order_id, amend.account_id) {
            Ok(place) => place,
            Err(code) => {
                outcome.code = code;
                return;
            }
        };
        let market = &self.markets[place.market as usize];
        let instrument_id = market.spec.instrument_id;
        let resting = *market.book.order(place.slot);
        let details = market.details[place.slot as usize];
        outcome.filled = details.total - resting.leaves;
        outcome.leaves = resting.leaves;
        if let Err(code) = self.try_amend(place, &resting, &details, command, amend, outcome, out) {
            outcome.code = code;
            self.emit(
                instrument_id,
                &Body::AmendRejected {
                    order_id: amend.order_id,
                    account_id: amend.account_id,
                    command_id: command.command_id,
                    code,
                },
                out,
            );
            if amend.cancel_on_fail {
                self.end_order(place, Reason::AmendFailed, out);
                outcome.leaves = 0;
                outcome.cancelled = 1;
            }
        }
    }

    /// Changes nothing at all unless it succeeds.
    #[allow(clippy::too_many_arguments)]
    fn try_amend(
        &mut self,
        place: Place,
        resting: &Resting,
        details: &Details,
        command: &OrderCommand,
        amend: &Amend,
        outcome: &mut Outcome,
        out: &mut Output,
    ) -> Result<(), Code> {
        let market = &self.markets[place.market as usize];
        let filled = details.total - resting.leaves;
        let total = if amend.total_qty == 0 { details.total } else { amend.total_qty };
        let price = if amend.price == 0 { details.price } else { amend.price };
        if !matches!(market.state, State::Open | State::PostOnly | State::Auction) {
            return Err(Code::InstrumentState);
        }
        if total <= filled || total < market.spec.min_qty || total > market.spec.max_qty {
            return Err(Code::QuantityOutOfRange);
        }
        if price < market.spec.min_price || price > market.spec.max_price {
            return Err(Code::PriceOutOfRange);
        }
        if total == details.total && price == details.price {
            return Err(Code::Unchanged);
        }
        let leaves = total - filled;
        let kept = price == details.price && total < details.total;
        let crosses = !kept && market.state != State::Auction && market.book.crosses(details.side, price);
        if price != details.price && market.is_outside_band(details.side, price) {
            return Err(Code::PriceBand);
        }
        if crosses && (details.post_only || market.state == State::PostOnly) {
            return Err(Code::WouldTake);
        }
        let (asset, asset_id, before) = market.hold_of(details.side, details.price, resting.leaves);
        let (_, _, after) = market.hold_of(details.side, price, leaves);
        let instrument_id = market.spec.instrument_id;
        match after.checked_sub(before) {
            Some(more) => {
                self.gate.hold(asset, resting.owner, more).map_err(|_| Code::InsufficientBalance)?;
            }
            None => self.gate.release(asset, resting.owner, before - after),
        }
        self.emit(
            instrument_id,
            &Body::Amended {
                order_id: resting.id,
                account_id: amend.account_id,
                command_id: command.command_id,
                price,
                total,
                leaves,
                kept,
                held: Amount { asset_id, units: after },
            },
            out,
        );
        let market = &mut self.markets[place.market as usize];
        if kept {
            market.book.reduce(details.side, place.slot, leaves);
            market.details[place.slot as usize].total = total;
            outcome.leaves = leaves;
            return Ok(());
        }
        market.book.remove(details.side, place.slot);
        self.index.remove(&resting.id);
        if details.expire_at_ms != 0 {
            self.timers.remove(&(details.expire_at_ms * NS_PER_MS, Timer::Order(resting.id)));
        }
        let entry = Entry {
            order_id: resting.id,
            account: resting.owner,
            account_id: amend.account_id,
            side: details.side,
            limit: price,
            leaves,
            budget: None,
            group: resting.group,
            stp: details.stp,
        };
        let walked = if crosses {
            self.walk(place.market, &entry, out)
        } else {
            Walked { stop: Stop::Done, leaves, budget: None, filled: 0, filled_ticklots: 0 }
        };
        outcome.filled = filled + walked.filled;
        outcome.leaves = walked.leaves;
        let filled_ticklots = details.filled_ticklots + walked.filled_ticklots;
        if walked.stop == Stop::Done && walked.leaves > 0 {
            let details = Details { price, total, filled_ticklots, ..*details };
            self.rest(place.market, Resting { leaves: walked.leaves, ..*resting }, details);
            return Ok(());
        }
        let (_, _, released) =
            self.markets[place.market as usize].hold_of(details.side, price, walked.leaves);
        self.gate.release(asset, resting.owner, released);
        let reason = if walked.stop == Stop::SelfTrade { Reason::Stp } else { Reason::Filled };
        outcome.leaves = 0;
        self.emit(
            instrument_id,
            &Body::Done(Done {
                order_id: resting.id,
                account_id: amend.account_id,
                reason,
                filled: filled + walked.filled,
                cancelled: walked.leaves,
                filled_ticklots,
                released: Amount { asset_id, units: released },
            }),
            out,
        );
        Ok(())
    }
}

fn entry_of(order: &NewOrder, account: Handle) -> Entry {
    Entry {
        order_id: order.order_id,
        account,
        account_id: order.account_id,
        side: order.side,
        limit: order.price,
        leaves: if order.budget == 0 { order.qty } else { u64::MAX },
        budget: (order.budget != 0).then_some(order.budget),
        group: order.stp_group,
        stp: order.stp,
    }
}
