//! Orders change: a smaller one keeps its place, everything else joins at the end and may trade on the way.

use countersign_book::{Resting, Stop};

use crate::command::{Amend, OrderCommand, State};
use crate::dedupe::Outcome;
use crate::event::{Amount, Body, Code, Done, Output, Reason};
use crate::floor::{Entry, Walked};
use crate::logic::LARGER_WITHIN_BAND;
use crate::market::{Details, Place};
use crate::state::{NS_PER_MS, Timer, Venue};

impl Venue {
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
        let resting = market.book.order(place.slot);
        let details = market.details[place.slot];
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
        if !matches!(market.state, State::Open | State::PostOnly | State::Auction) || market.is_uncrossing() {
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
        let collects = market.state == State::Auction;
        let crosses = !kept && market.book.crosses(details.side, price);
        let adds = price != details.price || (total > details.total && self.logic >= LARGER_WITHIN_BAND);
        if adds && market.is_outside_band(details.side, price) {
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
            market.details[place.slot].total = total;
            outcome.leaves = leaves;
            return Ok(());
        }
        market.book.remove(details.side, place.slot);
        self.index.remove(&resting.id);
        self.standing.leave(details.listed);
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
        let walked = match crosses {
            true if collects => self.meet_own(place.market, &entry, out),
            true => self.walk(place.market, &entry, out),
            false => Walked::untouched(leaves),
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
