//! A journal ... (each test's name finishes the sentence).

use std::fs;
use std::path::{Path, PathBuf};

use countersign_journal::{Block, Error, Follower, Journal, Options, Seam, scan};
use tempfile::TempDir;

fn small() -> Options {
    Options { segment_bytes: 4_096, fsync: false, seam: Seam::default() }
}

type Seen = Vec<(u64, u64, Vec<u8>)>;

fn open(folder: &Path, init: bool) -> Result<(Journal, Seen, u64), Error> {
    let mut seen = Seen::new();
    let (journal, scan) = Journal::open(folder, &small(), init, 0, |record| {
        seen.push((record.seq, record.time_ns, record.bytes.to_vec()));
        Ok(())
    })?;
    Ok((journal, seen, scan.torn_bytes))
}

/// Appends blocks of the given numbers of records; each record's bytes tell its sequence.
fn write(journal: &mut Journal, counts: &[u64]) {
    let mut block = Block::default();
    for &count in counts {
        let first = journal.next_seq();
        block.start(first);
        for seq in first..first + count {
            block.push(seq * 10, |bytes| bytes.extend_from_slice(format!("record {seq}").as_bytes()));
        }
        journal.append(&mut block).unwrap();
    }
}

fn expected(count: u64) -> Seen {
    (1..=count).map(|seq| (seq, seq * 10, format!("record {seq}").into_bytes())).collect()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}

fn end_of_data(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1
}

#[test]
fn gives_back_what_was_appended_and_goes_on_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let (mut journal, seen, _) = open(folder.path(), true).unwrap();
    assert!(seen.is_empty());
    write(&mut journal, &[1, 3, 2]);
    drop(journal);
    let (mut journal, seen, torn) = open(folder.path(), false).unwrap();
    assert_eq!((seen, torn), (expected(6), 0));
    write(&mut journal, &[4]);
    drop(journal);
    assert_eq!(open(folder.path(), false).unwrap().1, expected(10));
}

#[test]
fn goes_on_over_many_segments() {
    let folder = TempDir::new().unwrap();
    let (mut journal, ..) = open(folder.path(), true).unwrap();
    for _ in 0..40 {
        write(&mut journal, &[7, 20, 1]);
    }
    drop(journal);
    assert!(segments(folder.path()).len() > 5);
    let (mut journal, seen, _) = open(folder.path(), false).unwrap();
    assert_eq!(seen, expected(40 * 28));
    write(&mut journal, &[5]);
    drop(journal);
    assert_eq!(open(folder.path(), false).unwrap().1, expected(40 * 28 + 5));
}

#[test]
fn takes_a_block_larger_than_a_segment() {
    let folder = TempDir::new().unwrap();
    let (mut journal, ..) = open(folder.path(), true).unwrap();
    write(&mut journal, &[3, 1_000, 3]);
    drop(journal);
    assert_eq!(open(folder.path(), false).unwrap().1, expected(1_006));
}

#[test]
fn refuses_to_begin_empty_unless_told_to() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(open(folder.path(), false), Err(Error::Empty(_))));
    open(folder.path(), true).unwrap();
    open(folder.path(), false).unwrap();
}

#[test]
fn refuses_to_begin_empty_where_a_journal_was() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path(), true).unwrap());
    for segment in segments(folder.path()) {
        fs::remove_file(segment).unwrap();
    }
    assert!(matches!(open(folder.path(), true), Err(Error::Lost(_))));
}

#[test]
fn has_one_writer() {
    let folder = TempDir::new().unwrap();
    let (_journal, ..) = open(folder.path(), true).unwrap();
    assert!(matches!(open(folder.path(), false), Err(Error::Locked(_))));
}

/// Two blocks, then one of three records; gives the file, the whole bytes and where the last block begins and ends.
fn three_blocks(folder: &Path) -> (PathBuf, Vec<u8>, usize, usize) {
    let (mut journal, ..) = open(folder, true).unwrap();
    write(&mut journal, &[2, 2]);
    let path = segments(folder).remove(0);
    let before = end_of_data(&fs::read(&path).unwrap());
    write(&mut journal, &[3]);
    drop(journal);
    let bytes = fs::read(&path).unwrap();
    let end = end_of_data(&bytes);
    (path, bytes, before, end)
}

#[test]
fn cuts_a_last_block_that_was_truncated_at_any_byte() {
    let folder = TempDir::new().unwrap();
    let (path, whole, before, end) = three_blocks(folder.path());
    for cut in before..end {
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        fs::write(&path, &bytes).unwrap();
        let (journal, seen, _) = open(folder.path(), false).unwrap();
        assert_eq!((seen, journal.next_seq()), (expected(4), 5), "cut at {cut}");
        drop(journal);
        assert_eq!(end_of_data(&fs::read(&path).unwrap()), before, "the tail is wiped");
    }
}

#[test]
fn cuts_a_last_block_with_any_byte_changed() {
    let folder = TempDir::new().unwrap();
    let (path, whole, before, end) = three_blocks(folder.path());
    for at in before..end {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        let (journal, seen, torn) = open(folder.path(), false).unwrap();
        assert_eq!((seen, journal.next_seq()), (expected(4), 5), "byte {at}");
        assert!(torn > 0);
    }
}

#[test]
fn writes_on_after_a_cut_so_that_the_next_start_sees_one_history() {
    let folder = TempDir::new().unwrap();
    let (path, mut bytes, _, end) = three_blocks(folder.path());
    bytes[end - 1] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (mut journal, ..) = open(folder.path(), false).unwrap();
    write(&mut journal, &[1]);
    drop(journal);
    let (_, seen, torn) = open(folder.path(), false).unwrap();
    assert_eq!((seen, torn), (expected(5), 0));
}

#[test]
fn is_refused_when_any_byte_before_a_valid_block_has_changed() {
    let folder = TempDir::new().unwrap();
    let (path, whole, before, _) = three_blocks(folder.path());
    for at in 0..before {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x01;
        fs::write(&path, &bytes).unwrap();
        let refused = open(folder.path(), false);
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "byte {at} was changed and nobody noticed");
        assert_eq!(fs::read(&path).unwrap(), bytes, "a refused journal is left as it is");
    }
}

#[test]
fn is_refused_when_a_segment_is_missing() {
    let folder = TempDir::new().unwrap();
    let (mut journal, ..) = open(folder.path(), true).unwrap();
    for _ in 0..10 {
        write(&mut journal, &[40]);
    }
    drop(journal);
    let paths = segments(folder.path());
    fs::remove_file(&paths[1]).unwrap();
    assert!(matches!(open(folder.path(), false), Err(Error::Corrupt { .. })));
}

#[test]
fn is_refused_when_its_first_segment_is_missing_and_no_snapshot_stands_for_it() {
    let folder = TempDir::new().unwrap();
    let (mut journal, ..) = open(folder.path(), true).unwrap();
    for _ in 0..10 {
        write(&mut journal, &[40]);
    }
    drop(journal);
    let paths = segments(folder.path());
    let second: u64 = paths[1].file_stem().unwrap().to_str().unwrap()[8..].parse().unwrap();
    fs::remove_file(&paths[0]).unwrap();
    assert!(matches!(open(folder.path(), false), Err(Error::Corrupt { .. })));
    let mut seen = 0;
    scan(folder.path(), second, |_| {
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 400 - second);
}

#[test]
fn stops_at_a_record_that_its_reader_refuses() {
    let folder = TempDir::new().unwrap();
    let (mut journal, ..) = open(folder.path(), true).unwrap();
    write(&mut journal, &[3]);
    drop(journal);
    let refused =
        scan(folder.path(), 0, |record| if record.seq == 2 { Err("no such command".into()) } else { Ok(()) });
    assert!(matches!(refused, Err(Error::Refused { seq: 2, .. })));
}

#[test]
fn is_followed_by_another_reader_while_it_grows() {
    let folder = TempDir::new().unwrap();
    let (mut journal, ..) = open(folder.path(), true).unwrap();
    let mut follower = Follower::new(folder.path(), 0);
    let mut seen = Seen::new();
    for round in 0..60u64 {
        write(&mut journal, &[round % 5 + 1, 9]);
        follower
            .poll(|record| {
                seen.push((record.seq, record.time_ns, record.bytes.to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen.len() as u64 + 1, journal.next_seq());
    }
    assert!(segments(folder.path()).len() > 3);
    assert_eq!(seen, expected(journal.next_seq() - 1));
}

/// Found by the fuzzer: the follower opened the very segment that it had just read to its end, for ever.
#[test]
fn has_nothing_to_follow_in_a_segment_without_records() {
    let folder = TempDir::new().unwrap();
    let (mut journal, ..) = open(folder.path(), true).unwrap();
    let mut follower = Follower::new(folder.path(), 0);
    assert_eq!(follower.poll(|_| Ok(())).unwrap(), 0);
    write(&mut journal, &[2]);
    assert_eq!(follower.poll(|_| Ok(())).unwrap(), 2);
}
