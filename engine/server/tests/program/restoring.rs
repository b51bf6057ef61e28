//! What a start makes of the files that a death, or the attic, left behind.

use std::fs;
use std::path::PathBuf;

use countersign_wire::v1::{Empty, VerifyState};

use crate::process::{self, Ids, Process};
use crate::verifying::{segments, verify};
use crate::{balances, events, trade};

#[tokio::test]
async fn passes_over_a_snapshot_that_died_before_it_got_its_name() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    trade(&process, &mut ids, 1, 300).await;
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
