//! Snapshots on disk: their files, and which of them a start can use.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use countersign_venue::Venue;
use countersign_venue::logic::{is_known, unknown};
use countersign_venue::snapshot::hash;

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

/// Puts a state in its place, whole or not at all, and lets older snapshots go.
pub fn write(folder: &Path, venue: &Venue, state: &[u8]) -> std::io::Result<Taken> {
    let state_hash = hash(state);
    let path = path_of(folder, venue.engine_seq());
    let fresh = folder.join("next-snapshot");
    let mut file = File::create(&fresh)?;
    file.write_all(MAGIC)?;
    file.write_all(&venue.logic().to_le_bytes())?;
    file.write_all(&(state.len() as u64).to_le_bytes())?;
    file.write_all(&state_hash)?;
    write_gently(&mut file, state)?;
    file.sync_all()?;
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
        bytes: (HEADER + state.len()) as u64,
    })
}

/// All of it at once would keep every order waiting for as long as the disk takes.
fn write_gently(file: &mut File, state: &[u8]) -> std::io::Result<()> {
    for (at, piece) in state.chunks(PIECE).enumerate() {
        if at > 0 {
            file.sync_data()?;
            thread::sleep(BREATH);
        }
        file.write_all(piece)?;
    }
    Ok(())
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
    use std::io::Read;

    use super::*;

    #[test]
    fn a_state_is_written_whole_whatever_its_pieces() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 7] {
            let state: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state");
            write_gently(&mut File::create(&path).unwrap(), &state).unwrap();
            let mut found = Vec::new();
            File::open(&path).unwrap().read_to_end(&mut found).unwrap();
            assert!(found == state, "{length} bytes");
        }
    }
}
