//! Snapshots on disk: their files, and which of them a start can use.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use countersign_venue::Venue;
use countersign_venue::codec::Hash;
use countersign_venue::logic::{is_known, unknown};

const MAGIC: &[u8; 8] = b"CSSNAP01";
/// Magic, logic version, length of the state, hash of the state.
const HEADER: usize = 8 + 4 + 8 + 32;
/// Older ones are deleted.
const KEPT: usize = 2;
/// What is handed to the disk at once: the journal's next flush waits behind it.
const PIECE: usize = 256 << 10;
/// How long the disk is left to the journal between two pieces.
const BREATH: Duration = Duration::from_millis(2);

#[derive(Clone, Debug)]
pub struct Taken {
    pub engine_seq: u64,
    pub event_seq: u64,
    pub state_hash: [u8; 32],
    pub file: String,
    pub bytes: u64,
}

fn seq_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.strip_prefix("snapshot-")?.parse().ok()
}

fn path_of(folder: &Path, engine_seq: u64) -> PathBuf {
    folder.join(format!("snapshot-{engine_seq:020}.snap"))
}

/// Puts a venue's state in its place, whole or not at all, and lets older snapshots go.
pub fn write(folder: &Path, venue: &Venue) -> std::io::Result<Taken> {
    let path = path_of(folder, venue.engine_seq());
    let fresh = folder.join("next-snapshot");
    let mut file = Gentle { file: File::create(&fresh)?, unflushed: 0 };
    // Its length and its hash are known in the end; before, nobody takes it for a snapshot.
    file.file.write_all(&[0; HEADER])?;
    let (mut hash, mut length) = (Hash::default(), 0u64);
    venue.write_state(|piece| {
        hash.take(piece);
        length += piece.len() as u64;
        file.write(piece)
    })?;
    let state_hash = hash.end();
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&venue.logic().to_le_bytes());
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(&state_hash);
    file.file.write_all_at(&header, 0)?;
    file.file.sync_all()?;
    fs::rename(&fresh, &path)?;
    File::open(folder)?.sync_all()?;
    let mut all = list(folder)?;
    while all.len() > KEPT {
        fs::remove_file(all.remove(0))?;
    }
    Ok(Taken {
        engine_seq: venue.engine_seq(),
        event_seq: venue.event_seq(),
        state_hash,
        file: path.display().to_string(),
        bytes: HEADER as u64 + length,
    })
}

/// A file that is written a little at a time: all of it at once would keep every order waiting for as long as the disk takes.
struct Gentle {
    file: File,
    unflushed: usize,
}

impl Gentle {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.unflushed + bytes.len() > PIECE && self.unflushed > 0 {
            self.file.sync_data()?;
            self.unflushed = 0;
            thread::sleep(BREATH);
        }
        self.unflushed += bytes.len();
        self.file.write_all(bytes)
    }
}

/// Where the newest snapshot says that it stands; 0 = there is none.
pub fn newest_seq(folder: &Path) -> u64 {
    list(folder).ok().and_then(|all| seq_of(all.last()?)).unwrap_or(0)
}

/// How large the snapshot at this command is; 0 = nobody knows.
pub fn bytes_of(folder: &Path, engine_seq: u64) -> u64 {
    fs::metadata(path_of(folder, engine_seq)).map_or(0, |about| about.len())
}

/// What needs no journal any more: up to here even the oldest snapshot stands for it, once there are enough of them.
pub fn stood_for(folder: &Path) -> Option<u64> {
    let all = list(folder).ok()?;
    if all.len() < KEPT { None } else { seq_of(&all[0]) }
}

/// Oldest first.
fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "snap"))
        .collect();
    paths.sort();
    Ok(paths)
}

/// The newest snapshot that is whole and of this logic; a damaged one is passed over, loudly.
pub fn newest(folder: &Path) -> std::io::Result<Option<Venue>> {
    first_whole(list(folder)?.into_iter().rev())
}

/// The same for the oldest one.
pub fn oldest(folder: &Path) -> std::io::Result<Option<Venue>> {
    first_whole(list(folder)?.into_iter())
}

fn first_whole(paths: impl Iterator<Item = PathBuf>) -> std::io::Result<Option<Venue>> {
    for path in paths {
        let bytes = match fs::read(&path) {
            // A newer one has taken its place.
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
            bytes => bytes?,
        };
        match read(&bytes) {
            Ok(venue) => return Ok(Some(venue)),
            Err(what) => eprintln!("engine: {} is passed over: {what}", path.display()),
        }
    }
    Ok(None)
}

fn hash(state: &[u8]) -> [u8; 32] {
    let mut hash = Hash::default();
    hash.take(state);
    hash.end()
}

fn read(bytes: &[u8]) -> Result<Venue, String> {
    let (header, state) = bytes.split_at_checked(HEADER).ok_or("it is cut short")?;
    if &header[..8] != MAGIC {
        return Err("it is no snapshot".into());
    }
    let logic = u32::from_le_bytes(header[8..12].try_into().expect("4 bytes"));
    if !is_known(logic) {
        return Err(unknown(logic));
    }
    if header[12..20] != (state.len() as u64).to_le_bytes() || header[20..] != hash(state) {
        return Err("its hash does not match".into());
    }
    let venue = Venue::restore(state).map_err(|cause| cause.to_string())?;
    if venue.logic() != logic {
        return Err("its header names other rules than its state".into());
    }
    Ok(venue)
}

#[cfg(test)]
mod tests {
    use countersign_venue::{Command, LOGIC_VERSION, Output};

    use super::*;

    /// One after each of so many leaders began.
    fn snapshots(folder: &Path, leaders: u64) -> Vec<Taken> {
        let mut venue = Venue::new();
        let mut lead = |epoch| {
            let command = Command::Lead { epoch, logic_version: LOGIC_VERSION };
            venue.apply(epoch, &command, 0, &mut Output::default());
            write(folder, &venue).unwrap()
        };
        (1..=leaders).map(&mut lead).collect()
    }

    fn stands_at(found: std::io::Result<Option<Venue>>) -> Option<u64> {
        found.unwrap().map(|venue| venue.engine_seq())
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

    #[test]
    fn a_state_is_written_whole_whatever_its_pieces() {
        for piece in [4_099, PIECE - 1, PIECE, PIECE + 1] {
            let state: Vec<u8> = (0..2 * PIECE + 7).map(|at| (at % 251) as u8).collect();
            let path = tempfile::NamedTempFile::new().unwrap();
            let mut file = Gentle { file: path.reopen().unwrap(), unflushed: 0 };
            state.chunks(piece).for_each(|piece| file.write(piece).unwrap());
            assert!(fs::read(path.path()).unwrap() == state, "{piece} bytes at a time");
        }
    }
}
