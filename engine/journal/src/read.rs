//! Reading a journal: from its beginning, verifying everything, or following one that another process writes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::block::{self, Record, Sealed};
use crate::reading::Reading;
use crate::segment::{self, Header};
use crate::{Error, attic, io_error};

/// What [`scan`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The sequence that the next record would have.
    pub next_seq: u64,
    pub records: u64,
    pub blocks: u64,
    pub segments: usize,
    pub bytes: u64,
    /// Bytes of a block that was being written when its writer died. They were never acknowledged.
    pub torn_bytes: u64,
    pub(crate) tail: Option<Tail>,
}

/// Where writing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub path: PathBuf,
    pub offset: u64,
    pub length: u64,
    /// Where the last block begins: the only one that may never have been flushed.
    pub last: u64,
    /// End of what is not zero: up to here must be wiped before anything is appended.
    pub dirty_to: u64,
    pub sum: u32,
}

/// Reads every record above `after` and verifies the whole chain of the segments that hold them.
///
/// Reads only; a torn tail is measured and left where it is. `visit` may refuse a record by saying why.
pub fn scan(
    folder: &Path,
    after: u64,
    visit: impl FnMut(Record<'_>) -> Result<(), String>,
) -> Result<Scan, Error> {
    read(folder, segment::list(folder)?, after, true, visit)
}

/// The same for the segments that are closed, while another thread or process writes the
/// one behind them. Nothing of a closed segment may be damaged, its end included.
pub fn scan_closed(
    folder: &Path,
    after: u64,
    visit: impl FnMut(Record<'_>) -> Result<(), String>,
) -> Result<Scan, Error> {
    let mut segments = segment::list(folder)?;
    segments.pop();
    read(folder, segments, after, false, visit)
}

/// Reads segments in order. `open_end`: the last of them may end in a block that was being written.
fn read(
    folder: &Path,
    mut segments: Vec<(u64, PathBuf)>,
    after: u64,
    open_end: bool,
    mut visit: impl FnMut(Record<'_>) -> Result<(), String>,
) -> Result<Scan, Error> {
    // Older segments may have been archived, and need not be read if a snapshot stands for them.
    let begin = segments.iter().rposition(|(first, _)| *first <= after + 1).unwrap_or(0);
    segments.drain(..begin);
    let mut scan =
        Scan { next_seq: after + 1, records: 0, blocks: 0, segments: 0, bytes: 0, torn_bytes: 0, tail: None };
    let mut chain: Option<(u64, u32)> = None;
    let count = segments.len();
    for (at, (first, path)) in segments.into_iter().enumerate() {
        let last = open_end && at + 1 == count;
        let bytes = match attic::read(&path) {
            // It went to the attic while we looked.
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                attic::read(&attic::path_of(folder, first))
            }
            read => read,
        };
        let mut bytes = Reading::new(bytes.map_err(io_error("read", &path))?);
        let corrupt =
            |offset: u64, what: &str| Error::Corrupt { path: path.clone(), offset, what: what.to_string() };
        let header = Header::read(bytes.peek(segment::HEADER).map_err(io_error("read", &path))?)
            .ok_or_else(|| corrupt(0, "the segment's header is damaged"))?;
        if header.first_seq != first {
            return Err(corrupt(0, "the segment's name and header disagree"));
        }
        let (mut next, mut sum) = chain.unwrap_or((first, header.before));
        if first != next || header.before != sum {
            return Err(corrupt(0, &format!("a segment is missing before it: record {next} was expected")));
        }
        if chain.is_none() && first > after + 1 {
            return Err(corrupt(
                0,
                &format!("the journal begins at {first}, record {} is needed", after + 1),
            ));
        }
        bytes.pass(segment::HEADER);
        let mut newest = 0;
        loop {
            let offset = bytes.offset;
            let claimed = block::claimed(bytes.peek(block::HEADER).map_err(io_error("read", &path))?);
            let Some(length) = claimed else { break };
            let whole = bytes.peek(length).map_err(io_error("read", &path))?;
            let Some(block) = Sealed::read(whole) else { break };
            if block.first_seq != next || block.before != sum {
                return Err(corrupt(offset, "a block does not continue the one before"));
            }
            for record in block.records().map_err(|what| corrupt(offset, what))? {
                if record.seq > after {
                    visit(record).map_err(|why| Error::Refused { seq: record.seq, why })?;
                    scan.records += 1;
                }
            }
            scan.blocks += 1;
            newest = offset;
            next += u64::from(block.count);
            sum = block.sum;
            let length = block.len();
            bytes.pass(length);
        }
        // From here on there must be nothing that was ever durable.
        let offset = bytes.offset;
        let (dirty, length) = bytes.rest().map_err(io_error("read", &path))?;
        if !dirty.is_empty() {
            if !last {
                return Err(corrupt(offset, "a block is damaged, and its segment was closed behind it"));
            }
            if let Some(found) = block::any_block_after(&dirty, next) {
                let at = offset + found as u64;
                let what = format!("a block is damaged, and a valid one follows at byte {at}");
                return Err(corrupt(offset, &what));
            }
        }
        let dirty = dirty.len() as u64;
        scan.segments += 1;
        scan.bytes += offset;
        scan.torn_bytes = dirty;
        scan.next_seq = next.max(after + 1);
        scan.tail =
            Some(Tail { path: path.clone(), offset, length, last: newest, dirty_to: offset + dirty, sum });
        chain = Some((next, sum));
        if last && next <= after {
            let what = format!("the journal ends before record {next}, and a snapshot stands for {after}");
            return Err(corrupt(offset, &what));
        }
    }
    Ok(scan)
}

/// Reads a journal that another process is writing, as far as it has come.
pub struct Follower {
    folder: PathBuf,
    next_seq: u64,
    at: Option<(File, u64, u32)>,
    /// Of the segment that is open.
    first_seq: u64,
    buffer: Vec<u8>,
}

/// What is read to see whether a block begins: behind the newest one lie megabytes of zeros, and nobody needs a copy.
const PEEK: usize = 4 << 10;
/// What is read at once where one does.
const WINDOW: usize = 128 << 10;

impl Follower {
    /// Begins behind record `after`.
    pub fn new(folder: &Path, after: u64) -> Follower {
        Follower {
            folder: folder.to_path_buf(),
            next_seq: after + 1,
            at: None,
            first_seq: 0,
            buffer: Vec::new(),
        }
    }

    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Reads what has been added; gives how many records that was. A half-written block is left for the next call.
    pub fn poll(&mut self, mut visit: impl FnMut(Record<'_>) -> Result<(), String>) -> Result<u64, Error> {
        let mut seen = 0;
        loop {
            if self.at.is_none() && !self.open_segment()? {
                return Ok(seen);
            }
            let Some((file, offset, sum)) = &mut self.at else { return Ok(seen) };
            let mut want = PEEK;
            let read = loop {
                if self.buffer.len() < want {
                    self.buffer.resize(want, 0);
                }
                let window = &mut self.buffer[..want];
                let read = read_up_to(file, window, *offset).map_err(io_error("read", &self.folder))?;
                match block::claimed(&self.buffer[..read]) {
                    Some(length) if want < length.max(WINDOW) => want = length.max(WINDOW),
                    _ => break read,
                }
            };
            let mut used = 0;
            while let Some(block) = Sealed::read(&self.buffer[used..read]) {
                if block.before != *sum || block.first_seq > self.next_seq {
                    return Err(Error::Corrupt {
                        path: self.folder.clone(),
                        offset: *offset + used as u64,
                        what: "a block does not continue the one before".into(),
                    });
                }
                let records = block.records().map_err(|what| Error::Corrupt {
                    path: self.folder.clone(),
                    offset: *offset + used as u64,
                    what: what.into(),
                })?;
                for record in records {
                    if record.seq >= self.next_seq {
                        visit(record).map_err(|why| Error::Refused { seq: record.seq, why })?;
                        self.next_seq = record.seq + 1;
                        seen += 1;
                    }
                }
                *sum = block.sum;
                used += block.len();
            }
            *offset += used as u64;
            if used == 0 {
                // Nothing more here; perhaps the writer has gone on to the next segment.
                let next = segment::path_of(&self.folder, self.next_seq);
                let archived = attic::path_of(&self.folder, self.next_seq);
                if self.first_seq == self.next_seq || (!next.exists() && !archived.exists()) {
                    return Ok(seen);
                }
                self.at = None;
            }
        }
    }

    fn open_segment(&mut self) -> Result<bool, Error> {
        let (first, path, file) = loop {
            let segments = segment::list(&self.folder)?;
            let found = segments.into_iter().rfind(|(first, _)| *first <= self.next_seq);
            let Some((first, path)) = found else { return Ok(false) };
            match attic::open(&path) {
                Ok(file) => break (first, path, file),
                // It went to the attic while we looked.
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
                Err(cause) => return Err(Error::Io { doing: "open", path, cause }),
            }
        };
        let mut header = [0; segment::HEADER];
        file.read_exact_at(&mut header, 0).map_err(io_error("read", &path))?;
        let header = Header::read(&header)
            .filter(|header| header.first_seq == first)
            .ok_or(Error::Corrupt { path, offset: 0, what: "the segment's header is damaged".into() })?;
        self.at = Some((file, segment::HEADER as u64, header.before));
        self.first_seq = first;
        Ok(true)
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
