//! Files that a replay was compared with: how far they hold what they should.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use countersign_venue::Event;
use countersign_venue::event::split_event;

use crate::Archive;
use crate::archive::Live;
use crate::index::{Index, Span};
use crate::sealing::Unsealed;
use crate::seam::Step;
use crate::shelf::Shelf;

/// Compared at once.
pub(crate) const PIECE: usize = 1 << 20;
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// Files that hold what they should, from the oldest without a whole index on; the last one grows.
pub(crate) struct Found {
    pub files: Vec<Unsealed>,
    /// The span that grows, at the end of what was compared.
    pub open: Span,
}

impl Found {
    /// Compares the next events with what a leader writes behind those that are known; gives how many bytes of them are there.
    pub fn compare(&mut self, shelf: &Shelf, expected: &[u8]) -> io::Result<usize> {
        loop {
            let newest = self.files.last_mut().expect("an archive has a file");
            let first_seq = newest.index.first_seq;
            let end = self.open.end();
            let length = newest.file.metadata()?.len();
            if length < end {
                return Err(io::Error::other(format!("{} was cut", shelf.path_of(first_seq).display())));
            }
            let most = (length - end).min(expected.len().min(PIECE) as u64) as usize;
            let whole = whole_events(&expected[..most]);
            if whole > 0 {
                let expected = &expected[..whole];
                let mut bytes = shelf.read(first_seq, &newest.file, end, whole as u64)?;
                if bytes != expected {
                    // A write that is under way is over by then.
                    thread::sleep(SECOND_LOOK);
                    bytes = shelf.read(first_seq, &newest.file, end, whole as u64)?;
                }
                if bytes != expected {
                    let (path, seq) = (shelf.path_of(first_seq), self.open.next_seq());
                    let what = format!("{} holds other events behind event {}", path.display(), seq - 1);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
                newest.index.spans.extend(self.open.grow(&bytes));
                return Ok(whole);
            }
            let next_seq = self.open.next_seq();
            let ends_here = |file: &fs::File| Ok::<_, io::Error>(file.metadata()?.len() == end);
            // A file is complete once the next one is there.
            if expected.is_empty()
                || next_seq == first_seq
                || !shelf.path_of(next_seq).exists()
                || !ends_here(&newest.file)?
            {
                return Ok(0);
            }
            newest.index.spans.extend((self.open.count > 0).then_some(self.open));
            let file = Arc::new(shelf.open(next_seq)?);
            self.files.push(Unsealed::of(Index::new(next_seq), file));
            self.open = Span::empty(next_seq, 0);
            self.let_sealed_go(shelf)?;
        }
    }

    /// Keeps nothing of closed files whose index is on disk and says the same, or that were dropped.
    pub fn let_sealed_go(&mut self, shelf: &Shelf) -> io::Result<()> {
        while self.files.len() > 1 {
            let oldest = &self.files[0].index;
            match shelf.index(oldest.first_seq)? {
                Some(Ok(index)) if index.spans == oldest.spans => {}
                None if !shelf.path_of(oldest.first_seq).exists() => {}
                _ => break,
            }
            self.files.remove(0);
        }
        Ok(())
    }

    /// A leader that died on its way to lead may have cut files, or put others in their place.
    pub fn is_still_there(&self, shelf: &Shelf) -> io::Result<bool> {
        for (at, unsealed) in self.files.iter().enumerate() {
            let (path, known) = (shelf.path_of(unsealed.index.first_seq), unsealed.file.metadata()?);
            let now = match fs::metadata(&path) {
                Ok(now) => now,
                // Dropped on purpose, unless it is the one that grows.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound && at + 1 < self.files.len() => {
                    continue;
                }
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(cause) => return Err(cause),
            };
            let whole = match at + 1 == self.files.len() {
                true => now.len() >= self.open.end(),
                false => now.len() == unsealed.index.end(),
            };
            if (now.dev(), now.ino()) != (known.dev(), known.ino()) || !whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The archive at the end of what was compared; nothing that tells of other events may lie behind.
    pub fn into_archive(self, shelf: Shelf, file_bytes: u64) -> io::Result<Archive> {
        let Found { mut files, open } = self;
        let newest = files.last().expect("an archive has a file");
        for first_seq in shelf.list()?.into_iter().rev().filter(|first| *first > newest.index.first_seq) {
            shelf.remove(first_seq)?;
        }
        if newest.file.metadata()?.len() > open.end() {
            shelf.seam.pass(Step::Cut, &shelf.path_of(newest.index.first_seq))?;
            newest.file.set_len(open.end())?;
        }
        shelf.sync()?;
        let count = files.len();
        let mut live = Vec::with_capacity(count);
        for (at, unsealed) in files.iter_mut().enumerate() {
            let index = &mut unsealed.index;
            let grows = at + 1 == count;
            let end = if grows { open.end() } else { index.end() };
            // Snapshots were taken since, and a start from one of them looks for its point.
            if let Some(Ok(written)) = shelf.index(index.first_seq)? {
                index.points = written.points;
                index.points.retain(|known| known.offset <= end);
            }
            live.push(Live {
                first_seq: index.first_seq,
                file: Arc::clone(&unsealed.file),
                spans: index.spans.clone(),
                open: if grows { (open.first_seq, open.offset) } else { (index.next_seq(), end) },
                end,
            });
        }
        Ok(Archive::of(shelf, file_bytes, live, open, files))
    }
}

/// Bytes of the whole events at the beginning.
pub(crate) fn whole_events(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Ok(Some((_, after))) = split_event(rest) {
        rest = after;
    }
    bytes.len() - rest.len()
}

pub(crate) fn count_of(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let Ok(Some((_, after))) = split_event(bytes) {
        count += 1;
        bytes = after;
    }
    count
}

/// What of `bytes` begins with event `seq`; nothing if that does not come.
pub(crate) fn from_event(bytes: &[u8], seq: u64) -> &[u8] {
    let mut rest = bytes;
    while let Ok(Some((event, after))) = split_event(rest) {
        if Event::sequences(event).is_ok_and(|(found, _)| found >= seq) {
            break;
        }
        rest = after;
    }
    rest
}
