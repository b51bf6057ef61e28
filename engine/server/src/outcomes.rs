//! Outcomes of recent commands on disk, in files of their own.
//!
//! A snapshot adds a file with the outcomes since the one before, and names all whose outcomes a retry could still ask
//! for. So each outcome is written once, and a file falls away as a whole when its time has passed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_venue::codec::{Hash, Malformed, Put, Reader};
use countersign_venue::dedupe::is_over;
use countersign_venue::{Packed, Venue};

use crate::gentle::Gentle;

const MAGIC: &[u8; 8] = b"CSOUTC01";
/// Magic, length of what follows, its hash.
const HEADER: usize = 8 + 8 + 32;
/// Before each bucket: its date, how many outcomes it holds, in how many bytes.
const BEFORE_A_BUCKET: usize = 8 + 4 + 4;
/// A snapshot that would name more begins anew with one that holds all: who takes snapshots by the second has few outcomes
/// between two.
const FILES_MAX: usize = 256;
const NS_PER_MS: u64 = 1_000_000;

/// A file as a snapshot names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// It holds the outcomes of commands behind this one,
    after: u64,
    /// up to this one.
    pub through: u64,
    /// The newest date among them.
    pub newest: u64,
    /// Behind its header.
    bytes: u64,
    hash: [u8; 32],
}

impl Named {
    pub fn name(&self) -> String {
        name(self.after, self.through)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.after, self.through, self.newest, self.bytes] {
            out.put_u64(number);
        }
        out.extend_from_slice(&self.hash);
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Named, Malformed> {
        Ok(Named {
            after: reader.u64()?,
            through: reader.u64()?,
            newest: reader.u64()?,
            bytes: reader.u64()?,
            hash: reader.bytes(32)?.try_into().expect("32 bytes were taken"),
        })
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        header[16..].copy_from_slice(&self.hash);
        header
    }

    /// What it holds, or what is wrong with it.
    fn read(&self, folder: &Path) -> Holds {
        match self.read_file(&folder.join(self.name())) {
            Ok(read) => Ok(Ok(read)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(Err(format!("{} is gone", self.name()))),
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
                Ok(Err(format!("{} is cut short", self.name())))
            }
            Err(cause) if cause.kind() == ErrorKind::InvalidData => {
                Ok(Err(format!("{}: {cause}", self.name())))
            }
            Err(cause) => Err(cause),
        }
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<Packed>> {
        let wrong = |what: &str| io::Error::new(ErrorKind::InvalidData, what);
        let file = File::open(path)?;
        if file.metadata()?.len() != HEADER as u64 + self.bytes {
            return Err(wrong("it has another length than it was written with"));
        }
        let mut file = BufReader::new(file);
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        if header != self.header() {
            return Err(wrong("it is another file than the snapshot names"));
        }
        let mut hash = Hash::default();
        let mut left = self.bytes;
        let mut read = Vec::new();
        while left > 0 {
            let mut before = [0; BEFORE_A_BUCKET];
            file.read_exact(&mut before)?;
            hash.take(&before);
            let stamp = u64::from_le_bytes(before[..8].try_into().expect("8 bytes"));
            let [count, length] =
                [8, 12].map(|at| u32::from_le_bytes(before[at..at + 4].try_into().expect("4 bytes")));
            left = left.saturating_sub(BEFORE_A_BUCKET as u64);
            if u64::from(length) > left {
                return Err(wrong("its hash does not match"));
            }
            left -= u64::from(length);
            let mut bytes = Vec::with_capacity(length as usize);
            if file.by_ref().take(length.into()).read_to_end(&mut bytes)? < length as usize {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            hash.take(&bytes);
            read.push((stamp, count, bytes.into_boxed_slice()));
        }
        if hash.end() != self.hash {
            return Err(wrong("its hash does not match"));
        }
        let told =
            read.into_iter().map(|(stamp, count, bytes)| Packed::told(stamp, count, self.through, bytes));
        told.collect::<Result<_, _>>().map_err(|cause| wrong(cause.0))
    }
}

/// What one file holds, or what is wrong with it.
pub type Holds = io::Result<Result<Vec<Packed>, String>>;

/// Files of outcomes that are read by several threads, each as soon as it has nothing else to do.
pub struct Reading<'a> {
    folder: &'a Path,
    named: &'a [Named],
    next: AtomicUsize,
    read: Vec<OnceLock<Holds>>,
}

impl Reading<'_> {
    pub fn of<'a>(folder: &'a Path, named: &'a [Named]) -> Reading<'a> {
        let read = named.iter().map(|_| OnceLock::new()).collect();
        Reading { folder, named, next: AtomicUsize::new(0), read }
    }

    /// Reads until nobody need begin another one.
    pub fn help(&self) {
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = self.named.get(at) else { return };
            self.read[at].get_or_init(|| file.read(self.folder));
        }
    }

    /// In their order, once everybody has come back.
    pub fn end(self) -> impl Iterator<Item = Holds> {
        self.read.into_iter().map(|read| read.into_inner().expect("each was begun"))
    }
}

fn name(after: u64, through: u64) -> String {
    format!("outcomes-{after:020}-{through:020}.out")
}

/// Writes what came behind the files that are named; gives all that a snapshot of this venue names.
pub fn add(folder: &Path, venue: &Venue, named: &[Named]) -> io::Result<Vec<Named>> {
    let now_ms = venue.time_ns() / NS_PER_MS;
    let mut kept: Vec<Named> = named.iter().filter(|file| !is_over(file.newest, now_ms)).cloned().collect();
    // What is lost is still named, or the next start would not know that there was anything.
    if kept.len() >= FILES_MAX && !venue.misses_outcomes() {
        kept.clear();
    }
    let after = kept.last().map_or(0, |file| file.through);
    kept.extend(write(folder, venue, after)?);
    Ok(kept)
}

/// `None`: nothing came.
fn write(folder: &Path, venue: &Venue, after: u64) -> io::Result<Option<Named>> {
    let mut file: Option<Gentle> = None;
    let mut named = Named { after, through: venue.engine_seq(), newest: 0, bytes: 0, hash: [0; 32] };
    let mut hash = Hash::default();
    venue.outcomes_since(after, |packed| {
        let file = match &mut file {
            Some(file) => file,
            none => none.insert(Gentle::create(folder.join("next-outcomes"), HEADER)?),
        };
        let mut before = Vec::with_capacity(BEFORE_A_BUCKET);
        before.extend_from_slice(&packed.stamp.to_le_bytes());
        before.extend_from_slice(&(packed.count() as u32).to_le_bytes());
        before.extend_from_slice(&(packed.bytes().len() as u32).to_le_bytes());
        for bytes in [&before[..], packed.bytes()] {
            hash.take(bytes);
            named.bytes += bytes.len() as u64;
            file.write(bytes)?;
        }
        named.newest = named.newest.max(packed.stamp);
        Ok::<_, io::Error>(())
    })?;
    named.hash = hash.end();
    match file {
        Some(file) => {
            file.end(&named.header(), &folder.join(named.name()))?;
            Ok(Some(named))
        }
        None => Ok(None),
    }
}

/// Deletes the files that no snapshot names any more, and those that a death left without one.
pub fn clear(folder: &Path, named: &[Named]) -> io::Result<()> {
    let kept: BTreeSet<String> = named.iter().map(Named::name).collect();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == "out");
        if is_ours && !path.file_name().and_then(|name| name.to_str()).is_some_and(|name| kept.contains(name))
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
