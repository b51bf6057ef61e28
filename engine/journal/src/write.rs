//! Writing: one process, one lock, one flush per block.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::block::{self, Block, Record};
use crate::filler::Filler;
use crate::lock::Lock;
use crate::read::{Scan, Tail, scan};
use crate::seam::{Seam, Step};
use crate::segment::{self, Header};
use crate::{Error, io_error};

#[derive(Clone, Debug)]
pub struct Options {
    pub segment_bytes: u64,
    /// Without it nothing is durable: for benchmarks that show what the disk costs.
    pub fsync: bool,
    pub seam: Seam,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_bytes: 64 << 20, fsync: true, seam: Seam::default() }
    }
}

pub struct Journal {
    folder: PathBuf,
    options: Options,
    file: File,
    offset: u64,
    length: u64,
    sum: u32,
    next_seq: u64,
    /// A step failed, or somebody died in it: what the disk holds is unknown.
    failed: bool,
    /// Before the lock, which is let go when nobody of this process writes into the folder any more.
    filler: Filler,
    /// Released when the process ends, however it ends.
    lock: Lock,
}

/// The next segment is filled, slowly, once this part of the one before is used.
const EARLY: u64 = 8;

/// Says that a journal was begun here, so that lost segments are not taken for a fresh start.
const MARK: &str = "VENUE";

impl Journal {
    /// Takes the folder's lock, replays every record above `after`, cuts a torn tail, and stands ready to append.
    pub fn open(
        folder: &Path,
        options: &Options,
        init: bool,
        after: u64,
        visit: impl FnMut(Record<'_>) -> Result<(), String>,
    ) -> Result<(Journal, Scan), Error> {
        if init {
            segment::create_folder(folder, &options.seam)?;
        } else if !folder.is_dir() {
            return Err(Error::Empty(folder.to_path_buf()));
        }
        let lock = Lock::take(folder)?;
        let filler = Filler::new(folder, options);
        let mark = folder.join(MARK);
        if segment::list(folder)?.is_empty() {
            if after > 0 || mark.exists() {
                return Err(Error::Lost(folder.to_path_buf()));
            }
            if !init {
                return Err(Error::Empty(folder.to_path_buf()));
            }
            let (fresh, file) = filler.fill()?;
            segment::adopt(folder, &fresh, &file, Header { first_seq: 1, before: 0 }, &options.seam)?;
        }
        if !mark.exists() {
            fs::write(&mark, b"").map_err(io_error("write", &mark))?;
        }
        let scanned = scan(folder, after, visit)?;
        let tail = scanned.tail.clone().expect("a journal with segments has a tail");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&tail.path)
            .map_err(io_error("open", &tail.path))?;
        take_on(folder, &file, &tail, options)?;
        let mut journal = Journal {
            folder: folder.to_path_buf(),
            options: options.clone(),
            file,
            offset: tail.offset,
            length: tail.length,
            sum: tail.sum,
            next_seq: scanned.next_seq,
            failed: false,
            filler,
            lock,
        };
        journal.look_ahead();
        Ok((journal, scanned))
    }

    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Says that the writer lives.
    pub fn beat(&self) -> Result<(), Error> {
        self.lock.beat()
    }

    /// Makes a block durable. After an error nothing is taken any more: what the disk holds is unknown, and a second
    /// flush could succeed for bytes that the first one lost.
    pub fn append(&mut self, block: &mut Block) -> Result<(), Error> {
        assert_eq!(block.first_seq(), self.next_seq, "records are numbered without gaps");
        if self.failed {
            return Err(Error::Failed(self.folder.clone()));
        }
        if block.len() > block::HEADER + block::LENGTH_MAX {
            let why = "no reader takes a block as large as the one that it is in".into();
            return Err(Error::Refused { seq: self.next_seq, why });
        }
        self.failed = true;
        let sum = block.seal(self.sum);
        let length = block.bytes().len() as u64;
        if self.offset + length > self.length {
            self.next_segment(length)?;
        }
        let seam = &self.options.seam;
        seam.pass(Step::Append)
            .and_then(|()| self.file.write_all_at(block.bytes(), self.offset))
            .map_err(io_error("append to the journal in", &self.folder))?;
        if self.options.fsync {
            seam.pass(Step::Flush)
                .and_then(|()| self.file.sync_data())
                .map_err(io_error("flush the journal in", &self.folder))?;
        }
        self.offset += length;
        self.sum = sum;
        self.next_seq += u64::from(block.count());
        self.look_ahead();
        self.failed = false;
        Ok(())
    }

    /// Long before the need, so that nobody waits for zeros.
    fn look_ahead(&mut self) {
        if self.offset >= self.length / EARLY {
            self.filler.begin();
        }
    }

    fn next_segment(&mut self, block: u64) -> Result<(), Error> {
        let (path, file) = self.filler.take()?;
        let length = self.options.segment_bytes.max(segment::HEADER as u64 + block);
        let header = Header { first_seq: self.next_seq, before: self.sum };
        segment::adopt(&self.folder, &path, &file, header, &self.options.seam)?;
        self.file = file;
        self.offset = segment::HEADER as u64;
        self.length = length;
        Ok(())
    }
}

/// Makes durable what is there before anything follows it, and replaces a torn tail by zeros, so that its remains can
/// never be mistaken for something valid.
///
/// The writer before may have died between a block and its flush, or of a flush that failed. Whoever reads the block
/// now reads it from memory, and a flush after a failed one has nothing to do. So the block is written once more.
fn take_on(folder: &Path, file: &File, tail: &Tail, options: &Options) -> Result<(), Error> {
    let mut end = vec![0; (tail.dirty_to - tail.last) as usize];
    let last = &mut end[..(tail.offset - tail.last) as usize];
    options
        .seam
        .pass(Step::TakeOn)
        .and_then(|()| file.read_exact_at(last, tail.last))
        .and_then(|()| file.write_all_at(&end, tail.last))
        .and_then(|()| file.sync_all())
        .map_err(io_error("make durable what is in", &tail.path))?;
    // So may its segment's name.
    segment::sync_folder(folder, &options.seam)
}
