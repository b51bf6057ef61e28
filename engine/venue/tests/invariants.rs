//! What must hold after every command, whatever was sent: told from the events alone, as settlement sees them.

use std::collections::BTreeMap;

use crate::desk::{BTC, Desk, MARKET, USDT};
use crate::flow::{ETH, Step, TRADERS, config, modest, steps};
use countersign_venue::LOGIC_VERSION;
use countersign_venue::command::{Command, Kind, NewOrder, OrderBody, Side, State, Tif};
use countersign_venue::event::{Body, Event, Reason};
use proptest::prelude::*;

struct Open {
    order: NewOrder,
    filled: u64,
    ticklots: u128,
    held: u128,
}

/// Books that follow the events and know nothing else.
#[derive(Default)]
struct Ledger {
    owned: BTreeMap<(u64, u32), u128>,
    open: BTreeMap<u64, Open>,
    /// Lots that were submitted, both sides summed; amendments adjust it.
    submitted: u128,
    traded: u128,
    cancelled: u128,
}

impl Ledger {
    fn of(desk: &Desk) -> Ledger {
        let balances = desk.venue.balances(&[]);
        let owned =
            balances.into_iter().map(|(account, asset, of)| ((account, asset), of.available)).collect();
        Ledger { owned, ..Ledger::default() }
    }

    fn move_units(&mut self, account: u64, asset: u32, into: u128, out: u128) {
        let owned = self.owned.entry((account, asset)).or_default();
        *owned = (*owned + into).checked_sub(out).expect("no account owes anything");
    }

    fn follow(&mut self, event: &Event) {
        match &event.body {
            Body::Accepted { order, held, .. } => {
                let open = Open {
                    order: NewOrder { instrument_id: event.instrument_id, ..*order },
                    filled: 0,
                    ticklots: 0,
                    held: held.units,
                };
                assert!(held.units > 0, "an order without a hold");
                self.submitted += u128::from(order.qty);
                assert!(self.open.insert(order.order_id, open).is_none(), "accepted twice");
            }
            Body::Trade(trade) => {
                assert!(trade.qty > 0, "a trade of nothing");
                self.traded += u128::from(trade.qty);
                let (seller, buyer) = match trade.taker_side {
                    Side::Sell => (trade.taker_account_id, trade.maker_account_id),
                    Side::Buy => (trade.maker_account_id, trade.taker_account_id),
                };
                let (sellers, buyers) = match trade.taker_side {
                    Side::Sell => (trade.taker_fee, trade.maker_fee),
                    Side::Buy => (trade.maker_fee, trade.taker_fee),
                };
                self.move_units(seller, trade.base_asset_id, 0, trade.base);
                self.move_units(buyer, trade.quote_asset_id, 0, trade.quote);
                self.move_units(seller, trade.quote_asset_id, trade.quote, sellers);
                self.move_units(buyer, trade.base_asset_id, trade.base, buyers);
                self.move_units(0, trade.quote_asset_id, sellers, 0);
                self.move_units(0, trade.base_asset_id, buyers, 0);
                let parties = [
                    (trade.maker_order_id, trade.maker_held, trade.taker_side.opposite()),
                    (trade.taker_order_id, trade.taker_held, trade.taker_side),
                ];
                let groups = parties.map(|(id, ..)| self.open[&id].order.stp_group);
                assert!(groups[0] == 0 || groups[0] != groups[1], "a group traded with itself");
                let maker = self.open[&trade.maker_order_id].order;
                assert!(trade.auction || trade.price == maker.price, "always the maker's price");
                for (id, held, side) in parties {
                    let open = self.open.get_mut(&id).expect("it is open");
                    assert_eq!(open.order.side, side);
                    match side {
                        Side::Buy => assert!(trade.price <= open.order.price, "beyond the limit"),
                        Side::Sell => assert!(trade.price >= open.order.price, "beyond the limit"),
                    }
                    open.filled += trade.qty;
                    open.ticklots += trade.price as u128 * u128::from(trade.qty);
                    assert!(open.order.budget == 0 || open.ticklots <= open.order.budget.into());
                    open.held = held;
                }
            }
            Body::Amended { order_id, price, total, held, .. } => {
                let open = self.open.get_mut(order_id).expect("it is open");
                self.submitted = self.submitted + u128::from(*total) - u128::from(open.order.qty);
                open.order.price = *price;
                open.order.qty = *total;
                open.held = held.units;
            }
            Body::Done(done) => {
                let open = self.open.remove(&done.order_id).expect("an order ends once");
                assert_eq!(open.held, done.released.units, "the hold is given back, once and whole");
                assert_eq!((open.filled, open.ticklots), (done.filled, done.filled_ticklots));
                self.cancelled += u128::from(done.cancelled);
                if open.order.budget != 0 {
                    self.submitted += u128::from(done.filled);
                } else {
                    assert_eq!(open.order.qty, done.filled + done.cancelled);
                    assert_eq!(done.reason == Reason::Filled, done.cancelled == 0);
                }
            }
            Body::Transfer { account_id, into_venue, amount, code: countersign_venue::Code::Ok, .. } => {
                let (into, out) = if *into_venue { (amount.units, 0) } else { (0, amount.units) };
                self.move_units(*account_id, amount.asset_id, into, out);
            }
            _ => {}
        }
    }

    fn check(&self, desk: &Desk) {
        for account in TRADERS.into_iter().chain([0]) {
            for asset in [BTC, ETH, USDT] {
                let owned = self.owned.get(&(account, asset)).copied().unwrap_or(0);
                let holds = |open: &&Open| {
                    let pays = match (open.order.side, open.order.instrument_id) {
                        (Side::Buy, _) => USDT,
                        (Side::Sell, MARKET) => BTC,
                        (Side::Sell, _) => ETH,
                    };
                    open.order.account_id == account && pays == asset
                };
                let held: u128 = self.open.values().filter(holds).map(|open| open.held).sum();
                assert_eq!(desk.held(account, asset), held);
                assert_eq!(desk.available(account, asset) + held, owned);
            }
        }
        let resting = desk.venue.open_orders(0, 0);
        assert_eq!(resting.len(), self.open.len());
        let leaves: u128 = resting.iter().map(|order| u128::from(order.leaves)).sum();
        assert_eq!(self.submitted, 2 * self.traded + leaves + self.cancelled);
        for market in desk.venue.markets() {
            let trades = matches!(market.state, State::Open | State::PostOnly);
            assert!(!trades || !market.is_crossed(), "crossed while it trades");
        }
    }
}

/// What one command may and may not have done, by the kind of order it was.
fn keeps_its_word(command: &Command, events: &[Event]) {
    let Command::Order(command) = command else { return };
    let OrderBody::New(order) = command.body else { return };
    let taken: u64 = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Trade(trade) if trade.taker_order_id == order.order_id => Some(trade.qty),
            _ => None,
        })
        .sum();
    let accepted = events.iter().any(|event| matches!(event.body, Body::Accepted { .. }));
    assert!(!order.post_only || taken == 0, "post-only took");
    assert!(
        order.tif != Tif::Fok || taken == if accepted { order.qty } else { 0 },
        "fill or kill did neither"
    );
    assert!(order.kind != Kind::Market || !accepted || taken > 0 || order.budget > 0 || order.stp_group > 0);
    if !accepted {
        let own = |event: &&Event| !matches!(&event.body, Body::Done(done) if is_clock(done.reason));
        let rest = events.iter().filter(|event| !matches!(event.body, Body::Auction { .. }));
        assert_eq!(rest.filter(own).count(), 1, "a refusal has no side effects");
    }
}

fn is_clock(reason: Reason) -> bool {
    matches!(reason, Reason::Expired | Reason::CancelAllAfter)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_events_alone_explain_every_balance_and_every_hold(steps in steps(200)) {
        let mut desk = modest(LOGIC_VERSION);
        let mut ledger = Ledger::of(&desk);
        let inside = |desk: &Desk| -> BTreeMap<u32, u128> {
            let mut sums = BTreeMap::new();
            for (_, asset, balance) in desk.venue.balances(&[]) {
                *sums.entry(asset).or_default() += balance.available + balance.held;
            }
            sums
        };
        for step in steps {
            if matches!(step, Step::Retry(_)) {
                continue;
            }
            let Some(command) = step.command(&mut desk) else { continue };
            let before = inside(&desk);
            let (outcome, events) = desk.give(command.clone());
            if outcome.engine_seq == 0 {
                continue;
            }
            events.iter().for_each(|event| ledger.follow(event));
            ledger.check(&desk);
            keeps_its_word(&command, &events);
            if !matches!(command, Command::Transfer(_)) {
                prop_assert_eq!(inside(&desk), before, "only transfers bring money in or out");
            }
        }
    }
}
