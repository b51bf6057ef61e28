//! Verifying a journal while its engine leads.

use std::path::{Path, PathBuf};

use countersign_wire::v1::admin_client::AdminClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{CommandBatch, Empty, Side, VerifyReport, VerifyRequest, VerifyState};
use tonic::transport::Channel;

use crate::process::{self, Ids, Process, TOM, limit};
use crate::trade;

/// Asks until the verification has ended.
pub async fn verify(admin: &mut AdminClient<Channel>) -> VerifyReport {
    let mut report = admin.verify(VerifyRequest { begin: true }).await.unwrap().into_inner();
    while report.state() == VerifyState::Running {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        report = admin.verify(VerifyRequest::default()).await.unwrap().into_inner();
    }
    report
}

pub fn segments(process: &Process) -> Vec<PathBuf> {
    let files = std::fs::read_dir(process.path("journal")).unwrap();
    let mut segments: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    segments.sort();
    segments
}

#[tokio::test]
async fn reads_its_closed_segments_again_while_it_leads_and_says_what_is_wrong_and_where() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut admin = process::admin_client(process.admin().await);
    let asked = admin.verify(VerifyRequest::default()).await.unwrap().into_inner();
    assert_eq!(asked.state(), VerifyState::Unspecified, "none begins unless it is asked for");
    let nothing = verify(&mut admin).await;
    assert_eq!((nothing.state(), nothing.segments, nothing.last_seq), (VerifyState::Sound, 0, 0));

    let mut ids = Ids;
    let mut next = 1;
    while segments(&process).len() < 3 {
        trade(&process, &mut ids, next, 1_000).await;
        next += 1_000;
    }
    let sound = verify(&mut admin).await;
    assert_eq!((sound.state(), sound.finding.as_str()), (VerifyState::Sound, ""));
    let closed = segments(&process).len() as u64 - 1;
    assert_eq!(sound.segments, closed);
    assert_eq!((sound.first_seq, sound.last_seq - sound.first_seq + 1), (1, sound.records));
    assert!(sound.blocks > 1 && sound.blocks <= sound.records && sound.bytes > 0);
    assert_eq!((sound.event_chain.len(), sound.state_hash.len()), (32, 32));
    assert!(sound.started_at_ms > 0 && sound.finished_at_ms >= sound.started_at_ms);

    let damaged = segments(&process)[1].clone();
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[5_000] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let broken = verify(&mut admin).await;
    assert_eq!(broken.state(), VerifyState::Broken);
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert!(broken.finding.contains(name) && broken.finding.contains("byte"), "{}", broken.finding);
    assert_eq!(broken.state_hash.len(), 0, "nothing is said of a state that was not reached");

    // What it found ends nothing: who is to restore the disk decides when.
    trade(&process, &mut ids, next, 10).await;
}

#[tokio::test]
async fn takes_nothing_more_once_a_replay_of_its_journal_gives_something_else() {
    let (mut other, mut process) = (Process::fresh(), Process::fresh());
    other.list_and_fund().await;
    let mut admin = process::admin_client(other.admin().await);
    let state = admin.take_snapshot(Empty {}).await.unwrap().into_inner().file;
    process.list_and_fund().await;
    process.kill();
    process.start(&["--snapshot-every", "0"]).await;
    trade(&process, &mut Ids, 1, 100).await;
    let mut admin = process::admin_client(process.admin().await);
    let mut orders = OrderEntryClient::new(process.orders().await);
    // What its replay begins from is another venue's: as if its own memory had changed behind that.
    let name = Path::new(&state).file_name().unwrap();
    std::fs::copy(&state, process.path("journal").join(name)).unwrap();
    admin.take_snapshot(Empty {}).await.unwrap_err();
    let batch = CommandBatch { commands: vec![limit(Ids.next(), 1_001, TOM, Side::Sell, 100, 5)] };
    orders.submit_batch(batch).await.unwrap_err();
    let said = process.says("replay differs").await;
    assert!(
        said.iter().any(|line| line.contains("the journal's replay differs from the engine at")),
        "{said:?}"
    );
    assert_eq!(process.exit_code(), None, "it was not ended by a signal of its own");
}

#[test]
fn calls_no_folder_sound_that_holds_no_journal() {
    let process = Process::fresh();
    std::fs::create_dir(process.path("journal")).unwrap();
    let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_countersign-engine"));
    let refused = verify.arg("verify").arg("--dir").arg(process.path("journal")).output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds no journal"), "{refused:?}");
}
