//! Writing: one process, one lock, one flush per block.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::block::{Block, Record};
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
    prepared: mpsc::Receiver<Result<(PathBuf, File), Error>>,
    wanted: mpsc::Sender<()>,
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
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        } else if !folder.is_dir() {
            return Err(Error::Empty(folder.to_path_buf()));
        }
        let lock = Lock::take(folder)?;
        if segment::list(folder)?.is_empty() {
            let mark = folder.join(MARK);
            if after > 0 || mark.exists() {
                return Err(Error::Lost(folder.to_path_buf()));
            }
            if !init {
                return Err(Error::Empty(folder.to_path_buf()));
            }
            let fresh = folder.join("next-segment");
            let file = segment::prepare(&fresh, options.segment_bytes, Duration::ZERO, &options.seam)?;
            segment::adopt(folder, &fresh, &file, Header { first_seq: 1, before: 0 }, &options.seam)?;
            fs::write(&mark, b"").map_err(io_error("write", &mark))?;
            segment::sync_folder(folder)?;
        }
        let scanned = scan(folder, after, visit)?;
        let tail = scanned.tail.clone().expect("a journal with segments has a tail");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&tail.path)
            .map_err(io_error("open", &tail.path))?;
        wipe(&file, &tail)?;
        let (wanted, wants) = mpsc::channel();
        let (ready, prepared) = mpsc::sync_channel(1);
        let path = folder.join("next-segment");
        let filling = options.clone();
        thread::Builder::new()
            .name("segments".into())
            .spawn(move || {
                for () in wants {
                    let file =
                        segment::prepare(&path, filling.segment_bytes, segment::GIVE_WAY, &filling.seam);
                    if ready.send(file.map(|file| (path.clone(), file))).is_err() {
                        return;
                    }
                }
            })
            .map_err(io_error("start a thread for", folder))?;
        let journal = Journal {
            folder: folder.to_path_buf(),
            options: options.clone(),
            file,
            offset: tail.offset,
            length: tail.length,
            sum: tail.sum,
            next_seq: scanned.next_seq,
            prepared,
            wanted,
            lock,
        };
        journal.want_segment_past(tail.length / EARLY, tail.offset);
        Ok((journal, scanned))
    }

    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Says that the writer lives.
    pub fn beat(&self) -> Result<(), Error> {
        self.lock.beat()
    }

    /// Makes a block durable. After an error the journal must not be used again: what the disk holds is unknown.
    pub fn append(&mut self, block: &mut Block) -> Result<(), Error> {
        assert_eq!(block.first_seq(), self.next_seq, "records are numbered without gaps");
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
        let before = self.offset;
        self.offset += length;
        self.sum = sum;
        self.next_seq += u64::from(block.count());
        if before < self.length / EARLY {
            self.want_segment_past(self.length / EARLY, self.offset);
        }
        Ok(())
    }

    /// Long before the need, so that nobody waits for zeros.
    fn want_segment_past(&self, mark: u64, offset: u64) {
        if offset >= mark {
            // The thread lives as long as this end of the channel does.
            self.wanted.send(()).ok();
        }
    }

    fn next_segment(&mut self, block: u64) -> Result<(), Error> {
        // Jumping over the middle in one block means that nobody asked yet.
        let early = self.prepared.try_recv();
        let (path, file) = match early {
            Ok(made) => made?,
            Err(_) if self.offset >= self.length / EARLY => {
                self.prepared.recv().expect("the segment thread lives as long as the journal")?
            }
            Err(_) => {
                let path = self.folder.join("next-segment");
                let file =
                    segment::prepare(&path, self.options.segment_bytes, Duration::ZERO, &self.options.seam)?;
                (path, file)
            }
        };
        let length = self.options.segment_bytes.max(segment::HEADER as u64 + block);
        let header = Header { first_seq: self.next_seq, before: self.sum };
        segment::adopt(&self.folder, &path, &file, header, &self.options.seam)?;
        self.file = file;
        self.offset = segment::HEADER as u64;
        self.length = length;
        Ok(())
    }
}

/// Replaces a torn tail by zeros, so that its remains can never be mistaken for something valid.
fn wipe(file: &File, tail: &Tail) -> Result<(), Error> {
    if tail.dirty_to > tail.offset {
        let zeros = vec![0; (tail.dirty_to - tail.offset) as usize];
        file.write_all_at(&zeros, tail.offset).map_err(io_error("wipe the torn tail of", &tail.path))?;
        file.sync_all().map_err(io_error("flush", &tail.path))?;
    }
    Ok(())
}
