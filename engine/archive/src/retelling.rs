//! What a start computes again, held against what a former leader has told of it.
//!
//! Behind its snapshot a start gives the events anew. Consumers may have stored them already, so none is told with
//! another content: what lies in the files is compared, and the archive goes on where they end. What never was whole is
//! cut or filled: the end of a write that a death interrupted, and sectors that a machine had not written when it went
//! down. All else that differs was told otherwise, and then nobody may lead with what was computed.

use std::io;
use std::path::Path;

use crate::found::{Found, count_of};
use crate::reopening::{Reading, length_of_command};
use crate::shelf::Shelf;
use crate::told::{Told, last_cause};
use crate::{Archive, Options, Point};

pub struct Retelling {
    shelf: Shelf,
    file_bytes: u64,
    /// Until the files have come to their end.
    told: Option<Told>,
    /// From then on.
    archive: Option<Archive>,
    /// The command that the last event before belongs to, where more of its events may come.
    cause: Option<u64>,
    /// Where files without indexes, as former versions left them, are to be sealed.
    seal: Option<Point>,
}

impl Retelling {
    /// Of the files that a former process left, from the events behind `at` on. `None` if the newest ones up to there
    /// are not those that the chain stands for: then they have to be computed again too.
    ///
    /// It reads from the newest point on that an index knows. What lies before was sealed in its time, and whoever
    /// reads it compares it with its checksums.
    pub fn begin(folder: &Path, at: &Point, options: &Options) -> io::Result<Option<Retelling>> {
        let shelf = Shelf::new(folder, options.seam.clone());
        if !shelf.adopt_numbered()? {
            return Ok(None);
        }
        let Some(reading) = Reading::up_to(&shelf, at)? else { return Ok(None) };
        // No start is to read them all again.
        let seal = (reading.unsealed.len() > 1).then_some(*at);
        let found = Found { files: reading.unsealed, open: reading.open };
        Ok(Some(Retelling { seal, ..Retelling::behind(shelf, options.file_bytes, found)? }))
    }

    /// Of files that were compared so far already.
    pub(crate) fn behind(shelf: Shelf, file_bytes: u64, found: Found) -> io::Result<Retelling> {
        let told = Some(Told::behind(&shelf, found)?);
        Ok(Retelling { shelf, file_bytes, told, archive: None, cause: None, seal: None })
    }

    /// The same, where the last event that was compared belongs to this command, and not all of it may have been there.
    pub(crate) fn within(self, cause: Option<u64>) -> Retelling {
        Retelling { cause, ..self }
    }

    /// Takes in the next events of the replay, those of whole commands, or the rest of one and such. `InvalidData` says which were told otherwise.
    pub fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        if let Some(told) = &mut self.told {
            let (same, more) = bytes.split_at(told.compare(&self.shelf, bytes)?);
            if more.is_empty() {
                return Ok(());
            }
            // A file never ends within a command.
            let cause = last_cause(same).or(self.cause.take());
            let half = cause.map_or(0, |cause| length_of_command(more, cause));
            told.add(&self.shelf, &more[..half])?;
            rest = &more[half..];
        }
        self.writing()?.append(rest, count_of(rest))
    }

    /// The archive, once everything that the journal gives was taken.
    pub fn finish(mut self) -> io::Result<Archive> {
        self.writing()?;
        let archive = self.archive.expect("it writes");
        if let Some(at) = &self.seal {
            archive.seal(at)?;
        }
        Ok(archive)
    }

    /// Nothing is left to compare.
    fn writing(&mut self) -> io::Result<&Archive> {
        if let Some(mut told) = self.told.take() {
            told.end(&self.shelf)?;
            self.archive = Some(told.found.into_archive(self.shelf.clone(), self.file_bytes)?);
        }
        Ok(self.archive.as_ref().expect("it compares or it writes"))
    }
}
