//! What accounts own, and what orders hold of it.

use countersign_venue::command::{Side, Transfer};
use countersign_venue::event::Code;

use super::told::Told;
use super::{Order, Plain};

pub fn fee(units: u128, ppm: u32) -> u128 {
    (units * u128::from(ppm)).div_ceil(1_000_000)
}

impl Plain {
    pub fn hold(&self, order: &Order) -> (u32, u128) {
        let spec = &self.markets[order.market].spec;
        match (order.side, order.budget) {
            (Side::Buy, Some(budget)) => {
                (spec.quote_asset_id, u128::from(budget) * u128::from(spec.quote_units_per_ticklot))
            }
            (Side::Buy, None) => {
                let ticklots = order.price as u128 * u128::from(order.leaves());
                (spec.quote_asset_id, ticklots * u128::from(spec.quote_units_per_ticklot))
            }
            (Side::Sell, _) => {
                (spec.base_asset_id, u128::from(order.leaves()) * u128::from(spec.base_units_per_lot))
            }
        }
    }

    pub fn held(&self, account: u64, asset: u32) -> u128 {
        let own = self.orders.iter().filter(|order| order.account == account);
        own.map(|order| self.hold(order)).filter(|hold| hold.0 == asset).map(|hold| hold.1).sum()
    }

    pub fn available(&self, account: u64, asset: u32) -> u128 {
        self.owned.get(&(account, asset)).copied().unwrap_or(0) - self.held(account, asset)
    }

    pub fn transfer(&mut self, transfer: &Transfer) -> Code {
        let Transfer { account_id, asset_id, into_venue, units, .. } = *transfer;
        let code = if into_venue || self.available(account_id, asset_id) >= units {
            let owned = self.owned.entry((account_id, asset_id)).or_default();
            *owned = if into_venue { *owned + units } else { *owned - units };
            Code::Ok
        } else {
            Code::InsufficientBalance
        };
        self.told.push(Told::Transfer(code));
        code
    }

    pub fn maker_ppm(&self, market: usize, account: u64) -> u32 {
        self.fees.get(&account).map_or(self.markets[market].spec.maker_fee_ppm, |own| own.0)
    }

    pub fn taker_ppm(&self, market: usize, account: u64) -> u32 {
        self.fees.get(&account).map_or(self.markets[market].spec.taker_fee_ppm, |own| own.1)
    }

    /// Base one way, quote the other, each side's fee out of what it receives.
    pub fn settle(
        &mut self,
        market: usize,
        price: i64,
        qty: u64,
        buyer: (u64, u32),
        seller: (u64, u32),
    ) -> [u128; 2] {
        let spec = self.markets[market].spec.clone();
        let base = u128::from(qty) * u128::from(spec.base_units_per_lot);
        let quote = price as u128 * u128::from(qty) * u128::from(spec.quote_units_per_ticklot);
        let fees = [fee(base, buyer.1), fee(quote, seller.1)];
        *self.owned.get_mut(&(buyer.0, spec.quote_asset_id)).expect("it pays") -= quote;
        *self.owned.get_mut(&(seller.0, spec.base_asset_id)).expect("it pays") -= base;
        for (account, asset, units) in [
            (buyer.0, spec.base_asset_id, base - fees[0]),
            (seller.0, spec.quote_asset_id, quote - fees[1]),
            (0, spec.base_asset_id, fees[0]),
            (0, spec.quote_asset_id, fees[1]),
        ] {
            *self.owned.entry((account, asset)).or_default() += units;
        }
        self.markets[market].last = price;
        fees
    }
}
