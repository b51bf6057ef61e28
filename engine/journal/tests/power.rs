//! A journal whose machine or disk fails it ... (each test's name finishes the sentence).

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use countersign_journal::{Block, Error, Follower, Journal, Options, Seam, Step, scan};
use tempfile::TempDir;

fn open_after(folder: &Path, after: u64, segment_bytes: u64, seam: Seam) -> Result<Journal, Error> {
    let options = Options { segment_bytes, fsync: true, seam };
    Journal::open(folder, &options, true, after, |_| Ok(())).map(|(journal, _)| journal)
}

fn open(folder: &Path, seam: Seam) -> Result<Journal, Error> {
    open_after(folder, 0, 4_096, seam)
}

/// Appends one record of so many bytes.
fn append(journal: &mut Journal, bytes: usize) -> Result<(), Error> {
    let mut block = Block::default();
    block.start(journal.next_seq());
    block.push(1, |record| record.resize(record.len() + bytes, b'x'));
    journal.append(&mut block)
}

/// What a block of one record adds to its bytes.
const AROUND: usize = 32 + 12;

fn records(folder: &Path) -> u64 {
    scan(folder, 0, |_| Ok(())).unwrap().records
}

/// Writes down every step.
fn watched() -> (Seam, Arc<Mutex<Vec<Step>>>) {
    let steps = Arc::<Mutex<Vec<Step>>>::default();
    let seen = Arc::clone(&steps);
    let seam = Seam::new(move |step| {
        seen.lock().unwrap().push(step);
        Ok(())
    });
    (seam, steps)
}

fn failing_at(which: Step) -> Seam {
    Seam::new(move |step| if step == which { Err(io::ErrorKind::Other.into()) } else { Ok(()) })
}

/// Bytes that this thread has written so far.
fn written_by_this_thread() -> u64 {
    let figures = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = figures.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn writes_the_last_block_once_more_since_nobody_knows_whether_it_was_flushed() {
    let folder = TempDir::new().unwrap();
    let mut journal = open_after(folder.path(), 0, 1 << 20, Seam::default()).unwrap();
    append(&mut journal, 50_000).unwrap();
    append(&mut journal, 9_000).unwrap();
    drop(journal);
    let before = written_by_this_thread();
    let journal = open_after(folder.path(), 0, 1 << 20, Seam::default()).unwrap();
    let written = written_by_this_thread() - before;
    assert!((9_000..12_000).contains(&written), "{written} bytes were written");
    drop(journal);
    assert_eq!(records(folder.path()), 2);
}

#[test]
fn leads_nobody_on_before_what_was_left_is_durable() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path(), Seam::default()).unwrap();
    append(&mut journal, 100).unwrap();
    drop(journal);
    let (seam, steps) = watched();
    drop(open(folder.path(), seam).unwrap());
    assert_eq!(*steps.lock().unwrap(), [Step::TakeOn, Step::NameFlush]);
    for step in [Step::TakeOn, Step::NameFlush] {
        assert!(matches!(open(folder.path(), failing_at(step)), Err(Error::Io { .. })), "{step:?}");
    }
    assert_eq!(records(folder.path()), 1);
}

#[test]
fn begins_in_folders_whose_names_are_durable_too() {
    let base = TempDir::new().unwrap();
    let (seam, steps) = watched();
    drop(open(&base.path().join("one/two"), seam).unwrap());
    let flushed = |steps: &[Step]| steps.iter().filter(|step| **step == Step::NameFlush).count();
    let steps = steps.lock().unwrap();
    let filled = steps.iter().position(|step| *step == Step::Fill).unwrap();
    assert_eq!((flushed(&steps[..filled]), flushed(&steps[filled..])), (2, 2));
}

#[test]
fn takes_nothing_after_any_step_of_an_append_failed_however_often_it_is_tried() {
    for step in [Step::Append, Step::Flush, Step::Head, Step::Name, Step::NameFlush] {
        let folder = TempDir::new().unwrap();
        drop(open(folder.path(), Seam::default()).unwrap());
        let (count, armed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (failures, arm) = (Arc::clone(&count), Arc::clone(&armed));
        // It fails once: whoever tried again would be told that all is well.
        let seam = Seam::new(move |at| {
            let fails = arm.load(Ordering::SeqCst) == 1 && at == step;
            match fails && failures.fetch_add(1, Ordering::SeqCst) == 0 {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        });
        let mut journal = open(folder.path(), seam).unwrap();
        append(&mut journal, 2_000).unwrap();
        armed.store(1, Ordering::SeqCst);
        assert!(matches!(append(&mut journal, 3_000), Err(Error::Io { .. })), "{step:?}");
        for _ in 0..3 {
            assert!(matches!(append(&mut journal, 3_000), Err(Error::Failed(_))), "{step:?}");
        }
        assert_eq!((journal.next_seq(), count.load(Ordering::SeqCst)), (2, 1));
        drop(journal);
        let mut journal = open(folder.path(), Seam::default()).unwrap();
        append(&mut journal, 10).unwrap();
        assert_eq!(records(folder.path()), journal.next_seq() - 1);
    }
}

#[test]
fn is_refused_when_it_ends_before_what_a_snapshot_stands_for() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path(), Seam::default()).unwrap();
    append(&mut journal, 100).unwrap();
    append(&mut journal, 100).unwrap();
    drop(journal);
    assert_eq!(open_after(folder.path(), 2, 4_096, Seam::default()).unwrap().next_seq(), 3);
    let Err(refused) = open_after(folder.path(), 3, 4_096, Seam::default()) else { panic!("it was opened") };
    assert!(refused.to_string().contains("ends before record 3, and a snapshot stands for 3"), "{refused}");
}

#[test]
fn remembers_that_it_was_begun_although_its_first_start_died_on_the_way() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path(), Seam::default()).unwrap());
    fs::remove_file(folder.path().join("VENUE")).unwrap();
    drop(open(folder.path(), Seam::default()).unwrap());
    fs::remove_file(folder.path().join("journal-00000000000000000001.seg")).unwrap();
    assert!(matches!(open(folder.path(), Seam::default()), Err(Error::Lost(_))));
}

#[test]
fn is_not_begun_anew_where_a_snapshot_is_all_that_is_left() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(open_after(folder.path(), 5, 4_096, Seam::default()), Err(Error::Lost(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "there is nothing but its lock");
}

#[test]
fn has_one_writer_even_if_somebody_deletes_its_lock_file() {
    let folder = TempDir::new().unwrap();
    let journal = open(folder.path(), Seam::default()).unwrap();
    fs::remove_file(folder.path().join("LOCK")).unwrap();
    assert!(matches!(open(folder.path(), Seam::default()), Err(Error::Locked(_))));
    drop(journal);
    open(folder.path(), Seam::default()).unwrap();
}

#[test]
fn fills_its_segments_to_the_last_byte() {
    for (spare, begun) in [(0, 1), (1, 1), (-1i64, 2)] {
        let folder = TempDir::new().unwrap();
        let mut journal = open(folder.path(), Seam::default()).unwrap();
        append(&mut journal, 1_000).unwrap();
        let left = 4_096 - 64 - (1_000 + AROUND) - AROUND;
        append(&mut journal, (left as i64 - spare) as usize).unwrap();
        let second = folder.path().join("journal-00000000000000000002.seg");
        assert_eq!(second.exists(), begun == 2, "{spare} bytes to spare");
        append(&mut journal, 5).unwrap();
        drop(journal);
        let mut journal = open(folder.path(), Seam::default()).unwrap();
        append(&mut journal, 5).unwrap();
        assert_eq!((journal.next_seq(), records(folder.path())), (5, 4));
        let mut follower = Follower::new(folder.path(), 0);
        assert_eq!(follower.poll(|_| Ok(())).unwrap(), 4);
    }
}

/// An eighth of such a segment is its header: the writer waited for ever for one that nobody had asked for.
#[test]
fn goes_on_over_segments_that_hold_one_block_each() {
    let folder = TempDir::new().unwrap();
    let mut journal = open_after(folder.path(), 0, 512, Seam::default()).unwrap();
    for _ in 0..5 {
        append(&mut journal, 400).unwrap();
    }
    assert_eq!(records(folder.path()), 5);
}

#[test]
fn takes_no_block_that_no_reader_would_take() {
    const LARGEST: usize = (16 << 20) - 12;
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path(), Seam::default()).unwrap();
    append(&mut journal, LARGEST).unwrap();
    assert!(matches!(append(&mut journal, LARGEST + 1), Err(Error::Refused { seq: 2, .. })));
    append(&mut journal, 1).unwrap();
    assert_eq!(records(folder.path()), 2);
}

/// Zeros that still went into the file of that name would wipe out what the next writer has put there.
#[test]
fn fills_nothing_any_more_once_it_is_let_go() {
    let folder = TempDir::new().unwrap();
    let filled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&filled);
    let seam = Seam::new(move |step| {
        if step == Step::Fill {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    let mut journal = open_after(folder.path(), 0, 64 << 20, seam).unwrap();
    let pieces = filled.load(Ordering::SeqCst);
    append(&mut journal, 7 << 20).unwrap();
    thread::sleep(Duration::from_millis(20));
    assert_eq!(filled.load(Ordering::SeqCst), pieces, "there is time");
    append(&mut journal, 2 << 20).unwrap();
    while filled.load(Ordering::SeqCst) == pieces {
        thread::sleep(Duration::from_millis(1));
    }
    drop(journal);
    let then = filled.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(filled.load(Ordering::SeqCst), then);
    assert!(then < 2 * pieces, "all of it was filled although nobody would use it");
}
