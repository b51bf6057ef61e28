//! What a start makes of the files that a death, or the attic, left behind.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{CommandBatch, CommandResult, Empty, ResultCode, Side, VerifyState};

use crate::process::{self, Ids, Process, TOM, limit};
use crate::verifying::{segments, verify};
use crate::{balances, events, trade};

#[tokio::test]
async fn passes_over_a_snapshot_that_died_before_it_got_its_name() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    trade(&process, &mut ids, 1, 300).await;
    let command = limit(ids.next(), 9_000, TOM, Side::Sell, 9_000, 1);
    let first = submit(&process, &command).await;
    let mut admin = process::admin_client(process.admin().await);
    let taken = admin.take_snapshot(Empty {}).await.unwrap().into_inner();
    trade(&process, &mut ids, 1_001, 100).await;
    let (known, held) = (events(&process, 1).await, balances(&process).await);
    process.kill();
    // Whole and flushed, and not renamed; then torn in the middle of being written.
    let fresh = process.path("journal/next-snapshot");
    let whole = fs::read(&taken.file).unwrap();
    fs::remove_file(&taken.file).unwrap();
    for left in [&whole[..], &whole[..whole.len() / 2]] {
        fs::write(&fresh, left).unwrap();
        process.start(&[]).await;
        assert!(!process.said.iter().any(|line| line.contains("passed over")), "{:?}", process.said);
        assert!(events(&process, 1).await[..known.len()] == known[..]);
        assert_eq!(balances(&process).await, held);
        process.kill();
    }
    process.start(&[]).await;
    let mut admin = process::admin_client(process.admin().await);
    let again = admin.take_snapshot(Empty {}).await.unwrap().into_inner();
    assert!(!fresh.exists());
    process.kill();
    process.start(&[]).await;
    assert!(process.said.last().unwrap().contains("0 commands replayed"), "{:?}", process.said);
    assert!(again.engine_seq > taken.engine_seq);
    assert_eq!(balances(&process).await, held);
    // What was answered before is answered so again, from the file that the snapshot names.
    let told = CommandResult { duplicate: true, ..first };
    assert_eq!(submit(&process, &command).await, told);
    process.kill();
    for entry in fs::read_dir(process.path("journal")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "out") {
            fs::remove_file(path).unwrap();
        }
    }
    process.start(&[]).await;
    assert!(process.said[0].contains("is passed over: outcomes-"), "{:?}", process.said);
    assert!(process.said.iter().any(|line| line.contains("outcomes are lost")), "{:?}", process.said);
    // Nothing else is lost with them, and what may have been applied once is not applied again.
    assert_eq!(balances(&process).await, held);
    assert_eq!(submit(&process, &command).await.code(), ResultCode::Forgotten);
    assert_eq!(balances(&process).await, held);
    let command = limit(ids.next(), 9_001, TOM, Side::Sell, 9_000, 1);
    assert_eq!(submit(&process, &command).await.code(), ResultCode::Ok);
}

/// What the engine answers to one command.
async fn submit(process: &Process, command: &countersign_wire::v1::Command) -> CommandResult {
    let mut orders = OrderEntryClient::new(process.orders().await);
    let batch = CommandBatch { commands: vec![command.clone()] };
    orders.submit_batch(batch).await.unwrap().into_inner().results.remove(0)
}

#[tokio::test]
async fn computes_everything_again_from_segments_that_went_to_the_attic() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let mut admin = process::admin_client(process.admin().await);
    let attic = process.path("journal/attic");
    let archived = || fs::read_dir(&attic).map_or(0, Iterator::count);
    let mut next = 1;
    let mut snapshots: Vec<PathBuf> = Vec::new();
    while archived() < 2 {
        trade(&process, &mut ids, next, 2_000).await;
        next += 2_000;
        snapshots.push(admin.take_snapshot(Empty {}).await.unwrap().into_inner().file.into());
    }
    let (known, held) = (events(&process, 1).await, balances(&process).await);
    let sound = verify(&mut admin).await;
    assert_eq!((sound.state(), sound.first_seq), (VerifyState::Sound, 1), "{}", sound.finding);
    assert!(sound.segments as usize >= archived() && segments(&process).len() < sound.segments as usize + 1);
    process.kill();
    for snapshot in snapshots {
        fs::remove_file(snapshot).ok();
    }
    fs::remove_dir_all(process.path("journal/events")).unwrap();
    process.start(&[]).await;
    assert!(events(&process, 1).await[..known.len()] == known[..]);
    assert_eq!(balances(&process).await, held);
}

/// Changes one byte, so many before the end of a file; doing it again takes it back.
fn flip(path: &Path, before_end: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let at = file.metadata().unwrap().len() - before_end;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[tokio::test]
async fn tells_no_event_again_with_another_content_and_says_which_one_was_told_otherwise() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    trade(&process, &mut Ids, 1, 200).await;
    let told = process.path("journal/events/events-00000000000000000001.log");
    // From the journal's beginning, and from a snapshot.
    for snapshot in [false, true] {
        if snapshot {
            process.start(&[]).await;
            let mut admin = process::admin_client(process.admin().await);
            admin.take_snapshot(Empty {}).await.unwrap();
            trade(&process, &mut Ids, 1_001, 200).await;
        }
        let known = events(&process, 1).await;
        process.kill();
        // As a program of other rules would find them.
        flip(&told, 40);
        let left = fs::read(&told).unwrap();
        let said = process.try_start(&[]);
        let newest = known.last().unwrap().event_seq;
        let named = |seq: u64| said.contains(&format!("tells event {seq} otherwise"));
        assert!(named(newest) || named(newest - 1), "{said}");
        assert!(said.contains("does not lead") && said.contains("nothing of it was changed"), "{said}");
        let mut verify = Command::new(env!("CARGO_BIN_EXE_countersign-engine"));
        let refused = verify.arg("verify").arg("--dir").arg(process.path("journal")).output().unwrap();
        let finding = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && finding.contains("event"), "{refused:?}");
        assert!(fs::read(&told).unwrap() == left);
        // The program that told them finds them as they were, and cuts the one that it had not written whole.
        flip(&told, 40);
        let whole = fs::read(&told).unwrap();
        fs::write(&told, &whole[..whole.len() - 3]).unwrap();
        process.start(&[]).await;
        let now = events(&process, 1).await;
        assert!(now[..known.len()] == known[..] && now.len() == known.len() + 1, "and a leader's mark");
        process.kill();
    }
    // Where the disk is at fault, the way that it names leads on.
    flip(&told, 40);
    assert!(process.try_start(&[]).contains("move the folder of events aside"));
    let aside = process.path("aside");
    fs::rename(process.path("journal/events"), &aside).unwrap();
    process.start(&[]).await;
    assert!(process.said.iter().any(|line| line.contains("began from the journal's beginning")));
    process.kill();
    process.verified();
    // Also where the files do not fit the snapshot, what was told behind it is held against the journal.
    flip(&told, 40);
    let sealed = fs::metadata(&told).unwrap().len() - 60;
    flip(&told, sealed);
    let said = process.try_start(&[]);
    assert!(
        said.contains("does not hold what the journal gives") && said.contains("does not lead"),
        "{said}"
    );
    flip(&told, 40);
    process.start(&[]).await;
    process.kill();
    process.verified();
}

#[tokio::test]
async fn computes_nothing_again_from_a_journal_that_gives_other_events_than_its_snapshot_stands_for() {
    let mut folders = Vec::new();
    for price in [1, 2] {
        let mut process = Process::fresh();
        process.list_and_fund().await;
        trade(&process, &mut Ids, price, 100).await;
        let mut admin = process::admin_client(process.admin().await);
        let taken = admin.take_snapshot(Empty {}).await.unwrap().into_inner();
        trade(&process, &mut Ids, 1_001, 100).await;
        process.kill();
        folders.push((process, PathBuf::from(taken.file)));
    }
    let (other, snapshot) = folders.pop().unwrap();
    let (process, own) = folders.pop().unwrap();
    fs::remove_file(&own).unwrap();
    // With the outcomes that it names.
    for entry in fs::read_dir(other.path("journal")).unwrap() {
        let path = entry.unwrap().path();
        if path == snapshot || path.extension().is_some_and(|extension| extension == "out") {
            fs::copy(&path, own.with_file_name(path.file_name().unwrap())).unwrap();
        }
    }
    drop(other);
    let events = process.path("journal/events/events-00000000000000000001.log");
    let told = fs::read(&events).unwrap();
    let said = process.try_start(&[]);
    assert!(said.contains("the journal gives other events than were told up to"), "{said}");
    assert!(fs::read(&events).unwrap() == told);
}
