//! Who does not read waits by itself: the engine keeps little for it, others go on, and nothing that was promised is lost.

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::market_data_client::MarketDataClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    BookFrame, BookRequest, CancelOrder, ClientFrame, Command, CommandBatch, EventBatch, Hello,
    OpenOrdersRequest, ResultCode, ServerFrame, Side, SubscribeRequest, TradeBatch, TradesRequest,
    client_frame, command, server_frame,
};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::process::{self, Ids, Process, TIA, TOM, limit};

/// Readers of each kind, each on a connection of its own.
const READERS: usize = 6;
/// Rounds of [`busy`] while they do not read.
const ROUNDS: u64 = 40;
/// What all of them together may cost, far below what they were not told by then.
const ALLOWED: u64 = 32 << 20;
const WINDOW: u32 = 65_535;
/// Commands of a session under way, as the engine allows.
const IN_FLIGHT_MAX: u64 = 32_768;

/// A connection that takes in little of what nobody reads.
async fn narrow(process: &Process, name: &str) -> Channel {
    let endpoint = Endpoint::try_from(format!("unix://{}", process.path(name).display())).unwrap();
    let endpoint = endpoint.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    endpoint.connect().await.unwrap()
}

fn cancel(order_id: u64, account_id: u64) -> Command {
    let mut cancel = limit(Ids.next(), order_id, account_id, Side::Buy, 1, 1);
    cancel.body = Some(command::Body::Cancel(CancelOrder { order_id, account_id }));
    cancel
}

/// Orders that rest, trade or are cancelled: some 1,500 events a round.
async fn busy(process: &Process, rounds: std::ops::Range<u64>) {
    let mut orders = OrderEntryClient::new(process.orders().await);
    for round in rounds {
        let at = |index: u64| 1 + round * 1_000 + index;
        let mut commands = Vec::new();
        for index in 0..200 {
            commands.push(limit(Ids.next(), at(2 * index), TOM, Side::Sell, 1_000, 5));
            commands.push(limit(Ids.next(), at(2 * index + 1), TIA, Side::Buy, 1_000, 3));
            commands.push(cancel(at(2 * index), TOM));
        }
        let told = orders.submit_batch(CommandBatch { commands }).await.unwrap().into_inner();
        assert!(
            told.results.iter().all(|result| result.code() == ResultCode::Ok),
            "nobody else is kept waiting"
        );
    }
}

/// Streams that were opened and of which nothing more is read.
struct Readers {
    events: Vec<Streaming<EventBatch>>,
    trades: Vec<Streaming<TradeBatch>>,
    books: Vec<Streaming<BookFrame>>,
}

impl Readers {
    async fn open(process: &Process) -> Readers {
        let mut readers = Readers { events: Vec::new(), trades: Vec::new(), books: Vec::new() };
        for _ in 0..READERS {
            let mut feed = EventFeedClient::new(narrow(process, "transfers.sock").await);
            let request = SubscribeRequest { from_event_seq: 1, ..SubscribeRequest::default() };
            readers.events.push(feed.subscribe(request).await.unwrap().into_inner());
            let mut data = MarketDataClient::new(narrow(process, "orders.sock").await);
            let request = TradesRequest { instrument_id: 1, from_event_seq: 1 };
            readers.trades.push(data.subscribe_trades(request).await.unwrap().into_inner());
            let mut data = MarketDataClient::new(narrow(process, "orders.sock").await);
            let request = BookRequest { instrument_id: 1, depth: 0 };
            let mut book = data.subscribe_book(request).await.unwrap().into_inner();
            book.message().await.unwrap().unwrap();
            readers.books.push(book);
        }
        readers
    }
}

#[tokio::test]
async fn keeps_little_for_readers_that_do_not_read_and_leaves_out_nothing_for_them() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    // What the venue itself grows by: outcomes that are remembered, and events' places.
    busy(&process, 0..ROUNDS).await;
    let began = process.resident();
    busy(&process, ROUNDS..2 * ROUNDS).await;
    let own = process.resident().saturating_sub(began);
    let readers = Readers::open(&process).await;
    let began = process.resident();
    busy(&process, 2 * ROUNDS..3 * ROUNDS).await;
    let grown = at_rest(&process).await.saturating_sub(began);
    println!("grown by {} KiB, {} KiB without readers", grown >> 10, own >> 10);
    assert!(grown < own + ALLOWED, "{grown} bytes for those who do not read, and {own} without them");

    let mut admin = process::admin_client(process.admin().await);
    let newest = admin.status(countersign_wire::v1::Empty {}).await.unwrap().into_inner().event_seq;
    for mut events in readers.events {
        let mut next = 1;
        while next <= newest {
            let batch = events.message().await.unwrap().unwrap();
            assert_eq!(batch.first_event_seq, next, "no event is left out");
            next += batch.events.len() as u64;
        }
    }
    for mut trades in readers.trades {
        let mut told = 0;
        while told < 3 * ROUNDS * 200 {
            told += trades.message().await.unwrap().unwrap().trades.len() as u64;
        }
    }
    drop(readers.books);
}

/// What it holds once it has told its readers as much as it will: it grows no more.
async fn at_rest(process: &Process) -> u64 {
    let (mut most, mut same) = (0, 0);
    while same < 25 {
        let now = process.resident();
        same = if now > most + (1 << 20) { 0 } else { same + 1 };
        most = most.max(now);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    most
}

async fn session(process: &Process) -> (Sender<ClientFrame>, Streaming<ServerFrame>) {
    let mut orders = OrderEntryClient::new(narrow(process, "orders.sock").await);
    let (frames, sent) = channel(4);
    let hello = Hello {
        protocol_version: 1,
        session_id: Ids.next(),
        next_session_seq: 1,
        cancel_on_disconnect: true,
    };
    frames.send(ClientFrame { frame: Some(client_frame::Frame::Hello(hello)) }).await.unwrap();
    let answers = orders.session(ReceiverStream::new(sent)).await.unwrap().into_inner();
    (frames, answers)
}

/// One order that rests and then cancels of nothing, many more than may be under way.
async fn send(frames: Sender<ClientFrame>, count: u64) {
    for first in (1..=count).step_by(512) {
        let command = |seq| {
            let command = match seq {
                1 => limit(Ids.next(), 1, TOM, Side::Sell, 1_000, 5),
                seq => cancel(1_000_000 + seq, TOM),
            };
            Command { session_seq: seq, ..command }
        };
        let commands = (first..(first + 512).min(count + 1)).map(command).collect();
        let frame = ClientFrame { frame: Some(client_frame::Frame::Batch(CommandBatch { commands })) };
        if frames.send(frame).await.is_err() {
            return;
        }
    }
    // The stream stays open until this task is ended.
    frames.closed().await;
}

async fn applied(process: &Process) -> u64 {
    let mut admin = process::admin_client(process.admin().await);
    admin.status(countersign_wire::v1::Empty {}).await.unwrap().into_inner().engine_seq
}

/// Until the engine has stopped reading the session; gives how many commands it has applied of it.
async fn until_not_read(process: &Process, before: u64) -> u64 {
    let (mut last, mut same) = (0, 0);
    while same < 20 {
        let now = applied(process).await - before;
        same = if now == last && now >= IN_FLIGHT_MAX { same + 1 } else { 0 };
        last = now;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    last
}

#[tokio::test]
async fn does_not_read_who_does_not_read_and_answers_everything_once_it_is_read() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let before = applied(&process).await;
    let (frames, mut answers) = session(&process).await;
    let count = 2 * IN_FLIGHT_MAX;
    let sending = tokio::spawn(send(frames, count));
    let taken = until_not_read(&process, before).await;
    assert!(taken < count * 3 / 4, "{taken} commands were taken of somebody who reads no answer");
    let mut orders = OrderEntryClient::new(process.orders().await);
    let batch = CommandBatch { commands: vec![limit(Ids.next(), 7, TIA, Side::Buy, 900, 1)] };
    assert_eq!(orders.submit_batch(batch).await.unwrap().into_inner().results[0].code(), ResultCode::Ok);
    let mut answered = 0;
    while answered < count {
        let frame = answers.message().await.unwrap().unwrap();
        let Some(server_frame::Frame::Results(batch)) = frame.frame else { continue };
        for result in batch.results {
            answered += 1;
            assert_eq!(result.session_seq, answered);
        }
    }
    sending.abort();
}

#[tokio::test]
async fn keeps_its_word_to_a_session_that_leaves_without_having_read() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let before = applied(&process).await;
    let (frames, answers) = session(&process).await;
    let sending = tokio::spawn(send(frames, 2 * IN_FLIGHT_MAX));
    until_not_read(&process, before).await;
    let open = async || {
        let mut feed = EventFeedClient::new(process.orders().await);
        let mut open = feed.get_open_orders(OpenOrdersRequest::default()).await.unwrap().into_inner();
        open.message().await.unwrap().unwrap().orders.len()
    };
    assert_eq!(open().await, 1);
    sending.abort();
    drop(answers);
    for _ in 0..6_000 {
        if open().await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the order of somebody who is gone still rests");
}
