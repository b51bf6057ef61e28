//! An archive of events ... (each test's name finishes the sentence).

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::{
    Count, FILE_BYTES, Folder, append, dying_after, history, options, read, seal, tells_all, truth,
};
use countersign_archive::{Cursor, ReadError, Retelling, Seam, Step};

/// Commands of the whole history.
fn all() -> usize {
    history().len()
}

/// A folder with `given` commands, a snapshot after every 400 and at the end.
fn long(given: usize) -> Folder {
    let folder = Folder::new();
    let archive = folder.create();
    let mut from = 0;
    while from < given {
        let to = (from + 400).min(given);
        append(&archive, from, to).unwrap();
        seal(&archive, to).unwrap();
        from = to;
    }
    folder
}

#[test]
fn is_reopened_without_reading_events_however_long_its_history_is() {
    let mut counts = Vec::new();
    for given in [1_000, 2_500, all()] {
        let folder = long(given);
        let count = Count::default();
        let archive = folder.reopen_through(given, count.seam()).unwrap().unwrap();
        let files = folder.files("log").len();
        counts.push((files, count.told()));
        tells_all(&archive, given);
    }
    let [(few, first), (more, second), (most, third)] = counts[..] else { unreachable!() };
    assert!(few < more && more < most, "{counts:?}");
    for (events_bytes, index_bytes, opened) in [first, second, third] {
        assert_eq!(events_bytes, 0, "no event is read");
        assert!(index_bytes < 2_048, "one index is read, of one file: {index_bytes}");
        assert_eq!(opened, 2, "the newest file, to see how long it is and to go on");
    }
}

#[test]
fn reads_what_came_after_the_newest_snapshot_and_nothing_else() {
    let folder = Folder::new();
    let archive = folder.create();
    append(&archive, 0, 3_000).unwrap();
    seal(&archive, 3_000).unwrap();
    append(&archive, 3_000, 4_200).unwrap();
    let since: usize = history()[3_000..4_200].iter().map(|given| given.bytes.len()).sum();
    drop(archive);
    let count = Count::default();
    // A standby that followed knows where the chain is now.
    let archive = folder.reopen_through(4_200, count.seam()).unwrap().unwrap();
    // A new file was begun since, so its index is written at once, for which the last span is read once more.
    let (read, span) = (count.told().0, 64 << 10);
    assert!((since as u64..=since as u64 + span).contains(&read), "{read} bytes of {since}");
    append(&archive, 4_200, all()).unwrap();
    tells_all(&archive, all());
}

#[test]
fn is_read_a_little_at_a_time_where_no_index_tells_of_it() {
    let folder = Folder::new();
    append(&folder.create(), 0, all()).unwrap();
    assert!(folder.files("idx").is_empty() && folder.files("log").len() > 2);
    let largest = Arc::new(AtomicU64::new(0));
    let most = Arc::clone(&largest);
    let seam = Seam::new(move |step, _| {
        if let Step::Read(bytes) = step {
            most.fetch_max(bytes, Ordering::Relaxed);
        }
        Ok(())
    });
    let archive = folder.reopen_through(all(), seam).unwrap().unwrap();
    let largest = largest.load(Ordering::Relaxed);
    assert!(largest < FILE_BYTES, "{largest} bytes at once");
    tells_all(&archive, all());
}

#[test]
fn does_not_fit_another_history() {
    let folder = long(1_000);
    let mut other = history()[999].point;
    other.chain[7] ^= 1;
    assert!(Retelling::begin(&folder.path(), &other, &options(Seam::default())).unwrap().is_none());
    assert!(folder.reopen(1_400).is_none(), "it ends before that");
    assert!(folder.reopen(1_000).is_some(), "looking took nothing from it");
}

#[test]
fn tells_what_it_told_wherever_its_process_dies() {
    let mut died = 0;
    for whole in 0.. {
        let folder = long(800);
        let mut snapshot = 800;
        let mut appended = false;
        if let Ok(archive) = folder.reopen_through(800, dying_after(whole)) {
            let archive = archive.unwrap();
            let work = |snapshot: &mut usize| {
                append(&archive, 800, 1_900)?;
                archive.settle()?;
                seal(&archive, 1_400)?;
                *snapshot = 1_400;
                append(&archive, 1_900, 2_600)?;
                seal(&archive, 2_600)?;
                *snapshot = 2_600;
                Ok::<_, std::io::Error>(())
            };
            appended = work(&mut snapshot).is_ok();
        }
        died += usize::from(!appended);
        let archive = folder.retell(snapshot, 2_600, Seam::default()).unwrap();
        let archive = archive.expect("it fits the snapshot that was taken");
        tells_all(&archive, 2_600);
        seal(&archive, 2_600).unwrap();
        drop(archive);
        tells_all(&folder.reopen(2_600).unwrap(), 2_600);
        if appended {
            break;
        }
    }
    assert!(died > 15, "it died at {died} steps");
}

#[test]
fn outlives_a_damaged_index_and_tells_nothing_wrong() {
    let folder = long(all());
    let newest = folder.files("idx").pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    let end = history()[all() - 1].point.event_seq;
    for at in (0..whole.len()).step_by(11) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&newest, bytes).unwrap();
        let archive = folder.reopen(all()).expect("an older index leads to the same end");
        let (events, error) = read(&archive, end - 900, 100);
        assert!(error.is_none() && events == truth(all())[end as usize - 901..], "byte {at}");
        fs::write(&newest, &whole).unwrap();
    }
    // The index of an old file is looked at when somebody reads there.
    let old = folder.files("idx")[1].clone();
    for index in [&b"CSEVIX01 and nothing more"[..], &[]] {
        fs::write(&old, index).unwrap();
        let archive = folder.reopen(all()).unwrap();
        let (events, error) = read(&archive, 1, 100);
        assert!(matches!(error, Some(ReadError::Damaged(_))));
        assert!(!events.is_empty() && events == truth(all())[..events.len()]);
        assert!(read(&archive, end - 900, 100).1.is_none(), "others read on");
    }
}

#[test]
fn never_tells_other_content_from_a_damaged_file() {
    let folder = long(all());
    let archive = folder.reopen(all()).unwrap();
    let truth = truth(all());
    for damaged in [folder.files("log")[1].clone(), folder.files("log").pop().unwrap()] {
        let whole = fs::read(&damaged).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 60) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&damaged, &bytes).unwrap();
            let (events, error) = read(&archive, 1, 1_000);
            assert!(matches!(error, Some(ReadError::Damaged(_))), "byte {at}");
            assert!(events == truth[..events.len()], "byte {at}");
        }
        fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(read(&archive, 1, 1_000).1, Some(ReadError::Damaged(_))));
        fs::write(&damaged, &whole).unwrap();
        let mut cursor = Cursor::new(1);
        while archive.read(&mut cursor, 1_000).is_ok_and(|events| !events.is_empty()) {}
        assert_eq!(cursor.next_seq(), archive.last_seq() + 1, "put right, it is read again at once");
    }
    fs::remove_file(&folder.files("log")[1]).unwrap();
    let (events, error) = read(&archive, 1, 1_000);
    assert!(matches!(error, Some(ReadError::Damaged(_))), "a file is missing");
    assert!(events == truth[..events.len()]);
}

/// As a version left it that numbered its files and knew no indexes.
fn former(given: usize) -> Folder {
    let folder = long(given);
    for (number, path) in folder.files("log").iter().enumerate() {
        fs::rename(path, folder.path().join(format!("events-{number:06}.log"))).unwrap();
    }
    for path in folder.files("idx") {
        fs::remove_file(path).unwrap();
    }
    folder
}

#[test]
fn takes_over_files_of_a_former_version_once_wherever_that_is_interrupted() {
    for whole in 0.. {
        let folder = former(3_000);
        let done = folder.reopen_through(3_000, dying_after(whole)).is_ok();
        let archive = folder.reopen(3_000).unwrap();
        tells_all(&archive, 3_000);
        drop(archive);
        let count = Count::default();
        tells_all(&folder.reopen_through(3_000, count.seam()).unwrap().unwrap(), 3_000);
        if done {
            break;
        }
    }
    let folder = former(3_000);
    folder.reopen(3_000).unwrap();
    let count = Count::default();
    folder.reopen_through(3_000, count.seam()).unwrap().unwrap();
    assert_eq!(count.events_bytes.load(Ordering::Relaxed), 0, "the second start reads none of it");
}

#[test]
fn is_read_while_it_grows_by_consumers_at_any_pace() {
    let folder = Folder::new();
    let archive = folder.create();
    let truth = truth(all());
    let (mut quick, mut slow) = (Cursor::new(1), Cursor::new(1));
    let (mut told, mut told_slowly) = (Vec::new(), Vec::new());
    for from in (0..all()).step_by(97) {
        append(&archive, from, (from + 97).min(all())).unwrap();
        if from % 1_000 < 97 {
            seal(&archive, (from + 97).min(all())).unwrap();
        }
        loop {
            let events = archive.read(&mut quick, 1_000).unwrap();
            if events.is_empty() {
                break;
            }
            told.extend(events);
        }
        assert_eq!(quick.next_seq(), archive.last_seq() + 1);
        told_slowly.extend(archive.read(&mut slow, 3).unwrap());
    }
    loop {
        let events = archive.read(&mut slow, 3).unwrap();
        if events.is_empty() {
            break;
        }
        told_slowly.extend(events);
    }
    assert!(told == truth && told_slowly == truth);
}
