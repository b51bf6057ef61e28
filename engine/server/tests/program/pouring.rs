//! Readers who come and go while orders pour in from somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::market_data_client::MarketDataClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    BookFrame, BookRequest, CancelOrder, Command, CommandBatch, Event, InstrumentKind, InstrumentSpec,
    InstrumentState, OpenOrdersRequest, PublicTrade, PutInstrumentRequest, SetInstrumentStateRequest, Side,
    SubscribeRequest, TradesRequest, command, event,
};
use tonic::transport::Channel;

use crate::process::{self, Ids, Process, TIA, TOM, limit};
use crate::{Mirror, events};

/// As long as orders pour in.
const POURING: Duration = Duration::from_millis(700);
const MARKETS: [u32; 2] = [1, 2];

/// Orders at a few prices of both markets, every second of them cancelled again; until it is told to stop.
async fn pour(channel: Channel, stop: Arc<AtomicBool>) {
    let (mut ids, mut orders) = (Ids, OrderEntryClient::new(channel));
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut commands: Vec<Command> = Vec::new();
        for order_id in round * 20 + 1..=round * 20 + 20 {
            let (account, side) = if order_id % 3 == 0 { (TOM, Side::Sell) } else { (TIA, Side::Buy) };
            let price = 1_000 + (order_id * 7 % 13) as i64 + if order_id % 3 == 0 { 4 } else { 0 };
            let mut entered = limit(ids.next(), order_id, account, side, price, 1 + order_id % 5);
            if let Some(command::Body::NewOrder(order)) = &mut entered.body {
                order.instrument_id = MARKETS[(order_id / 7 % 2) as usize];
            }
            commands.push(entered);
            if order_id % 2 == 0 {
                let mut gone = limit(ids.next(), 1, TOM, Side::Buy, 1, 1);
                gone.body = Some(command::Body::Cancel(CancelOrder { order_id, account_id: account }));
                commands.push(gone);
            }
        }
        orders.submit_batch(CommandBatch { commands }).await.unwrap();
    }
}

/// Follows a book again and again from its snapshot; gives each snapshot, with what was told until the next.
async fn read_books(
    channel: Channel,
    stop: Arc<AtomicBool>,
    instrument_id: u32,
    depth: u32,
) -> Vec<Vec<BookFrame>> {
    let mut data = MarketDataClient::new(channel);
    let mut read = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let request = BookRequest { instrument_id, depth };
        let mut stream = data.subscribe_book(request).await.unwrap().into_inner();
        let mut frames = Vec::new();
        while frames.len() < 1 + read.len() % 9 && !stop.load(Ordering::Relaxed) {
            match tokio::time::timeout(Duration::from_millis(200), stream.message()).await {
                Ok(frame) => frames.push(frame.unwrap().expect("it goes on")),
                Err(_) => break,
            }
        }
        read.push(frames);
    }
    read
}

/// Reads trades again and again, each time those that happen from then on, or from the one after the last.
async fn read_trades(channel: Channel, stop: Arc<AtomicBool>, resumes: bool) -> Vec<Vec<PublicTrade>> {
    let mut data = MarketDataClient::new(channel);
    let (mut read, mut next) = (Vec::new(), 1);
    while !stop.load(Ordering::Relaxed) {
        let request =
            TradesRequest { instrument_id: MARKETS[1], from_event_seq: if resumes { next } else { 0 } };
        let mut stream = data.subscribe_trades(request).await.unwrap().into_inner();
        let mut trades: Vec<PublicTrade> = Vec::new();
        for _ in 0..1 + read.len() % 4 {
            match tokio::time::timeout(Duration::from_millis(200), stream.message()).await {
                Ok(batch) => trades.extend(batch.unwrap().expect("it goes on").trades),
                Err(_) => break,
            }
        }
        next = trades.last().map_or(next, |last| last.trade_id + 1);
        read.push(trades);
    }
    read
}

/// Reads events again and again, each time from the one after the last.
async fn read_events(channel: Channel, stop: Arc<AtomicBool>) -> Vec<Event> {
    let mut feed = EventFeedClient::new(channel);
    let mut read: Vec<Event> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let from_event_seq = read.len() as u64 + 1;
        let request = SubscribeRequest { from_event_seq, heartbeat_ms: 20, ..SubscribeRequest::default() };
        let mut stream = feed.subscribe(request).await.unwrap().into_inner();
        for _ in 0..1 + read.len() % 5 {
            read.extend(stream.message().await.unwrap().expect("it goes on").events);
        }
    }
    read
}

async fn list_second(process: &Process) {
    let mut admin = process::admin_client(process.admin().await);
    let [_, instrument_id] = MARKETS;
    let instrument = InstrumentSpec {
        instrument_id,
        kind: InstrumentKind::Spot as i32,
        symbol: "BTC-USDT-2".into(),
        base_asset_id: 1,
        quote_asset_id: 2,
        base_units_per_lot: 1_000,
        quote_units_per_ticklot: 1,
        min_price_ticks: 1,
        max_price_ticks: 1_000_000,
        min_qty_lots: 1,
        max_qty_lots: 1_000_000,
        ..InstrumentSpec::default()
    };
    let listed = PutInstrumentRequest { instrument: Some(instrument), reference: vec![] };
    admin.put_instrument(listed).await.unwrap();
    let state = InstrumentState::Open as i32;
    let open = SetInstrumentStateRequest { instrument_id, state, ..SetInstrumentStateRequest::default() };
    admin.set_instrument_state(open).await.unwrap();
}

/// Of a market, from `first` to `last`.
fn traded(events: &[Event], instrument_id: u32, first: u64, last: u64) -> Vec<u64> {
    let of = |event: &&Event| {
        event.instrument_id == instrument_id && matches!(event.body, Some(event::Body::Trade(_)))
    };
    let seqs = events.iter().filter(of).map(|event| event.event_seq);
    seqs.filter(|seq| (first..=last).contains(seq)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_readers_who_come_and_go_each_change_once_while_orders_pour_in() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    list_second(&process).await;
    let stop = Arc::new(AtomicBool::new(false));
    let pouring = tokio::spawn(pour(process.orders().await, Arc::clone(&stop)));
    let mut books = Vec::new();
    for (instrument_id, depth) in [(1, 0), (2, 2)] {
        let reading = read_books(process.orders().await, Arc::clone(&stop), instrument_id, depth);
        books.push((instrument_id, depth as usize, tokio::spawn(reading)));
    }
    let mut trades = Vec::new();
    for resumes in [false, true] {
        let reading = read_trades(process.orders().await, Arc::clone(&stop), resumes);
        trades.push((resumes, tokio::spawn(reading)));
    }
    let reading = tokio::spawn(read_events(process.transfers().await, Arc::clone(&stop)));
    // One that stays from beginning to end.
    let mut data = MarketDataClient::new(process.orders().await);
    let mut steady =
        data.subscribe_book(BookRequest { instrument_id: 1, depth: 0 }).await.unwrap().into_inner();
    tokio::time::sleep(POURING).await;
    stop.store(true, Ordering::Relaxed);
    pouring.await.unwrap();

    let told = events(&process, 1).await;
    let read = reading.await.unwrap();
    assert!(!read.is_empty() && told.starts_with(&read), "the event stream has a gap, or something twice");
    let mut feed = EventFeedClient::new(process.orders().await);
    let request = OpenOrdersRequest { instrument_id: 1, ..OpenOrdersRequest::default() };
    let (mut open, mut resting) = (feed.get_open_orders(request).await.unwrap().into_inner(), Vec::new());
    while let Some(chunk) = open.message().await.unwrap() {
        resting.extend(chunk.orders);
    }
    // Whoever joins on the way has, at each of its frames, what whoever stays has there.
    let (truth, mut mirror) = (Mirror::of(&resting), Mirror::default());
    let mut at = std::collections::BTreeMap::new();
    while mirror.bids != truth.bids || mirror.asks != truth.asks {
        let frame = tokio::time::timeout(Duration::from_secs(30), steady.message()).await;
        mirror.apply(&frame.expect("the book is reached").unwrap().unwrap());
        at.insert(mirror.book_seq, (mirror.bids.clone(), mirror.asks.clone()));
    }
    for (instrument_id, depth, reading) in books {
        let (mut joined, mut compared) = (0, 0);
        for frames in reading.await.unwrap() {
            let mut mirror = Mirror::default();
            for (place, frame) in frames.iter().enumerate() {
                assert_eq!((frame.instrument_id, frame.snapshot), (instrument_id, place == 0));
                mirror.apply(frame);
                if depth == 0 {
                    let known = at.get(&mirror.book_seq);
                    assert!(known.is_none_or(|known| *known == (mirror.bids.clone(), mirror.asks.clone())));
                    compared += usize::from(known.is_some());
                } else if place == 0 {
                    assert!(frame.bids.len() <= depth && frame.asks.len() <= depth);
                }
            }
            joined += usize::from(frames.len() > 1);
        }
        assert!(
            joined > 0 && (depth > 0 || compared > 0),
            "{joined} joined, {compared} frames were compared"
        );
    }
    for (resumes, reading) in trades {
        let read = reading.await.unwrap();
        let seqs = |trades: &[PublicTrade]| trades.iter().map(|trade| trade.trade_id).collect::<Vec<_>>();
        let each: Vec<Vec<u64>> = read.iter().map(|trades| seqs(trades)).collect();
        let whole = if resumes { vec![each.concat()] } else { each };
        for seqs in whole.iter().filter(|seqs| !seqs.is_empty()) {
            let first = if resumes { 1 } else { seqs[0] };
            assert_eq!(*seqs, traded(&told, MARKETS[1], first, seqs[seqs.len() - 1]));
        }
        assert!(!whole.concat().is_empty(), "trades were read");
        // Whoever asks for those from then on hears none from before, so none twice.
        assert!(whole.concat().is_sorted_by(|one, next| one < next));
    }
}
