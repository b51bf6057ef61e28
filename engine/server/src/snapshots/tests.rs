use countersign_venue::{Command, LOGIC_VERSION, Output};

use super::*;

/// One after each of so many leaders began.
fn snapshots(folder: &Path, leaders: u64) -> Vec<Taken> {
    let (mut venue, mut outcomes) = (Venue::new(), Vec::new());
    let mut lead = |epoch| {
        let command = Command::Lead { epoch, logic_version: LOGIC_VERSION };
        venue.apply(epoch, &command, 0, &mut Output::default());
        write(folder, &venue, &mut outcomes).unwrap()
    };
    (1..=leaders).map(&mut lead).collect()
}

fn stands_at(found: std::io::Result<Option<Found>>) -> Option<u64> {
    found.unwrap().map(|found| found.venue.engine_seq())
}

#[test]
fn the_two_newest_stay_and_the_older_of_them_stands_for_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    for none in [folder.path(), &missing] {
        assert_eq!((stands_at(newest(none)), newest_seq(none), stood_for(none)), (None, 0, None));
    }
    snapshots(folder.path(), 1);
    // If this one cannot be read, there is nothing but the journal.
    assert_eq!((newest_seq(folder.path()), stood_for(folder.path())), (1, None));
    let taken = snapshots(folder.path(), 3);
    assert_eq!((stands_at(newest(folder.path())), stands_at(oldest(folder.path()))), (Some(3), Some(2)));
    assert_eq!((newest_seq(folder.path()), stood_for(folder.path())), (3, Some(2)));
    assert!(!Path::new(&taken[0].file).exists());
    let size = fs::metadata(&taken[2].file).unwrap().len();
    assert_eq!((taken[2].bytes, bytes_of(folder.path(), 3), bytes_of(folder.path(), 1)), (size, size, 0));
}

#[test]
fn one_that_is_not_as_it_was_written_is_passed_over_for_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = PathBuf::from(&snapshots(folder.path(), 2)[1].file);
    let whole = fs::read(&path).unwrap();
    for at in (0..=HEADER).chain([whole.len() - 1]) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert_eq!(stands_at(newest(folder.path())), Some(1), "byte {at}");
    }
    for left in [0, HEADER - 1, HEADER, whole.len() - 1] {
        fs::write(&path, &whole[..left]).unwrap();
        assert_eq!(stands_at(newest(folder.path())), Some(1), "{left} bytes");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(stands_at(newest(folder.path())), Some(2));
    // One that is deleted while they are read; and what the disk does not give is not taken for missing.
    let next = path_of(folder.path(), 3);
    std::os::unix::fs::symlink("deleted", &next).unwrap();
    assert_eq!(stands_at(newest(folder.path())), Some(2));
    fs::remove_file(&next).unwrap();
    fs::create_dir(&next).unwrap();
    assert!(newest(folder.path()).is_err());
}
