//! Segment files: their names, their headers, and how they are made.
//!
//! Header (64 bytes, little-endian): magic, first sequence, checksum of the block before, checksum of the header.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::seam::{Seam, Step};
use crate::{Error, attic, io_error};

pub(crate) const HEADER: usize = 64;
const MAGIC: &[u8; 8] = b"CSJRNL01";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub first_seq: u64,
    pub before: u32,
}

impl Header {
    pub fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.before.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub fn read(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let first_seq = u64::from_le_bytes(bytes[8..16].try_into().expect("8 bytes"));
        let before = u32::from_le_bytes(bytes[16..20].try_into().expect("4 bytes"));
        let header = Header { first_seq, before };
        (header.bytes() == *bytes).then_some(header)
    }
}

/// What is filled at once. The writer's own flushes wait behind each piece, so it is small.
const FILL_BYTES: usize = 256 << 10;
/// How long the disk is left to the writer between two pieces, where there is time.
pub(crate) const GIVE_WAY: Duration = Duration::from_millis(4);

pub(crate) const SUFFIX: &str = ".seg";

pub(crate) fn path_of(folder: &Path, first_seq: u64) -> PathBuf {
    folder.join(format!("journal-{first_seq:020}{SUFFIX}"))
}

/// The segments of a folder by their first sequence, those in the attic too. One that lies in both places is read from
/// its own: the copy was made and the segment not yet deleted.
pub(crate) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut segments: BTreeMap<u64, PathBuf> = attic::list(folder)?.into_iter().collect();
    segments.extend(named(folder, SUFFIX)?);
    Ok(segments.into_iter().collect())
}

/// Files called `journal-SEQUENCE` and then `suffix`, in order.
pub(crate) fn named(folder: &Path, suffix: &str) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let path = entry.map_err(io_error("list", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let first = name.strip_prefix("journal-").and_then(|name| name.strip_suffix(suffix));
        if let Some(first) = first.and_then(|digits| digits.parse().ok()) {
            segments.push((first, path));
        }
    }
    segments.sort();
    Ok(segments)
}

/// A file of zeros, really written and flushed: only then do later writes need no metadata.
///
/// `pause` lies between the pieces: nobody but the writer itself may be in a hurry. `stop` ends it early.
pub(crate) fn prepare(
    path: &Path,
    length: u64,
    pause: Duration,
    stop: &AtomicBool,
    seam: &Seam,
) -> Result<File, Error> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(io_error("create", path))?;
    let zeros = vec![0u8; FILL_BYTES];
    let mut left = length;
    while left > 0 {
        let part = left.min(zeros.len() as u64) as usize;
        if stop.load(Ordering::Relaxed) {
            return Err(io_error("fill", path)(io::ErrorKind::Interrupted.into()));
        }
        seam.pass(Step::Fill).map_err(io_error("fill", path))?;
        file.write_all(&zeros[..part]).map_err(io_error("fill", path))?;
        if !pause.is_zero() {
            file.sync_data().map_err(io_error("flush", path))?;
            thread::sleep(pause);
        }
        left -= part as u64;
    }
    file.sync_all().map_err(io_error("flush", path))?;
    Ok(file)
}

/// Turns a prepared file into the segment that begins at `header.first_seq`.
pub(crate) fn adopt(
    folder: &Path,
    prepared: &Path,
    file: &File,
    header: Header,
    seam: &Seam,
) -> Result<(), Error> {
    seam.pass(Step::Head)
        .and_then(|()| file.write_all_at(&header.bytes(), 0))
        .map_err(io_error("write", prepared))?;
    file.sync_all().map_err(io_error("flush", prepared))?;
    let path = path_of(folder, header.first_seq);
    seam.pass(Step::Name).and_then(|()| fs::rename(prepared, &path)).map_err(io_error("rename", &path))?;
    sync_folder(folder, seam)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path, seam: &Seam) -> Result<(), Error> {
    seam.pass(Step::NameFlush)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(io_error("flush", folder))
}

/// Creates a folder, and those above it, under names that outlive a loss of power.
pub(crate) fn create_folder(folder: &Path, seam: &Seam) -> Result<(), Error> {
    let folder = std::path::absolute(folder).map_err(io_error("create", folder))?;
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.exists()).collect();
    fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    missing.iter().filter_map(|made| made.parent()).try_for_each(|above| sync_folder(above, seam))
}
