//! Snapshots on disk: their files, and which of them a start can use.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use countersign_venue::Venue;
use countersign_venue::codec::{Hash, Malformed, Put, Reader};
use countersign_venue::dedupe::WINDOW_MS;
use countersign_venue::logic::{is_known, unknown};

use crate::gentle::Gentle;
use crate::outcomes::{self, Named, Reading};

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
    /// Where some of those are not as they were written: what is wrong with the first, and the newest date in them.
    lost: Option<(String, u64)>,
}

impl Found {
    /// Before any snapshot.
    pub fn empty() -> Found {
        Found { venue: Venue::new(), outcomes: Vec::new(), lost: None }
    }

    fn lost_through(&self) -> u64 {
        self.lost.as_ref().map_or(0, |(_, newest)| *newest)
    }
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

/// The newest snapshot that is whole and of this logic; a damaged one is passed over, loudly. Where files with outcomes are
/// damaged that all of them name, the one that misses least: what it misses it refuses to answer.
pub fn newest(folder: &Path) -> std::io::Result<Option<Found>> {
    let listed = list(folder)?;
    let mut best: Option<(Found, &Path)> = None;
    for path in listed.iter().rev() {
        let Some(found) = open(folder, path)? else { continue };
        if found.lost.is_none() {
            return Ok(Some(found));
        }
        if best.as_ref().is_none_or(|(before, _)| found.lost_through() < before.lost_through()) {
            best = Some((found, path));
        }
    }
    let Some((mut found, path)) = best else { return Ok(None) };
    if list(folder)? != listed {
        // A leader took others meanwhile, and let go what only these had named.
        return newest(folder);
    }
    found.venue.lose_outcomes(found.lost_through());
    eprintln!(
        "engine: {} is taken although outcomes are lost: who asks for one of them within {} s is told FORGOTTEN, and \
         finds in the events what became of it",
        path.display(),
        WINDOW_MS / 1_000
    );
    Ok(Some(found))
}

/// The oldest one that is whole.
pub fn oldest(folder: &Path) -> std::io::Result<Option<Found>> {
    for path in list(folder)? {
        match open(folder, &path)? {
            Some(found) if found.lost.is_none() => return Ok(Some(found)),
            _ => {}
        }
    }
    Ok(None)
}

/// `None` if it cannot be used, or another has taken its place.
fn open(folder: &Path, path: &Path) -> std::io::Result<Option<Found>> {
    let bytes = match fs::read(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let found = read(folder, &bytes)?;
    let what = match &found {
        Ok(Found { lost: None, .. }) => None,
        Ok(Found { lost: Some((what, _)), .. }) | Err(what) => Some(what),
    };
    if let Some(what) = what {
        eprintln!("engine: {} is passed over: {what}", path.display());
    }
    Ok(found.ok())
}

/// A snapshot's parts, once its own hash says that they are what was written.
fn parts(bytes: &[u8]) -> Result<(u32, Vec<Named>, &[u8]), String> {
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
    Ok((logic, outcomes.map_err(|cause| cause.to_string())?, reader.rest()))
}

/// The state, with the outcomes that lie elsewhere: other threads read them meanwhile, as many as there are cores.
fn read(folder: &Path, bytes: &[u8]) -> std::io::Result<Result<Found, String>> {
    let read = read_and(folder, bytes, |venue| venue, |venue| Some(venue))?;
    Ok(read.map(|(venue, outcomes, lost)| Found { venue, outcomes, lost }))
}

/// What is made of a state, the files that its snapshot names, and what is lost of them.
type Read<T> = (T, Vec<Named>, Option<(String, u64)>);

/// The same for what `go_on` makes of the state, before the outcomes are there: no event and no state depends on them.
fn read_and<T>(
    folder: &Path,
    bytes: &[u8],
    go_on: impl FnOnce(Venue) -> T,
    venue_of: fn(&mut T) -> Option<&mut Venue>,
) -> std::io::Result<Result<Read<T>, String>> {
    let (logic, outcomes, state) = match parts(bytes) {
        Ok(parts) => parts,
        Err(what) => return Ok(Err(what)),
    };
    let reading = Reading::of(folder, &outcomes);
    let made = thread::scope(|scope| {
        let others = thread::available_parallelism().map_or(1, usize::from).clamp(2, 8) - 1;
        (0..others.min(outcomes.len())).for_each(|_| drop(scope.spawn(|| reading.help())));
        let made = match Venue::restore(state) {
            Ok(venue) if venue.logic() != logic => Err("its header names other rules than its state".into()),
            Ok(venue) if outcomes.iter().any(|file| file.through > venue.engine_seq()) => {
                Err("it names outcomes of commands that were not applied yet".into())
            }
            Ok(venue) => Ok(go_on(venue)),
            Err(cause) => Err(cause.to_string()),
        };
        reading.help();
        made
    });
    let mut made = match made {
        Ok(made) => made,
        Err(what) => return Ok(Err(what)),
    };
    let Some(venue) = venue_of(&mut made) else { return Ok(Ok((made, outcomes, None))) };
    let mut lost: Option<(String, u64)> = None;
    for (file, told) in outcomes.iter().zip(reading.end()) {
        let told = match told? {
            Ok(told) => told,
            Err(what) => {
                let newest = lost.as_ref().map_or(0, |(_, newest)| *newest).max(file.newest);
                lost = Some((lost.map_or(what, |(first, _)| first), newest));
                continue;
            }
        };
        for packed in told {
            if let Err(cause) = venue.recall(packed) {
                return Ok(Err(format!("{}: {cause}", file.name())));
            }
        }
    }
    Ok(Ok((made, outcomes, lost)))
}

/// What `go_on` makes of the newest snapshot's state while its outcomes are read. `None` where that one is not whole, or
/// `venue_of` gives no state to remember them: [`newest`] then says what is wrong, and finds what can be used.
pub fn ahead<T>(
    folder: &Path,
    go_on: impl FnOnce(Venue) -> T,
    venue_of: fn(&mut T) -> Option<&mut Venue>,
) -> std::io::Result<Option<T>> {
    let Some(path) = list(folder)?.pop() else { return Ok(None) };
    let bytes = match fs::read(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    match read_and(folder, &bytes, go_on, venue_of)? {
        Ok((made, _, None)) => Ok(Some(made)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
