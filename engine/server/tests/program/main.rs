//! The program ... (each test's name finishes the sentence): the real binary, real sockets, real kills.

mod asking;
mod auctions;
mod confirming;
mod crowds;
mod figures;
mod former;
mod hostile;
mod identities;
mod keeping;
mod kills;
#[path = "../known_faults.rs"]
mod known_faults;
mod logic;
mod pouring;
#[path = "../process/mod.rs"]
mod process;
mod restoring;
mod sessions;
mod slow;
mod takeover;
mod transfers;
mod verifying;

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::market_data_client::MarketDataClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    BalancesRequest, BookFrame, BookRequest, CancelOrder, ClientFrame, CommandBatch, DrainRequest, Empty,
    Event, Hello, OpenOrder, OpenOrdersRequest, PublicTrade, QueryCommandRequest, ResultCode, ResumeRequest,
    Side, SubscribeRequest, TradesRequest, client_frame, command, event,
};
use process::{Ids, Process, TIA, TOM, limit};
use tokio_stream::wrappers::ReceiverStream;

/// Every event from there on that was caused by what has been acknowledged so far: events are told some time after.
async fn events(process: &Process, from_event_seq: u64) -> Vec<Event> {
    let mut state = EventFeedClient::new(process.orders().await);
    let mut balances = state.get_balances(BalancesRequest::default()).await.unwrap().into_inner();
    let reached = balances.message().await.unwrap().unwrap().event_seq;
    let mut feed = EventFeedClient::new(process.transfers().await);
    let request = SubscribeRequest { from_event_seq, heartbeat_ms: 20, ..SubscribeRequest::default() };
    let mut stream = feed.subscribe(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    while from_event_seq + (events.len() as u64) <= reached {
        let batch = stream.message().await.unwrap().unwrap();
        assert_eq!(batch.first_event_seq, from_event_seq + events.len() as u64);
        events.extend(batch.events);
    }
    events
}

async fn balances(process: &Process) -> BTreeMap<(u64, u32), (u64, u64)> {
    let mut feed = EventFeedClient::new(process.orders().await);
    let mut stream = feed.get_balances(BalancesRequest::default()).await.unwrap().into_inner();
    let mut balances = BTreeMap::new();
    while let Some(chunk) = stream.message().await.unwrap() {
        for balance in chunk.balances {
            let (available, held) = (balance.available.unwrap(), balance.held.unwrap());
            balances.insert((balance.account_id, available.asset_id), (available.units_lo, held.units_lo));
        }
    }
    balances
}

#[tokio::test]
async fn answers_a_retry_across_a_restart_with_the_first_outcome() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let batch = CommandBatch { commands: vec![limit(ids.next(), 1, TOM, Side::Sell, 100, 5)] };
    let mut orders = OrderEntryClient::new(process.orders().await);
    let first = orders.submit_batch(batch.clone()).await.unwrap().into_inner();
    process.kill();
    process.start(&[]).await;
    let mut orders = OrderEntryClient::new(process.orders().await);
    let again = orders.submit_batch(batch.clone()).await.unwrap().into_inner();
    assert!(again.epoch > first.epoch);
    // Whoever reads hears of which leader it is, and where that one is.
    let status = process::admin_client(process.admin().await).status(Empty {}).await.unwrap().into_inner();
    let told = (again.epoch, status.engine_seq, status.event_seq);
    let mut feed = EventFeedClient::new(process.orders().await);
    let mut stream = feed.get_open_orders(OpenOrdersRequest::default()).await.unwrap().into_inner();
    let chunk = stream.message().await.unwrap().unwrap();
    assert_eq!((chunk.epoch, chunk.engine_seq, chunk.event_seq), told);
    let mut stream = feed.get_balances(BalancesRequest::default()).await.unwrap().into_inner();
    let chunk = stream.message().await.unwrap().unwrap();
    assert_eq!((chunk.epoch, chunk.engine_seq, chunk.event_seq), told);
    let request = SubscribeRequest { from_event_seq: 1, ..SubscribeRequest::default() };
    let mut stream = feed.subscribe(request).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().epoch, again.epoch);
    assert!(again.results[0].duplicate);
    assert_eq!(again.results[0].engine_seq, first.results[0].engine_seq);
    let query = QueryCommandRequest { command_id: batch.commands[0].command_id.to_vec() };
    assert_eq!(orders.query_command(query).await.unwrap().into_inner().code(), ResultCode::Ok);
    let unknown = QueryCommandRequest { command_id: ids.next() };
    let unknown = orders.query_command(unknown).await.unwrap().into_inner();
    assert_eq!(unknown.code(), ResultCode::UnknownCommand);
}

#[tokio::test]
async fn refuses_orders_while_it_drains_and_takes_them_again_after() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let mut admin = process::admin_client(process.admin().await);
    let mut orders = OrderEntryClient::new(process.orders().await);
    let drained = admin.drain(DrainRequest::default()).await.unwrap().into_inner();
    assert_eq!(drained.state_hash.len(), 32);
    let batch = CommandBatch { commands: vec![limit(ids.next(), 1, TOM, Side::Sell, 100, 5)] };
    let refused = orders.submit_batch(batch.clone()).await.unwrap().into_inner();
    assert_eq!(refused.results[0].code(), ResultCode::Draining);
    assert_eq!(refused.results[0].command_id, batch.commands[0].command_id);
    admin.resume(ResumeRequest::default()).await.unwrap();
    let taken = orders.submit_batch(batch).await.unwrap().into_inner();
    assert_eq!(taken.results[0].code(), ResultCode::Ok);
}

#[tokio::test]
async fn cancels_the_orders_of_a_session_that_ends_if_it_asked_for_that() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let mut orders = OrderEntryClient::new(process.orders().await);
    let (sender, frames) = tokio::sync::mpsc::channel(4);
    let hello = Hello {
        protocol_version: 1,
        session_id: ids.next(),
        next_session_seq: 1,
        cancel_on_disconnect: true,
    };
    sender.send(ClientFrame { frame: Some(client_frame::Frame::Hello(hello)) }).await.unwrap();
    let mut answers = orders.session(ReceiverStream::new(frames)).await.unwrap().into_inner();
    answers.message().await.unwrap();
    let mut command = limit(ids.next(), 1, TOM, Side::Sell, 100, 5);
    command.session_seq = 1;
    let batch = CommandBatch { commands: vec![command] };
    sender.send(ClientFrame { frame: Some(client_frame::Frame::Batch(batch)) }).await.unwrap();
    answers.message().await.unwrap();
    let count = async |process: &Process| {
        let mut feed = EventFeedClient::new(process.orders().await);
        let mut open = feed.get_open_orders(OpenOrdersRequest::default()).await.unwrap().into_inner();
        open.message().await.unwrap().unwrap().orders.len()
    };
    assert_eq!(count(&process).await, 1);
    drop(sender);
    for _ in 0..6_000 {
        if count(&process).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the order still rests");
}

/// A client's own book: a snapshot, then deltas on top of it.
#[derive(Default)]
struct Mirror {
    bids: BTreeMap<i64, (u64, u32)>,
    asks: BTreeMap<i64, (u64, u32)>,
    book_seq: u64,
}

impl Mirror {
    fn apply(&mut self, frame: &BookFrame) {
        if frame.snapshot {
            *self = Mirror::default();
        } else {
            assert_eq!(frame.prev_book_seq, self.book_seq, "frames are chained");
        }
        self.book_seq = frame.book_seq;
        for (half, levels) in [(&mut self.bids, &frame.bids), (&mut self.asks, &frame.asks)] {
            for level in levels {
                if level.qty_lots == 0 {
                    half.remove(&level.price_ticks);
                } else {
                    half.insert(level.price_ticks, (level.qty_lots, level.orders));
                }
            }
        }
    }

    fn of(orders: &[OpenOrder]) -> Mirror {
        let mut mirror = Mirror::default();
        for order in orders {
            let half = if order.side() == Side::Buy { &mut mirror.bids } else { &mut mirror.asks };
            let level = half.entry(order.price_ticks).or_default();
            level.0 += order.leaves_lots;
            level.1 += 1;
        }
        mirror
    }
}

#[tokio::test]
async fn tells_a_book_as_a_snapshot_and_deltas_that_lead_to_the_same_book() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let mut orders = OrderEntryClient::new(process.orders().await);
    let mut data = MarketDataClient::new(process.orders().await);
    let trades = TradesRequest { instrument_id: 1, from_event_seq: 1 };
    let mut trades = data.subscribe_trades(trades).await.unwrap().into_inner();
    let mut frames = None;
    for round in 0..30u64 {
        let mut commands: Vec<_> = (1..=40u64)
            .map(|at| {
                let order_id = round * 100 + at;
                let (account, side) = if order_id % 3 == 0 { (TOM, Side::Sell) } else { (TIA, Side::Buy) };
                let price = 1_000 + (order_id * 7 % 13) as i64 + if order_id % 3 == 0 { 4 } else { 0 };
                limit(ids.next(), order_id, account, side, price, 1 + order_id % 5)
            })
            .collect();
        for order_id in (round * 100 + 1..round * 100 + 40).step_by(5) {
            let mut command = limit(ids.next(), 1, TOM, Side::Buy, 1, 1);
            let account_id = if order_id % 3 == 0 { TOM } else { TIA };
            command.body = Some(command::Body::Cancel(CancelOrder { order_id, account_id }));
            commands.push(command);
        }
        orders.submit_batch(CommandBatch { commands }).await.unwrap();
        if round == 9 {
            // Nobody follows it yet, and the engine itself is asked.
            let book = data.get_book(BookRequest { instrument_id: 1, depth: 1 }).await.unwrap().into_inner();
            assert!(book.snapshot && book.bids.len() <= 1 && book.asks.len() <= 1);
        }
        if round == 10 {
            let request = BookRequest { instrument_id: 1, depth: 0 };
            frames = Some(data.subscribe_book(request).await.unwrap().into_inner());
        }
    }
    let mut feed = EventFeedClient::new(process.orders().await);
    let mut open = feed.get_open_orders(OpenOrdersRequest::default()).await.unwrap().into_inner();
    let chunk = open.message().await.unwrap().unwrap();
    assert!(chunk.last);
    let truth = Mirror::of(&chunk.orders);
    let mut mirror = Mirror::default();
    let mut frames = frames.unwrap();
    let mut count = 0;
    while mirror.bids != truth.bids || mirror.asks != truth.asks {
        let frame = tokio::time::timeout(Duration::from_secs(60), frames.message()).await;
        mirror.apply(&frame.expect("the book is reached").unwrap().unwrap());
        count += 1;
    }
    assert!(count > 1, "there were deltas");
    let traded = events(&process, 1).await.into_iter().filter_map(|event| match event.body {
        Some(event::Body::Trade(trade)) => Some(PublicTrade {
            trade_id: event.event_seq,
            instrument_id: event.instrument_id,
            price_ticks: trade.price_ticks,
            qty_lots: trade.qty_lots,
            taker_side: trade.taker_side,
            engine_time_ns: event.engine_time_ns,
        }),
        _ => None,
    });
    let traded: Vec<PublicTrade> = traded.collect();
    let mut told = Vec::new();
    while told.len() < traded.len() {
        let batch = trades.message().await.unwrap().unwrap();
        assert_eq!(batch.epoch, 1);
        told.extend(batch.trades);
    }
    assert_eq!(told, traded);
    for (depth, most) in [(0, usize::MAX), (1, 1), (2, 2)] {
        let book = data.get_book(BookRequest { instrument_id: 1, depth }).await.unwrap().into_inner();
        let counts = (truth.bids.len().min(most), truth.asks.len().min(most));
        assert_eq!((book.bids.len(), book.asks.len()), counts, "{depth}");
    }
    let unlisted = BookRequest { instrument_id: 9, depth: 0 };
    assert_eq!(data.get_book(unlisted).await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(data.subscribe_book(unlisted).await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn refuses_a_journal_that_somebody_else_writes() {
    let mut process = Process::fresh();
    process.start(&["--init"]).await;
    let second = process.try_start(&[]);
    assert!(second.contains("another process writes the journal"), "{second}");
}

#[tokio::test]
async fn refuses_to_begin_without_a_journal_unless_told_to() {
    let process = Process::fresh();
    let refused = process.try_start(&[]);
    assert!(refused.contains("--init"), "{refused}");
}

/// Batches of one crossing pair after another; gives the ids.
async fn trade(process: &Process, ids: &mut Ids, from: u64, count: u64) -> Vec<Vec<u8>> {
    let mut orders = OrderEntryClient::new(process.orders().await);
    let commands: Vec<_> = (from..from + count)
        .map(|order_id| {
            let (account, side) = if order_id % 2 == 0 { (TOM, Side::Sell) } else { (TIA, Side::Buy) };
            limit(ids.next(), order_id, account, side, 1_000 + (order_id % 9) as i64, 1 + order_id / 2 % 4)
        })
        .collect();
    let sent = commands.iter().map(|command| command.command_id.to_vec()).collect();
    let results = orders.submit_batch(CommandBatch { commands }).await.unwrap().into_inner().results;
    assert!(results.iter().all(|result| result.code() == ResultCode::Ok));
    sent
}

#[tokio::test]
async fn starts_from_a_snapshot_and_replays_only_what_came_after() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    trade(&process, &mut ids, 1, 500).await;
    let mut admin = process::admin_client(process.admin().await);
    let taken = admin.take_snapshot(Empty {}).await.unwrap().into_inner();
    assert_eq!(taken.state_hash.len(), 32);
    trade(&process, &mut ids, 1_001, 100).await;
    let (known, held) = (events(&process, 1).await, balances(&process).await);
    process.kill();
    process.start(&[]).await;
    assert!(process.said.last().unwrap().contains("100 commands replayed"), "{:?}", process.said);
    let now = events(&process, 1).await;
    assert!(now[..known.len()] == known[..], "no event was told with another content");
    assert_eq!(balances(&process).await, held);

    process.kill();
    let mut bytes = std::fs::read(&taken.file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&taken.file, bytes).unwrap();
    process.start(&[]).await;
    assert!(process.said[0].contains("passed over"), "{:?}", process.said);
    assert!(events(&process, 1).await[..known.len()] == known[..]);

    process.kill();
    std::fs::remove_dir_all(process.path("journal/events")).unwrap();
    process.start(&[]).await;
    assert!(events(&process, 1).await[..known.len()] == known[..], "events do not need their archive");
    assert_eq!(balances(&process).await, held);
}
