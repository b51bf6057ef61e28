//! A journal on a failing disk ... (each test's name finishes the sentence).

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_journal::{Block, Error, Journal, Options, Retired, Seam, Step, first_kept, retire, scan};
use tempfile::TempDir;

fn options(seam: Seam) -> Options {
    Options { segment_bytes: 4_096, fsync: true, seam }
}

fn open(folder: &Path, init: bool, seam: Seam) -> Result<Journal, Error> {
    Journal::open(folder, &options(seam), init, 0, |_| Ok(())).map(|(journal, _)| journal)
}

/// Appends one block of four records, each telling its sequence.
fn append(journal: &mut Journal) -> Result<(), Error> {
    let mut block = Block::default();
    let first = journal.next_seq();
    block.start(first);
    for seq in first..first + 4 {
        block.push(seq, |bytes| {
            bytes.extend_from_slice(format!("record {seq} {}", "x".repeat(90)).as_bytes())
        });
    }
    journal.append(&mut block)
}

/// How many records a replay gives; each must be the one that was written under its sequence.
fn replayed(folder: &Path) -> u64 {
    let mut count = 0;
    let told = scan(folder, 0, |record| {
        assert!(record.bytes.starts_with(format!("record {} ", record.seq).as_bytes()));
        assert_eq!(record.seq, count + 1);
        count += 1;
        Ok(())
    });
    told.unwrap();
    count
}

/// Lets `whole` steps pass and fails from then on, as a full disk or a dead process does.
fn failing_after(whole: usize, error: io::ErrorKind) -> (Seam, Arc<AtomicUsize>) {
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    let seam = Seam::new(move |_| match count.fetch_add(1, Ordering::SeqCst) < whole {
        true => Ok(()),
        false => Err(error.into()),
    });
    (seam, passed)
}

#[test]
fn keeps_all_that_was_acknowledged_whichever_step_fails() {
    for whole in 0..60 {
        let error = if whole % 2 == 0 { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        let folder = TempDir::new().unwrap();
        drop(open(folder.path(), true, Seam::default()).unwrap());
        let (seam, _) = failing_after(whole, error);
        let mut acknowledged = 0;
        if let Ok(mut journal) = open(folder.path(), false, seam) {
            while append(&mut journal).is_ok() {
                acknowledged = journal.next_seq() - 1;
            }
        }
        let mut journal = open(folder.path(), false, Seam::default()).unwrap();
        assert!(replayed(folder.path()) >= acknowledged, "step {whole}");
        append(&mut journal).unwrap();
        assert_eq!(replayed(folder.path()), journal.next_seq() - 1);
    }
}

#[test]
fn flushes_no_second_time_after_a_flush_failed() {
    let folder = TempDir::new().unwrap();
    let flushes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&flushes);
    let seam = Seam::new(move |step| match step {
        Step::Flush if count.fetch_add(1, Ordering::SeqCst) == 2 => Err(io::ErrorKind::Other.into()),
        _ => Ok(()),
    });
    let mut journal = open(folder.path(), true, seam).unwrap();
    append(&mut journal).unwrap();
    append(&mut journal).unwrap();
    assert!(matches!(append(&mut journal), Err(Error::Io { .. })));
    assert_eq!(flushes.load(Ordering::SeqCst), 3);
    assert_eq!(journal.next_seq(), 9, "what was not flushed has no sequence");
}

#[test]
fn cuts_a_last_block_of_which_any_one_sector_was_never_written() {
    const SECTOR: usize = 512;
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path(), true, Seam::default()).unwrap();
    append(&mut journal).unwrap();
    let path = folder.path().join("journal-00000000000000000001.seg");
    let end = |bytes: &[u8]| bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let before = end(&fs::read(&path).unwrap());
    let mut block = Block::default();
    block.start(5);
    block.push(5, |bytes| bytes.extend_from_slice(&[7; 2_000]));
    journal.append(&mut block).unwrap();
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let mut torn = 0;
    for sector in before / SECTOR..=end(&whole) / SECTOR {
        let mut bytes = whole.clone();
        let from = (sector * SECTOR).max(before);
        bytes[from..((sector + 1) * SECTOR).min(whole.len())].fill(0);
        if bytes == whole {
            continue;
        }
        torn += 1;
        fs::write(&path, &bytes).unwrap();
        let journal = open(folder.path(), false, Seam::default()).unwrap();
        assert_eq!(journal.next_seq(), 5, "sector {sector}");
    }
    assert!(torn >= 4);
}

/// A journal of many segments.
fn long(folder: &Path) -> Journal {
    let mut journal = open(folder, true, Seam::default()).unwrap();
    for _ in 0..60 {
        append(&mut journal).unwrap();
    }
    journal
}

#[test]
fn is_replayed_from_the_attic_as_from_its_place() {
    let folder = TempDir::new().unwrap();
    let mut journal = long(folder.path());
    let told = retire(folder.path(), 150, 0, &Seam::default()).unwrap();
    assert!(told.segments > 2 && told.bytes_after < told.bytes_before, "{told:?}");
    assert_eq!(replayed(folder.path()), 240);
    append(&mut journal).unwrap();
    drop(journal);
    let journal = open(folder.path(), false, Seam::default()).unwrap();
    assert_eq!(journal.next_seq(), 245);
    let mut follower = countersign_journal::Follower::new(folder.path(), 0);
    let mut seen = 0;
    follower
        .poll(|record| {
            seen = record.seq;
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, 244);
}

#[test]
fn loses_nothing_when_it_dies_at_any_step_on_the_way_to_the_attic() {
    for whole in 0..20 {
        let folder = TempDir::new().unwrap();
        drop(long(folder.path()));
        let (seam, _) = failing_after(whole, io::ErrorKind::StorageFull);
        assert!(retire(folder.path(), 200, 0, &seam).is_err() || whole >= 9);
        assert_eq!(replayed(folder.path()), 240, "step {whole}");
        retire(folder.path(), 200, 0, &Seam::default()).unwrap();
        assert_eq!(replayed(folder.path()), 240, "step {whole}");
    }
}

#[test]
fn keeps_as_many_old_segments_as_it_is_told_and_refuses_a_replay_without_them() {
    let folder = TempDir::new().unwrap();
    drop(long(folder.path()));
    let told = retire(folder.path(), 200, 2, &Seam::default()).unwrap();
    assert_eq!(told.forgotten, told.segments - 2);
    let refused = scan(folder.path(), 0, |_| Ok(()));
    assert!(matches!(refused, Err(Error::Corrupt { .. })));
    assert_eq!(scan(folder.path(), 200, |_| Ok(())).unwrap().next_seq, 241);
    let again = retire(folder.path(), 200, 2, &Seam::default()).unwrap();
    assert_eq!(again, Retired::default());
}

#[test]
fn knows_what_it_dropped_on_purpose_wherever_it_dies_on_the_way() {
    for whole in 0.. {
        let folder = TempDir::new().unwrap();
        drop(long(folder.path()));
        assert_eq!(first_kept(folder.path()).unwrap(), 1);
        let (seam, _) = failing_after(whole, io::ErrorKind::Other);
        let done = retire(folder.path(), 200, 2, &seam).is_ok();
        // Whatever is left is a whole journal from there on.
        let first = first_kept(folder.path()).unwrap();
        let mut next = first;
        let told = scan(folder.path(), first - 1, |record| {
            assert_eq!(record.seq, next);
            next += 1;
            Ok(())
        });
        assert_eq!(told.unwrap().next_seq, 241, "step {whole}");
        retire(folder.path(), 200, 2, &Seam::default()).unwrap();
        let first = first_kept(folder.path()).unwrap();
        assert!(first > 1 && scan(folder.path(), first - 1, |_| Ok(())).is_ok());
        let attic = folder.path().join("attic");
        let mark = attic.join("kept-from");
        if done {
            // As a version left it that dropped and wrote nothing down: the next time tells.
            fs::remove_file(&mark).unwrap();
            retire(folder.path(), 200, 2, &Seam::default()).unwrap();
            assert_eq!(first_kept(folder.path()).unwrap(), first);
            fs::remove_file(attic.join(format!("journal-{first:020}.seg.lz4"))).unwrap();
            let lost = first_kept(folder.path()).unwrap_err().to_string();
            assert!(lost.contains(&format!("record {first} is needed")), "{lost}");
            fs::write(&mark, "nonsense").unwrap();
            assert!(matches!(first_kept(folder.path()), Err(Error::Corrupt { .. })));
            break;
        }
    }
}

#[test]
fn notices_a_changed_byte_in_the_attic() {
    let folder = TempDir::new().unwrap();
    drop(long(folder.path()));
    retire(folder.path(), 60, 0, &Seam::default()).unwrap();
    let copy = fs::read_dir(folder.path().join("attic")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&copy).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&copy, &bytes).unwrap();
        let mut count = 0;
        let told = scan(folder.path(), 0, |record| {
            assert!(record.bytes.starts_with(format!("record {} ", record.seq).as_bytes()));
            count += 1;
            Ok(())
        });
        // Flags of the frame that do not change its contents are nobody's loss.
        assert!(told.is_err() || count == 240, "byte {at}");
    }
}
