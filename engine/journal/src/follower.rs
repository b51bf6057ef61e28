//! Following a journal that another process writes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::block::{self, Record, Sealed};
use crate::segment::{self, Header};
use crate::{Error, attic, io_error};

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
    pub fn poll(&mut self, visit: impl FnMut(Record<'_>) -> Result<(), String>) -> Result<u64, Error> {
        self.poll_to(u64::MAX, visit)
    }

    /// The same up to the end of the block that holds record `through`, whatever lies behind.
    pub fn poll_to(
        &mut self,
        through: u64,
        mut visit: impl FnMut(Record<'_>) -> Result<(), String>,
    ) -> Result<u64, Error> {
        let mut seen = 0;
        loop {
            if self.next_seq > through || (self.at.is_none() && !self.open_segment()?) {
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
            while self.next_seq <= through
                && let Some(block) = Sealed::read(&self.buffer[used..read])
            {
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
