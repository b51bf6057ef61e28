//! A start that computes again what was told already ... (each test's name finishes the sentence).

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::history::{FILE_BYTES, Folder, append, history, seal, tells_all};
use countersign_archive::Seam;
use countersign_venue::event::split_event;

const SNAPSHOT: usize = 400;
const TOLD: usize = 4_200;

/// A leader took a snapshot and died later, with some files of events behind it.
fn left() -> Folder {
    let folder = Folder::new();
    let archive = folder.create();
    append(&archive, 0, SNAPSHOT).unwrap();
    seal(&archive, SNAPSHOT).unwrap();
    append(&archive, SNAPSHOT, TOLD).unwrap();
    assert!(folder.files("log").len() > 2);
    folder
}

/// A start from that snapshot, with a journal of `to` commands: it tells everything as it was told, or says why not.
fn start(folder: &Folder, to: usize) -> Result<(), String> {
    match folder.retell(SNAPSHOT, to, Seam::default()) {
        Ok(archive) => {
            let archive = archive.expect("it fits the snapshot");
            tells_all(&archive, to);
            append(&archive, to, to + 300).unwrap();
            seal(&archive, to + 300).unwrap();
            tells_all(&archive, to + 300);
            drop(archive);
            tells_all(&folder.reopen(to + 300).unwrap(), to + 300);
            Ok(())
        }
        Err(cause) => {
            assert_eq!(cause.kind(), ErrorKind::InvalidData, "{cause}");
            Err(cause.to_string())
        }
    }
}

fn contents(folder: &Folder) -> Vec<(PathBuf, Vec<u8>)> {
    folder.files("log").into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn put_back(contents: &[(PathBuf, Vec<u8>)]) {
    contents.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
}

/// Where each event of a file begins, and where the last one ends.
fn bounds(bytes: &[u8]) -> Vec<usize> {
    let mut bounds = vec![0];
    let mut rest = bytes;
    while let Some((_, after)) = split_event(rest).unwrap() {
        rest = after;
        bounds.push(bytes.len() - rest.len());
    }
    bounds
}

fn first_seq(path: &std::path::Path) -> u64 {
    path.file_stem().unwrap().to_str().unwrap()["events-".len()..].parse().unwrap()
}

#[test]
fn goes_on_where_the_files_end_wherever_that_is() {
    for to in [TOLD, TOLD + 1, TOLD + 700] {
        assert_eq!(start(&left(), to), Ok(()));
    }
    // Within an event, within a command, between two commands; and with a file that was begun and not written to.
    let folder = left();
    let whole = contents(&folder);
    let (newest, bytes) = whole.last().unwrap();
    let bounds = bounds(bytes);
    for at in bounds[bounds.len() - 9]..=bytes.len() {
        fs::write(newest, &bytes[..at]).unwrap();
        let archive = folder.retell(SNAPSHOT, TOLD, Seam::default()).unwrap().unwrap();
        tells_all(&archive, TOLD);
        assert!(contents(&folder) == whole, "as it was, byte for byte");
    }
    let next = history()[TOLD - 1].point.event_seq + 1;
    fs::write(folder.path().join(format!("events-{next:020}.log")), []).unwrap();
    assert_eq!(start(&folder, TOLD + 50), Ok(()));
}

#[test]
fn never_ends_a_file_within_a_command() {
    let folder = left();
    let newest = folder.files("log").pop().unwrap();
    // A large block of a leader that died in the middle of writing it, as far as the file may grow and further.
    let archive = folder.reopen(TOLD).unwrap();
    let mut last = TOLD;
    while fs::metadata(&newest).unwrap().len() < FILE_BYTES {
        last += 1;
        append(&archive, last - 1, last).unwrap();
    }
    drop(archive);
    let told = fs::read(&newest).unwrap();
    let command = history()[last - 1].bytes.len();
    for cut in bounds(&history()[last - 1].bytes) {
        fs::write(&newest, &told[..told.len() - command + cut]).unwrap();
        let archive = folder.retell(SNAPSHOT, last + 3, Seam::default()).unwrap().unwrap();
        append(&archive, last + 3, last + 30).unwrap();
        tells_all(&archive, last + 30);
        let next = history()[last - 1].point.event_seq + 1;
        assert!(
            folder
                .files("log")
                .iter()
                .all(|path| first_seq(path) <= first_seq(&newest) || first_seq(path) >= next)
        );
        for later in folder.files("log").into_iter().filter(|path| first_seq(path) > first_seq(&newest)) {
            fs::remove_file(later).unwrap();
        }
    }
}

#[test]
fn says_which_event_was_told_otherwise_and_leaves_what_was_told() {
    let folder = left();
    let whole = contents(&folder);
    let behind = history()[SNAPSHOT - 1].point.event_seq;
    let mut refused = 0;
    for (path, bytes) in &whole {
        let bounds = bounds(bytes);
        for (event, pair) in
            bounds.windows(2).enumerate().step_by(97).chain([(bounds.len() - 2, &bounds[bounds.len() - 2..])])
        {
            let seq = first_seq(path) + event as u64;
            if seq <= behind {
                continue;
            }
            for at in [pair[0] + 4, pair[1] - 1] {
                let mut other = bytes.clone();
                other[at] ^= 1;
                fs::write(path, &other).unwrap();
                let told = start(&folder, TOLD + 10).unwrap_err();
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!(told.contains(&format!("event {seq} otherwise")) && told.contains(name), "{told}");
                assert!(fs::read(path).unwrap() == other);
                fs::write(path, bytes).unwrap();
                refused += 1;
            }
        }
    }
    assert!(refused > 40, "{refused}");
    // Others would be told behind the last one: it is shorter, or there are more than the journal gives.
    let (newest, bytes) = whole.last().unwrap();
    let bounds = bounds(bytes);
    let [.., before, last, end] = bounds[..] else { unreachable!() };
    let mut shorter = bytes[..last].to_vec();
    let mut event = bytes[last + 4..end].to_vec();
    let seq_bytes = event.iter().position(|byte| *byte < 0x80).unwrap() + 1;
    assert_eq!(seq_bytes, bytes[before + 4..last].iter().position(|byte| *byte < 0x80).unwrap() + 1);
    // The event before, under the last one's sequence.
    event.truncate(seq_bytes);
    event.extend_from_slice(&bytes[before + 4 + seq_bytes..last]);
    shorter.extend_from_slice(&(event.len() as u32).to_le_bytes());
    shorter.extend_from_slice(&event);
    fs::write(newest, &shorter).unwrap();
    assert!(start(&folder, TOLD).is_err(), "{} bytes for {}", last - before, end - last);
    put_back(&whole);
    let told = start(&folder, TOLD - 1).unwrap_err();
    assert!(told.contains("that the journal does not give"), "{told}");
    let told = start(&folder, SNAPSHOT + 3).unwrap_err();
    assert!(told.contains("that the journal does not give"), "{told}");
    assert!(contents(&folder) == whole);
    assert_eq!(start(&folder, TOLD), Ok(()));
}

#[test]
fn fills_what_a_machine_had_not_written_when_it_went_down() {
    let whole = contents(&left());
    // Files whose end is missing, though the next one is there; whole sectors of zeros; both.
    for (holes, cut) in [(0, 5_000), (3, 0), (1, 9), (40, 700)] {
        let folder = left();
        for (number, (path, (_, bytes))) in folder.files("log").iter().zip(&whole).enumerate().skip(1) {
            let mut left = bytes[..bytes.len() - cut * usize::from(number + 1 < whole.len())].to_vec();
            for hole in 0..holes {
                let at = (hole * 7 + 1) * 512;
                let end = left.len();
                left[at.min(end)..(at + 512).min(end)].fill(0);
            }
            fs::write(path, &left).unwrap();
        }
        assert_eq!(start(&folder, TOLD), Ok(()), "{holes} holes, {cut} bytes missing");
        // What was written is as it was.
        assert!(contents(&folder).iter().zip(&whole).all(|((_, now), (_, then))| now.starts_with(&then[..])));
    }
    // Another event behind a hole is another event.
    let folder = left();
    let path = &folder.files("log")[1];
    let mut other = whole[1].1.clone();
    other[1_024..1_536].fill(0);
    *other.last_mut().unwrap() ^= 1;
    fs::write(path, other).unwrap();
    assert!(start(&folder, TOLD).unwrap_err().contains("otherwise"));
}
