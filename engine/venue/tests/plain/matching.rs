//! Orders enter and move, one lot-for-lot meeting after the other.

use countersign_venue::command::{Amend, Kind, NewOrder, Side, State, Stp, Tif};
use countersign_venue::event::{Code, Reason};

use super::{Order, Plain, Told, Trade};

/// Why an order stopped walking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    Nobody,
    SelfTrade,
    Budget,
}

impl Plain {
    pub fn accepts(order: &Order, price: i64) -> bool {
        match order.side {
            Side::Buy => price <= order.price,
            Side::Sell => price >= order.price,
        }
    }

    pub fn crosses(&self, order: &Order) -> bool {
        let best = self.queue(order.market, order.side.opposite()).first().map(|&at| self.orders[at].price);
        best.is_some_and(|price| Plain::accepts(order, price))
    }

    pub fn enter(&mut self, new: &NewOrder, session: u32) -> Code {
        let order = Order { session, ..self.fresh(new) };
        match self.refuse(new, &order) {
            Some(code) => {
                self.told.push(Told::Rejected(order.id, code));
                code
            }
            None => {
                self.told.push(Told::Accepted(order.id, self.hold(&order).1));
                self.go(order, Plain::rests(new.tif));
                Code::Ok
            }
        }
    }

    fn refuse(&self, new: &NewOrder, order: &Order) -> Option<Code> {
        let market = &self.markets[order.market];
        let rests = Plain::rests(new.tif);
        let fits = match market.state {
            State::Open => true,
            State::PostOnly => rests,
            State::Auction => rests && !new.post_only,
            _ => false,
        };
        if !fits {
            return Some(Code::InstrumentState);
        }
        if self.find(order.id).is_some() {
            return Some(Code::DuplicateOrderId);
        }
        if !(market.spec.min_price..=market.spec.max_price).contains(&order.price) {
            return Some(Code::PriceOutOfRange);
        }
        if new.budget == 0 && !(market.spec.min_qty..=market.spec.max_qty).contains(&new.qty) {
            return Some(Code::QuantityOutOfRange);
        }
        if order.expire_ns != 0 && order.expire_ns <= self.now {
            return Some(Code::Expired);
        }
        if self.is_outside_band(order.market, order.side, order.price) {
            return Some(Code::PriceBand);
        }
        let crosses = self.crosses(order);
        let must_rest = market.state == State::PostOnly || (market.state == State::Open && new.post_only);
        if must_rest && crosses {
            return Some(Code::WouldTake);
        }
        if new.kind == Kind::Market && !crosses {
            return Some(Code::NoLiquidity);
        }
        if new.tif == Tif::Fok
            && let Some(code) = self.rehearse(order)
        {
            return Some(code);
        }
        let (asset, units) = self.hold(order);
        (self.available(order.account, asset) < units).then_some(Code::InsufficientBalance)
    }

    /// Whether fill-or-kill would be filled, by counting who would be met.
    fn rehearse(&self, order: &Order) -> Option<Code> {
        let mut missing = order.leaves();
        for at in self.queue(order.market, order.side.opposite()) {
            let maker = &self.orders[at];
            if missing == 0 || !Plain::accepts(order, maker.price) {
                break;
            }
            if order.group != 0 && maker.group == order.group {
                if order.stp != Stp::CancelMaker {
                    return Some(Code::SelfTrade);
                }
            } else {
                missing = missing.saturating_sub(maker.leaves());
            }
        }
        (missing > 0).then_some(Code::FokUnfillable)
    }

    /// An admitted order walks, and rests or ends.
    fn go(&mut self, mut order: Order, rests: bool) {
        let stopped = match self.markets[order.market].state {
            State::Auction => self.meet_own(&order),
            _ => self.walk(&mut order),
        };
        let reason = match stopped {
            _ if order.budget == Some(0) || order.leaves() == 0 => Reason::Filled,
            Stopped::SelfTrade => Reason::Stp,
            Stopped::Budget => Reason::BudgetSpent,
            Stopped::Nobody if rests => return self.orders.push(order),
            Stopped::Nobody => Reason::IocRemainder,
        };
        let (_, released) = self.hold(&order);
        let cancelled = if order.budget.is_some() { 0 } else { order.leaves() };
        self.done(&order, reason, cancelled, released);
    }

    fn walk(&mut self, order: &mut Order) -> Stopped {
        while order.leaves() > 0 {
            let Some(&at) = self.queue(order.market, order.side.opposite()).first() else { break };
            let maker = self.orders[at].clone();
            if !Plain::accepts(order, maker.price) {
                break;
            }
            let affordable = order.budget.map_or(u64::MAX, |budget| budget / maker.price as u64);
            if affordable == 0 {
                return Stopped::Budget;
            }
            if order.group != 0 && maker.group == order.group {
                if order.stp != Stp::CancelTaker {
                    self.end(maker.id, Reason::Stp);
                }
                if order.stp != Stp::CancelMaker {
                    return Stopped::SelfTrade;
                }
                continue;
            }
            let qty = maker.leaves().min(order.leaves()).min(affordable);
            self.meet(order, at, qty);
        }
        Stopped::Nobody
    }

    fn meet(&mut self, taker: &mut Order, at: usize, qty: u64) {
        let market = taker.market;
        let price = self.orders[at].price;
        let ticklots = price as u128 * u128::from(qty);
        taker.filled += qty;
        taker.ticklots += ticklots;
        taker.budget = taker.budget.map(|budget| budget - ticklots as u64);
        self.orders[at].filled += qty;
        self.orders[at].ticklots += ticklots;
        let maker = self.orders[at].clone();
        let maker_pays = (maker.account, self.maker_ppm(market, maker.account));
        let taker_pays = (taker.account, self.taker_ppm(market, taker.account));
        let fees = match taker.side {
            Side::Buy => {
                let [taker, maker] = self.settle(market, price, qty, taker_pays, maker_pays);
                [maker, taker]
            }
            Side::Sell => self.settle(market, price, qty, maker_pays, taker_pays),
        };
        self.told.push(Told::Trade(Trade {
            auction: false,
            price,
            qty,
            orders: [maker.id, taker.id],
            leaves: [maker.leaves(), if taker.budget.is_some() { 0 } else { taker.leaves() }],
            fees,
            held: [self.hold(&maker).1, self.hold(taker).1],
        }));
        if maker.leaves() == 0 {
            self.orders.remove(at);
            self.done(&maker, Reason::Filled, 0, 0);
        }
    }

    /// Nothing changes unless it succeeds.
    pub fn try_amend(&mut self, at: usize, amend: &Amend) -> Result<(), Code> {
        let before = self.orders[at].clone();
        let mut after = before.clone();
        after.total = if amend.total_qty == 0 { before.total } else { amend.total_qty };
        after.price = if amend.price == 0 { before.price } else { amend.price };
        let market = &self.markets[before.market];
        if !matches!(market.state, State::Open | State::PostOnly | State::Auction) {
            return Err(Code::InstrumentState);
        }
        let sizes = market.spec.min_qty..=market.spec.max_qty;
        if after.total <= before.filled || !sizes.contains(&after.total) {
            return Err(Code::QuantityOutOfRange);
        }
        if !(market.spec.min_price..=market.spec.max_price).contains(&after.price) {
            return Err(Code::PriceOutOfRange);
        }
        if (after.total, after.price) == (before.total, before.price) {
            return Err(Code::Unchanged);
        }
        let moved = after.price != before.price;
        let kept = !moved && after.total < before.total;
        let adds = moved || (self.logic > 1 && after.total > before.total);
        if adds && self.is_outside_band(after.market, after.side, after.price) {
            return Err(Code::PriceBand);
        }
        if !kept && self.crosses(&after) && (after.post_only || market.state == State::PostOnly) {
            return Err(Code::WouldTake);
        }
        let ((asset, held), (_, now)) = (self.hold(&before), self.hold(&after));
        if now > held && self.available(after.account, asset) < now - held {
            return Err(Code::InsufficientBalance);
        }
        let (price, total, leaves) = (after.price, after.total, after.leaves());
        self.told.push(Told::Amended { order: after.id, price, total, leaves, kept, held: now });
        if kept {
            self.orders[at] = after;
        } else {
            self.orders.remove(at);
            self.go(after, true);
        }
        Ok(())
    }
}
