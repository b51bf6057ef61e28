//! The promises that the state makes about itself.

use countersign_book::Map;

use crate::command::Side;
use crate::market::Place;
use crate::state::Venue;

impl Venue {
    /// Checks every one of them. For tests, and for a state that was read back.
    pub fn audit(&self) -> Result<(), String> {
        self.gate.audit()?;
        self.audit_sessions()?;
        let mut held: Map<(u64, u32), u128> = Map::default();
        let mut resting = 0;
        for (at, market) in (0u32..).zip(&self.markets) {
            market.audit()?;
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
        self.standing.audit(resting)?;
        for order in self.open_orders(0, 0) {
            *held.entry((order.account_id, order.held.asset_id)).or_default() += order.held.units;
        }
        for (account, asset, balance) in self.balances(&[]) {
            let expected = held.remove(&(account, asset)).unwrap_or(0);
            if balance.held != expected {
                return Err(format!(
                    "account {account} holds {} of asset {asset}, its orders {expected}",
                    balance.held
                ));
            }
        }
        if held.values().any(|&units| units != 0) {
            return Err("an order holds what its account does not".into());
        }
        Ok(())
    }
}
