//! The call auction that opens a market after a halt.
//!
//! In `AUCTION` limit orders rest and nobody trades, so the book may be crossed. [`Venue::run_auction`] lets everybody
//! trade at one price and hands the market over to continuous trading. Three promises:
//!
//! * **Nobody takes.** Both sides pay their maker's fee, and a buyer gets back what its limit exceeds the price by.
//! * **No group trades with itself.** An order that enters or moves meets the crossing orders of its own group at
//!   once, in queue order, and the mode it brings decides, as in continuous trading. So none of them is in the
//!   book any more when the price is found, and the indicative volume is one that will really trade.
//! * **The price is one that could have been entered.** Outside the band the auction is refused, until the operator
//!   moves the band or orders leave.
//!
//! Where many trade, they do so a piece after the other, driven by the clock, all at the price that was found: until the
//! last of them orders may leave, and none may enter or change. Then the market is handed over.

use countersign_book::{Clearing, Party, Ring, Slot, Stop, Stp};
use countersign_risk::{Leg, fee};

use crate::codec::{Malformed, Put, Reader};
use crate::command::{Id, Side, State};
use crate::event::{Body, Code, Output, Reason, Trade};
use crate::floor::{Entry, Floor, Walked};
use crate::logic::IN_PIECES;
use crate::market::{Market, Place};
use crate::state::{PIECE, Timer, Venue};

/// How often the indicative price is told at most, in engine time.
pub const INDICATION_NS: u64 = 1_000_000_000;

/// What an auction would do, or has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indication {
    /// 0: nothing crosses.
    pub price: i64,
    pub matched: u64,
    pub unmatched: u64,
    /// Where something is left over.
    pub surplus: Option<Side>,
}

impl Indication {
    fn of(clearing: Option<Clearing>) -> Indication {
        clearing.map_or_else(Indication::default, |Clearing { price, matched, unmatched, surplus }| {
            Indication { price, matched, unmatched, surplus }
        })
    }
}

/// An auction that collects orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// What was told last.
    pub told: Indication,
    /// When the price is looked at again, or the next piece trades.
    pub due_ns: u64,
    /// It has been run, and not everything has traded yet.
    pub uncross: Option<Uncross>,
}

/// What an auction that is being run goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncross {
    pub price: i64,
    /// The state of the market behind it.
    pub then: State,
    /// Of whoever had it run.
    pub reference: Id,
}

impl Uncross {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_i64(self.price);
        out.put_u8(self.then as u8);
        out.put_id(&self.reference);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Uncross, Malformed> {
        let price = reader.i64()?;
        let then = State::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such state"))?;
        if price <= 0 || !matches!(then, State::Open | State::PostOnly) {
            return Err(Malformed("an auction that nobody can have run"));
        }
        Ok(Uncross { price, then, reference: reader.id()? })
    }
}

impl Ring for Floor<'_> {
    fn pair(&mut self, qty: u64, buy: Party, sell: Party) {
        let price = *self.last_price;
        let ticklots = price as u128 * u128::from(qty);
        let (base, quote) = (self.base_units(qty), self.quote_units(price, qty));
        let buy_fee = fee(base, self.maker_ppm(buy.order.owner));
        let sell_fee = fee(quote, self.maker_ppm(sell.order.owner));
        let freed = self.quote_units(buy.limit - price, qty);
        self.gate.trade(
            self.base,
            self.quote,
            Leg { account: buy.order.owner, pays: quote, freed, fee: buy_fee },
            Leg { account: sell.order.owner, pays: base, freed: 0, fee: sell_fee },
        );
        self.count(buy.slot, ticklots);
        self.count(sell.slot, ticklots);
        let accounts = [buy, sell].map(|party| self.gate.account(party.order.owner));
        self.emit(&Body::Trade(Trade {
            auction: true,
            price,
            qty,
            taker_side: Side::Sell,
            maker_order_id: buy.order.id,
            taker_order_id: sell.order.id,
            maker_leaves: buy.order.leaves,
            taker_leaves: sell.order.leaves,
            maker_account_id: accounts[0],
            taker_account_id: accounts[1],
            base_asset_id: self.spec.base_asset_id,
            quote_asset_id: self.spec.quote_asset_id,
            base,
            quote,
            maker_fee: buy_fee,
            taker_fee: sell_fee,
            maker_held: self.quote_units(buy.limit, buy.order.leaves),
            taker_held: self.base_units(sell.order.leaves),
        }));
        for (party, account_id) in [buy, sell].into_iter().zip(accounts) {
            if party.order.leaves == 0 {
                self.filled(party.slot, party.order.id, account_id);
            }
        }
    }
}

impl Market {
    /// An auction is being run: nothing enters, and nothing changes but by its trades and by leaving.
    pub fn is_uncrossing(&self) -> bool {
        self.call.is_some_and(|call| call.uncross.is_some())
    }

    fn clearing(&self) -> Option<Clearing> {
        let anchor = self.anchor();
        self.book.clearing((anchor != 0).then_some(anchor))
    }
}

impl Venue {
    /// The market goes into `AUCTION`: its clock begins, and what it would do now is told.
    pub(crate) fn call_auction(&mut self, at: u32, out: &mut Output) {
        self.markets[at as usize].call = Some(Call::default());
        self.indicate(at, true, out);
    }

    /// The market leaves `AUCTION`, whichever way.
    pub(crate) fn end_call(&mut self, at: u32) {
        if let Some(call) = self.markets[at as usize].call.take() {
            self.timers.remove(&(call.due_ns, Timer::Indication(at)));
        }
    }

    /// Tells what the auction would do, if that has changed, and sets the clock for the next look.
    pub(crate) fn indicate(&mut self, at: u32, always: bool, out: &mut Output) {
        let market = &mut self.markets[at as usize];
        let now = Indication::of(market.clearing());
        let Some(call) = &mut market.call else { return };
        let changed = call.told != now;
        call.told = now;
        let instrument_id = market.spec.instrument_id;
        self.look_again(at, self.time_ns + INDICATION_NS);
        if changed || always {
            self.emit(instrument_id, &Body::Auction { indication: now, uncrossed: false }, out);
        }
    }

    /// Trades everything that crosses at one price; then the market is in the state `then`.
    pub(crate) fn run_auction(
        &mut self,
        reference: &Id,
        instrument_id: u32,
        then: State,
        out: &mut Output,
    ) -> Code {
        let Some(&at) = self.market_of.get(&instrument_id) else { return Code::UnknownInstrument };
        let market = &self.markets[at as usize];
        if market.state != State::Auction || market.is_uncrossing() {
            return Code::InstrumentState;
        }
        if !matches!(then, State::Open | State::PostOnly) {
            return Code::BadCommand;
        }
        let clearing = market.clearing();
        if let Some(Clearing { price, .. }) = clearing
            && [Side::Buy, Side::Sell].into_iter().any(|side| market.is_outside_band(side, price))
        {
            return Code::PriceBand;
        }
        self.end_call(at);
        let indication = Indication::of(clearing);
        self.emit(instrument_id, &Body::Auction { indication, uncrossed: true }, out);
        if let Some(Clearing { price, .. }) = clearing {
            let uncross = Some(Uncross { price, then, reference: *reference });
            self.markets[at as usize].call = Some(Call { told: indication, due_ns: self.time_ns, uncross });
            self.uncross(at, out);
        } else {
            self.hand_over(at, then, reference, out);
        }
        Code::Ok
    }

    /// From the auction to continuous trading.
    fn hand_over(&mut self, at: u32, then: State, reference: &Id, out: &mut Output) {
        self.end_call(at);
        let market = &mut self.markets[at as usize];
        market.state = then;
        let instrument_id = market.spec.instrument_id;
        self.tell_instrument(instrument_id, reference, out);
    }

    /// Lets the next pairs of an auction that is being run trade, and ends it where none is left; gives how many traded.
    pub(crate) fn uncross(&mut self, at: u32, out: &mut Output) -> usize {
        let most = if self.logic >= IN_PIECES { PIECE } else { usize::MAX };
        let running = self.markets[at as usize].call.and_then(|call| call.uncross);
        let Some(Uncross { price, then, reference }) = running else { return 0 };
        let (book, mut floor) = self.floor(at, out);
        *floor.last_price = price;
        let pairs = book.uncross(price, most, &mut floor);
        if pairs == most {
            self.look_again(at, self.time_ns + 1);
        } else {
            self.hand_over(at, then, &reference, out);
        }
        pairs
    }

    pub(crate) fn is_uncrossing(&self, at: u32) -> bool {
        self.markets[at as usize].is_uncrossing()
    }

    /// Sets the auction's clock, which has run out or was never set.
    pub(crate) fn look_again(&mut self, at: u32, due_ns: u64) {
        if let Some(call) = &mut self.markets[at as usize].call {
            call.due_ns = due_ns;
            self.timers.insert((due_ns, Timer::Indication(at)));
        }
    }

    /// Lets an order that is about to rest in an auction meet its own group, and nobody else.
    pub(crate) fn meet_own(&mut self, at: u32, entry: &Entry, out: &mut Output) -> Walked {
        let mut walked = Walked::untouched(entry.leaves);
        let book = &self.markets[at as usize].book;
        if entry.group == 0 || !book.crosses(entry.side, entry.limit) {
            return walked;
        }
        let side = entry.side.opposite();
        let own: Vec<Slot> = book
            .orders(side)
            .take_while(|&(price, ..)| match side {
                Side::Sell => price <= entry.limit,
                Side::Buy => price >= entry.limit,
            })
            .filter(|(_, _, order)| order.group == entry.group)
            .map(|(_, slot, _)| slot)
            .collect();
        for slot in own {
            if entry.stp != Stp::CancelTaker {
                self.end_order(Place { market: at, slot }, Reason::Stp, out);
            }
            if entry.stp != Stp::CancelMaker {
                walked.stop = Stop::SelfTrade;
                break;
            }
        }
        walked
    }
}
