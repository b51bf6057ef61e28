//! More of them than there is room for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{CommandBatch, Empty, SubscribeRequest};
use tonic::Code;

use crate::process::{self, Ids, Process};
use crate::trade;

/// A few times what the engine may open.
const CROWD: usize = 300;
const DESCRIPTORS: u32 = 128;

#[tokio::test]
async fn goes_on_while_more_connections_come_than_it_may_open_files() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    process.start_with_descriptors(DESCRIPTORS, &[]).await;
    let crowd: Vec<UnixStream> =
        (0..CROWD).map(|_| UnixStream::connect(process.path("orders.sock")).unwrap()).collect();
    process.says("turned away at orders").await;
    let mut admin = process::admin_client(process.admin().await);
    let before = admin.status(Empty {}).await.unwrap().into_inner();
    // Whoever waits outside is let in as soon as somebody has left.
    drop(crowd);
    let mut served = false;
    for _ in 0..4_000 {
        let Some(channel) = process.try_orders().await else { continue };
        served = OrderEntryClient::new(channel).submit_batch(CommandBatch::default()).await.is_ok();
        if served {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(served, "nobody is let in any more");
    let mut crowd: Vec<UnixStream> =
        (0..CROWD).map(|_| UnixStream::connect(process.path("transfers.sock")).unwrap()).collect();
    assert_eq!(crowd[CROWD - 1].read(&mut [0]).unwrap(), 0, "it is turned away and not kept waiting");
    // So much that the journal must open files on the way.
    for round in 0..14 {
        trade(&process, &mut Ids, 1 + round * 4_000, 4_000).await;
    }
    let after = admin.status(Empty {}).await.unwrap().into_inner();
    assert!(after.journal_bytes - before.journal_bytes > 2 << 20, "{after:?}: no new segment was needed");
    drop(crowd);
}

/// What is asked there costs nothing, so anybody on the machine may come.
#[tokio::test]
async fn goes_on_while_more_come_for_its_figures_than_it_may_open_files() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    process.start_with_descriptors(DESCRIPTORS, &["--metrics", &address]).await;
    // Each says nothing, and is waited for.
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for round in 0..14 {
        trade(&process, &mut Ids, 1 + round * 4_000, 4_000).await;
    }
    let mut admin = process::admin_client(process.admin().await);
    assert!(admin.status(Empty {}).await.unwrap().into_inner().journal_bytes > 2 << 20);
    process.says("turned away at metrics").await;
    drop(crowd);
    for _ in 0..4_000 {
        let mut page = String::new();
        let mut stream = TcpStream::connect(&address).unwrap();
        let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
        if asked.is_ok() && stream.read_to_string(&mut page).is_ok() && !page.is_empty() {
            assert!(page.contains("countersign_engine_turned_away_total{door=\"metrics\"}"), "{page}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("its figures are never told again");
}

#[tokio::test]
async fn lets_no_more_readers_in_than_there_are_places() {
    let mut process = Process::fresh();
    process.start_with_descriptors(DESCRIPTORS, &["--init"]).await;
    let mut feed = EventFeedClient::new(process.orders().await);
    let request = SubscribeRequest { from_event_seq: 1, ..SubscribeRequest::default() };
    let mut readers = Vec::new();
    let refused = loop {
        match feed.subscribe(request.clone()).await {
            Ok(stream) => readers.push(stream.into_inner()),
            Err(status) => break status,
        }
        assert!(readers.len() < DESCRIPTORS as usize);
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    drop(readers.pop());
    for _ in 0..4_000 {
        if feed.subscribe(request.clone()).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("a place that was left is never free again");
}
