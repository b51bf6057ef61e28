//! Snapshots on disk: their files, and which of them a start can use.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_venue::Venue;
use countersign_venue::codec::{Hash, Malformed, Put, Reader};
use countersign_venue::logic::{is_known, unknown};

use crate::gentle::Gentle;
use crate::outcomes::{self, Named};

const MAGIC: &[u8; 8] = b"CSSNAP02";
/// Of programs that wrote all outcomes into each snapshot.
const WHOLE: &[u8; 8] = b"CSSNAP01";
/// Magic, logic version, length of what follows, hash of what follows: which files hold outcomes, then all other state.
const HEADER: usize = 8 + 4 + 8 + 32;
/// Older ones are deleted.
const KEPT: usize = 2;

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

/// A state as a snapshot gives it.
pub struct Found {
    pub venue: Venue,
    /// Where its outcomes lie.
    pub outcomes: Vec<Named>,
}

/// Puts a venue's state in its place, whole or not at all, and lets older snapshots go. `outcomes` are the files that
/// the one before named, and then those that this one names.
pub fn write(folder: &Path, venue: &Venue, outcomes: &mut Vec<Named>) -> std::io::Result<Taken> {
    let path = path_of(folder, venue.engine_seq());
    let named = outcomes::add(folder, venue, outcomes)?;
    // Its length and its hash are known in the end.
    let mut file = Gentle::create(folder.join("next-snapshot"), HEADER)?;
    let (mut hash, mut length) = (Hash::default(), 0u64);
    let mut give = |piece: &[u8]| {
        hash.take(piece);
        length += piece.len() as u64;
        file.write(piece)
    };
    give(&names(&named))?;
    venue.write_bare(give)?;
    let state_hash = hash.end();
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&venue.logic().to_le_bytes());
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(&state_hash);
    file.end(&header, &path)?;
    let mut all = list(folder)?;
    while all.len() > KEPT {
        fs::remove_file(all.remove(0))?;
    }
    let former = all.iter().filter(|other| **other != path).map(|other| names_of(other));
    outcomes::clear(folder, &former.flatten().chain(named.iter().cloned()).collect::<Vec<_>>())?;
    *outcomes = named;
    Ok(Taken {
        engine_seq: venue.engine_seq(),
        event_seq: venue.event_seq(),
        state_hash,
        file: path.display().to_string(),
        bytes: HEADER as u64 + length,
    })
}

fn names(outcomes: &[Named]) -> Vec<u8> {
    let mut names = Vec::new();
    names.put_u64(outcomes.len() as u64);
    outcomes.iter().for_each(|file| file.encode(&mut names));
    names
}

fn read_names(reader: &mut Reader<'_>) -> Result<Vec<Named>, Malformed> {
    (0..reader.u64()?).map(|_| Named::decode(reader)).collect()
}

/// The files that another snapshot names; none if it cannot be read, for then it cannot be used.
fn names_of(path: &Path) -> Vec<Named> {
    let bytes = fs::read(path).unwrap_or_default();
    match bytes.split_at_checked(HEADER) {
        Some((header, body)) if header.starts_with(MAGIC) => read_names(&mut Reader::new(body)),
        _ => Ok(Vec::new()),
    }
    .unwrap_or_default()
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
pub fn newest(folder: &Path) -> std::io::Result<Option<Found>> {
    first_whole(folder, list(folder)?.into_iter().rev())
}

/// The same for the oldest one.
pub fn oldest(folder: &Path) -> std::io::Result<Option<Found>> {
    first_whole(folder, list(folder)?.into_iter())
}

fn first_whole(folder: &Path, paths: impl Iterator<Item = PathBuf>) -> std::io::Result<Option<Found>> {
    for path in paths {
        let bytes = match fs::read(&path) {
            // A newer one has taken its place.
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
            bytes => bytes?,
        };
        let what = match read(&bytes) {
            Ok(mut found) => match recall(folder, &mut found)? {
                Ok(()) => return Ok(Some(found)),
                Err(what) => what,
            },
            Err(what) => what,
        };
        eprintln!("engine: {} is passed over: {what}", path.display());
    }
    Ok(None)
}

/// All but the outcomes that lie elsewhere.
fn read(bytes: &[u8]) -> Result<Found, String> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or("it is cut short")?;
    let is_whole = header.starts_with(WHOLE);
    if !is_whole && !header.starts_with(MAGIC) {
        return Err("it is no snapshot".into());
    }
    let logic = u32::from_le_bytes(header[8..12].try_into().expect("4 bytes"));
    if !is_known(logic) {
        return Err(unknown(logic));
    }
    let mut hash = Hash::default();
    hash.take(body);
    if header[12..20] != (body.len() as u64).to_le_bytes() || header[20..] != hash.end() {
        return Err("its hash does not match".into());
    }
    let mut reader = Reader::new(body);
    let outcomes = if is_whole { Ok(Vec::new()) } else { read_names(&mut reader) };
    let outcomes = outcomes.map_err(|cause| cause.to_string())?;
    let venue = Venue::restore(reader.rest()).map_err(|cause| cause.to_string())?;
    if venue.logic() != logic {
        return Err("its header names other rules than its state".into());
    }
    Ok(Found { venue, outcomes })
}

/// Gives it the outcomes that lie elsewhere.
fn recall(folder: &Path, found: &mut Found) -> std::io::Result<Result<(), String>> {
    for file in &found.outcomes {
        let told = match file.read(folder)? {
            Ok(told) => told,
            Err(what) => return Ok(Err(what)),
        };
        for packed in told {
            if let Err(cause) = found.venue.recall(packed) {
                return Ok(Err(format!("{}: {cause}", file.name())));
            }
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
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
}
