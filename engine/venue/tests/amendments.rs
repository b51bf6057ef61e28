//! An order that is amended ... (each test's name finishes the sentence).

use crate::desk::{BTC, Desk, MARKET, TIA, TOM, USDT, buy, ends, sell, trades};
use countersign_venue::command::{AdminBody, Amend, OrderBody};
use countersign_venue::event::{Code, Output, Reason};
use countersign_venue::{LOGIC_VERSION, Venue};

#[test]
fn made_smaller_keeps_its_place() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 10));
    desk.enter(sell(2, TOM, 100, 10));
    desk.enter(buy(3, TIA, 100, 4));
    let (outcome, _) = desk.amend(1, TOM, 6, 0);
    assert_eq!((outcome.leaves, outcome.filled), (2, 4), "the filled part stays filled");
    assert_eq!(desk.held(TOM, BTC), 12_000);
    let (_, events) = desk.enter(buy(4, TIA, 100, 3));
    assert_eq!(trades(&events), [(1, 100, 2), (2, 100, 1)]);
}

#[test]
fn made_larger_or_moved_joins_at_the_end() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 10));
    desk.enter(sell(2, TOM, 100, 10));
    desk.amend(1, TOM, 11, 0);
    assert_eq!(desk.resting(), [2, 1]);
    desk.amend(2, TOM, 0, 99);
    desk.amend(2, TOM, 0, 100);
    assert_eq!(desk.resting(), [1, 2]);
}

#[test]
fn amended_through_the_spread_trades_at_the_makers_prices_and_does_not_rest_crossed() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 105, 3));
    desk.enter(sell(2, TOM, 106, 3));
    desk.enter(buy(3, TIA, 100, 10));
    let (outcome, events) = desk.amend(3, TIA, 0, 106);
    assert_eq!(trades(&events), [(1, 105, 3), (2, 106, 3)]);
    assert_eq!((outcome.filled, outcome.leaves), (6, 4));
    assert_eq!(desk.held(TIA, USDT), 4 * 106);
}

#[test]
fn amended_after_a_partial_fill_counts_the_total_and_not_the_rest() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TIA, 100, 10));
    desk.enter(sell(2, TOM, 100, 6));
    assert_eq!(desk.amend(1, TIA, 6, 0).0.code, Code::QuantityOutOfRange);
    assert_eq!(desk.amend(1, TIA, 10, 0).0.code, Code::Unchanged);
    let (outcome, _) = desk.amend(1, TIA, 8, 90);
    assert_eq!((outcome.leaves, desk.held(TIA, USDT)), (2, 180));
    let (outcome, _) = desk.amend(1, TIA, 20, 0);
    assert_eq!((outcome.leaves, desk.held(TIA, USDT)), (14, 14 * 90));
    desk.enter(sell(3, TOM, 90, 14));
    assert!(desk.resting().is_empty());
}

#[test]
fn amended_beyond_the_balance_stays_as_it_was_or_goes_if_asked() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TOM, 100, 900_000));
    let (outcome, events) = desk.amend(1, TOM, 1_000_000, 0);
    assert_eq!(outcome.code, Code::Ok);
    assert_eq!(events.len(), 1);
    desk.enter(sell(2, TIA, 100, 1_000_000));
    let amend = Amend { order_id: 2, account_id: TIA, total_qty: 0, price: 10_000_001, cancel_on_fail: true };
    let (outcome, events) = desk.order(OrderBody::Amend(amend));
    assert_eq!((outcome.code, outcome.cancelled), (Code::PriceOutOfRange, 1));
    assert_eq!(ends(&events), [(2, Reason::AmendFailed)]);
    assert_eq!(desk.held(TIA, BTC), 0);
}

#[test]
fn made_larger_at_its_old_price_is_held_against_a_band_that_moved_since() {
    let band = |reference_price| AdminBody::SetPriceBand {
        instrument_id: MARKET,
        price_band_ppm: 50_000,
        reference_price,
    };
    // Nothing was refused that way before these rules, and so nothing is when that is replayed.
    for (logic_version, larger) in [(1, Code::Ok), (LOGIC_VERSION, Code::PriceBand)] {
        let mut desk = Desk::open_under(logic_version);
        desk.enter(buy(1, TOM, 1_000, 5));
        desk.enter(sell(2, TIA, 1_010, 5));
        desk.admin(band(900));
        assert_eq!(desk.amend(1, TOM, 4, 0).0.code, Code::Ok, "a smaller one adds nothing");
        assert_eq!(desk.amend(1, TOM, 6, 0).0.code, larger);
        assert_eq!(desk.amend(1, TOM, 6, 946).0.code, Code::PriceBand);
        assert_eq!(
            desk.amend(2, TIA, 9, 0).0.code,
            Code::Ok,
            "it sells above the band: nobody pays too much"
        );
        desk.admin(band(1_100));
        assert_eq!(desk.amend(2, TIA, 10, 0).0.code, larger);
        assert_eq!(desk.amend(1, TOM, 7, 0).0.code, Code::Ok);
        // A leader of newer rules finds the orders as they are, and holds what comes against its own.
        desk.lead(LOGIC_VERSION);
        assert_eq!(desk.amend(2, TIA, 11, 0).0.code, Code::PriceBand);
        let mut replayed = Venue::new();
        for (time_ns, bytes) in &desk.journal {
            replayed.replay(*time_ns, bytes, &mut Output::default()).unwrap();
        }
        assert_eq!(replayed.state_hash(), desk.venue.state_hash());
    }
}
