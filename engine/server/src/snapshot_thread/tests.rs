use std::sync::Arc;

use countersign_journal::{Block, Journal, Options};
use countersign_venue::codec::digest;
use countersign_venue::{Command, LOGIC_VERSION, Output, Venue};
use tempfile::TempDir;

use super::*;
use crate::engine::tests::idle;

fn work(folder: &Path, every: u64) -> Work {
    let (engine, _) = idle(folder, 1);
    Work::new(folder, engine, sync_channel(1).1, every, Keep { segments: 0, event_files: 0 })
}

#[test]
fn a_snapshot_stands_only_where_it_was_compared_and_where_events_are_told() {
    let folder = TempDir::new().unwrap();
    let mut work = work(folder.path(), 1);
    let shared = Arc::clone(&work.engine.shared);
    shared.applied_seq.store(2, Ordering::Relaxed);
    let options = Options { segment_bytes: 4_096, ..Options::default() };
    let (mut journal, _) = Journal::open(folder.path(), &options, true, 0, |_| Ok(())).unwrap();
    let (mut venue, mut block, mut points) = (Venue::new(), Block::default(), Vec::new());
    // Both lie in the file, and only the first is known to be flushed.
    for epoch in [1, 2] {
        let (command, mut output) =
            (Command::Lead { epoch, logic_version: LOGIC_VERSION }, Output::default());
        block.start(epoch);
        let (_, body) = block.push(epoch, |bytes| command.encode(bytes));
        venue.apply(epoch, &command, digest(block.since(body)), &mut output);
        journal.append(&mut block).unwrap();
        points.push((venue.chain(), output));
    }
    for (engine_seq, (chain, output)) in (1..).zip(&points) {
        shared.durable.set(engine_seq, chain);
        let (begun, stepping) = sync_channel(0);
        let (stepped, shown) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                begun.send(()).unwrap();
                stepped.send(work.step()).unwrap();
            });
            stepping.recv().unwrap();
            let early = shown.recv_timeout(Duration::from_millis(50));
            assert!(early.is_err() && snapshots::newest_seq(folder.path()) == engine_seq - 1);
            shared.archive.append(&output.bytes, output.count).unwrap();
            assert_eq!(shown.recv().unwrap(), Ok(true));
        });
        assert_eq!(snapshots::newest_seq(folder.path()), engine_seq);
        assert_eq!(shared.snapshot_seq.load(Ordering::Relaxed), engine_seq);
    }
    // And its events are sealed, since a start from it reads none of them again.
    assert!(folder.path().join("events/events-00000000000000000001.idx").exists());
}

#[test]
fn whoever_asks_is_told_of_a_snapshot_that_stands_for_all_that_was_durable_by_then() {
    let folder = TempDir::new().unwrap();
    let mut work = work(folder.path(), 0);
    let taken =
        |engine_seq| Taken { engine_seq, event_seq: 0, state_hash: [0; 32], file: String::new(), bytes: 0 };
    let mut ask = |least| {
        let (ask, told) = oneshot::channel();
        work.wanted.push((ask, least));
        told
    };
    let (mut five, mut six, mut seven) = (ask(5), ask(6), ask(7));
    work.answer(&Ok(taken(5)));
    assert_eq!(five.try_recv().unwrap().unwrap().engine_seq, 5);
    work.answer(&Ok(taken(6)));
    assert_eq!(six.try_recv().unwrap().unwrap().engine_seq, 6);
    work.answer(&Err("the disk is full".into()));
    assert!(seven.try_recv().unwrap().is_err() && work.wanted.is_empty());
}

#[test]
fn a_snapshot_is_due_after_as_many_commands_as_were_asked_for_and_never_where_none_were() {
    let folder = TempDir::new().unwrap();
    let mut work = work(folder.path(), 100);
    let due = |work: &Work, applied| {
        work.engine.shared.applied_seq.store(applied, Ordering::Relaxed);
        (work.is_due(), work.is_overdue())
    };
    work.engine.shared.snapshot_seq.store(50, Ordering::Relaxed);
    let (not_yet, now, late) = ((false, false), (true, false), (true, true));
    let told = [40, 149, 150, 199, 200].map(|applied| due(&work, applied));
    assert_eq!(told, [not_yet, not_yet, now, now, late], "then it does not give way any more");
    work.bytes = 200 * BYTES_OF_A_COMMAND;
    assert_eq!([249, 250, 350].map(|applied| due(&work, applied)), [not_yet, now, late]);
    work.every = 0;
    assert_eq!(due(&work, u64::MAX), not_yet);
}
