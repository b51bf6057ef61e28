//! What administration sets: fees, bands, and the states of markets.

use countersign_venue::command::{AdminBody, State};
use countersign_venue::event::Code;

use super::told::Told;
use super::{Market, Plain};

impl Plain {
    pub fn admin(&mut self, body: &AdminBody) -> Code {
        match *body {
            AdminBody::SetAccountFees { account_id, fees } => {
                if self.fees.get(&account_id).copied() == fees {
                    return Code::Unchanged;
                }
                self.fees.remove(&account_id);
                self.fees.extend(fees.map(|fees| (account_id, fees)));
                self.told.push(Told::Fees(account_id, fees));
                Code::Ok
            }
            AdminBody::SetPriceBand { instrument_id, price_band_ppm, reference_price } => {
                let at = self.market_at(instrument_id);
                let market = &mut self.markets[at];
                if reference_price != 0 {
                    market.spec.reference_price = reference_price;
                    market.last = 0;
                }
                market.spec.price_band_ppm = price_band_ppm;
                self.tell_state(at);
                Code::Ok
            }
            AdminBody::SetState { instrument_id, state } => {
                let at = self.market_at(instrument_id);
                let from = self.markets[at].state;
                if from == state {
                    return Code::Unchanged;
                }
                let trades = matches!(state, State::Open | State::PostOnly);
                let allowed = match from {
                    State::Open | State::PostOnly => state != State::Auction,
                    State::Auction => !trades,
                    _ => true,
                };
                if !allowed || (trades && self.is_crossed(at)) {
                    return Code::InstrumentState;
                }
                self.markets[at].state = state;
                self.markets[at].call = None;
                self.tell_state(at);
                if state == State::Auction {
                    self.indicate(at, true);
                }
                Code::Ok
            }
            AdminBody::RunAuction { instrument_id, then } => {
                self.run_auction(self.market_at(instrument_id), then)
            }
            _ => panic!("{body:?} is not part of the flow"),
        }
    }

    pub fn tell_state(&mut self, at: usize) {
        let Market { spec, state, last, .. } = &self.markets[at];
        let (id, band, reference) = (spec.instrument_id, spec.price_band_ppm, spec.reference_price);
        self.told.push(Told::State(id, *state, *last, band, reference));
    }
}
