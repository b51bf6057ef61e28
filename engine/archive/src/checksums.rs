//! Files of events held against their own indexes: for what no replay gives.

use std::fs::File;
use std::io;
use std::thread;
use std::time::Duration;

use crate::Comparing;
use crate::index::Index;

impl Comparing {
    /// Compares the closed files whose events all lie below `seq` with their own checksums.
    pub fn check_sums(&self, seq: u64) -> Result<(), String> {
        for (position, pair) in self.files.windows(2).enumerate() {
            if position >= self.indexed || pair[1] > seq {
                break;
            }
            let checked = self.check_file(pair[0], pair[1]);
            if checked.is_err() && !self.was_dropped(pair[0]) {
                return checked;
            }
        }
        Ok(())
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
        for span in &index.spans {
            if let Err(what) = self.shelf.read_span(index.first_seq, file, span)? {
                return Ok(Some(format!("{} is of other events: {what}", path.display())));
            }
        }
        Ok(None)
    }
}
