//! A client's stream across a change of leader: Hello, Welcome, and everything unanswered sent again byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    ClientFrame, Command, CommandBatch, DrainRequest, Event, Hello, OpenOrdersRequest, ResultCode,
    ServerFrame, Side, Welcome, client_frame, event, server_frame,
};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::events;
use crate::process::{self, Ids, Process, TIA, TOM, limit};

pub struct Line {
    frames: Sender<ClientFrame>,
    answers: Streaming<ServerFrame>,
    welcome: Welcome,
}

/// Says Hello to whoever listens; `None` where nobody does, or who does is ending.
pub async fn say_hello(process: &Process, session_id: &[u8], cancel_on_disconnect: bool) -> Option<Line> {
    let mut orders = OrderEntryClient::new(process.try_orders().await?);
    let (frames, sent) = channel(1_024);
    let hello = Hello {
        protocol_version: 1,
        session_id: session_id.to_vec(),
        next_session_seq: 1,
        cancel_on_disconnect,
    };
    frames.send(ClientFrame { frame: Some(client_frame::Frame::Hello(hello)) }).await.ok()?;
    let mut answers = orders.session(ReceiverStream::new(sent)).await.ok()?.into_inner();
    while let Ok(Some(frame)) = answers.message().await {
        if let Some(server_frame::Frame::Welcome(welcome)) = frame.frame {
            return Some(Line { frames, answers, welcome });
        }
    }
    None
}

async fn reconnect(process: &Process, session_id: &[u8]) -> Line {
    for _ in 0..4_000 {
        if let Some(line) = say_hello(process, session_id, false).await {
            return line;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("nobody leads");
}

fn made(ids: &mut Ids, count: u64) -> Vec<Command> {
    let order = |seq: u64| {
        let (account, side) = if seq.is_multiple_of(2) { (TOM, Side::Sell) } else { (TIA, Side::Buy) };
        let command = limit(ids.next(), seq, account, side, 1_000 + (seq % 7) as i64, 1 + seq % 5);
        Command { session_seq: seq, ..command }
    };
    (1..=count).map(order).collect()
}

/// Sends `commands` in frames of eight; what is there to be read is read later.
async fn send(line: &Line, commands: &[Command]) {
    for part in commands.chunks(8) {
        let batch = CommandBatch { commands: part.to_vec() };
        line.frames.send(ClientFrame { frame: Some(client_frame::Frame::Batch(batch)) }).await.ok();
    }
}

/// Takes answers in until `enough` commands are answered or the stream ends.
async fn listen(line: &mut Line, acknowledged: &mut BTreeMap<Vec<u8>, u64>, enough: usize) {
    while acknowledged.len() < enough {
        let Ok(Some(frame)) = line.answers.message().await else { return };
        let Some(server_frame::Frame::Results(results)) = frame.frame else { continue };
        for result in results.results {
            // Draining is told of commands that were not taken; they are sent again to the next leader.
            if result.code() == ResultCode::Ok {
                acknowledged.insert(result.command_id.to_vec(), result.engine_seq);
            } else {
                assert!(result.code >= 100, "{result:?}");
            }
        }
    }
}

/// All commands of the session were applied once, in the client's order, under the sequence that was told.
fn each_once(commands: &[Command], acknowledged: &BTreeMap<Vec<u8>, u64>, events: &[Event]) {
    let accepted: Vec<(&[u8], u64)> = events
        .iter()
        .filter_map(|event| match &event.body {
            Some(event::Body::Accepted(order)) => Some((order.command_id.as_slice(), event.engine_seq)),
            _ => None,
        })
        .collect();
    assert_eq!(accepted.len(), commands.len());
    for (command, (id, engine_seq)) in commands.iter().zip(accepted) {
        assert_eq!(command.command_id, id, "nothing was overtaken");
        assert_eq!(acknowledged.get(id), Some(&engine_seq));
    }
}

/// Lets `change` end the leader while the stream is full, and goes on with whoever leads next.
async fn across(change: impl AsyncFnOnce(&mut Process)) {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    let mut second = first.standby(&["--take-over", "auto"]).await;
    let watched = first.standby_handle();
    let mut ids = Ids;
    let (session_id, commands) = (ids.next(), made(&mut ids, 4_000));
    let mut acknowledged = BTreeMap::new();
    let mut line = reconnect(&watched, &session_id).await;
    let epoch = line.welcome.epoch;
    send(&line, &commands).await;
    listen(&mut line, &mut acknowledged, 500).await;
    change(&mut first).await;
    listen(&mut line, &mut acknowledged, commands.len()).await;

    let mut line = reconnect(&watched, &session_id).await;
    assert!(line.welcome.epoch > epoch);
    let applied = line.welcome.last_session_seq_applied;
    assert!(applied >= 500, "what was acknowledged was applied");
    let answered: BTreeSet<&Vec<u8>> = acknowledged.keys().collect();
    let unanswered: Vec<Command> =
        commands.iter().filter(|command| !answered.contains(&command.command_id.to_vec())).cloned().collect();
    for command in &commands[applied as usize..] {
        assert!(!acknowledged.contains_key(&command.command_id.to_vec()), "acknowledged and not applied");
    }
    send(&line, &unanswered).await;
    listen(&mut line, &mut acknowledged, commands.len()).await;
    each_once(&commands, &acknowledged, &events(&second, 1).await);
    second.kill();
    second.verified();
}

#[tokio::test]
async fn goes_on_with_a_session_whose_leader_was_killed() {
    across(async |first: &mut Process| first.kill()).await;
}

#[tokio::test]
async fn goes_on_with_a_session_through_an_upgrade() {
    across(async |first: &mut Process| {
        let mut admin = process::admin_client(first.admin().await);
        admin.drain(DrainRequest { release_journal: true, retry_after_ms: 500 }).await.unwrap();
        assert!(first.ended());
    })
    .await;
}

#[tokio::test]
async fn ends_a_sessions_former_stream_before_another_takes_over_and_cancels_nothing_of_that() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let session_id = ids.next();
    let commands = made(&mut ids, 2);
    let mut lost = say_hello(&process, &session_id, true).await.unwrap();
    let mut acknowledged = BTreeMap::new();
    send(&lost, &commands[..1]).await;
    listen(&mut lost, &mut acknowledged, 1).await;

    // The client is back before anybody has noticed that its former connection is lost.
    let mut line = say_hello(&process, &session_id, true).await.unwrap();
    assert_eq!(line.welcome.last_session_seq_applied, 1);
    let open = async || {
        let mut feed = EventFeedClient::new(process.orders().await);
        let mut open = feed.get_open_orders(OpenOrdersRequest::default()).await.unwrap().into_inner();
        let orders = open.message().await.unwrap().unwrap().orders;
        orders.iter().map(|order| order.order_id).collect::<Vec<u64>>()
    };
    assert!(open().await.is_empty(), "what the former stream had entered went with it");
    send(&line, &commands[1..]).await;
    listen(&mut line, &mut acknowledged, 2).await;
    assert_eq!(open().await, [2]);
    let ended = loop {
        match lost.answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was not told why"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), tonic::Code::Aborted);
    drop(lost);
    // Whatever the former stream's end still causes is decided before this.
    let last = say_hello(&process, &ids.next(), false).await.unwrap();
    drop(last);
    assert_eq!(open().await, [2], "the former stream's end reached what the new one has entered");
}

/// Ids of all orders that rest.
async fn open_orders(process: &Process) -> Vec<u64> {
    let mut feed = EventFeedClient::new(process.orders().await);
    let mut open = feed.get_open_orders(OpenOrdersRequest::default()).await.unwrap().into_inner();
    let orders = open.message().await.unwrap().unwrap().orders;
    orders.iter().map(|order| order.order_id).collect()
}

#[tokio::test]
async fn keeps_a_dead_leaders_word_to_those_who_do_not_come_back_and_leaves_the_others_their_orders() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let [back, gone, never] = [ids.next(), ids.next(), ids.next()];
    let mut acknowledged = BTreeMap::new();
    let mut lines = Vec::new();
    for (order_id, (session_id, wish)) in (1..).zip([(&back, true), (&gone, true), (&never, false)]) {
        let mut line = say_hello(&process, session_id, wish).await.unwrap();
        let command = limit(ids.next(), order_id, TOM, Side::Sell, 1_000, 1);
        send(&line, &[Command { session_seq: 1, ..command }]).await;
        listen(&mut line, &mut acknowledged, order_id as usize).await;
        lines.push(line);
    }
    process.kill();
    drop(lines);
    process.start(&[]).await;
    let line = say_hello(&process, &back, true).await.unwrap();
    assert_eq!(line.welcome.last_session_seq_applied, 1);
    assert_eq!(open_orders(&process).await, [1, 2, 3]);
    // Another leader, from a snapshot that was taken meanwhile: it knows the wishes too, and gives each its time anew.
    let mut admin = process::admin_client(process.admin().await);
    admin.take_snapshot(countersign_wire::v1::Empty {}).await.unwrap();
    process.kill();
    drop(line);
    process.start(&[]).await;
    let line = say_hello(&process, &back, true).await.unwrap();
    for attempt in 0.. {
        if open_orders(&process).await == [1, 3] {
            break;
        }
        assert!(attempt < 6_000, "{:?}", open_orders(&process).await);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let told = events(&process, 1).await;
    let leads = told.iter().rfind(|event| matches!(event.body, Some(event::Body::Marker(_)))).unwrap();
    let ended = told.iter().find(|event| matches!(event.body, Some(event::Body::Done(_)))).unwrap();
    assert!(ended.engine_time_ns >= leads.engine_time_ns + countersign_venue::sessions::GRACE_MS * 1_000_000);
    drop(line);
    process.kill();
    process.verified();
}

#[tokio::test]
async fn takes_no_order_from_a_client_whose_leader_makes_room_for_another() {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    let mut second = first.standby(&["--take-over", "auto"]).await;
    let watched = first.standby_handle();
    let mut ids = Ids;
    let session_id = ids.next();
    let mut line = say_hello(&first, &session_id, true).await.unwrap();
    let mut acknowledged = BTreeMap::new();
    send(&line, &made(&mut ids, 1)).await;
    listen(&mut line, &mut acknowledged, 1).await;
    let mut admin = process::admin_client(first.admin().await);
    admin.drain(DrainRequest { release_journal: true, retry_after_ms: 500 }).await.unwrap();
    assert!(first.ended());
    let line = reconnect(&watched, &session_id).await;
    assert_eq!((line.welcome.last_session_seq_applied, open_orders(&second).await), (1, vec![1]));
    second.kill();
}
