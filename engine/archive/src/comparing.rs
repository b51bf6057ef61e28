//! What the journal gives, held against what lies here; and put in its place, where somebody wants that.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use countersign_venue::Event;
use countersign_venue::event::split_event;

use crate::found::{PIECE, from_event, whole_events};
use crate::index::{Index, Span};
use crate::seam::{Seam, Step};
use crate::shelf::Shelf;

/// What a comparison came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The first event that was compared or written; 0 = none.
    pub first_seq: u64,
    pub last_seq: u64,
    /// Files that were other than they should be, and are put right.
    pub mended: usize,
    /// Files that were not there any more, and are again.
    pub added: usize,
}

/// Takes the events of a replay in order and compares them with the files that hold them.
pub struct Comparing {
    pub(crate) shelf: Shelf,
    mend: bool,
    file_bytes: u64,
    /// First sequences of the files.
    pub(crate) files: Vec<u64>,
    /// Files below this position are closed and must have an index.
    pub(crate) indexed: usize,
    now: Option<Now>,
    found: Found,
}

/// The file that is compared.
struct Now {
    position: usize,
    file: File,
    length: u64,
    offset: u64,
    differs: bool,
    spans: Vec<Span>,
    open: Span,
    /// Is written under another name until it is whole.
    fresh: bool,
    /// Its beginning is not compared, so its index cannot be either.
    partial: bool,
}

impl Comparing {
    /// Of the archive in `folder`, beside the process that leads or without one. `mend`: puts right what differs, and
    /// writes again, in files of `file_bytes`, what was dropped.
    pub fn begin(folder: &Path, mend: bool, file_bytes: u64, seam: Seam) -> io::Result<Comparing> {
        let shelf = Shelf::aside(folder, seam);
        let (files, found) = (Vec::new(), Found::default());
        let mut comparing = Comparing { shelf, mend, file_bytes, files, indexed: 0, now: None, found };
        comparing.look()?;
        Ok(comparing)
    }

    /// What files there are.
    fn look(&mut self) -> io::Result<()> {
        self.files = self.shelf.list()?;
        let indexed = |first_seq: &u64| self.shelf.index_path_of(*first_seq).exists();
        self.indexed = self.files.iter().rposition(indexed).unwrap_or(0);
        Ok(())
    }

    /// Takes in the next events. An error says what differs and where, if nothing is to be put right.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while let Some((event, _)) = split_event(bytes).map_err(|what| what.to_string())? {
            let (seq, _) = Event::sequences(event).map_err(|what| what.to_string())?;
            let Some(&oldest) = self.files.first() else { return Ok(()) };
            let failed = |cause: io::Error| format!("the archive cannot be compared at event {seq}: {cause}");
            if self.now.as_ref().is_some_and(|now| self.ends_before(now, seq)) {
                self.close()?;
                continue;
            }
            if self.now.is_none() {
                if seq < oldest && !self.mend {
                    bytes = from_event(bytes, oldest);
                    continue;
                }
                self.now = match self.open(seq) {
                    // It was dropped while we compared.
                    Err(cause) if cause.kind() == io::ErrorKind::NotFound && !self.mend => {
                        self.look().map_err(failed)?;
                        continue;
                    }
                    opened => opened.map_err(failed)?,
                };
                if self.now.is_none() {
                    let at = self.files.partition_point(|first_seq| *first_seq <= seq);
                    bytes = from_event(bytes, *self.files.get(at).unwrap_or(&u64::MAX));
                    continue;
                }
            }
            let now = self.now.as_ref().expect("it was just opened");
            let end = if now.fresh { oldest } else { *self.files.get(now.position + 1).unwrap_or(&u64::MAX) };
            let rest = from_event(bytes, end);
            let run = &bytes[..bytes.len() - rest.len()];
            // Of a fresh file no more than fits, so that files are about as large as they were.
            let room = if now.fresh { self.file_bytes - now.offset } else { u64::MAX };
            let run = &run[..length_of_first(run, room)];
            self.compare(run, seq)?;
            bytes = &bytes[run.len()..];
        }
        Ok(())
    }

    /// Everything that is to be compared was taken.
    pub fn finish(mut self) -> Result<Found, String> {
        if self.now.as_ref().is_some_and(|now| now.fresh) {
            return Err("the journal ends before the oldest events that are kept".into());
        }
        // The file that events stop in is compared as far as they go.
        self.settle_mended().map_err(|cause| cause.to_string())?;
        Ok(self.found)
    }

    fn ends_before(&self, now: &Now, seq: u64) -> bool {
        match now.fresh {
            true => seq == self.files[0] || now.offset >= self.file_bytes,
            false => self.files.get(now.position + 1) == Some(&seq),
        }
    }

    /// The file to which event `seq` belongs; `None` if nobody knows where in it that begins.
    fn open(&mut self, seq: u64) -> io::Result<Option<Now>> {
        let fresh = seq < self.files[0];
        let position = self.files.partition_point(|first_seq| *first_seq <= seq).saturating_sub(1);
        let mut offset = 0;
        let partial = !fresh && self.files[position] != seq;
        if partial {
            let Some(found) = self.offset_of(seq, self.files[position])? else { return Ok(None) };
            offset = found;
        }
        let file = if fresh { self.create()? } else { self.shelf.open(self.files[position])? };
        let length = file.metadata()?.len();
        let open = Span::empty(seq, offset);
        Ok(Some(Now {
            position,
            file,
            length,
            offset,
            differs: false,
            spans: Vec::new(),
            open,
            fresh,
            partial,
        }))
    }

    /// Where event `seq` begins in a file: as the index knows, or as the events before it lead there.
    fn offset_of(&self, seq: u64, first_seq: u64) -> io::Result<Option<u64>> {
        let index = self.shelf.whole_index(first_seq)?;
        let points = index.map(|index| index.points).unwrap_or_default();
        if let Some(known) = points.iter().find(|known| known.point.event_seq + 1 == seq) {
            return Ok(Some(known.offset));
        }
        let file = self.shelf.open(first_seq)?;
        let length = file.metadata()?.len();
        let mut from = 0;
        while from < length {
            let bytes = self.shelf.read(first_seq, &file, from, (length - from).min(PIECE as u64))?;
            let whole = &bytes[..whole_events(&bytes)];
            let rest = from_event(whole, seq);
            from += (whole.len() - rest.len()) as u64;
            if !rest.is_empty() || whole.is_empty() {
                let first = split_event(rest).ok().flatten();
                let found =
                    first.is_some_and(|(event, _)| Event::sequences(event).is_ok_and(|(it, _)| it == seq));
                return Ok(found.then_some(from));
            }
        }
        Ok(None)
    }

    fn create(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.fresh_path())
    }

    fn fresh_path(&self) -> std::path::PathBuf {
        self.shelf.path_of(0).with_file_name("next-events")
    }

    fn compare(&mut self, run: &[u8], seq: u64) -> Result<(), String> {
        let now = self.now.as_mut().expect("a file is open");
        let first_seq = now.open.first_seq;
        let newest = !now.fresh && now.position + 1 == self.files.len();
        // Behind the newest file's end another process may be writing.
        let there = now.length.saturating_sub(now.offset).min(run.len() as u64) as usize;
        let wanted = if newest { &run[..there] } else { run };
        let path = self.shelf.path_of(self.files[now.position]);
        let failed = |cause: io::Error| format!("{}: {cause}", path.display());
        if !now.fresh {
            let held = self.shelf.read(first_seq, &now.file, now.offset, there as u64).map_err(failed)?;
            if held != wanted {
                if !self.mend {
                    let same = held.iter().zip(wanted).take_while(|(one, other)| one == other).count();
                    return Err(format!(
                        "{} does not hold what the journal gives, from event {seq} on, at byte {}",
                        path.display(),
                        now.offset + same as u64
                    ));
                }
                now.differs = true;
            }
        }
        if now.fresh || now.differs {
            self.shelf.seam.pass(Step::Append, &path).map_err(failed)?;
            now.file.write_all_at(wanted, now.offset).map_err(failed)?;
        }
        now.spans.extend(now.open.grow(run));
        now.offset += run.len() as u64;
        self.found.first_seq = if self.found.first_seq == 0 { seq } else { self.found.first_seq };
        self.found.last_seq = now.open.next_seq() - 1;
        Ok(())
    }

    /// A closed file was compared to its end.
    fn close(&mut self) -> Result<(), String> {
        let mut now = self.now.take().expect("a file is open");
        now.spans.extend((now.open.count > 0).then_some(now.open));
        let first_seq = if now.fresh { now.spans[0].first_seq } else { self.files[now.position] };
        let path = self.shelf.path_of(first_seq);
        let failed = |cause: io::Error| format!("{}: {cause}", path.display());
        if !now.fresh && now.length > now.offset {
            if !self.mend {
                return Err(format!("{} goes on behind its last event", path.display()));
            }
            now.file.set_len(now.offset).map_err(failed)?;
            now.differs = true;
        }
        let next_seq = now.open.next_seq();
        let index = self.shelf.whole_index(first_seq).map_err(failed)?;
        let points = index.as_ref().map(|index| index.points.clone()).unwrap_or_default();
        let fault = match index {
            Ok(index) if now.fresh => self.fault_of(&index, &now.file, next_seq).map_err(failed)?,
            Err(_) if now.fresh => Some(String::new()),
            _ if now.partial || now.position >= self.indexed => None,
            Ok(index) => self.fault_of(&index, &now.file, next_seq).map_err(failed)?,
            Err(what) => Some(what),
        };
        if let (false, Some(what)) = (self.mend, &fault) {
            return if self.was_dropped(first_seq) { Ok(()) } else { Err(what.clone()) };
        }
        let write = || -> io::Result<()> {
            self.shelf.seam.pass(Step::Flush, &path)?;
            now.file.sync_all()?;
            if fault.is_some() {
                let spans = now.spans.clone();
                self.shelf.write_index(&Index { first_seq, spans, points })?;
            }
            if now.fresh {
                self.shelf.seam.pass(Step::Name, &path)?;
                fs::rename(self.fresh_path(), &path)?;
            }
            self.shelf.sync()
        };
        if now.fresh || now.differs || fault.is_some() {
            write().map_err(failed)?;
            self.found.added += usize::from(now.fresh);
            self.found.mended += usize::from(!now.fresh);
        }
        Ok(())
    }

    fn settle_mended(&mut self) -> io::Result<()> {
        if let Some(now) = self.now.take().filter(|now| now.differs) {
            self.shelf.seam.pass(Step::Flush, &self.shelf.path_of(self.files[now.position]))?;
            now.file.sync_all()?;
            self.found.mended += 1;
        }
        Ok(())
    }
}

/// Bytes of the commands at the beginning of `bytes` whose events reach `wanted`: a file never ends within one.
fn length_of_first(bytes: &[u8], wanted: u64) -> usize {
    let mut rest = bytes;
    let mut before = None;
    while let Ok(Some((event, after))) = split_event(rest) {
        let cause = Event::sequences(event).ok().map(|(_, cause)| cause);
        if (bytes.len() - rest.len()) as u64 >= wanted && cause != before {
            break;
        }
        before = cause;
        rest = after;
    }
    bytes.len() - rest.len()
}
