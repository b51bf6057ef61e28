//! Administration: assets, instruments, their states and bands, fees, mass cancels.

use crate::command::{AdminBody, AssetSpec, Id, InstrumentSpec, State};
use crate::dedupe::Outcome;
use crate::event::{Body, Code, Output, Reason};
use crate::logic::IN_PIECES;
use crate::market::{Market, check_spec, next};
use crate::state::{Asset, PIECE, Venue};
use countersign_book::{Book, Slab};

const SPOT: u32 = 1;
/// Instruments and assets of one shard.
const LISTED_MAX: usize = 1_024;

impl Venue {
    pub(crate) fn admin(
        &mut self,
        reference: &Id,
        body: &AdminBody,
        outcome: &mut Outcome,
        out: &mut Output,
    ) {
        outcome.code = match body {
            AdminBody::PutAsset(spec) => self.put_asset(spec, out),
            AdminBody::PutInstrument(spec) => self.put_instrument(reference, spec, out),
            AdminBody::SetState { instrument_id, state } => {
                self.set_state(reference, *instrument_id, *state, out)
            }
            AdminBody::SetPriceBand { instrument_id, price_band_ppm, reference_price } => {
                self.set_price_band(reference, *instrument_id, *price_band_ppm, *reference_price, out)
            }
            AdminBody::SetAccountFees { account_id, fees } => self.set_account_fees(*account_id, *fees, out),
            AdminBody::MassCancel(scope) => {
                // Whoever asked asks again until nothing is left.
                let most = if self.logic >= IN_PIECES { PIECE } else { usize::MAX };
                outcome.cancelled = self.cancel_scope(scope, Reason::MassCancel, false, most, out);
                Code::Ok
            }
            AdminBody::RunAuction { instrument_id, then } => {
                self.run_auction(reference, *instrument_id, *then, out)
            }
        };
    }

    fn put_asset(&mut self, spec: &AssetSpec, out: &mut Output) -> Code {
        if spec.asset_id == 0 || spec.symbol.is_empty() || spec.symbol.len() > 16 || !spec.symbol.is_ascii() {
            return Code::BadCommand;
        }
        match self.assets.get(&spec.asset_id) {
            Some(known) if known.spec == *spec => return Code::Unchanged,
            // Every balance is counted in these units: they never change.
            Some(_) => return Code::NotEmpty,
            None if self.assets.len() >= LISTED_MAX => return Code::TooManyOrders,
            None => {}
        }
        let index = self.gate.add_asset();
        self.assets.insert(spec.asset_id, Asset { spec: spec.clone(), index });
        self.emit(0, &Body::Asset(spec.clone()), out);
        Code::Ok
    }

    fn put_instrument(&mut self, reference: &Id, spec: &InstrumentSpec, out: &mut Output) -> Code {
        if spec.kind != SPOT {
            return Code::Unsupported;
        }
        if check_spec(spec).is_err() {
            return Code::BadCommand;
        }
        let (Some(base), Some(quote)) =
            (self.assets.get(&spec.base_asset_id), self.assets.get(&spec.quote_asset_id))
        else {
            return Code::UnknownAsset;
        };
        let (base, quote) = (base.index, quote.index);
        match self.market_of.get(&spec.instrument_id) {
            Some(&at) => {
                let market = &mut self.markets[at as usize];
                if market.spec == *spec {
                    return Code::Unchanged;
                }
                let same_economics = market.spec.base_asset_id == spec.base_asset_id
                    && market.spec.quote_asset_id == spec.quote_asset_id
                    && market.spec.base_units_per_lot == spec.base_units_per_lot
                    && market.spec.quote_units_per_ticklot == spec.quote_units_per_ticklot
                    // A resting order outside the new range could not be told apart from a fault.
                    && market.spec.min_price >= spec.min_price
                    && market.spec.max_price <= spec.max_price
                    && market.spec.max_qty <= spec.max_qty;
                if !same_economics && !market.book.is_empty() {
                    return Code::NotEmpty;
                }
                market.spec = spec.clone();
                market.base = base;
                market.quote = quote;
            }
            None if self.markets.len() >= LISTED_MAX => return Code::TooManyOrders,
            None => {
                self.market_of.insert(spec.instrument_id, self.markets.len() as u32);
                self.markets.push(Market {
                    spec: spec.clone(),
                    state: State::Halted,
                    last_price: 0,
                    base,
                    quote,
                    book: Book::new(),
                    details: Slab::default(),
                    call: None,
                });
            }
        }
        self.tell_instrument(spec.instrument_id, reference, out);
        Code::Ok
    }

    fn set_state(&mut self, reference: &Id, instrument_id: u32, state: State, out: &mut Output) -> Code {
        let Some(&at) = self.market_of.get(&instrument_id) else { return Code::UnknownInstrument };
        let market = &mut self.markets[at as usize];
        if market.state == state {
            return Code::Unchanged;
        }
        if !next(market.state).contains(&state) {
            return Code::InstrumentState;
        }
        if matches!(state, State::Open | State::PostOnly) && market.is_crossed() {
            return Code::InstrumentState;
        }
        if state == State::Closed && !market.book.is_empty() {
            return Code::NotEmpty;
        }
        market.state = state;
        self.end_call(at);
        self.tell_instrument(instrument_id, reference, out);
        if state == State::Auction {
            self.call_auction(at, out);
        }
        Code::Ok
    }

    fn set_price_band(
        &mut self,
        reference: &Id,
        instrument_id: u32,
        price_band_ppm: u32,
        reference_price: i64,
        out: &mut Output,
    ) -> Code {
        let Some(&at) = self.market_of.get(&instrument_id) else { return Code::UnknownInstrument };
        let market = &mut self.markets[at as usize];
        if reference_price != 0 {
            if reference_price < market.spec.min_price || reference_price > market.spec.max_price {
                return Code::PriceOutOfRange;
            }
            market.spec.reference_price = reference_price;
            // The operator's price stands until the next trade.
            market.last_price = 0;
        }
        market.spec.price_band_ppm = price_band_ppm;
        self.tell_instrument(instrument_id, reference, out);
        Code::Ok
    }

    fn set_account_fees(&mut self, account_id: u64, fees: Option<(u32, u32)>, out: &mut Output) -> Code {
        if account_id == 0 || fees.is_some_and(|(maker, taker)| maker > 100_000 || taker > 100_000) {
            return Code::BadCommand;
        }
        let own = self.fees.at(self.gate.open(account_id) as usize);
        if *own == fees {
            return Code::Unchanged;
        }
        *own = fees;
        self.emit(0, &Body::Account { account_id, fees }, out);
        Code::Ok
    }

    pub(crate) fn tell_instrument(&mut self, instrument_id: u32, reference: &Id, out: &mut Output) {
        let Some(market) = self.market(instrument_id) else { return };
        let body = Body::Instrument {
            spec: market.spec.clone(),
            state: market.state,
            last_price: market.last_price,
            reference: *reference,
        };
        self.emit(instrument_id, &body, out);
    }
}
