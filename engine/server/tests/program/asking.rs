//! What is asked while orders flow is answered as of one sequence.

use std::cell::Cell;
use std::collections::BTreeMap;

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::transfers_client::TransfersClient;
use countersign_wire::v1::{
    CommandBatch, Empty, Event, OpenOrdersRequest, ResultCode, Side, SubscribeRequest, event,
};

use crate::process::{self, Ids, Process, admin_client, limit};
use crate::{events, trade};

/// Order number to lots left, of all that rest after these events.
fn resting(events: &[Event]) -> BTreeMap<u64, u64> {
    let mut open = BTreeMap::new();
    for event in events {
        match &event.body {
            Some(event::Body::Accepted(order)) => drop(open.insert(order.order_id, order.qty_lots)),
            Some(event::Body::Trade(trade)) => {
                open.insert(trade.maker_order_id, trade.maker_leaves_lots);
                open.insert(trade.taker_order_id, trade.taker_leaves_lots);
            }
            Some(event::Body::Done(done)) => drop(open.remove(&done.order_id)),
            _ => {}
        }
    }
    open
}

#[tokio::test]
async fn tells_the_open_orders_of_exactly_one_sequence_while_orders_flow() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let asked_enough = Cell::new(false);
    let flow = async {
        let mut next = 1;
        while !asked_enough.get() {
            trade(&process, &mut ids, next, 40).await;
            next += 40;
        }
    };
    let ask = async {
        let mut feed = EventFeedClient::new(process.orders().await);
        let mut answers = Vec::new();
        // Until a good number was asked at different sequences, so that the flow has really run between them.
        let mut last = 0;
        while answers.len() < 25 {
            let mut stream = feed.get_open_orders(OpenOrdersRequest::default()).await.unwrap().into_inner();
            let (mut told, mut at) = (BTreeMap::new(), None);
            while let Some(chunk) = stream.message().await.unwrap() {
                assert_eq!(*at.get_or_insert(chunk.event_seq), chunk.event_seq, "one answer, one sequence");
                told.extend(chunk.orders.iter().map(|order| (order.order_id, order.leaves_lots)));
            }
            let at = at.unwrap();
            if at > last {
                last = at;
                answers.push((at, told));
            }
        }
        asked_enough.set(true);
        answers
    };
    let ((), answers) = tokio::join!(flow, ask);
    let all = events(&process, 1).await;
    for (at, told) in answers {
        assert_eq!(told, resting(&all[..at as usize]), "as of event {at}");
    }
}

/// A consumer comes back before anybody has seen that its former connection is gone.
#[tokio::test]
async fn tells_how_far_a_consumer_is_until_the_last_of_its_subscriptions_ends() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let newest = events(&process, 1).await.len() as u64;
    let mut feed = EventFeedClient::new(process.transfers().await);
    let mut read = async |consumer: &str| {
        let request =
            SubscribeRequest { from_event_seq: 1, consumer: consumer.into(), ..SubscribeRequest::default() };
        let mut stream = feed.subscribe(request).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        stream
    };
    let former = (read("settlement").await, read("other").await);
    let latter = read("settlement").await;
    drop(former);
    let mut admin = admin_client(process.admin().await);
    let mut told = async || -> BTreeMap<String, u64> {
        let status = admin.status(Empty {}).await.unwrap().into_inner();
        status.consumers.into_iter().map(|one| (one.name, one.sent_event_seq)).collect()
    };
    while told().await.contains_key("other") {}
    assert_eq!(told().await, BTreeMap::from([("settlement".to_string(), newest)]));
    drop(latter);
    while !told().await.is_empty() {}
}

/// All orders wait for as long as an answer is copied.
#[tokio::test]
async fn refuses_an_answer_that_would_hold_every_order_up() {
    const MOST: u64 = 1 << 16;
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let mut orders = OrderEntryClient::new(process.orders().await);
    let mut transfers = TransfersClient::new(process.transfers().await);
    // As many of each account as may rest.
    let each = u64::from(countersign_venue::ACCOUNT_ORDERS_MAX);
    let mut enter = async |from: u64, to: u64| {
        for account in 1_000 + from / each..=1_000 + to / each {
            transfers.submit(process::transfer(account, 1, 1 << 40)).await.unwrap();
        }
        for next in (from..=to).step_by(4_096) {
            let commands = (next..=to.min(next + 4_095))
                .map(|id| limit(ids.next(), 1 + id, 1_000 + id / each, Side::Sell, 200, 1));
            let batch = CommandBatch { commands: commands.collect() };
            let results = orders.submit_batch(batch).await.unwrap().into_inner().results;
            assert!(results.iter().all(|result| result.code() == ResultCode::Ok));
        }
    };
    let mut feed = EventFeedClient::new(process.orders().await);
    let mut asked = async |account_id| {
        let request = OpenOrdersRequest { account_id, ..OpenOrdersRequest::default() };
        let mut stream = feed.get_open_orders(request).await?.into_inner();
        let mut count = 0;
        while let Some(chunk) = stream.message().await? {
            count += chunk.orders.len() as u64;
        }
        Ok::<u64, tonic::Status>(count)
    };
    enter(0, MOST - 1).await;
    assert_eq!(asked(0).await.unwrap(), MOST);
    enter(MOST, MOST).await;
    let refused = asked(0).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert_eq!(refused.message(), "more than 65536 orders rest there: ask by account");
    assert_eq!(
        (asked(1_000).await.unwrap(), asked(1_000 + MOST / each).await.unwrap()),
        (each, MOST % each + 1)
    );
}
