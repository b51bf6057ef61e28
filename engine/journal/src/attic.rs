//! Old segments: compressed, verified, and out of the way, but still part of the journal.
//!
//! A segment goes to the attic once snapshots stand for all of it. Its copy is written, flushed, read back and
//! compared before it gets its name, and only then the segment itself is deleted; dying between any two steps leaves
//! at least one of the two whole. Readers find a segment in either place.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use lz4_flex::frame::{BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use crate::seam::{Seam, Step};
use crate::segment;
use crate::{Error, io_error};

const FOLDER: &str = "attic";
const SUFFIX: &str = ".seg.lz4";

/// What [`retire`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    pub segments: usize,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Copies that were deleted because no more than so many are kept.
    pub forgotten: usize,
}

pub(crate) fn path_of(folder: &Path, first_seq: u64) -> PathBuf {
    folder.join(FOLDER).join(format!("journal-{first_seq:020}{SUFFIX}"))
}

/// The copies of a folder by their first sequence.
pub(crate) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let attic = folder.join(FOLDER);
    if !attic.is_dir() {
        return Ok(Vec::new());
    }
    let mut copies = segment::named(&attic, SUFFIX)?;
    copies.sort();
    Ok(copies)
}

/// The sequence that the oldest copies were forgotten up to, exclusive: older records are missing on purpose.
const KEPT_FROM: &str = "kept-from";

/// The first record that a replay can begin with: what is missing before it was dropped on purpose. A journal that
/// begins later than that has lost something, and is refused.
pub fn first_kept(folder: &Path) -> Result<u64, Error> {
    let path = folder.join(FOLDER).join(KEPT_FROM);
    let kept = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| Error::Corrupt {
            path: path.clone(),
            offset: 0,
            what: "it names no record".into(),
        })?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => 1,
        Err(cause) => return Err(Error::Io { doing: "read", path, cause }),
    };
    let first = segment::list(folder)?.first().map_or(kept, |(first, _)| *first);
    if first > kept {
        let what = format!("the journal begins at {first}, record {kept} is needed");
        return Err(Error::Corrupt { path: folder.to_path_buf(), offset: 0, what });
    }
    Ok(first)
}

/// Deletes copies, the oldest first, until `keep` are left. What is about to be missing is written down before.
fn forget(folder: &Path, keep: usize, seam: &Seam) -> Result<usize, Error> {
    let copies = list(folder)?;
    let gone = copies.len().saturating_sub(keep);
    let Some((kept, _)) = copies.get(gone) else { return Ok(0) };
    let path = folder.join(FOLDER).join(KEPT_FROM);
    if *kept > 1 && (gone > 0 || !path.exists()) {
        let fresh = folder.join(FOLDER).join("next-kept-from");
        let write = || {
            seam.pass(Step::Forget)?;
            let mut file = File::create(&fresh)?;
            writeln!(file, "{kept}")?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(io_error("write", &path))?;
        segment::sync_folder(&folder.join(FOLDER), seam)?;
    }
    for (_, copy) in &copies[..gone] {
        seam.pass(Step::Forget).and_then(|()| fs::remove_file(copy)).map_err(io_error("delete", copy))?;
    }
    Ok(gone)
}

/// Moves every segment whose records are all at or below `through` into the attic.
///
/// `keep` copies stay there, the newest ones; 0 keeps all. The segment that is written to never moves.
pub fn retire(folder: &Path, through: u64, keep: usize, seam: &Seam) -> Result<Retired, Error> {
    let mut told = Retired::default();
    let segments = segment::named(folder, segment::SUFFIX)?;
    for pair in segments.windows(2) {
        let (first, path) = &pair[0];
        let next_first = pair[1].0;
        if next_first > through + 1 {
            break;
        }
        let (before, after) = copy(folder, *first, path, seam)?;
        seam.pass(Step::Drop).map_err(io_error("delete", path))?;
        fs::remove_file(path).map_err(io_error("delete", path))?;
        segment::sync_folder(folder, seam)?;
        told.segments += 1;
        told.bytes_before += before;
        told.bytes_after += after;
    }
    if keep > 0 {
        told.forgotten = forget(folder, keep, seam)?;
    }
    Ok(told)
}

/// Writes and verifies one copy; gives the sizes of both.
fn copy(folder: &Path, first: u64, path: &Path, seam: &Seam) -> Result<(u64, u64), Error> {
    let attic = folder.join(FOLDER);
    fs::create_dir_all(&attic).map_err(io_error("create", &attic))?;
    segment::sync_folder(folder, seam)?;
    let fresh = attic.join("next-copy");
    let write = || -> io::Result<u64> {
        seam.pass(Step::Compress)?;
        let mut info = FrameInfo::new();
        info.block_size = BlockSize::Max1MB;
        info.content_checksum = true;
        let mut from = File::open(path)?;
        let mut encoder = FrameEncoder::with_frame_info(info, BufWriter::new(File::create(&fresh)?));
        io::copy(&mut from, &mut encoder)?;
        let file = encoder.finish().map_err(io::Error::other)?.into_inner()?;
        file.sync_all()?;
        file.metadata().map(|about| about.len())
    };
    let after = write().map_err(io_error("compress a segment to", &fresh))?;
    let before = fs::metadata(path).map_err(io_error("read", path))?.len();
    let same = is_same(path, &fresh).map_err(io_error("read", &fresh))?;
    if !same {
        return Err(Error::Corrupt {
            path: fresh,
            offset: 0,
            what: format!("it is not what {} holds, although it was just written", path.display()),
        });
    }
    let copy = path_of(folder, first);
    seam.pass(Step::Keep).map_err(io_error("rename", &copy))?;
    fs::rename(&fresh, &copy).map_err(io_error("rename", &copy))?;
    segment::sync_folder(&attic, seam)?;
    Ok((before, after))
}

fn is_same(plain: &Path, compressed: &Path) -> io::Result<bool> {
    let mut plain = BufReader::new(File::open(plain)?);
    let mut copy = FrameDecoder::new(BufReader::new(File::open(compressed)?));
    let (mut one, mut other) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = plain.read(&mut one)?;
        if read == 0 {
            return Ok(copy.read(&mut other)? == 0);
        }
        match copy.read_exact(&mut other[..read]) {
            Ok(()) if one[..read] == other[..read] => {}
            Ok(()) => return Ok(false),
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(cause) => return Err(cause),
        }
    }
}

/// A segment from its beginning on, from wherever it lies.
pub(crate) fn read(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if !path.to_string_lossy().ends_with(SUFFIX) {
        return Ok(Box::new(file));
    }
    Ok(Box::new(FrameDecoder::new(BufReader::new(file))))
}

/// A file that reads like the segment: itself, or what its copy unpacks to, in memory.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if !path.to_string_lossy().ends_with(SUFFIX) {
        return File::open(path);
    }
    let memory = rustix::fs::memfd_create("segment", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(memory);
    let mut decoder = FrameDecoder::new(BufReader::new(File::open(path)?));
    io::copy(&mut decoder, &mut file)?;
    file.flush()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same_only_if_it_unpacks_to_every_byte() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("plain"), folder.path().join("packed"));
        let bytes: Vec<u8> = (0..200_000).map(|at| (at % 251) as u8).collect();
        fs::write(&plain, &bytes).unwrap();
        let same = |copied: &[u8]| {
            let mut info = FrameInfo::new();
            info.content_checksum = true;
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(copied).unwrap();
            fs::write(&packed, encoder.finish().unwrap()).unwrap();
            is_same(&plain, &packed)
        };
        assert!(same(&bytes).unwrap());
        for at in [0, 65_535, 65_536, bytes.len() - 1] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!same(&other).unwrap(), "byte {at}");
        }
        assert!(!same(&bytes[..bytes.len() - 1]).unwrap());
        assert!(!same(&[bytes.as_slice(), b"x"].concat()).unwrap());
        assert!(same(&bytes).unwrap());
        let whole = fs::read(&packed).unwrap();
        fs::write(&packed, [&whole[..whole.len() - 1], &[whole[whole.len() - 1] ^ 1]].concat()).unwrap();
        assert!(is_same(&plain, &packed).is_err(), "its checksum does not hold");
    }
}
