//! What a program of former rules left: its journal, snapshot and events, as it wrote them.
//!
//! `former/logic-1`: two leaders of the first rules, a snapshot of the first one, an auction, orders of all kinds, two that
//! were made larger beyond a band that had moved, sessions that were open when their leader was killed. Zeros behind the
//! journal's last block are left out. `verified` is what that program's own `verify` said.
//! `former/logic-2` (of commit 7c9c164), `former/logic-3` and `former/logic-4`: see [`a_program_leaves_this_behind`].

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use countersign_venue::LOGIC_VERSION;
use countersign_wire::v1::admin_client::AdminClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    AmendOrder, CancelAll, ClientFrame, Command, CommandBatch, DoneReason, Empty, Event, Hello,
    InstrumentState, ResultCode, RunAuctionRequest, ServerFrame, SetInstrumentStateRequest,
    SetPriceBandRequest, Side, TimeInForce, client_frame, command, event, server_frame,
};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::process::{self, Ids, Process, TIA, TOM, limit};
use crate::{events, trade};

/// Orders that were made larger.
const LARGER: [u64; 2] = [9_000, 9_001];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &name),
            false => drop(fs::copy(&path, &name).unwrap()),
        }
    }
}

fn marks(events: &[Event]) -> Vec<(u64, u32)> {
    let mark = |event: &Event| match &event.body {
        Some(event::Body::Marker(marker)) => Some((marker.epoch, marker.logic_version)),
        _ => None,
    };
    events.iter().filter_map(mark).collect()
}

/// Makes an order larger at its price, after the band has moved away from it.
async fn make_larger(process: &Process, order_id: u64) -> ResultCode {
    let mut admin = process::admin_client(process.admin().await);
    let band = SetPriceBandRequest {
        instrument_id: 1,
        price_band_ppm: 1_000,
        reference_price_ticks: 900,
        reference: vec![],
    };
    admin.set_price_band(band).await.unwrap();
    let command = limit(Ids.next(), order_id, TOM, countersign_wire::v1::Side::Buy, 1, 1);
    let body = AmendOrder { order_id, new_total_qty_lots: 20, account_id: TOM, ..AmendOrder::default() };
    let amend = Command { body: Some(command::Body::Amend(body)), ..command };
    let mut orders = OrderEntryClient::new(process.orders().await);
    orders.submit_batch(CommandBatch { commands: vec![amend] }).await.unwrap().into_inner().results[0].code()
}

/// Begins behind what another program left, from its snapshot or the journal's beginning, and tells byte for byte what that
/// one told.
async fn go_on(left: &Path, from: &str) -> (Process, Vec<Event>) {
    let mut process = Process::fresh();
    let folder = process.path("journal");
    copy(left, &folder);
    if from == "beginning" {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "snap") {
                fs::remove_file(path).unwrap();
            }
        }
    }
    assert_eq!(process.verified(), fs::read_to_string(left.join("verified")).unwrap());
    process.start(&[]).await;
    let places = [format!("began from the {from}"), format!("journal's {from}")];
    let began = |line: &String| places.iter().any(|place| line.contains(place));
    assert!(process.said.iter().any(began), "{:?}", process.said);
    let known = events(&process, 1).await;
    let first = "events/events-00000000000000000001.log";
    let told = fs::read(left.join(first)).unwrap();
    assert!(fs::read(folder.join(first)).unwrap().starts_with(&told), "byte for byte");
    (process, known)
}

#[tokio::test]
async fn goes_on_behind_what_former_rules_decided_and_tells_nothing_of_it_otherwise() {
    let left = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/former/logic-1");
    for from in ["snapshot", "beginning"] {
        let (mut process, known) = go_on(&left, from).await;
        assert_eq!(marks(&known), [(1, 1), (2, 1), (3, LOGIC_VERSION)]);
        let larger = |event: &&Event| match &event.body {
            Some(event::Body::Amended(amended)) => LARGER.contains(&amended.order_id),
            _ => false,
        };
        assert_eq!(known.iter().filter(larger).count(), 2, "as it was allowed then");
        // And is not any more.
        assert_eq!(make_larger(&process, LARGER[0]).await, ResultCode::PriceBand);
        let mut admin = process::admin_client(process.admin().await);
        admin.take_snapshot(Empty {}).await.unwrap();
        process.kill();
        process.verified();
        process.start(&[]).await;
        assert!(process.said.last().unwrap().contains("0 commands replayed"), "{:?}", process.said);
        assert!(events(&process, 1).await[..known.len()] == known[..]);
    }
}

/// Where a program's own folder is left for the versions to come: see [`a_program_leaves_this_behind`].
const LEFT_TO: &str = "LEFT_TO";

/// Of a later version than the first: what its leaders decided is told byte for byte as they told it, from the snapshot
/// and from the beginning, also by a standby.
#[tokio::test]
async fn tells_what_each_version_told() {
    for version in 2..=LOGIC_VERSION {
        let left = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/former/logic-{version}"));
        assert!(left.exists(), "version {version} is new: see how the others were left");
        for from in ["snapshot", "beginning"] {
            let (_process, known) = go_on(&left, from).await;
            assert_eq!(marks(&known), [(1, version), (2, version), (3, LOGIC_VERSION)]);
            let reasons: BTreeSet<i32> = known
                .iter()
                .filter_map(|event| match &event.body {
                    Some(event::Body::Done(done)) => Some(done.reason),
                    _ => None,
                })
                .collect();
            let disconnected = reasons.contains(&(DoneReason::Disconnect as i32));
            assert!(disconnected && reasons.len() >= 3, "{reasons:?}");
        }
    }
}

/// How a folder of `former` came to be. Built at the version's commit, that program ran this:
/// `LEFT_TO=/tmp/logic-N FORMER_PROGRAM=PATH cargo test -p countersign-server --test program leaves_this -- --ignored`
/// Two leaders, a snapshot of the first, an auction, amendments, a band that moves, streams that end and one that is open
/// when its leader is killed. Zeros behind the journal's last block are cut off.
#[tokio::test]
#[ignore = "leaves a folder for later versions, once"]
async fn a_program_leaves_this_behind() {
    let to = std::env::var(LEFT_TO).expect("where to");
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    trade(&process, &mut ids, 1, 60).await;
    let mut admin = process::admin_client(process.admin().await);
    let state = async |admin: &mut AdminClient<Channel>, state: InstrumentState| {
        let request = SetInstrumentStateRequest {
            instrument_id: 1,
            state: state as i32,
            ..SetInstrumentStateRequest::default()
        };
        assert_eq!(admin.set_instrument_state(request).await.unwrap().into_inner().code(), ResultCode::Ok);
    };
    state(&mut admin, InstrumentState::Halted).await;
    state(&mut admin, InstrumentState::Auction).await;
    trade(&process, &mut ids, 101, 20).await;
    let then = InstrumentState::Open as i32;
    let run = RunAuctionRequest { instrument_id: 1, then, ..RunAuctionRequest::default() };
    assert_eq!(admin.run_auction(run).await.unwrap().into_inner().code(), ResultCode::Ok);
    admin.take_snapshot(Empty {}).await.unwrap();
    trade(&process, &mut ids, 201, 40).await;
    let mut orders = OrderEntryClient::new(process.orders().await);
    let mut sent = Vec::new();
    for (order_id, tif) in [(301, TimeInForce::Ioc), (302, TimeInForce::Fok), (303, TimeInForce::Gtc)] {
        let price = if tif == TimeInForce::Gtc { 990 } else { 1_003 };
        let mut order = limit(ids.next(), order_id, TOM, Side::Buy, price, 7);
        if let Some(command::Body::NewOrder(new)) = &mut order.body {
            new.tif = tif as i32;
        }
        sent.push(order);
    }
    let all = CancelAll { account_id: TIA, ..CancelAll::default() };
    sent.push(Command {
        body: Some(command::Body::CancelAll(all)),
        ..limit(ids.next(), 1, TIA, Side::Buy, 1, 1)
    });
    orders.submit_batch(CommandBatch { commands: sent }).await.unwrap();
    make_larger(&process, 303).await;
    let band = SetPriceBandRequest { instrument_id: 1, price_band_ppm: 0, ..SetPriceBandRequest::default() };
    admin.set_price_band(band).await.unwrap();
    // Of two streams that wish it, one ends, and one is open when the leader is killed.
    let ending = attached(&process, &mut ids, 401).await;
    drop(ending);
    until_done(&process, 401).await;
    let _open = attached(&process, &mut ids, 402).await;
    process.kill();
    process.start(&[]).await;
    trade(&process, &mut ids, 501, 40).await;
    process.kill();
    let verified = process.verified();
    let folder = process.path("journal");
    let segment = folder.join("journal-00000000000000000001.seg");
    let bytes = fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // The last block may itself end with some.
    let whole = (end..).find(|&end| {
        fs::write(&segment, &bytes[..end]).unwrap();
        process.verified() == verified
    });
    assert!(whole.is_some());
    fs::remove_file(folder.join("LOCK")).ok();
    copy(&folder, Path::new(&to));
    fs::write(Path::new(&to).join("verified"), verified).unwrap();
}

/// A stream that wishes its orders gone when it ends, with one that rests. It ends with its two halves.
async fn attached(
    process: &Process,
    ids: &mut Ids,
    order_id: u64,
) -> (Sender<ClientFrame>, Streaming<ServerFrame>) {
    let (frames, sent) = channel(4);
    let hello = Hello {
        protocol_version: 1,
        session_id: ids.next(),
        next_session_seq: 1,
        cancel_on_disconnect: true,
    };
    frames.send(ClientFrame { frame: Some(client_frame::Frame::Hello(hello)) }).await.unwrap();
    let order = Command { session_seq: 1, ..limit(ids.next(), order_id, TIA, Side::Buy, 10, 1) };
    let batch = CommandBatch { commands: vec![order] };
    frames.send(ClientFrame { frame: Some(client_frame::Frame::Batch(batch)) }).await.unwrap();
    let mut orders = OrderEntryClient::new(process.orders().await);
    let mut answers = orders.session(ReceiverStream::new(sent)).await.unwrap().into_inner();
    while let Some(frame) = answers.message().await.unwrap() {
        if matches!(frame.frame, Some(server_frame::Frame::Results(_))) {
            break;
        }
    }
    (frames, answers)
}

async fn until_done(process: &Process, order_id: u64) {
    let done =
        |event: &Event| matches!(&event.body, Some(event::Body::Done(done)) if done.order_id == order_id);
    while !events(process, 1).await.iter().any(done) {}
}
