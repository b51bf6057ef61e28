//! Faults that other engines had at a restart; each test says whose. Those of the book and the gate are in
//! `venue/tests/known_faults.rs`.
//!
//! | where it happened | what happened |
//! |---|---|
//! | exchange-core #61 #62 #64, parity #97 | resting orders were gone after a restart |
//! | exchange-core #59 #118 | a replayed journal could not be continued |
//! | ViaBTC #244 | a market was added, and after the restart every balance was gone |
//! | ViaBTC #251 #233 | the log no longer replayed after the configuration had changed |
//! | ViaBTC | acknowledged first, on disk a tenth of a second later |
//! | Peatio #2843 | a purge at the start deleted acknowledged cancels |
//! | rayforce #420 | what lay in the snapshot was applied again from the rolled log |

use std::collections::BTreeMap;

use crate::process::{self, Ids, Process, TIA, TOM, limit};
use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    BalancesRequest, CancelOrder, Command, CommandBatch, CommandResult, Empty, Event, InstrumentKind,
    InstrumentSpec, OpenOrdersRequest, PutInstrumentRequest, QueryCommandRequest, ResultCode,
    SetAccountFeesRequest, SetPriceBandRequest, Side, SubscribeRequest, command,
};

async fn submit(process: &Process, commands: Vec<Command>) -> Vec<CommandResult> {
    let mut orders = OrderEntryClient::new(process.orders().await);
    orders.submit_batch(CommandBatch { commands }).await.unwrap().into_inner().results
}

async fn events(process: &Process) -> Vec<Event> {
    let mut state = EventFeedClient::new(process.orders().await);
    let mut balances = state.get_balances(BalancesRequest::default()).await.unwrap().into_inner();
    let reached = balances.message().await.unwrap().unwrap().event_seq;
    let mut feed = EventFeedClient::new(process.transfers().await);
    let request = SubscribeRequest { from_event_seq: 1, ..SubscribeRequest::default() };
    let mut stream = feed.subscribe(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    while (events.len() as u64) < reached {
        events.extend(stream.message().await.unwrap().unwrap().events);
    }
    events
}

type Balances = BTreeMap<(u64, u32), (u64, u64)>;

/// Resting orders in queue order, and every balance.
async fn standing(process: &Process) -> (Vec<(u64, i64, u64)>, Balances) {
    let mut feed = EventFeedClient::new(process.orders().await);
    let mut chunks = feed.get_open_orders(OpenOrdersRequest::default()).await.unwrap().into_inner();
    let mut orders = Vec::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        orders
            .extend(chunk.orders.iter().map(|order| (order.order_id, order.price_ticks, order.leaves_lots)));
    }
    let mut chunks = feed.get_balances(BalancesRequest::default()).await.unwrap().into_inner();
    let mut balances = Balances::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        for balance in chunk.balances {
            let (available, held) = (balance.available.unwrap(), balance.held.unwrap());
            balances.insert((balance.account_id, available.asset_id), (available.units_lo, held.units_lo));
        }
    }
    (orders, balances)
}

async fn restart(process: &mut Process) {
    process.kill();
    process.start(&[]).await;
}

fn second_market() -> InstrumentSpec {
    InstrumentSpec {
        instrument_id: 2,
        kind: InstrumentKind::Spot as i32,
        symbol: "BTC-USDT-2".into(),
        base_asset_id: 1,
        quote_asset_id: 2,
        base_units_per_lot: 10,
        quote_units_per_ticklot: 1,
        min_price_ticks: 1,
        max_price_ticks: 1_000,
        min_qty_lots: 1,
        max_qty_lots: 1_000,
        ..InstrumentSpec::default()
    }
}

#[tokio::test]
async fn exchange_core_61_parity_97_orders_rest_in_their_places_after_a_restart_and_the_journal_goes_on() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let mut made = Vec::new();
    for order_id in 1..=9u64 {
        made.push(limit(ids.next(), order_id, TOM, Side::Sell, 100 + (order_id % 3) as i64, 5));
    }
    made.push(limit(ids.next(), 10, TIA, Side::Buy, 101, 12));
    submit(&process, made).await;
    let before = standing(&process).await;
    assert_eq!(before.0.len(), 7);
    // exchange-core #59 #118: what was replayed must be continued, and then be replayed again.
    for order_id in 11..=13u64 {
        restart(&mut process).await;
        let results = submit(&process, vec![limit(ids.next(), order_id, TOM, Side::Sell, 200, 5)]).await;
        assert_eq!(results[0].code(), ResultCode::Ok);
    }
    restart(&mut process).await;
    let (mut orders, _) = standing(&process).await;
    let added: Vec<u64> = orders.split_off(before.0.len()).iter().map(|order| order.0).collect();
    assert_eq!((orders, added), (before.0, vec![11, 12, 13]));
}

#[tokio::test]
async fn viabtc_244_251_233_a_changed_configuration_is_part_of_the_journal() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let mut admin = process::admin_client(process.admin().await);
    submit(&process, vec![limit(ids.next(), 1, TOM, Side::Sell, 100, 5)]).await;
    let put = PutInstrumentRequest { instrument: Some(second_market()), reference: vec![] };
    assert_eq!(admin.put_instrument(put).await.unwrap().get_ref().code(), ResultCode::Ok);
    let fees =
        SetAccountFeesRequest { account_id: TIA, taker_fee_ppm: 5, ..SetAccountFeesRequest::default() };
    admin.set_account_fees(fees).await.unwrap();
    let band =
        SetPriceBandRequest { instrument_id: 1, price_band_ppm: 90_000, ..SetPriceBandRequest::default() };
    admin.set_price_band(band).await.unwrap();
    submit(&process, vec![limit(ids.next(), 2, TIA, Side::Buy, 100, 3)]).await;
    let (known, before) = (events(&process).await, standing(&process).await);
    assert!(before.1.values().all(|&(available, held)| available + held > 0));
    restart(&mut process).await;
    assert_eq!(standing(&process).await, before);
    assert!(events(&process).await[..known.len()] == known[..]);
    // And from the journal alone, without the archive of events.
    process.kill();
    std::fs::remove_dir_all(process.path("journal/events")).unwrap();
    process.start(&[]).await;
    assert_eq!(standing(&process).await, before);
    assert!(events(&process).await[..known.len()] == known[..]);
}

#[tokio::test]
async fn viabtc_244_a_journal_whose_segments_are_gone_is_not_begun_anew() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    for entry in std::fs::read_dir(process.path("journal")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            std::fs::remove_file(path).unwrap();
        }
    }
    for options in [&[][..], &["--init"]] {
        let said = process.try_start(options);
        assert!(said.contains("an empty start would lose every balance"), "{said}");
    }
}

#[tokio::test]
async fn viabtc_acknowledged_means_on_disk_at_that_moment() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    for order_id in 1..=5u64 {
        let order = limit(ids.next(), order_id, TOM, Side::Sell, 100, 5);
        let command_id = order.command_id.to_vec();
        let first = submit(&process, vec![order]).await.remove(0);
        restart(&mut process).await;
        let mut orders = OrderEntryClient::new(process.orders().await);
        let told = orders.query_command(QueryCommandRequest { command_id }).await.unwrap().into_inner();
        assert_eq!((told.code(), told.engine_seq), (ResultCode::Ok, first.engine_seq));
    }
    assert_eq!(standing(&process).await.0.len(), 5);
}

#[tokio::test]
async fn peatio_2843_an_acknowledged_cancel_stays_cancelled_after_a_restart() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    submit(&process, vec![limit(ids.next(), 1, TOM, Side::Sell, 100, 5)]).await;
    let mut cancel = limit(ids.next(), 1, TOM, Side::Sell, 100, 5);
    cancel.body = Some(command::Body::Cancel(CancelOrder { order_id: 1, account_id: TOM }));
    assert_eq!(submit(&process, vec![cancel.clone()]).await[0].code(), ResultCode::Ok);
    restart(&mut process).await;
    let (orders, balances) = standing(&process).await;
    assert!(orders.is_empty());
    assert!(balances.values().all(|&(_, held)| held == 0));
    let again = submit(&process, vec![cancel]).await.remove(0);
    assert_eq!((again.code(), again.duplicate), (ResultCode::Ok, true));
}

#[tokio::test]
async fn rayforce_420_nothing_counts_twice_after_a_snapshot_and_a_rolled_segment() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let segments = |process: &Process| {
        let entries = std::fs::read_dir(process.path("journal")).unwrap();
        let of_journal = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".seg");
        entries.map(|entry| entry.unwrap().file_name()).filter(of_journal).count()
    };
    let mut next = 1u64;
    let mut snapshots = 0;
    let began = segments(&process);
    while segments(&process) == began {
        // Most of them trade: an account may not have so many that rest.
        let order = |id: u64| match id.is_multiple_of(2) || id % 16 == 1 {
            true => limit(ids.next(), id, TOM, Side::Sell, 100, 1),
            false => limit(ids.next(), id, TIA, Side::Buy, 100, 1),
        };
        let made = (next..next + 512).map(order).collect();
        assert!(submit(&process, made).await.iter().all(|result| result.code() == ResultCode::Ok));
        next += 512;
        if next > 512 * (snapshots + 1) * 8 {
            snapshots += 1;
            process::admin_client(process.admin().await).take_snapshot(Empty {}).await.unwrap();
        }
    }
    process::admin_client(process.admin().await).take_snapshot(Empty {}).await.unwrap();
    submit(&process, vec![limit(ids.next(), next, TIA, Side::Buy, 100, 3)]).await;
    let before = standing(&process).await;
    for _ in 0..2 {
        restart(&mut process).await;
        assert_eq!(standing(&process).await, before);
    }
}

/// One venue dies and is rebuilt from its journal; the other takes orders all the while and notices nothing.
#[tokio::test]
async fn a_venue_can_be_killed_and_rebuilt_while_another_goes_on() {
    let (mut one, mut other) = (Process::fresh(), Process::fresh());
    one.list_and_fund().await;
    other.list_and_fund().await;
    let mut ids = Ids;
    submit(&one, vec![limit(ids.next(), 1, TOM, Side::Sell, 100, 5)]).await;
    submit(&other, vec![limit(ids.next(), 1, TOM, Side::Sell, 200, 7)]).await;
    let before = standing(&one).await;
    one.kill();
    let results = submit(&other, vec![limit(ids.next(), 2, TIA, Side::Buy, 200, 7)]).await;
    assert_eq!(results[0].filled_lots, 7);
    std::fs::remove_dir_all(one.path("journal/events")).unwrap();
    one.start(&[]).await;
    assert_eq!(standing(&one).await, before);
    assert!(standing(&other).await.0.is_empty());
    assert_ne!(standing(&one).await.1, standing(&other).await.1);
}
