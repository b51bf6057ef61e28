//! The auction, by trying every price and dealing the lots out one by one.

use countersign_venue::auction::{INDICATION_NS, Indication};
use countersign_venue::command::{Side, State, Stp};
use countersign_venue::event::{Code, Reason};

use super::matching::Stopped;
use super::{Order, Plain, Told, Trade};

impl Plain {
    /// Own orders on the other side that the order would cross, in queue order.
    pub fn meet_own(&mut self, order: &Order) -> Stopped {
        let own: Vec<u64> = self
            .queue(order.market, order.side.opposite())
            .into_iter()
            .map(|at| &self.orders[at])
            .filter(|maker| Plain::accepts(order, maker.price))
            .filter(|maker| order.group != 0 && maker.group == order.group)
            .map(|maker| maker.id)
            .collect();
        for id in own {
            if order.stp != Stp::CancelTaker {
                self.end(id, Reason::Stp);
            }
            if order.stp != Stp::CancelMaker {
                return Stopped::SelfTrade;
            }
        }
        Stopped::Nobody
    }

    fn clearing(&self, market: usize) -> Indication {
        let [bids, asks] = [Side::Buy, Side::Sell].map(|side| self.queue(market, side));
        let price_of = |at: &usize| self.orders[*at].price;
        let (Some(top), Some(bottom)) = (bids.first().map(price_of), asks.first().map(price_of)) else {
            return Indication::default();
        };
        let lots = |queue: &[usize], price: i64| -> u64 {
            let orders = queue.iter().map(|&at| &self.orders[at]);
            orders.filter(|order| Plain::accepts(order, price)).map(Order::leaves).sum()
        };
        let tried: Vec<(i64, u64, u64)> =
            (bottom..=top).map(|price| (price, lots(&bids, price), lots(&asks, price))).collect();
        let rank =
            |tried: &(i64, u64, u64)| (tried.1.min(tried.2), std::cmp::Reverse(tried.1.abs_diff(tried.2)));
        let Some(best) = tried.iter().map(rank).max() else { return Indication::default() };
        let tied: Vec<_> = tried.into_iter().filter(|tried| rank(tried) == best).collect();
        let middle = (tied[0].0 + tied[tied.len() - 1].0) / 2;
        let reference = self.anchor(market).unwrap_or(middle);
        let nearest = tied.into_iter().min_by_key(|tried| (tried.0.abs_diff(reference), tried.0));
        let (price, demand, supply) = nearest.expect("one is best");
        Indication {
            price,
            matched: demand.min(supply),
            unmatched: demand.abs_diff(supply),
            surplus: match demand.cmp(&supply) {
                std::cmp::Ordering::Greater => Some(Side::Buy),
                std::cmp::Ordering::Less => Some(Side::Sell),
                std::cmp::Ordering::Equal => None,
            },
        }
    }

    pub fn indicate(&mut self, at: usize, always: bool) {
        let now = self.clearing(at);
        let before = self.markets[at].call.map_or(Indication::default(), |call| call.0);
        self.markets[at].call = Some((now, self.now + INDICATION_NS));
        if always || now != before {
            self.told.push(Told::Auction(self.markets[at].spec.instrument_id, now, false));
        }
    }

    pub fn run_auction(&mut self, at: usize, then: State) -> Code {
        if self.markets[at].state != State::Auction {
            return Code::InstrumentState;
        }
        let now = self.clearing(at);
        let outside = |side| self.is_outside_band(at, side, now.price);
        if now.matched > 0 && (outside(Side::Buy) || outside(Side::Sell)) {
            return Code::PriceBand;
        }
        self.told.push(Told::Auction(self.markets[at].spec.instrument_id, now, true));
        let mut left = now.matched;
        while left > 0 {
            let [buy, sell] = [Side::Buy, Side::Sell].map(|side| self.queue(at, side)[0]);
            let qty = left.min(self.orders[buy].leaves()).min(self.orders[sell].leaves());
            left -= qty;
            self.pair(at, buy, sell, now.price, qty);
        }
        self.markets[at].call = None;
        self.markets[at].state = then;
        self.tell_state(at);
        Code::Ok
    }

    fn pair(&mut self, market: usize, buy: usize, sell: usize, price: i64, qty: u64) {
        for at in [buy, sell] {
            self.orders[at].filled += qty;
            self.orders[at].ticklots += price as u128 * u128::from(qty);
        }
        let parties = [buy, sell].map(|at| self.orders[at].clone());
        let pays = |order: &Order| (order.account, self.maker_ppm(market, order.account));
        let [buyer, seller] = [pays(&parties[0]), pays(&parties[1])];
        let fees = self.settle(market, price, qty, buyer, seller);
        self.told.push(Told::Trade(Trade {
            auction: true,
            price,
            qty,
            orders: [parties[0].id, parties[1].id],
            leaves: [parties[0].leaves(), parties[1].leaves()],
            fees,
            held: [self.hold(&parties[0]).1, self.hold(&parties[1]).1],
        }));
        for order in parties {
            if order.leaves() == 0 {
                self.orders.retain(|other| other.id != order.id);
                self.done(&order, Reason::Filled, 0, 0);
            }
        }
    }
}
