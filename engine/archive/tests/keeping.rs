//! Of the events of an archive ... (each test's name finishes the sentence).

use std::fs;

use crate::history::{FILE_BYTES, Folder, append, dying_after, history, read, seal, tells_all, truth};
use countersign_archive::{Comparing, Found, ReadError, Seam};

/// Commands of the whole history, of which a snapshot was taken now and then.
fn long() -> (Folder, countersign_archive::Archive) {
    let folder = Folder::new();
    let archive = folder.create();
    for from in (0..history().len()).step_by(500) {
        let to = (from + 500).min(history().len());
        append(&archive, from, to).unwrap();
        seal(&archive, to).unwrap();
    }
    (folder, archive)
}

/// Holds a replay of the whole history against the folder.
fn compare(folder: &Folder, mend: bool, seam: Seam) -> Result<Found, String> {
    let mut comparing = Comparing::begin(&folder.path(), mend, FILE_BYTES, seam).unwrap();
    for block in history().chunks(40) {
        let bytes: Vec<u8> = block.iter().flat_map(|given| given.bytes.iter().copied()).collect();
        comparing.take(&bytes)?;
    }
    comparing.finish()
}

#[test]
fn the_oldest_go_once_all_have_settled_them_and_whoever_asks_for_them_is_told() {
    let (folder, archive) = long();
    let files = folder.files("log").len();
    assert_eq!(archive.forget(0, 0).unwrap(), 0, "somebody has not settled them");
    assert_eq!(archive.forget(files, u64::MAX - 1).unwrap(), 0, "as many are to be kept");
    let dropped = archive.forget(1, u64::MAX - 1).unwrap();
    assert!(dropped >= 2 && files - dropped >= 2, "{dropped} of {files}: one, and the one that grows, stay");
    assert_eq!(folder.files("log").len(), files - dropped);
    assert_eq!(folder.files("idx").len(), files - dropped);
    let Some(ReadError::Gone { asked: 5, oldest }) = read(&archive, 5, 10).1 else { panic!("5 is gone") };
    let (events, error) = read(&archive, oldest, 1_000);
    assert!(error.is_none() && events == truth(history().len())[oldest as usize - 1..]);
    let said = read(&archive, 5, 10).1.unwrap().to_string();
    assert!(
        said.contains(&format!("the oldest one is {oldest}")) && said.contains("written again"),
        "{said}"
    );
    drop(archive);
    let archive = folder.reopen(history().len()).expect("a start needs none of the old ones");
    assert!(archive.forget(0, oldest - 1).unwrap() == 0 && read(&archive, oldest, 1_000).1.is_none());
}

#[test]
fn none_go_that_no_snapshot_stands_for() {
    let folder = Folder::new();
    let archive = folder.create();
    append(&archive, 0, 2_000).unwrap();
    assert_eq!(archive.forget(0, u64::MAX - 1).unwrap(), 0);
    seal(&archive, 700).unwrap();
    archive.forget(0, u64::MAX - 1).unwrap();
    assert!(
        folder.retell(700, 2_000, Seam::default()).unwrap().is_some(),
        "the file that the snapshot ends in is there"
    );
}

#[test]
fn a_comparison_with_the_journal_finds_each_difference() {
    let (folder, _archive) = long();
    let events = history().last().unwrap().point.event_seq;
    let whole = Found { first_seq: 1, last_seq: events, mended: 0, added: 0 };
    assert_eq!(compare(&folder, false, Seam::default()), Ok(whole));
    let logs = folder.files("log");
    for damaged in [&logs[0], &logs[2], logs.last().unwrap(), &folder.files("idx")[1]] {
        let bytes = fs::read(damaged).unwrap();
        let mut other = bytes.clone();
        other[bytes.len() / 2] ^= 4;
        for wrong in [other, bytes[..bytes.len() - 9].to_vec()] {
            fs::write(damaged, wrong).unwrap();
            let name = damaged.file_stem().unwrap().to_str().unwrap();
            let told = compare(&folder, false, Seam::default());
            // What is missing at the very end may be about to be written.
            let newest = damaged == logs.last().unwrap() && fs::read(damaged).unwrap().len() < bytes.len();
            assert!(newest || told.as_ref().is_err_and(|what| what.contains(name)), "{told:?}");
        }
        fs::write(damaged, bytes).unwrap();
    }
    assert_eq!(compare(&folder, false, Seam::default()), Ok(whole), "looking changed nothing");
}

#[test]
fn the_damaged_and_the_dropped_come_back_from_the_journal_wherever_that_is_interrupted() {
    for whole in 0.. {
        let (folder, archive) = long();
        let logs = folder.files("log");
        archive.forget(logs.len() - 4, u64::MAX - 1).unwrap();
        let mut bytes = fs::read(&logs[3]).unwrap();
        bytes[77] ^= 1;
        bytes.truncate(100_000);
        fs::write(&logs[3], bytes).unwrap();
        fs::write(folder.files("idx")[0].clone(), b"nothing").unwrap();
        assert!(read(&archive, 1, 100).1.is_some());
        let first = compare(&folder, true, dying_after(whole));
        let done = first.is_ok();
        let found = if done { first } else { compare(&folder, true, Seam::default()) }.unwrap();
        assert!(!done || (found.mended == 2 && found.added >= 2), "{found:?}");
        tells_all(&archive, history().len());
        let again = compare(&folder, true, Seam::default()).unwrap();
        assert_eq!((again.mended, again.added), (0, 0));
        drop(archive);
        tells_all(&folder.reopen(history().len()).unwrap(), history().len());
        if done {
            break;
        }
    }
}

#[test]
fn those_of_a_file_that_still_grows_are_held_against_what_is_sealed_of_it() {
    let folder = Folder::new();
    let archive = folder.create();
    for (from, to) in [(0, 100), (100, 200)] {
        append(&archive, from, to).unwrap();
        seal(&archive, to).unwrap();
    }
    append(&archive, 200, 210).unwrap();
    let file = &folder.files("log")[0];
    let whole = fs::read(file).unwrap();
    let sealed: usize = history()[..200].iter().map(|given| given.bytes.len()).sum();
    let check = |given: usize| {
        let seq = history()[given - 1].point.event_seq + 1;
        Comparing::begin(&folder.path(), false, 0, Seam::default()).unwrap().check_sums(seq)
    };
    for at in [0, sealed / 2, sealed - 1, sealed] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(file, &damaged).unwrap();
        // What begins in a span is checked with all of it; of what is not sealed nothing is known.
        for given in [100, 200] {
            assert_eq!(check(given).is_err(), at < sealed, "byte {at} of {sealed}, snapshot behind {given}");
        }
        fs::write(file, &whole).unwrap();
        assert_eq!(check(200), Ok(()));
    }
    let index = &folder.files("idx")[0];
    let known = fs::read(index).unwrap();
    fs::write(index, &known[1..]).unwrap();
    assert!(check(200).unwrap_err().contains("is damaged"));
    fs::remove_file(index).unwrap();
    assert_eq!(check(200), Ok(()), "not sealed yet");
}
