//! The state at the journal's end, and the archive of its events: none is told with another content than before.

use std::path::Path;

use countersign_archive::{Archive, Comparing, Options as ArchiveOptions, Point, Retelling, Seam};
use countersign_journal::{Error, Journal, Options, Record, Scan, scan};
use countersign_venue::{Output, Venue};

use crate::engine::BLOCK_BYTES;
use crate::start::point_of;

/// A venue that is up to date with its journal, and the archive of its events.
pub struct Recovered {
    pub journal: Journal,
    pub venue: Venue,
    pub archive: Archive,
    pub scan: Scan,
}

/// Where everything lies, and how it is opened.
pub struct Recovery<'a> {
    pub folder: &'a Path,
    pub options: &'a Options,
    pub archive: &'a ArchiveOptions,
    pub init: bool,
}

/// What an operator reads where consumers were told something else.
fn told_otherwise(what: &str) -> String {
    format!(
        "{what}. This program does not lead: consumers have stored what they were told, and nothing of it was changed. \
         If another program led last, start that one. If this one did, the disk is at fault: move the folder of events \
         aside, and a start computes them all again from the journal"
    )
}

fn why(cause: std::io::Error) -> std::io::Error {
    match cause.kind() {
        std::io::ErrorKind::InvalidData => std::io::Error::other(told_otherwise(&cause.to_string())),
        _ => cause,
    }
}

impl Recovery<'_> {
    /// The events behind the ones that `venue` has given. `None` if the files do not fit it.
    pub fn behind(&self, venue: &Venue) -> std::io::Result<Option<Retelling>> {
        Retelling::begin(&self.folder.join("events"), &point_of(venue), self.archive)
    }

    /// Takes the journal's lock and brings `venue`, at whatever sequence it stands, up to the journal's end. What it
    /// gives is compared with the events that `open` finds, and written where those end.
    pub fn from(
        &self,
        mut venue: Venue,
        mut open: impl FnMut(&Venue) -> std::io::Result<Option<Retelling>>,
    ) -> Result<Option<Recovered>, Error> {
        let mut output = Output::default();
        let mut retelling: Option<Retelling> = None;
        let mut unusable = false;
        let failed = |cause| self.failed(why(cause));
        let opened = Journal::open(self.folder, self.options, self.init, venue.engine_seq(), |record| {
            // The lock is held by now: nobody else writes below the folder.
            if retelling.is_none() {
                retelling = open(&venue).map_err(|cause| why(cause).to_string())?;
            }
            let Some(retelling) = &mut retelling else {
                unusable = true;
                return Err("the archive does not fit the snapshot".into());
            };
            replay(&mut venue, record, &mut output)?;
            if output.bytes.len() > BLOCK_BYTES {
                retelling.take(&output.bytes).map_err(|cause| why(cause).to_string())?;
                output.clear();
            }
            Ok(())
        });
        if unusable {
            return Ok(None);
        }
        let (journal, scan) = opened?;
        let retelling = match retelling {
            Some(retelling) => Some(retelling),
            None => open(&venue).map_err(failed)?,
        };
        let Some(mut retelling) = retelling else { return Ok(None) };
        retelling.take(&output.bytes).map_err(failed)?;
        let archive = retelling.finish().map_err(failed)?;
        Ok(Some(Recovered { journal, venue, archive, scan }))
    }

    /// Computes everything from the journal's beginning, and writes all events again. First it goes through the journal
    /// without writing anything, and sees that it gives what the snapshot stands for, whose point is `sealed`, and what
    /// was told behind that.
    pub fn anew(&self, sealed: Option<&Point>) -> Result<Recovered, Error> {
        let events = self.folder.join("events");
        let comparing = Comparing::begin(&events, false, 0, Seam::default());
        let mut comparing = comparing.map_err(|cause| self.failed(cause))?;
        let mut venue = Venue::new();
        let mut output = Output::default();
        let sealed_seq = sealed.map_or(0, |point| point.engine_seq);
        let (journal, _) = Journal::open(self.folder, self.options, self.init, 0, |record| {
            replay(&mut venue, record, &mut output)?;
            if let Some(point) = sealed.filter(|point| point.engine_seq == venue.engine_seq())
                && *point != point_of(&venue)
            {
                let what = format!("the journal gives other events than were told up to {}", point.event_seq);
                return Err(told_otherwise(&what));
            }
            if venue.engine_seq() <= sealed_seq {
                output.clear();
            } else if output.bytes.len() > BLOCK_BYTES {
                comparing.take(&output.bytes).map_err(|what| told_otherwise(&what))?;
                output.clear();
            }
            Ok(())
        })?;
        let compared = comparing.take(&output.bytes).and_then(|()| comparing.finish());
        compared.map_err(|what| self.failed(std::io::Error::other(told_otherwise(&what))))?;
        output.clear();
        let archive = Archive::create(&events, self.archive).map_err(|cause| self.failed(cause))?;
        let mut venue = Venue::new();
        let flush = |output: &mut Output| {
            let flushed = archive.append(&output.bytes, output.count);
            output.clear();
            flushed
        };
        let scan = scan(self.folder, 0, |record| {
            replay(&mut venue, record, &mut output)?;
            if output.bytes.len() > BLOCK_BYTES {
                flush(&mut output).map_err(|cause| cause.to_string())?;
            }
            Ok(())
        })?;
        flush(&mut output).map_err(|cause| self.failed(cause))?;
        Ok(Recovered { journal, venue, archive, scan })
    }

    fn failed(&self, cause: std::io::Error) -> Error {
        Error::Io { doing: "begin with the events in", path: self.folder.to_path_buf(), cause }
    }
}

fn replay(venue: &mut Venue, record: Record<'_>, output: &mut Output) -> Result<(), String> {
    venue.replay(record.time_ns, record.bytes, output).map_err(|cause| cause.to_string())?;
    match venue.engine_seq() == record.seq {
        true => Ok(()),
        false => Err(format!("the venue counts {}", venue.engine_seq())),
    }
}
