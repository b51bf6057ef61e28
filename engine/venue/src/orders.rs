//! Orders enter: admission, matching, resting. Each hold is taken and given back in the same command as its order.

use countersign_book::{Reach, Resting, Stop};
use countersign_risk::Handle;

use crate::command::{Kind, NewOrder, OrderCommand, Side, State, Tif};
use crate::dedupe::Outcome;
use crate::event::{Amount, Body, Code, Done, Output, Reason};
use crate::floor::Entry;
use crate::logic::IN_PIECES;
use crate::market::{Details, Place};
use crate::state::{ACCOUNT_ORDERS_MAX, NS_PER_MS, ORDERS_MAX, Timer, Venue};

impl Venue {
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
            State::Auction if rests && !order.post_only && !market.is_uncrossing() => false,
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
        let has_many = || self.standing.count(account) >= ACCOUNT_ORDERS_MAX;
        if rests && self.logic >= IN_PIECES && has_many() {
            return Err(Code::TooManyOrders);
        }
        let crosses = market.book.crosses(order.side, order.price);
        if must_rest && crosses {
            return Err(Code::WouldTake);
        }
        if order.kind == Kind::Market && !crosses {
            return Err(Code::NoLiquidity);
        }
        if order.tif == Tif::Fok {
            let entry = Entry::of(order, account);
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
        let collects = market.state == State::Auction;
        self.emit(
            order.instrument_id,
            &Body::Accepted {
                order: *order,
                command_id: command.command_id,
                held: Amount { asset_id, units: held },
            },
            out,
        );
        let entry = Entry::of(order, account);
        let walked = if collects { self.meet_own(at, &entry, out) } else { self.walk(at, &entry, out) };
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
                    listed: 0,
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

    /// Lets an order rest, and lists it among its owner's.
    pub(crate) fn rest(&mut self, at: u32, resting: Resting, details: Details) {
        let (owner, session) = (resting.owner, details.session);
        let place = self.seat(at, resting, details);
        let listed = self.standing.join(place, owner, session);
        self.markets[at as usize].details[place.slot].listed = listed;
    }

    /// As [`Venue::rest`], for an order that is listed later.
    pub(crate) fn seat(&mut self, at: u32, resting: Resting, details: Details) -> Place {
        let order_id = resting.id;
        let market = &mut self.markets[at as usize];
        let slot = market.book.rest(details.side, details.price, resting);
        market.put_details(slot, details);
        let place = Place { market: at, slot };
        self.index.insert(order_id, place);
        if details.expire_at_ms != 0 {
            self.timers.insert((details.expire_at_ms * NS_PER_MS, Timer::Order(order_id)));
        }
        place
    }
}
