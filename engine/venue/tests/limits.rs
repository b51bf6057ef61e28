//! A limit ... (each test's name finishes the sentence).

use crate::desk::{BTC, Desk, MARKET, TIA, TOM, USDT, buy, limit, sell, spec};
use countersign_venue::Venue;
use countersign_venue::codec::{Put, Reader};
use countersign_venue::command::{
    AdminBody, AssetSpec, Command, InstrumentSpec, NewOrder, OrderBody, Side, Tif,
};
use countersign_venue::dedupe::{AHEAD_MS_MAX, Age, WINDOW_MS, age};
use countersign_venue::event::{Body, Code, Event};

fn asset(asset_id: u32, symbol: &str) -> AdminBody {
    AdminBody::PutAsset(AssetSpec { asset_id, symbol: symbol.into(), decimals: 8 })
}

#[test]
fn of_an_assets_name_and_number_is_exact() {
    let mut desk = Desk::empty();
    for (asset_id, symbol, code) in [
        (0, "ETH", Code::BadCommand),
        (3, "", Code::BadCommand),
        (3, "ABCDEFGHIJKLMNOPQ", Code::BadCommand),
        (3, "É", Code::BadCommand),
        (3, "ABCDEFGHIJKLMNOP", Code::Ok),
        (3, "ABCDEFGHIJKLMNOP", Code::Unchanged),
        (3, "ABCDEFGHIJKLMNO", Code::NotEmpty),
    ] {
        assert_eq!(desk.admin(asset(asset_id, symbol)), code, "{asset_id} {symbol}");
    }
}

#[test]
fn of_what_is_listed_lets_in_no_one_more() {
    let mut desk = Desk::open();
    let mut put = |body| {
        desk.venue.apply(
            desk.now_ns,
            &Command::Admin { reference: [0; 16], body },
            0,
            &mut Default::default(),
        )
    };
    for asset_id in 3..=1_024 {
        assert_eq!(put(asset(asset_id, "X")).code, Code::Ok);
    }
    assert_eq!(put(asset(1_025, "X")).code, Code::TooManyOrders);
    assert_eq!(put(asset(1_024, "X")).code, Code::Unchanged);
    let market = |instrument_id| AdminBody::PutInstrument(InstrumentSpec { instrument_id, ..spec() });
    for instrument_id in 2..=1_024 {
        assert_eq!(put(market(instrument_id)).code, Code::Ok);
    }
    assert_eq!(put(market(1_025)).code, Code::TooManyOrders);
    assert_eq!(put(market(1_024)).code, Code::Unchanged);
}

#[test]
fn of_an_instrument_is_exact() {
    let good = [
        InstrumentSpec { instrument_id: 0xFFFF, ..spec() },
        InstrumentSpec { symbol: "A".repeat(32), ..spec() },
        InstrumentSpec { min_price: 7, max_price: 7, ..spec() },
        InstrumentSpec { min_qty: 7, max_qty: 7, ..spec() },
        InstrumentSpec { maker_fee_ppm: 100_000, taker_fee_ppm: 100_000, ..spec() },
        InstrumentSpec { min_price: 10, max_price: 20, reference_price: 10, ..spec() },
        InstrumentSpec { min_price: 10, max_price: 20, reference_price: 20, ..spec() },
    ];
    for spec in good {
        assert_eq!(Desk::open().admin(AdminBody::PutInstrument(spec.clone())), Code::Ok, "{spec:?}");
    }
    let bad = [
        InstrumentSpec { instrument_id: 0, ..spec() },
        InstrumentSpec { instrument_id: 0x1_0000, ..spec() },
        InstrumentSpec { instrument_id: 0x2_0000, ..spec() },
        InstrumentSpec { symbol: String::new(), ..spec() },
        InstrumentSpec { symbol: "A".repeat(33), ..spec() },
        InstrumentSpec { symbol: "A B".into(), ..spec() },
        InstrumentSpec { quote_asset_id: BTC, ..spec() },
        InstrumentSpec { base_units_per_lot: 0, ..spec() },
        InstrumentSpec { quote_units_per_ticklot: 0, ..spec() },
        InstrumentSpec { min_price: 0, ..spec() },
        InstrumentSpec { min_price: 8, max_price: 7, ..spec() },
        InstrumentSpec { min_qty: 0, ..spec() },
        InstrumentSpec { min_qty: 8, max_qty: 7, ..spec() },
        InstrumentSpec { max_price: 1, max_qty: (1 << 40) + 1, ..spec() },
        InstrumentSpec { maker_fee_ppm: 100_001, ..spec() },
        InstrumentSpec { taker_fee_ppm: 100_001, ..spec() },
        InstrumentSpec { min_price: 10, max_price: 20, reference_price: 9, ..spec() },
        InstrumentSpec { min_price: 10, max_price: 20, reference_price: 21, ..spec() },
        InstrumentSpec { base_units_per_lot: u64::MAX, max_qty: 1 << 40, ..spec() },
        InstrumentSpec { quote_units_per_ticklot: u64::MAX, max_qty: 1 << 30, ..spec() },
    ];
    for spec in bad {
        assert_eq!(Desk::open().admin(AdminBody::PutInstrument(spec.clone())), Code::BadCommand, "{spec:?}");
    }
}

#[test]
fn and_unit_of_a_market_changes_under_no_order() {
    let before = spec();
    for changed in [
        InstrumentSpec { base_units_per_lot: 2_000, ..spec() },
        InstrumentSpec { quote_units_per_ticklot: 2, ..spec() },
        InstrumentSpec { min_price: before.min_price + 1, ..spec() },
        InstrumentSpec { max_price: before.max_price - 1, ..spec() },
        InstrumentSpec { max_qty: before.max_qty - 1, ..spec() },
    ] {
        let mut desk = Desk::open();
        desk.enter(buy(1, TOM, 100, 10));
        assert_eq!(desk.admin(AdminBody::PutInstrument(changed.clone())), Code::NotEmpty, "{changed:?}");
        desk.cancel(1, TOM);
        assert_eq!(desk.admin(AdminBody::PutInstrument(changed)), Code::Ok);
    }
}

#[test]
fn of_a_reference_price_is_that_of_the_market() {
    let mut desk = Desk::open();
    let spec = InstrumentSpec { min_price: 10, max_price: 20, ..spec() };
    assert_eq!(desk.admin(AdminBody::PutInstrument(spec)), Code::Ok);
    for (reference_price, code) in [
        (9, Code::PriceOutOfRange),
        (-1, Code::PriceOutOfRange),
        (21, Code::PriceOutOfRange),
        (10, Code::Ok),
        (20, Code::Ok),
        (0, Code::Ok),
    ] {
        let body = AdminBody::SetPriceBand { instrument_id: MARKET, price_band_ppm: 1, reference_price };
        assert_eq!(desk.admin(body), code, "{reference_price}");
    }
}

#[test]
fn of_somebodys_own_fees_is_exact() {
    let mut desk = Desk::open();
    for (account_id, fees, code) in [
        (0, Some((1, 1)), Code::BadCommand),
        (0, None, Code::BadCommand),
        (TOM, Some((100_001, 0)), Code::BadCommand),
        (TOM, Some((0, 100_001)), Code::BadCommand),
        (TOM, Some((200_000, 0)), Code::BadCommand),
        (TOM, Some((100_000, 100_000)), Code::Ok),
        (TOM, Some((100_000, 100_000)), Code::Unchanged),
        (TOM, None, Code::Ok),
        (TOM, None, Code::Unchanged),
    ] {
        assert_eq!(desk.admin(AdminBody::SetAccountFees { account_id, fees }), code, "{fees:?}");
    }
}

#[test]
fn of_an_amendment_is_that_of_the_market() {
    for (total, price, code) in [
        (5, 0, Code::Ok),
        (4, 0, Code::QuantityOutOfRange),
        (20, 0, Code::Ok),
        (21, 0, Code::QuantityOutOfRange),
        (0, 10, Code::Ok),
        (0, 9, Code::PriceOutOfRange),
        (0, 100, Code::Ok),
        (0, 101, Code::PriceOutOfRange),
    ] {
        let mut desk = Desk::open();
        let spec = InstrumentSpec { min_price: 10, max_price: 100, min_qty: 5, max_qty: 20, ..spec() };
        assert_eq!(desk.admin(AdminBody::PutInstrument(spec)), Code::Ok);
        desk.enter(buy(1, TOM, 50, 10));
        assert_eq!(desk.amend(1, TOM, total, price).0.code, code, "{total} {price}");
    }
}

#[test]
fn of_an_ids_own_time_is_exact_on_both_sides() {
    const NOW_MS: u64 = 1_800_000_000_000;
    let aged = |time_ms: u64| {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&time_ms.to_be_bytes()[2..]);
        id[6] = 0x7F;
        age(&id, NOW_MS)
    };
    for (time_ms, expected) in [
        (0, Age::Outside),
        (NOW_MS - WINDOW_MS - 1, Age::Outside),
        (NOW_MS - WINDOW_MS, Age::Current),
        (NOW_MS + AHEAD_MS_MAX, Age::Current),
        (NOW_MS + AHEAD_MS_MAX + 1, Age::Outside),
        ((1 << 48) - 1, Age::Outside),
    ] {
        assert_eq!(aged(time_ms), expected, "{time_ms}");
    }
}

#[test]
fn of_a_number_is_read_as_it_was_written_and_nothing_beyond() {
    for value in [0, 1, 0x7F, 0x80, u64::MAX.into(), u128::from(u64::MAX) + 1, u128::MAX - 1, u128::MAX] {
        let mut bytes = Vec::new();
        bytes.put_u128(value);
        assert_eq!(Reader::new(&bytes).u128(), Ok(value));
    }
    for value in [0, 1, 0x7F, 0x80, 1 << 63, u64::MAX - 1, u64::MAX] {
        let mut bytes = Vec::new();
        bytes.put_u64(value);
        assert_eq!(Reader::new(&bytes).u64(), Ok(value));
    }
    for value in [0, 1, -1, 63, -64, 64, -65, i64::MAX, i64::MIN, i64::MIN + 1] {
        let mut bytes = Vec::new();
        bytes.put_i64(value);
        assert_eq!(Reader::new(&bytes).i64(), Ok(value));
    }
    let long = |count: usize, last: u8| [vec![0x80; count], vec![last]].concat();
    assert_eq!(Reader::new(&long(18, 3)).u128(), Ok(3 << 126));
    assert!(Reader::new(&long(18, 4)).u128().is_err() && Reader::new(&long(19, 0)).u128().is_err());
    assert_eq!(Reader::new(&long(17, 5)).u128(), Ok(5 << 119));
    assert_eq!(Reader::new(&long(9, 1)).u64(), Ok(1 << 63));
    assert!(Reader::new(&long(9, 2)).u64().is_err() && Reader::new(&long(10, 0)).u64().is_err());
    assert_eq!(Reader::new(&long(8, 5)).u64(), Ok(5 << 56));
}

#[test]
fn of_a_state_is_its_last_byte() {
    let mut desk = Desk::open();
    desk.enter(buy(77, TOM, 100, 10));
    let state = desk.venue.snapshot();
    assert!(Venue::restore(&state).is_ok());
    assert!(Venue::restore(&[state.as_slice(), &[0]].concat()).is_err());
    // Side, order, account, price (100, zigzag), leaves, total: less is left than what is held for it.
    let order = [Side::Buy as u8, 77, TOM as u8, 0xC8, 0x01, 10, 10];
    let at = state.windows(order.len()).position(|bytes| bytes == order).unwrap();
    let mut other = state.clone();
    other[at + 5] = 9;
    assert!(Venue::restore(&other).is_err());
}

#[test]
fn of_an_event_is_its_last_byte_and_its_numbers_come_first() {
    let mut desk = Desk::open();
    for (order_id, post_only) in [(1, false), (2, true)] {
        let order = NewOrder { post_only, ..limit(order_id, TOM, Side::Buy, 100, 1) };
        let command = desk.wrap(OrderBody::New(order));
        let (_, events) = desk.give(command);
        assert!(matches!(events[0].body, Body::Accepted { order, .. } if order.post_only == post_only));
    }
    let mut rest = desk.bytes.as_slice();
    let mut seen = 0;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().unwrap();
        let (event, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        let whole = Event::decode(event).unwrap();
        assert_eq!(Event::sequences(event).unwrap(), (whole.seq, whole.engine_seq));
        assert!(Event::decode(&[event, &[0]].concat()).is_err());
        (rest, seen) = (after, seen + 1);
    }
    assert_eq!(seen, desk.events.len());
}

#[test]
fn of_a_trade_is_paid_in_its_own_asset() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TOM, 100, 1));
    let (_, events) = desk.enter(sell(2, TIA, 100, 1));
    let trade = events.iter().find_map(|event| match &event.body {
        Body::Trade(trade) => Some(trade),
        _ => None,
    });
    let trade = trade.unwrap();
    assert_eq!((trade.assets_of(Side::Buy), trade.assets_of(Side::Sell)), ((USDT, BTC), (BTC, USDT)));
}

#[test]
fn of_time_goes_with_the_order_that_an_amendment_filled() {
    let mut desk = Desk::open();
    desk.enter(sell(1, TIA, 200, 5));
    let expire_at_ms = desk.now_ns / 1_000_000 + 500;
    let dated = NewOrder { tif: Tif::Gtd, expire_at_ms, ..buy(2, TOM, 100, 5) };
    desk.enter(dated);
    assert_eq!(desk.amend(2, TOM, 0, 200).0.code, Code::Ok);
    assert!(desk.resting().is_empty());
    // The number is free again: what rests under it has no end.
    assert_eq!(desk.enter(buy(2, TOM, 100, 5)).0.code, Code::Ok);
    desk.pass_ms(1_000);
    desk.enter(buy(3, TOM, 90, 1));
    assert_eq!(desk.resting(), [2, 3]);
}
