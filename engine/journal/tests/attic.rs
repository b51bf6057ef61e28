//! The attic of a journal ... (each test's name finishes the sentence).

use std::fs;
use std::path::{Path, PathBuf};

use countersign_journal::{
    Block, Error, Follower, Journal, Options, Retired, Seam, first_kept, retire, scan,
};
use tempfile::TempDir;

/// Segments of so many records each.
const RECORDS: u64 = 3;
const SEGMENT: u64 = 4_096;

/// A journal of `segments` closed segments and one that is written to.
fn written(segments: u64) -> TempDir {
    let folder = TempDir::new().unwrap();
    let options = Options { segment_bytes: SEGMENT, fsync: false, seam: Seam::default() };
    let (mut journal, _) = Journal::open(folder.path(), &options, true, 0, |_| Ok(())).unwrap();
    let mut block = Block::default();
    for seq in 1..=segments * RECORDS + 1 {
        block.start(seq);
        block.push(seq, |bytes| bytes.resize(bytes.len() + 1_250, b'a' + (seq % 23) as u8));
        journal.append(&mut block).unwrap();
    }
    folder
}

fn sent(folder: &Path, through: u64, keep: usize) -> Retired {
    retire(folder, through, keep, &Seam::default()).unwrap()
}

fn copy_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("attic/journal-{first:020}.seg.lz4"))
}

fn records(folder: &Path) -> Result<u64, Error> {
    scan(folder, 0, |_| Ok(())).map(|told| told.records)
}

#[test]
fn takes_a_segment_in_once_all_of_its_records_are_stood_for_and_no_sooner() {
    let folder = written(4);
    for (through, in_all) in [(0, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2), (9, 3)] {
        sent(folder.path(), through, 0);
        let segments = (1..).step_by(3).take_while(|first| copy_of(folder.path(), *first).exists());
        assert_eq!(segments.count(), in_all, "through {through}");
        assert_eq!(records(folder.path()).unwrap(), 13);
    }
}

#[test]
fn never_takes_in_the_segment_that_is_written_to() {
    let folder = written(4);
    assert_eq!(sent(folder.path(), 1_000, 0).segments, 4);
    assert!(folder.path().join("journal-00000000000000000013.seg").exists());
    assert_eq!(records(folder.path()).unwrap(), 13);
}

#[test]
fn tells_how_much_became_how_little() {
    let folder = written(4);
    let told = sent(folder.path(), 9, 0);
    let lengths = [1, 4, 7].map(|first| fs::metadata(copy_of(folder.path(), first)).unwrap().len());
    assert_eq!((told.segments, told.bytes_before), (3, 3 * SEGMENT));
    assert_eq!(told.bytes_after, lengths.iter().sum::<u64>());
    assert_eq!(told.forgotten, 0);
}

#[test]
fn writes_down_each_time_what_it_drops() {
    let folder = written(6);
    for (through, first) in [(6, 1), (9, 4), (12, 7), (15, 10)] {
        let told = sent(folder.path(), through, 2);
        assert_eq!(told.forgotten, usize::from(first > 1), "through {through}");
        assert_eq!(first_kept(folder.path()).unwrap(), first);
        assert_eq!(folder.path().join("attic/kept-from").exists(), first > 1);
        assert!(scan(folder.path(), first - 1, |_| Ok(())).is_ok());
    }
}

/// Whatever writes down later what is kept must not take a loss for a wish.
#[test]
fn goes_on_missing_what_was_lost_and_not_dropped() {
    let folder = written(6);
    sent(folder.path(), 12, 3);
    assert_eq!(first_kept(folder.path()).unwrap(), 4);
    fs::remove_file(copy_of(folder.path(), 4)).unwrap();
    for through in [12, 15] {
        sent(folder.path(), through, 3);
        let lost = first_kept(folder.path()).unwrap_err().to_string();
        assert!(lost.contains("begins at 7, record 4 is needed"), "{lost}");
    }
}

#[test]
fn is_refused_where_it_cannot_be_read() {
    let folder = written(6);
    sent(folder.path(), 12, 2);
    let mark = folder.path().join("attic/kept-from");
    fs::remove_file(&mark).unwrap();
    fs::create_dir(&mark).unwrap();
    assert!(matches!(first_kept(folder.path()), Err(Error::Io { .. })));
}

#[test]
fn gives_all_or_nothing_of_a_copy_that_was_cut_short_anywhere_or_grew() {
    let folder = written(2);
    sent(folder.path(), 6, 0);
    let copy = copy_of(folder.path(), 4);
    let whole = fs::read(&copy).unwrap();
    let mut others: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
    others.push([whole.as_slice(), b"more"].concat());
    others.push([whole.as_slice(), &whole].concat());
    let mut refused = 0;
    for bytes in &others {
        fs::write(&copy, bytes).unwrap();
        match records(folder.path()) {
            // Only the mark of its end and the checksum beside the journal's own were lost.
            Ok(count) => assert_eq!(count, 7, "{} bytes of {}", bytes.len(), whole.len()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused + 8 >= others.len(), "{refused} of {}", others.len());
    fs::write(&copy, &whole).unwrap();
    assert_eq!(records(folder.path()).unwrap(), 7);
}

#[test]
fn is_followed_into_by_a_reader_that_comes_late() {
    let folder = written(6);
    for after in 0..=18 {
        let mut follower = Follower::new(folder.path(), after);
        sent(folder.path(), 15, 0);
        let mut next = after + 1;
        let seen = follower.poll(|record| {
            assert_eq!(record.seq, next);
            next += 1;
            Ok(())
        });
        assert_eq!(seen.unwrap(), 19 - after);
        assert_eq!(follower.next_seq(), 20);
    }
}
