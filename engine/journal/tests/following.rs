//! Following a journal ... (each test's name finishes the sentence).

use std::fs;

use countersign_journal::{Block, Follower, Journal, Options, Seam};
use tempfile::TempDir;

/// Bytes that this thread has read so far.
fn read_by_this_thread() -> u64 {
    let figures = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = figures.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}

fn append(journal: &mut Journal, bytes: usize) {
    let mut block = Block::default();
    block.start(journal.next_seq());
    block.push(1, |record| record.resize(record.len() + bytes, b'x'));
    journal.append(&mut block).unwrap();
}

#[test]
fn does_not_read_the_zeros_that_wait_to_be_written() {
    let folder = TempDir::new().unwrap();
    let options = Options { segment_bytes: 32 << 20, fsync: false, seam: Seam::default() };
    let (mut journal, _) = Journal::open(folder.path(), &options, true, 0, |_| Ok(())).unwrap();
    let mut follower = Follower::new(folder.path(), 0);
    append(&mut journal, 100);
    assert_eq!(follower.poll(|_| Ok(())).unwrap(), 1);
    let before = read_by_this_thread();
    for _ in 0..100 {
        assert_eq!(follower.poll(|_| Ok(())).unwrap(), 0);
    }
    let idle = read_by_this_thread() - before;
    assert!(idle < 1 << 20, "{idle} bytes were read to learn 100 times that there is nothing new");
    append(&mut journal, 100);
    let before = read_by_this_thread();
    assert_eq!(follower.poll(|_| Ok(())).unwrap(), 1);
    let busy = read_by_this_thread() - before;
    assert!(busy < 1 << 20, "{busy} bytes were read for one record");
}

#[test]
fn takes_in_blocks_larger_than_what_is_read_at_once() {
    let folder = TempDir::new().unwrap();
    let options = Options { segment_bytes: 8 << 20, fsync: false, seam: Seam::default() };
    let (mut journal, _) = Journal::open(folder.path(), &options, true, 0, |_| Ok(())).unwrap();
    let mut follower = Follower::new(folder.path(), 0);
    let sizes = [10, 3 << 20, 127 << 10, 128 << 10, 7];
    for bytes in sizes {
        append(&mut journal, bytes);
    }
    let mut seen = Vec::new();
    follower
        .poll(|record| {
            seen.push(record.bytes.len());
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, sizes);
}

#[test]
fn goes_no_further_than_it_is_told_however_much_lies_there() {
    let folder = TempDir::new().unwrap();
    // A few segments, so that it ends at their ends too.
    let options = Options { segment_bytes: 400, fsync: false, seam: Seam::default() };
    let (mut journal, _) = Journal::open(folder.path(), &options, true, 0, |_| Ok(())).unwrap();
    for _ in 0..20 {
        append(&mut journal, 100);
    }
    let mut follower = Follower::new(folder.path(), 0);
    for through in [0, 1, 1, 7, 8, 9, 20, 25] {
        let before = follower.next_seq();
        let read = follower.poll_to(through, |record| {
            assert!(record.seq <= through);
            Ok(())
        });
        let stands_at = through.min(20);
        assert_eq!((read.unwrap(), follower.next_seq()), (stands_at + 1 - before, stands_at + 1));
    }
}
