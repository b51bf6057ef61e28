//! What is kept of the past, what is not, and what can be brought back.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::transfers_client::TransfersClient;
use countersign_wire::v1::{Empty, SettledRequest, SubscribeRequest, VerifyState};
use tonic::{Code, Status};

use crate::process::{self, Ids, Process};
use crate::verifying::{segments, verify};
use crate::{balances, events, trade};

fn files(process: &Process) -> Vec<PathBuf> {
    let entries = fs::read_dir(process.path("journal/events")).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    files
}

/// Trades until there are so many files of events; a snapshot after each batch. Gives the next order's id.
async fn trade_until(process: &Process, mut next: u64, enough: impl Fn() -> bool) -> u64 {
    let mut admin = process::admin_client(process.admin().await);
    while !enough() {
        trade(process, &mut Ids, next, 2_000).await;
        next += 2_000;
        admin.take_snapshot(Empty {}).await.unwrap();
    }
    next
}

async fn asked(process: &Process, from_event_seq: u64) -> Status {
    let mut feed = EventFeedClient::new(process.transfers().await);
    let consumer = "settlement".to_string();
    let request = SubscribeRequest { from_event_seq, consumer, ..SubscribeRequest::default() };
    let mut stream = feed.subscribe(request).await.unwrap().into_inner();
    stream.message().await.expect_err("these events are not told")
}

fn recompute(process: &Process) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-engine"));
    command.arg("recompute").arg("--dir").arg(process.path("journal")).args(["--events-mib", "1"]);
    command.output().unwrap()
}

#[tokio::test]
async fn drops_events_that_all_have_settled_and_writes_them_again_from_the_journal() {
    let options = ["--events-mib", "1", "--events-keep", "1"];
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    process.start(&options).await;
    let next = trade_until(&process, 1, || files(&process).len() >= 4).await;
    let known = events(&process, 1).await;
    let begins = |process: &Process| files(process)[0].ends_with("events-00000000000000000001.log");
    assert!(begins(&process), "nobody has settled anything");

    let mut transfers = TransfersClient::new(process.transfers().await);
    let settled = |through_event_seq| SettledRequest { consumer: "settlement".into(), through_event_seq };
    let ahead = transfers.settled(settled(known.len() as u64 + 9_999)).await.unwrap_err();
    assert_eq!(ahead.code(), Code::InvalidArgument);
    assert_eq!(
        transfers.settled(settled(known.len() as u64)).await.unwrap().into_inner().oldest_event_seq,
        1
    );
    process.kill();
    process.start(&options).await;
    let mut next = trade_until(&process, next, || !begins(&process)).await;
    let mut transfers = TransfersClient::new(process.transfers().await);
    let oldest = transfers.settled(settled(known.len() as u64)).await.unwrap().into_inner().oldest_event_seq;
    assert!(oldest > 1 && events(&process, oldest).await[..100] == known[oldest as usize - 1..][..100]);

    // Whoever needs them all hears what to do, and from then on they stay.
    let gone = asked(&process, 1).await;
    assert_eq!(gone.code(), Code::OutOfRange);
    assert!(gone.message().contains(&format!("oldest one is {oldest}")), "{gone}");
    let told = recompute(&process);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let mut admin = process::admin_client(process.admin().await);
    for _ in 0..3 {
        trade(&process, &mut Ids, next, 100).await;
        next += 100;
        admin.take_snapshot(Empty {}).await.unwrap();
    }
    assert!(events(&process, 1).await[..known.len()] == known[..]);

    // A damaged one is never told as anything else, and put right beside the engine.
    let damaged = &files(&process)[1];
    let mut bytes = fs::read(damaged).unwrap();
    bytes[300_000] ^= 1;
    fs::write(damaged, bytes).unwrap();
    let mut feed = EventFeedClient::new(process.transfers().await);
    let request = SubscribeRequest { from_event_seq: 1, ..SubscribeRequest::default() };
    let mut stream = feed.subscribe(request).await.unwrap().into_inner();
    let mut told = 0;
    let lost = loop {
        match stream.message().await {
            Ok(batch) => {
                let batch = batch.unwrap().events;
                assert!(batch[..] == known[told..told + batch.len()]);
                told += batch.len();
            }
            Err(lost) => break lost,
        }
    };
    assert_eq!(lost.code(), Code::DataLoss);
    assert!(lost.message().contains("recompute"), "{lost}");
    assert_eq!(verify(&mut admin).await.state(), VerifyState::Broken);
    let mended = recompute(&process);
    assert!(String::from_utf8_lossy(&mended.stdout).contains("1 put right, 0 written"), "{mended:?}");
    assert!(events(&process, 1).await[..known.len()] == known[..]);
    let sound = verify(&mut admin).await;
    assert_eq!((sound.state(), sound.first_event_seq), (VerifyState::Sound, 1), "{}", sound.finding);
}

#[tokio::test]
async fn answers_orders_while_a_disk_hangs_on_old_events() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    process.start(&["--events-mib", "1", "--threads", "1"]).await;
    let next = trade_until(&process, 1, || files(&process).len() >= 3).await;
    // Opening a pipe for reading waits until somebody writes: here, for ever.
    let index = files(&process)[0].with_extension("idx");
    fs::remove_file(&index).unwrap();
    assert!(Command::new("mkfifo").arg(&index).status().unwrap().success());
    let mut feed = EventFeedClient::new(process.transfers().await);
    let request = SubscribeRequest { from_event_seq: 1, ..SubscribeRequest::default() };
    let _hangs = feed.subscribe(request).await.unwrap();
    // Not how fast, but at all.
    let traded = tokio::time::timeout(Duration::from_secs(60), trade(&process, &mut Ids, next, 100)).await;
    assert!(traded.is_ok(), "orders wait for whoever reads old events");
}

#[tokio::test]
async fn goes_on_beside_a_damaged_index_and_says_the_very_command_that_mends_it() {
    let options = ["--events-mib", "1"];
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    process.start(&options).await;
    let next = trade_until(&process, 1, || files(&process).len() >= 4).await;
    let known = events(&process, 1).await;
    let damaged = files(&process)[1].clone();
    let first_seq: u64 = damaged.file_stem().unwrap().to_str().unwrap()[7..].parse().unwrap();
    let index = damaged.with_extension("idx");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, bytes).unwrap();
    for restart in [false, true] {
        if restart {
            process.kill();
            process.start(&options).await;
        }
        let lost = asked(&process, first_seq + 10).await;
        assert_eq!(lost.code(), Code::DataLoss);
        assert!(lost.message().contains(index.to_str().unwrap()), "{lost}");
        // Orders are taken, snapshots too, and other events are told, old and new.
        let newest = events(&process, 1 + known.len() as u64).await.len();
        trade(&process, &mut Ids, next + u64::from(restart) * 1_000, 100).await;
        let mut admin = process::admin_client(process.admin().await);
        admin.take_snapshot(Empty {}).await.unwrap();
        assert!(events(&process, 1 + known.len() as u64).await.len() > newest);
        let mut feed = EventFeedClient::new(process.transfers().await);
        let request = SubscribeRequest { from_event_seq: 1, ..SubscribeRequest::default() };
        let first = feed.subscribe(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
        assert!(!first.events.is_empty() && first.events[..] == known[..first.events.len()]);
    }
    let lost = asked(&process, first_seq).await;
    let command = lost.message().split('`').nth(1).unwrap().to_string();
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[..2], ["countersign-engine", "recompute"]);
    let mended = Command::new(env!("CARGO_BIN_EXE_countersign-engine")).args(&words[1..]).output().unwrap();
    assert!(String::from_utf8_lossy(&mended.stdout).contains("1 put right, 0 written"), "{mended:?}");
    assert!(events(&process, 1).await[..known.len()] == known[..]);
}

#[tokio::test]
async fn tells_what_was_dropped_from_the_attic_on_purpose_from_what_is_lost() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    process.start(&["--attic-keep", "1", "--events-mib", "1"]).await;
    let attic = process.path("journal/attic");
    let mark = attic.join("kept-from");
    let mut next = trade_until(&process, 1, || mark.exists()).await;
    // And a closed segment that no snapshot stands for yet.
    while segments(&process).len() < 2 {
        trade(&process, &mut Ids, next, 2_000).await;
        next += 2_000;
    }
    let mut admin = process::admin_client(process.admin().await);
    let sound = verify(&mut admin).await;
    assert_eq!((sound.state(), sound.finding.as_str()), (VerifyState::Sound, ""));
    assert!(sound.first_seq > 1 && sound.replayed_after_seq >= sound.first_seq);
    assert_eq!(sound.records, sound.last_seq - sound.first_seq + 1);
    let refused = recompute(&process);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot be computed again"), "{refused:?}");
    let held = balances(&process).await;
    process.kill();
    let said = process.verified();
    assert!(said.contains("kept from") && said.contains("replayed   from the snapshot"), "{said}");
    assert!(said.contains("archive    events"), "{said}");
    // What was told before the snapshot has only its checksums; those of closed files are read.
    let told = files(&process)[0].clone();
    let sound = fs::read(&told).unwrap();
    let mut bytes = sound.clone();
    bytes[1_000] ^= 1;
    fs::write(&told, bytes).unwrap();
    let mut reading = Command::new(env!("CARGO_BIN_EXE_countersign-engine"));
    let refused = reading.arg("verify").arg("--dir").arg(process.path("journal")).output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("events-"), "{refused:?}");
    fs::write(&told, sound).unwrap();

    let kept = fs::read_to_string(&mark).unwrap();
    let copy = attic.join(format!("journal-{:0>20}.seg.lz4", kept.trim()));
    let bytes = fs::read(&copy).unwrap();
    fs::remove_file(&copy).unwrap();
    process.start(&[]).await;
    let mut admin = process::admin_client(process.admin().await);
    let lost = verify(&mut admin).await;
    assert_eq!(lost.state(), VerifyState::Broken);
    assert!(lost.finding.contains(&format!("record {} is needed", kept.trim())), "{}", lost.finding);
    fs::write(&copy, bytes).unwrap();
    assert_eq!(verify(&mut admin).await.state(), VerifyState::Sound);
    assert_eq!(balances(&process).await, held);
}
