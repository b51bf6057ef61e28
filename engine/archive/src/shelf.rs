//! The folder: files of events by the sequence of their first one, and their indexes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use countersign_venue::Event;
use countersign_venue::event::split_event;

use crate::index::{Index, Span};
use crate::seam::{Seam, Step};

const PREFIX: &str = "events-";
const LOG: &str = ".log";
const INDEX: &str = ".idx";
/// Digits of the numbers by which files were named before they were named by sequence.
const NUMBER_DIGITS: usize = 6;

#[derive(Clone)]
pub(crate) struct Shelf {
    folder: PathBuf,
    pub seam: Seam,
    /// Under this name an index is written; two processes may do that at the same time.
    fresh_index: &'static str,
}

impl Shelf {
    pub fn new(folder: &Path, seam: Seam) -> Shelf {
        Shelf { folder: folder.to_path_buf(), seam, fresh_index: "next-index" }
    }

    /// For a process that does not lead.
    pub fn aside(folder: &Path, seam: Seam) -> Shelf {
        Shelf { fresh_index: "mended-index", ..Shelf::new(folder, seam) }
    }

    /// The journal's folder, in which this one lies.
    pub fn journal_folder(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    pub fn path_of(&self, first_seq: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{first_seq:020}{LOG}"))
    }

    pub fn index_path_of(&self, first_seq: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{first_seq:020}{INDEX}"))
    }

    /// An empty folder, whatever it held.
    pub fn clear(&self) -> io::Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)
    }

    /// First sequences of the files, in order.
    pub fn list(&self) -> io::Result<Vec<u64>> {
        let named = self.named()?;
        Ok(named.into_iter().filter(|(digits, _)| *digits != NUMBER_DIGITS).map(|(_, first)| first).collect())
    }

    /// Digits and numbers in the names of files of events, in order.
    fn named(&self) -> io::Result<Vec<(usize, u64)>> {
        let mut found = Vec::new();
        if !self.folder.is_dir() {
            return Ok(found);
        }
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let name = name.to_str().unwrap_or_default();
            let digits = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(LOG));
            if let Some((digits, number)) =
                digits.and_then(|digits| Some((digits.len(), digits.parse().ok()?)))
            {
                found.push((digits, number));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Names files by sequence that a former version numbered. False where one does not tell its own.
    pub fn adopt_numbered(&self) -> io::Result<bool> {
        for (digits, number) in self.named()? {
            if digits != NUMBER_DIGITS {
                continue;
            }
            let path = self.folder.join(format!("{PREFIX}{number:06}{LOG}"));
            let file = self.open_path(&path)?;
            let length = file.metadata()?.len();
            if length == 0 {
                self.seam.pass(Step::Drop, &path)?;
                fs::remove_file(&path)?;
                continue;
            }
            let mut head = vec![0; length.min(1 << 10) as usize];
            self.seam.pass(Step::Read(head.len() as u64), &path)?;
            file.read_exact_at(&mut head, 0)?;
            let Ok(Some((event, _))) = split_event(&head) else { return Ok(false) };
            let Ok((first_seq, _)) = Event::sequences(event) else { return Ok(false) };
            let named = self.path_of(first_seq);
            if named.exists() {
                return Ok(false);
            }
            self.seam.pass(Step::Name, &named)?;
            fs::rename(&path, &named)?;
        }
        Ok(true)
    }

    pub fn open(&self, first_seq: u64) -> io::Result<File> {
        self.open_path(&self.path_of(first_seq))
    }

    fn open_path(&self, path: &Path) -> io::Result<File> {
        self.seam.pass(Step::Open, path)?;
        OpenOptions::new().read(true).write(true).open(path)
    }

    pub fn create(&self, first_seq: u64) -> io::Result<File> {
        let path = self.path_of(first_seq);
        self.seam.pass(Step::Open, &path)?;
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
    }

    /// Bytes of a file of events.
    pub fn read(&self, first_seq: u64, file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.seam.pass(Step::Read(length), &self.path_of(first_seq))?;
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Bytes of a span, or what is wrong with them.
    pub fn read_span(&self, first_seq: u64, file: &File, span: &Span) -> io::Result<Result<Vec<u8>, String>> {
        let about = || {
            let path = self.path_of(first_seq);
            format!("events {} to {} in {}", span.first_seq, span.next_seq() - 1, path.display())
        };
        if file.metadata()?.len() < span.end() {
            return Ok(Err(format!("{} are cut short", about())));
        }
        let bytes = self.read(first_seq, file, span.offset, span.length)?;
        if !span.is_of(&bytes) {
            return Ok(Err(format!("{} are not what was written", about())));
        }
        Ok(Ok(bytes))
    }

    /// The index of a file, or what is wrong with it; `None` if there is none.
    pub fn index(&self, first_seq: u64) -> io::Result<Option<Result<Index, String>>> {
        let path = self.index_path_of(first_seq);
        let length = match fs::metadata(&path) {
            Ok(about) => about.len(),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(cause),
        };
        self.seam.pass(Step::Read(length), &path)?;
        let read = Index::decode(&fs::read(&path)?, first_seq);
        Ok(Some(read.map_err(|what| format!("{} is damaged: {what}", path.display()))))
    }

    /// The index of a file that must have one.
    pub fn whole_index(&self, first_seq: u64) -> io::Result<Result<Index, String>> {
        let missing = || format!("{} is missing", self.index_path_of(first_seq).display());
        Ok(self.index(first_seq)?.ok_or_else(missing).and_then(|read| read))
    }

    /// Puts an index in its place, whole or not at all. The name is durable after [`Shelf::sync`].
    pub fn write_index(&self, index: &Index) -> io::Result<()> {
        let fresh = self.folder.join(self.fresh_index);
        let path = self.index_path_of(index.first_seq);
        self.seam.pass(Step::Write, &fresh)?;
        let mut file = File::create(&fresh)?;
        file.write_all(&index.encode())?;
        file.sync_all()?;
        self.seam.pass(Step::Name, &path)?;
        fs::rename(fresh, path)
    }

    /// Deletes a file, its index first: an index without a file could be taken for the next one's.
    pub fn remove(&self, first_seq: u64) -> io::Result<()> {
        for path in [self.index_path_of(first_seq), self.path_of(first_seq)] {
            self.seam.pass(Step::Drop, &path)?;
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
        }
        Ok(())
    }

    pub fn sync(&self) -> io::Result<()> {
        self.seam.pass(Step::NameFlush, &self.folder)?;
        File::open(&self.folder)?.sync_all()
    }
}
