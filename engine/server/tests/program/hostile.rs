//! Clients that are broken or mean harm: each costs itself its call, and nobody else anything.

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    CancelOrder, ClientFrame, Command, CommandBatch, Empty, Hello, ResultBatch, ResultCode, ServerFrame,
    Side, SubscribeRequest, client_frame, command, server_frame,
};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::process::{self, Ids, Process, TOM, limit};

async fn session(process: &Process) -> (Sender<ClientFrame>, Streaming<ServerFrame>) {
    let mut orders = OrderEntryClient::new(process.orders().await);
    let (frames, sent) = channel(4);
    let hello = Hello {
        protocol_version: 1,
        session_id: Ids.next(),
        next_session_seq: 1,
        cancel_on_disconnect: false,
    };
    frames.send(ClientFrame { frame: Some(client_frame::Frame::Hello(hello)) }).await.unwrap();
    let answers = orders.session(ReceiverStream::new(sent)).await.unwrap().into_inner();
    (frames, answers)
}

fn batch(commands: Vec<Command>) -> ClientFrame {
    ClientFrame { frame: Some(client_frame::Frame::Batch(CommandBatch { commands })) }
}

async fn applied(process: &Process) -> u64 {
    let mut admin = process::admin_client(process.admin().await);
    admin.status(Empty {}).await.unwrap().into_inner().engine_seq
}

/// An answer names its command by an id, and waits until it is read.
#[tokio::test]
async fn keeps_of_a_frame_whose_answers_nobody_reads_nothing_but_its_ids() {
    const FRAMES: u64 = 300;
    const LARGE: usize = 900 << 10;
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let (frames, mut answers) = session(&process).await;
    let (before, began) = (applied(&process).await, process.resident());
    for seq in 1..=FRAMES {
        let mut sound = limit(Ids.next(), seq, TOM, Side::Sell, 1_000, 1);
        sound.session_seq = seq;
        sound.body = Some(command::Body::Cancel(CancelOrder { order_id: seq, account_id: TOM }));
        let swollen = Command { command_id: vec![7; LARGE].into(), ..Command::default() };
        frames.send(batch(vec![sound, swollen])).await.unwrap();
    }
    while applied(&process).await < before + FRAMES {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let grown = process.resident().saturating_sub(began);
    assert!(grown < 64 << 20, "{grown} bytes are kept of {} that were sent", FRAMES as usize * LARGE);
    let mut answered = 0;
    while answered < FRAMES {
        let Some(server_frame::Frame::Results(told)) = answers.message().await.unwrap().unwrap().frame else {
            continue;
        };
        answered += 1;
        assert_eq!((told.results[0].session_seq, told.results[0].command_id.len()), (answered, 16));
        assert_eq!(told.results[1].code(), ResultCode::BadCommand);
        assert_eq!(told.results[1].command_id[..], [7; 16], "as far as an id is long");
    }
}

#[tokio::test]
async fn takes_no_consumer_whose_name_would_fill_whatever_tells_of_it() {
    let mut process = Process::fresh();
    process.start(&["--init"]).await;
    let mut feed = EventFeedClient::new(process.orders().await);
    for name in ["x".repeat(65), "x".repeat(900 << 10), "two\nlines".into(), "\u{202E}tnemelttes".into()] {
        let request = SubscribeRequest { from_event_seq: 1, consumer: name, ..SubscribeRequest::default() };
        let refused = feed.subscribe(request).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    let mut admin = process::admin_client(process.admin().await);
    assert!(admin.status(Empty {}).await.unwrap().into_inner().consumers.is_empty());
}

/// A call of order entry whose request never comes to its end.
async fn unfinished(channel: Channel, method: &'static str) -> Status {
    let (_kept, never) = tokio::sync::mpsc::channel::<ClientFrame>(1);
    let mut calls = Grpc::new(channel);
    calls.ready().await.unwrap();
    let path = PathAndQuery::from_static(method);
    let codec = ProstCodec::<ClientFrame, ResultBatch>::default();
    let asked = calls.streaming(Request::new(ReceiverStream::new(never)), path, codec);
    match asked.await {
        Ok(told) => told.into_inner().message().await.map(drop).expect_err("it was answered"),
        Err(status) => status,
    }
}

#[tokio::test]
async fn waits_for_no_request_without_an_end() {
    let mut process = Process::fresh();
    process.start(&["--init"]).await;
    let orders = process.orders().await;
    let (silent, slow, elsewhere) = tokio::join!(
        unfinished(orders.clone(), "/exchange.engine.v1.OrderEntry/Session"),
        unfinished(orders.clone(), "/exchange.engine.v1.OrderEntry/SubmitBatch"),
        unfinished(orders.clone(), "/exchange.engine.v1.MarketData/GetBook"),
    );
    for status in [silent, slow, elsewhere] {
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
    // Whoever shares the connection has not noticed.
    let mut orders = OrderEntryClient::new(orders);
    assert!(orders.submit_batch(CommandBatch::default()).await.is_ok());
}
