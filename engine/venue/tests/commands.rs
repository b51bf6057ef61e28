//! A command ... (each test's name finishes the sentence).

use crate::desk::{self, BTC, Desk, TIA, TOM, USDT, buy, spec};
use countersign_venue::command::{
    AdminBody, AssetSpec, Command, InstrumentSpec, NewOrder, OrderBody, OrderCommand, Tif, Transfer,
};
use countersign_venue::dedupe::WINDOW_MS;
use countersign_venue::event::{Body, Code};

#[test]
fn sent_twice_is_applied_once_and_answered_twice() {
    let mut desk = Desk::open();
    let command = desk.wrap(OrderBody::New(buy(1, TOM, 100, 10)));
    let (first, events) = desk.give(command.clone());
    assert_eq!(events.len(), 1);
    desk.pass_ms(WINDOW_MS);
    let (second, events) = desk.give(command);
    assert_eq!((second, events.len()), (first, 0));
    assert_eq!(desk.held(TOM, USDT), 1_000);
}

#[test]
fn that_was_refused_is_refused_the_same_way_again() {
    let mut desk = Desk::open();
    let command = desk.wrap(OrderBody::New(buy(1, 99, 100, 10)));
    let (first, _) = desk.give(command.clone());
    assert_eq!(first.code, Code::InsufficientBalance);
    desk.fund(99, USDT, 1_000_000);
    assert_eq!(desk.give(command).0, first);
}

#[test]
fn with_the_id_of_another_one_is_refused() {
    let mut desk = Desk::open();
    let command = desk.wrap(OrderBody::New(buy(1, TOM, 100, 10)));
    desk.give(command.clone());
    let Command::Order(order) = command else { unreachable!() };
    for changed in [
        OrderCommand { body: OrderBody::New(buy(1, TOM, 100, 11)), ..order },
        OrderCommand { expires_at_ms: order.expires_at_ms + 1, ..order },
    ] {
        assert_eq!(desk.give(Command::Order(changed)).0.code, Code::CommandMismatch);
    }
}

#[test]
fn too_old_to_be_remembered_is_never_applied() {
    let mut desk = Desk::open();
    let command = desk.wrap(OrderBody::New(buy(1, TOM, 100, 10)));
    desk.pass_ms(WINDOW_MS + 1);
    assert_eq!(desk.give(command).0.code, Code::Forgotten);
}

#[test]
fn that_has_expired_never_happens() {
    let mut desk = Desk::open();
    let command = desk.wrap(OrderBody::New(buy(1, TOM, 100, 10)));
    desk.pass_ms(1_001);
    assert_eq!(desk.give(command).0.code, Code::Expired);
    assert_eq!(desk.held(TOM, USDT), 0);
}

#[test]
fn needs_an_id_with_a_time_in_it() {
    let mut desk = Desk::open();
    let Command::Order(order) = desk.wrap(OrderBody::New(buy(1, TOM, 100, 10))) else { unreachable!() };
    let mut random = order.command_id;
    random[6] = 0x40;
    let command = Command::Order(OrderCommand { command_id: random, ..order });
    assert_eq!(desk.give(command).0.code, Code::BadCommand);
    let far = Command::Order(OrderCommand { expires_at_ms: order.expires_at_ms + 3_600_000, ..order });
    assert_eq!(desk.give(far).0.code, Code::BadCommand);
}

#[test]
fn of_a_session_follows_the_one_before() {
    let mut desk = Desk::open();
    let session_id = [9; 16];
    desk.give(Command::OpenSession { session_id });
    let (session, last) = desk.venue.session(&session_id).unwrap();
    assert_eq!(last, 0);
    let numbered = |desk: &mut Desk, session_seq, id| {
        let Command::Order(order) = desk.wrap(OrderBody::New(buy(id, TOM, 100, 1))) else { unreachable!() };
        let command = Command::Order(OrderCommand { session, session_seq, ..order });
        (desk.give(command.clone()).0.code, command)
    };
    let (code, first) = numbered(&mut desk, 1, 1);
    assert_eq!(code, Code::Ok);
    assert_eq!(numbered(&mut desk, 1, 2).0, Code::SessionGap);
    assert_eq!(desk.give(first).0.code, Code::Ok, "a retry is a retry, whatever its number");
    assert_eq!(numbered(&mut desk, 2, 0).0, Code::BadCommand);
    assert_eq!(numbered(&mut desk, 3, 3).0, Code::Ok, "a refusal before it does not stop the session");
    assert_eq!(desk.venue.session(&session_id), Some((session, 3)));
    let (outcome, _) = desk.give(Command::CancelSession { session });
    assert_eq!(outcome.cancelled, 2);
}

#[test]
fn to_transfer_counts_once_however_often_and_late_it_comes() {
    let mut desk = Desk::open();
    let transfer =
        Transfer { transfer_id: [5; 16], account_id: TIA, asset_id: BTC, into_venue: true, units: 7 };
    for _ in 0..3 {
        assert_eq!(desk.give(Command::Transfer(transfer)).0.code, Code::Ok);
        desk.pass_ms(10 * WINDOW_MS);
    }
    assert_eq!(desk.available(TIA, BTC), 1_000_000_007);
    let changed = Command::Transfer(Transfer { units: 8, ..transfer });
    assert_eq!(desk.give(changed).0.code, Code::CommandMismatch);
    let told = desk.venue.told_transfer(&transfer.transfer_id).unwrap().event_seq;
    let (outcome, _) = desk.give(Command::Acknowledge { through_event_seq: told });
    assert!(outcome.filled >= 1);
    assert!(desk.venue.told_transfer(&transfer.transfer_id).is_none());
}

#[test]
fn to_transfer_out_takes_nothing_that_is_held_and_stays_refused() {
    let mut desk = Desk::open();
    desk.enter(desk::sell(1, TOM, 100, 400_000));
    let transfer = Transfer {
        transfer_id: [6; 16],
        account_id: TOM,
        asset_id: BTC,
        into_venue: false,
        units: 600_000_001,
    };
    let (outcome, events) = desk.give(Command::Transfer(transfer));
    assert_eq!(outcome.code, Code::InsufficientBalance);
    assert!(matches!(events[0].body, Body::Transfer { code: Code::InsufficientBalance, .. }));
    desk.cancel(1, TOM);
    assert_eq!(
        desk.give(Command::Transfer(transfer)).0.code,
        Code::InsufficientBalance,
        "the first answer stands"
    );
    assert_eq!(desk.transfer(TOM, BTC, 1_000_000_000, false), Code::Ok);
    assert_eq!(desk.available(TOM, BTC), 0);
    assert_eq!(desk.transfer(77, BTC, 1, false), Code::InsufficientBalance);
    assert_eq!(desk.transfer(TOM, 9, 1, true), Code::UnknownAsset);
}

#[test]
fn to_list_something_that_could_not_be_traded_is_refused() {
    let mut desk = Desk::open();
    let put = |desk: &mut Desk, spec: InstrumentSpec| desk.admin(AdminBody::PutInstrument(spec));
    let fresh = || InstrumentSpec { instrument_id: 2, symbol: "BTC-USDT-2".into(), ..spec() };
    for (broken, code) in [
        (InstrumentSpec { kind: 2, ..fresh() }, Code::Unsupported),
        (InstrumentSpec { quote_asset_id: BTC, ..fresh() }, Code::BadCommand),
        (InstrumentSpec { quote_asset_id: 9, ..fresh() }, Code::UnknownAsset),
        (InstrumentSpec { base_units_per_lot: 0, ..fresh() }, Code::BadCommand),
        (InstrumentSpec { min_price: 0, ..fresh() }, Code::BadCommand),
        (InstrumentSpec { max_qty: u64::MAX, ..fresh() }, Code::BadCommand),
        (InstrumentSpec { quote_units_per_ticklot: u64::MAX, ..fresh() }, Code::BadCommand),
        (InstrumentSpec { taker_fee_ppm: 100_001, ..fresh() }, Code::BadCommand),
        (InstrumentSpec { symbol: "BTC USDT".into(), ..fresh() }, Code::BadCommand),
    ] {
        assert_eq!(put(&mut desk, broken.clone()), code, "{broken:?}");
    }
    assert_eq!(put(&mut desk, spec()), Code::Unchanged);
    assert_eq!(put(&mut desk, fresh()), Code::Ok);
    let asset = AssetSpec { asset_id: BTC, symbol: "BTC".into(), decimals: 9 };
    assert_eq!(desk.admin(AdminBody::PutAsset(asset)), Code::NotEmpty);
}

#[test]
fn to_change_economics_waits_for_an_empty_book() {
    let mut desk = Desk::open();
    desk.enter(buy(1, TOM, 100, 10));
    let wider = InstrumentSpec { base_units_per_lot: 2_000, ..spec() };
    assert_eq!(desk.admin(AdminBody::PutInstrument(wider.clone())), Code::NotEmpty);
    let dearer = InstrumentSpec { taker_fee_ppm: 2_000, ..spec() };
    assert_eq!(desk.admin(AdminBody::PutInstrument(dearer)), Code::Ok);
    desk.cancel(1, TOM);
    assert_eq!(desk.admin(AdminBody::PutInstrument(wider)), Code::Ok);
}

/// Found by the fuzzer: the date overflowed when it became nanoseconds, and with it the whole venue ended.
#[test]
fn good_till_a_date_that_no_clock_can_tell_is_refused() {
    let mut desk = Desk::open();
    for expire_at_ms in [u64::MAX, u64::MAX / 1_000_000 + 1] {
        let order = NewOrder { tif: Tif::Gtd, expire_at_ms, ..buy(1, TOM, 100, 1) };
        assert_eq!(desk.enter(order).0.code, Code::BadCommand);
    }
    let last = NewOrder { tif: Tif::Gtd, expire_at_ms: u64::MAX / 1_000_000, ..buy(1, TOM, 100, 1) };
    assert_eq!(desk.enter(last).0.code, Code::Ok);
}

#[test]
fn of_a_session_that_nobody_opened_is_refused() {
    let mut desk = Desk::open();
    let Command::Order(order) = desk.wrap(OrderBody::New(buy(1, TOM, 100, 1))) else { unreachable!() };
    let foreign = Command::Order(OrderCommand { session: 9, session_seq: 1, ..order });
    assert_eq!(desk.give(foreign).0.code, Code::SessionGap);
}
