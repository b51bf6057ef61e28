//! A reader of a journal ... (each test's name finishes the sentence).

use std::fs;
use std::path::{Path, PathBuf};

use countersign_journal::{Block, Error, Follower, Journal, Options, Scan, Seam, retire, scan, scan_closed};
use tempfile::TempDir;

const SEGMENT: u64 = 4_096;
/// Bytes of a block of one record.
const BLOCK: usize = 32 + 12 + 1_250;

/// Closed segments of three records each, and one of a single record; `salt` makes it another history.
fn written(segments: u64, salt: u8) -> TempDir {
    let folder = TempDir::new().unwrap();
    let options = Options { segment_bytes: SEGMENT, fsync: false, ..Options::default() };
    let (mut journal, _) = Journal::open(folder.path(), &options, true, 0, |_| Ok(())).unwrap();
    let mut block = Block::default();
    for seq in 1..=segments * 3 + 1 {
        block.start(seq);
        block.push(seq, |bytes| bytes.resize(bytes.len() + 1_250, salt));
        journal.append(&mut block).unwrap();
    }
    folder
}

fn segment(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("journal-{first:020}.seg"))
}

fn change(path: &Path, with: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    with(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn read(folder: &Path, after: u64) -> Result<Scan, Error> {
    scan(folder, after, |_| Ok(()))
}

fn followed(folder: &Path) -> Result<u64, Error> {
    Follower::new(folder, 0).poll(|_| Ok(()))
}

/// Where it says that the damage is.
fn damage<T>(told: Result<T, Error>) -> u64 {
    match told {
        Err(Error::Corrupt { offset, .. }) => offset,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nobody noticed"),
    }
}

#[test]
fn tells_how_much_it_has_read() {
    let folder = written(2, 1);
    let told = read(folder.path(), 0).unwrap();
    assert_eq!((told.next_seq, told.records, told.blocks, told.segments), (8, 7, 7, 3));
    assert_eq!((told.bytes, told.torn_bytes), (3 * 64 + 7 * BLOCK as u64, 0));
    let told = read(folder.path(), 4).unwrap();
    assert_eq!((told.next_seq, told.records, told.blocks, told.segments), (8, 3, 4, 2));
}

#[test]
fn reads_no_segment_that_a_snapshot_stands_for_to_its_end() {
    let folder = written(2, 1);
    change(&segment(folder.path(), 1), |bytes| bytes[80] ^= 1);
    assert_eq!(damage(read(folder.path(), 2)), 64);
    assert_eq!(read(folder.path(), 3).unwrap().segments, 2);
}

#[test]
fn of_closed_segments_stops_before_the_open_one() {
    let closed = |folder: &TempDir, after| scan_closed(folder.path(), after, |_| Ok(())).unwrap();
    let folder = written(2, 1);
    let told = closed(&folder, 0);
    assert_eq!((told.next_seq, told.records, told.segments), (7, 6, 2));
    assert_eq!(closed(&folder, 6).next_seq, 7);
    assert_eq!(closed(&folder, 9).next_seq, 10, "the rest of that is in the open one");
    let told = closed(&written(0, 1), 0);
    assert_eq!((told.next_seq, told.records, told.segments), (1, 0, 0));
}

#[test]
fn of_closed_segments_takes_no_end_of_one_for_a_torn_block() {
    let folder = written(2, 1);
    let last = segment(folder.path(), 4);
    change(&last, |bytes| bytes[64 + 3 * BLOCK - 1] ^= 1);
    assert_eq!(damage(scan_closed(folder.path(), 0, |_| Ok(()))), (64 + 2 * BLOCK) as u64);
    assert_eq!(damage(read(folder.path(), 0)), (64 + 2 * BLOCK) as u64);
}

#[test]
fn takes_no_segment_out_of_another_history() {
    let (folder, other) = (written(2, 1), written(2, 2));
    fs::copy(segment(other.path(), 4), segment(folder.path(), 4)).unwrap();
    assert_eq!(damage(read(folder.path(), 0)), 0);
}

#[test]
fn takes_no_block_out_of_another_history() {
    let (folder, other) = (written(1, 1), written(1, 2));
    let from = fs::read(segment(other.path(), 1)).unwrap();
    let (second, third) = (64 + BLOCK, 64 + 2 * BLOCK);
    change(&segment(folder.path(), 1), |bytes| bytes[second..third].copy_from_slice(&from[second..third]));
    assert_eq!(damage(read(folder.path(), 0)), second as u64);
    assert_eq!(damage(followed(folder.path())), second as u64);
}

/// A block whose checksum holds in spite of what `with` has changed.
fn forged(folder: &Path, at: usize, with: impl FnOnce(&mut [u8])) {
    change(&segment(folder, 1), |bytes| {
        let block = &mut bytes[at..at + BLOCK];
        with(block);
        let sum = crc32c::crc32c_append(crc32c::crc32c(&block[..28]), &block[32..]);
        block[28..32].copy_from_slice(&sum.to_le_bytes());
    });
}

#[test]
fn takes_no_block_that_leaves_a_number_out_or_counts_wrongly() {
    for (byte, value) in [(8, 3u8), (16, 2), (16, 0)] {
        let folder = written(1, 1);
        let second = 64 + BLOCK;
        forged(folder.path(), second, |block| block[byte] = value);
        assert_eq!(damage(read(folder.path(), 0)), second as u64);
        assert_eq!(damage(followed(folder.path())), second as u64);
    }
}

#[test]
fn goes_on_where_segments_go_to_the_attic_while_it_reads() {
    let folder = written(4, 1);
    let mut seen = 0;
    let told = scan(folder.path(), 0, |record| {
        if record.seq == 1 {
            assert_eq!(retire(folder.path(), 12, 0, &Seam::default()).unwrap().segments, 4);
        }
        seen += 1;
        assert_eq!(record.seq, seen);
        Ok(())
    });
    assert_eq!((told.unwrap().records, seen), (13, 13));
}

#[test]
fn says_which_segment_it_cannot_read() {
    let folder = written(2, 1);
    let path = segment(folder.path(), 4);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let Err(Error::Io { path: named, cause, .. }) = read(folder.path(), 0) else { panic!("it was read") };
    assert_eq!((named, cause.kind()), (path, std::io::ErrorKind::IsADirectory));
}

#[test]
fn that_follows_says_what_it_cannot_unpack() {
    let folder = written(2, 1);
    retire(folder.path(), 6, 0, &Seam::default()).unwrap();
    change(&folder.path().join("attic/journal-00000000000000000001.seg.lz4"), |bytes| bytes[20] ^= 0xff);
    assert!(matches!(followed(folder.path()), Err(Error::Io { .. })));
}
