//! What can be asked of the venue. Nothing here changes it.

use countersign_risk::{Balance, Handle};

use crate::command::{AssetSpec, Id, Scope, Side, Stp, Tif};
use crate::event::Amount;
use crate::market::{Market, Place};
use crate::standing::Owner;
use crate::state::Venue;

/// A resting order, as a query tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    pub order_id: u64,
    pub account_id: u64,
    pub instrument_id: u32,
    pub side: Side,
    pub price: i64,
    pub total: u64,
    pub leaves: u64,
    pub owner_ref: u64,
    pub stp_group: u64,
    pub stp: Stp,
    pub tif: Tif,
    pub post_only: bool,
    pub expire_at_ms: u64,
    pub held: Amount,
    pub filled_ticklots: u128,
    pub session: u32,
}

impl Venue {
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The version of the rules that commands are applied by: the leader's, by whose journal this state came to be.
    pub fn logic(&self) -> u32 {
        self.logic
    }

    pub fn engine_seq(&self) -> u64 {
        self.engine_seq
    }

    pub fn event_seq(&self) -> u64 {
        self.event_seq
    }

    pub fn time_ns(&self) -> u64 {
        self.time_ns
    }

    pub fn open_orders_count(&self) -> usize {
        self.index.len()
    }

    pub fn accounts_count(&self) -> usize {
        self.gate.len()
    }

    /// The venue's number of a session and the last command it applied.
    pub fn session(&self, session_id: &Id) -> Option<(u32, u64)> {
        let number = self.sessions.find(session_id)?;
        Some((number, self.sessions.get(number)?.last_seq))
    }

    /// A hash over every event since the journal's beginning: what two processes compare to see that they agree.
    pub fn chain(&self) -> [u8; 32] {
        self.chain.bytes()
    }

    pub fn assets(&self) -> impl Iterator<Item = &AssetSpec> {
        self.assets.values().map(|asset| &asset.spec)
    }

    /// Markets by instrument id.
    pub fn markets(&self) -> Vec<&Market> {
        let mut markets: Vec<&Market> = self.markets.iter().collect();
        markets.sort_unstable_by_key(|market| market.spec.instrument_id);
        markets
    }

    pub fn market(&self, instrument_id: u32) -> Option<&Market> {
        self.market_of.get(&instrument_id).map(|&at| &self.markets[at as usize])
    }

    pub fn balance(&self, account_id: u64, asset_id: u32) -> Balance {
        match (self.gate.find(account_id), self.assets.get(&asset_id)) {
            (Some(account), Some(asset)) => self.gate.balance(asset.index, account),
            _ => Balance::default(),
        }
    }

    /// Every balance that is not zero, by account number, then asset. Empty `accounts` means all.
    pub fn balances(&self, accounts: &[u64]) -> Vec<(u64, u32, Balance)> {
        let mut handles: Vec<(u64, Handle)> = if accounts.is_empty() {
            (0..self.gate.len() as Handle).map(|handle| (self.gate.account(handle), handle)).collect()
        } else {
            accounts.iter().filter_map(|&account| Some((account, self.gate.find(account)?))).collect()
        };
        handles.sort_unstable();
        handles.dedup();
        self.balances_of(handles)
    }

    /// How many accounts a page of so many balances may hold: one that holds nothing is looked at, too.
    pub fn accounts_within(&self, balances: usize) -> usize {
        (balances / self.assets.len().max(1)).max(1)
    }

    /// The balances of the next accounts from `place` on, in the order in which accounts came to be known, but told by
    /// account number; and the place after them, or 0 where that were all. A known account keeps its place for good.
    pub fn balances_from(&self, place: u64, most: usize) -> (Vec<(u64, u32, Balance)>, u64) {
        let known = self.gate.len();
        let from = usize::try_from(place).map_or(known, |place| place.min(known));
        let end = known.min(from + self.accounts_within(most));
        let mut handles: Vec<(u64, Handle)> =
            (from as Handle..end as Handle).map(|handle| (self.gate.account(handle), handle)).collect();
        handles.sort_unstable();
        (self.balances_of(handles), if end < known { end as u64 } else { 0 })
    }

    fn balances_of(&self, handles: Vec<(u64, Handle)>) -> Vec<(u64, u32, Balance)> {
        let mut balances = Vec::new();
        for (account, handle) in handles {
            for (&asset_id, asset) in &self.assets {
                let balance = self.gate.balance(asset.index, handle);
                if balance != Balance::default() {
                    balances.push((account, asset_id, balance));
                }
            }
        }
        balances
    }

    /// Whether more orders rest than `most`, in the same scope as [`Venue::open_orders`]. Counts no further than that.
    pub fn rest_more_than(&self, most: usize, account_id: u64, instrument_id: u32) -> bool {
        let scope = Scope { account_id, instrument_id, ..Scope::default() };
        match (account_id, instrument_id) {
            (0, 0) => self.index.len() > most,
            (0, _) => self.market(instrument_id).is_some_and(|market| market.book.len() > most),
            _ => self.gate.find(account_id).is_some_and(|account| {
                let places = self.standing.of(Owner::Account(account)).map(|(place, _)| place);
                places.filter(|&place| self.matches(&scope, place)).nth(most).is_some()
            }),
        }
    }

    /// Resting orders: per instrument bids best to worst, then asks, FIFO within a price. 0 stands for all.
    pub fn open_orders(&self, account_id: u64, instrument_id: u32) -> Vec<OpenOrder> {
        let scope = Scope { account_id, instrument_id, ..Scope::default() };
        self.in_scope(&scope, usize::MAX).into_iter().map(|place| self.open_order(place)).collect()
    }

    /// Resting orders as they lie, of so many places from `from` on, and where to go on; `None` after the last one. An order
    /// keeps its place until it is amended.
    pub fn open_orders_from(&self, from: Place, places: u32) -> (Vec<OpenOrder>, Option<Place>) {
        let Some(market) = self.markets.get(from.market as usize) else { return (Vec::new(), None) };
        let end = (market.details.len() as u32).min(from.slot.saturating_add(places));
        let of = |slot| Place { market: from.market, slot };
        // A slot that is free still names the order that lay there last.
        let rests = |place: &Place| self.index.get(&market.book.order(place.slot).id) == Some(place);
        let found = (from.slot..end).map(of).filter(rests).map(|place| self.open_order(place)).collect();
        let next = match end < market.details.len() as u32 {
            true => of(end),
            false => Place { market: from.market + 1, slot: 0 },
        };
        (found, ((next.market as usize) < self.markets.len()).then_some(next))
    }

    fn open_order(&self, place: Place) -> OpenOrder {
        let market = &self.markets[place.market as usize];
        let resting = market.book.order(place.slot);
        let details = &market.details[place.slot];
        let (_, asset_id, units) = market.hold_of(details.side, details.price, resting.leaves);
        OpenOrder {
            order_id: resting.id,
            account_id: self.gate.account(resting.owner),
            instrument_id: market.spec.instrument_id,
            side: details.side,
            price: details.price,
            total: details.total,
            leaves: resting.leaves,
            owner_ref: details.owner_ref,
            stp_group: resting.group,
            stp: details.stp,
            tif: details.tif,
            post_only: details.post_only,
            expire_at_ms: details.expire_at_ms,
            held: Amount { asset_id, units },
            filled_ticklots: details.filled_ticklots,
            session: details.session,
        }
    }
}
