//! The promises that the state makes about itself.

use crate::command::Side;
use crate::market::Place;
use crate::state::Venue;

impl Venue {
    /// Checks every one of them. For tests, and for whoever verifies a journal.
    pub fn audit(&self) -> Result<(), String> {
        self.audit_told()?;
        let mut resting = 0;
        for (at, market) in (0u32..).zip(&self.markets) {
            market.book.audit()?;
            for side in [Side::Buy, Side::Sell] {
                let mut before = (i64::MIN, 0);
                for (price, slot, order) in market.book.orders(side) {
                    resting += 1;
                    if self.index.get(&order.id) != Some(&Place { market: at, slot }) {
                        return Err(format!("order {} is not where the index says", order.id));
                    }
                    let details = &market.details[slot];
                    if details.side != side || details.price != price {
                        return Err(format!("order {} rests where its details do not say", order.id));
                    }
                    match self.standing.entry(details.listed) {
                        Some((place, account, session, turn))
                            if place == (Place { market: at, slot })
                                && (account, session) == (order.owner, details.session)
                                && (price != before.0 || turn > before.1) =>
                        {
                            before = (price, turn);
                        }
                        _ => return Err(format!("order {} is listed wrongly among its owner's", order.id)),
                    }
                }
            }
        }
        if resting != self.index.len() {
            return Err(format!("{resting} orders rest, the index knows {}", self.index.len()));
        }
        self.standing.audit(resting)
    }

    /// Those of them that the bytes of a state could break, for a state that was read back. Where its orders lie, and in
    /// whose lists, is no part of its bytes but made anew: to look at that again takes longer than to read it.
    pub(crate) fn audit_told(&self) -> Result<(), String> {
        self.gate.audit()?;
        self.audit_sessions()?;
        let accounts = self.gate.len();
        // By asset, then account.
        let mut held = vec![vec![0u128; accounts]; self.assets.len()];
        for market in &self.markets {
            market.audit()?;
            for side in [Side::Buy, Side::Sell] {
                for (price, _, order) in market.book.orders(side) {
                    let (asset, _, units) = market.hold_of(side, price, order.leaves);
                    let sum = &mut held[asset as usize][order.owner as usize];
                    *sum = sum.checked_add(units).ok_or("an account's orders hold more than there can be")?;
                }
            }
        }
        for asset in self.assets.values() {
            for (handle, &expected) in (0..).zip(&held[asset.index as usize]) {
                let balance = self.gate.balance(asset.index, handle);
                if balance.held != expected {
                    return Err(format!(
                        "account {} holds {} of asset {}, its orders {expected}",
                        self.gate.account(handle),
                        balance.held,
                        asset.spec.asset_id
                    ));
                }
            }
        }
        Ok(())
    }
}
