//! Whoever leads a journal ... (each test's name finishes the sentence).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, SystemTime};

use countersign_journal::{Error, Journal, Options, beat, fence, is_led, last_beat};
use tempfile::TempDir;

fn open(folder: &Path) -> Result<Journal, Error> {
    let options = Options { segment_bytes: 4_096, fsync: false, ..Options::default() };
    Journal::open(folder, &options, true, 0, |_| Ok(())).map(|(journal, _)| journal)
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.join("LOCK")
}

/// As if nobody had said anything for an hour.
fn long_silent(folder: &Path) -> SystemTime {
    let then = SystemTime::now() - Duration::from_secs(3_600);
    File::options().write(true).open(lock_of(folder)).unwrap().set_modified(then).unwrap();
    last_beat(folder).unwrap()
}

/// A child that another test begins holds what is open in this process until its own program runs.
fn is_let_go(folder: &Path) -> bool {
    (0..1_000).any(|_| {
        thread::sleep(Duration::from_millis(1));
        !is_led(folder)
    })
}

#[test]
fn is_known_to_lead_for_as_long_as_it_does() {
    let folder = TempDir::new().unwrap();
    assert!(!is_led(folder.path()));
    assert_eq!(last_beat(folder.path()), None);
    let journal = open(folder.path()).unwrap();
    assert!(is_led(folder.path()));
    drop(journal);
    assert!(is_let_go(folder.path()));
}

#[test]
fn is_heard_when_it_says_that_it_lives() {
    let folder = TempDir::new().unwrap();
    let journal = open(folder.path()).unwrap();
    let before = long_silent(folder.path());
    journal.beat().unwrap();
    assert!(last_beat(folder.path()).unwrap() > before);
    drop(journal);
    let before = long_silent(folder.path());
    beat(folder.path()).unwrap();
    assert!(last_beat(folder.path()).unwrap() > before);
    assert!(is_let_go(folder.path()), "who is on the way to leading does not lead");
}

#[test]
fn waits_a_moment_for_somebody_who_only_looks() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()).unwrap());
    let looking = File::open(lock_of(folder.path())).unwrap();
    looking.lock_shared().unwrap();
    let look = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        drop(looking);
    });
    open(folder.path()).unwrap();
    look.join().unwrap();
}

/// Another process that holds the lock, as one that was stopped does.
fn holder(folder: &Path) -> Child {
    let lock = lock_of(folder);
    let child = Command::new("flock").arg("--no-fork").arg(&lock).args(["sleep", "60"]).spawn().unwrap();
    while !is_led(folder) {
        thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
fn is_ended_by_who_fences_it_off() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()).unwrap());
    let mut holder = holder(folder.path());
    fs::write(lock_of(folder.path()), format!("{}\n", holder.id())).unwrap();
    fence(folder.path()).unwrap();
    assert!(!holder.wait().unwrap().success());
    assert!(!is_led(folder.path()));
    open(folder.path()).unwrap();
}

#[test]
fn is_nobody_else_whose_number_the_lock_names() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()).unwrap());
    let mut holder = holder(folder.path());
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    for named in [other.id().to_string(), "0".into(), "-1".into(), "nobody".into(), String::new()] {
        fs::write(lock_of(folder.path()), &named).unwrap();
        assert!(fence(folder.path()).is_err(), "{named:?}");
    }
    assert!(other.try_wait().unwrap().is_none() && holder.try_wait().unwrap().is_none());
    for child in [&mut other, &mut holder] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
