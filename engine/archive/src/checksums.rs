//! Files of events held against their own indexes: for what no replay gives.

use std::fs::File;
use std::io;
use std::thread;
use std::time::Duration;

use crate::Comparing;
use crate::index::Index;

impl Comparing {
    /// Compares the events below `seq` with the checksums of their files, also of one that still grows, as far as those
    /// are sealed.
    pub fn check_sums(&self, seq: u64) -> Result<(), String> {
        for (position, &first_seq) in self.files.iter().enumerate() {
            if first_seq >= seq {
                break;
            }
            let checked = match self.files.get(position + 1) {
                Some(&next_seq) if position < self.indexed && next_seq <= seq => {
                    self.check_file(first_seq, next_seq)
                }
                _ => self.check_beginning(first_seq, seq),
            };
            if checked.is_err() && !self.was_dropped(first_seq) {
                return checked;
            }
        }
        Ok(())
    }

    /// The same of a file that goes on behind `seq`, or has no index that ends where it does.
    fn check_beginning(&self, first_seq: u64, seq: u64) -> Result<(), String> {
        let failed = |cause: io::Error| format!("{}: {cause}", self.shelf.path_of(first_seq).display());
        let Some(index) = self.shelf.index(first_seq).map_err(failed)? else { return Ok(()) };
        let file = self.shelf.open(first_seq).map_err(failed)?;
        self.other_events(&index?, &file, seq).map_err(failed)?.map_or(Ok(()), Err)
    }

    fn check_file(&self, first_seq: u64, next_seq: u64) -> Result<(), String> {
        let failed = |cause: io::Error| format!("{}: {cause}", self.shelf.path_of(first_seq).display());
        let index = self.shelf.whole_index(first_seq).map_err(failed)??;
        let file = self.shelf.open(first_seq).map_err(failed)?;
        self.fault_of(&index, &file, next_seq).map_err(failed)?.map_or(Ok(()), Err)
    }

    /// Whether the engine has dropped the file since, which is no fault of it.
    pub(crate) fn was_dropped(&self, first_seq: u64) -> bool {
        // Its index goes a moment before it does.
        thread::sleep(Duration::from_millis(50));
        self.shelf.list().is_ok_and(|files| files.first().is_some_and(|oldest| *oldest > first_seq))
    }

    /// What keeps the index from standing for the whole file as it is now.
    pub(crate) fn fault_of(&self, index: &Index, file: &File, next_seq: u64) -> io::Result<Option<String>> {
        let path = self.shelf.index_path_of(index.first_seq);
        if index.next_seq() != next_seq {
            return Ok(Some(format!("{} ends before its file does", path.display())));
        }
        self.other_events(index, file, next_seq)
    }

    /// The first span, of those that begin below `seq`, that is not what the index says.
    fn other_events(&self, index: &Index, file: &File, seq: u64) -> io::Result<Option<String>> {
        let path = self.shelf.index_path_of(index.first_seq);
        for span in index.spans.iter().take_while(|span| span.first_seq < seq) {
            if let Err(what) = self.shelf.read_span(index.first_seq, file, span)? {
                return Ok(Some(format!("{} is of other events: {what}", path.display())));
            }
        }
        Ok(None)
    }
}
