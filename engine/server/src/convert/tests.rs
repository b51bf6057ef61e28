use super::*;

fn sent(body: command::Body) -> v1::Command {
    v1::Command { command_id: vec![1; 16].into(), session_seq: 2, expires_at_ms: 3, body: Some(body) }
}

fn taken(body: command::Body) -> OrderBody {
    let OrderCommand { command_id, session, session_seq, expires_at_ms, body } =
        order_command(&sent(body), 4).unwrap();
    assert_eq!((command_id, session, session_seq, expires_at_ms), ([1; 16], 4, 2, 3));
    body
}

fn order() -> v1::NewOrder {
    v1::NewOrder {
        order_id: 1,
        instrument_id: 2,
        side: v1::Side::Sell as i32,
        kind: v1::OrderKind::Market as i32,
        tif: v1::TimeInForce::Fok as i32,
        post_only: true,
        price_ticks: 3,
        qty_lots: 4,
        budget_ticklots: 5,
        owner_ref: 6,
        stp_group: 7,
        stp: v1::StpMode::CancelTaker as i32,
        expire_at_ms: 8,
        account_id: 9,
        reduce_only: false,
    }
}

#[test]
fn an_order_is_taken_as_it_was_sent() {
    let expected = NewOrder {
        order_id: 1,
        account_id: 9,
        instrument_id: 2,
        side: countersign_venue::command::Side::Sell,
        kind: Kind::Market,
        tif: Tif::Fok,
        post_only: true,
        price: 3,
        qty: 4,
        budget: 5,
        owner_ref: 6,
        stp_group: 7,
        stp: Stp::CancelTaker,
        expire_at_ms: 8,
    };
    assert_eq!(taken(command::Body::NewOrder(order())), OrderBody::New(expected));
}

#[test]
fn what_follows_an_order_is_taken_as_it_was_sent() {
    let cancel = v1::CancelOrder { order_id: 1, account_id: 2 };
    assert_eq!(
        taken(command::Body::Cancel(cancel)),
        OrderBody::Cancel(Cancel { order_id: 1, account_id: 2 })
    );
    let amend = v1::AmendOrder {
        order_id: 1,
        new_total_qty_lots: 2,
        new_price_ticks: 3,
        cancel_on_fail: true,
        account_id: 4,
    };
    let expected = Amend { order_id: 1, account_id: 4, total_qty: 2, price: 3, cancel_on_fail: true };
    assert_eq!(taken(command::Body::Amend(amend)), OrderBody::Amend(expected));
    let all = v1::CancelAll { account_id: 1, owner_ref: 2, instrument_id: 3 };
    let expected = Scope { account_id: 1, owner_ref: 2, instrument_id: 3, stp_group: 0, session: 0 };
    assert_eq!(taken(command::Body::CancelAll(all)), OrderBody::CancelAll(expected));
    let after = v1::CancelAllAfter { account_id: 1, timeout_ms: 2 };
    let expected = OrderBody::CancelAllAfter { account_id: 1, timeout_ms: 2 };
    assert_eq!(taken(command::Body::CancelAllAfter(after)), expected);
}

#[test]
fn what_the_contract_leaves_open_is_refused() {
    let refused = |change: fn(&mut v1::NewOrder)| {
        let mut order = order();
        change(&mut order);
        order_command(&sent(command::Body::NewOrder(order)), 0).unwrap_err()
    };
    let changes: [fn(&mut v1::NewOrder); 9] = [
        |order| order.side = 0,
        |order| order.side = 3,
        |order| order.kind = 0,
        |order| order.kind = -1,
        |order| order.tif = 0,
        |order| order.tif = i32::MAX,
        |order| order.stp = 9,
        // Whoever names a group says what is to happen in it.
        |order| order.stp = 0,
        |order| (order.stp_group, order.stp) = (0, i32::MIN),
    ];
    for change in changes {
        assert_eq!(refused(change), Code::BadCommand);
    }
    assert_eq!(refused(|order| order.reduce_only = true), Code::Unsupported);
    let alone = v1::NewOrder { stp_group: 0, stp: 0, ..order() };
    assert!(order_command(&sent(command::Body::NewOrder(alone)), 0).is_ok());
    let empty = v1::Command { body: None, ..sent(command::Body::Cancel(v1::CancelOrder::default())) };
    assert_eq!(order_command(&empty, 0), Err(Code::BadCommand));
    for length in [0, 15, 17] {
        let command_id = vec![1; length].into();
        let named = v1::Command { command_id, ..sent(command::Body::NewOrder(order())) };
        assert_eq!(order_command(&named, 0), Err(Code::BadCommand), "{length} bytes");
    }
    for number in [0, 8, -1] {
        assert_eq!(state(number), Err(Code::BadCommand));
    }
    let unspecified = v1::InstrumentSpec::default();
    assert_eq!(instrument_spec(unspecified), Err(Code::BadCommand));
}

#[test]
fn a_transfer_and_a_reference_are_taken_as_they_were_sent() {
    let sent = v1::Transfer {
        transfer_id: vec![1; 16],
        account_id: 2,
        asset_id: 3,
        into_venue: true,
        units_hi: 4,
        units_lo: 5,
    };
    let expected =
        Transfer { transfer_id: [1; 16], account_id: 2, asset_id: 3, into_venue: true, units: 4 << 64 | 5 };
    assert_eq!(transfer(&sent), Ok(Command::Transfer(expected)));
    let unnamed = v1::Transfer { transfer_id: vec![1; 15], ..sent };
    assert_eq!(transfer(&unnamed), Err(Code::BadCommand));
    let mut filled = [0; 16];
    filled[..3].copy_from_slice(b"ana");
    assert_eq!(reference(b"ana"), Ok(filled));
    assert_eq!((reference(&[1; 16]), reference(&[1; 17])), (Ok([1; 16]), Err(Code::BadCommand)));
}
