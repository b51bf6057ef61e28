//! Which consumers have stored the events they were told, and how far: what may be dropped, where that is wanted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::engine::Shared;

/// What is kept of the past; 0 = all of it.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Compressed segments in the attic.
    pub segments: usize,
    /// Closed files of events.
    pub event_files: usize,
}

impl Shared {
    /// Drops events that every consumer has settled, all but the newest `keep` files, where that is wanted; but none
    /// that a start from a snapshot goes on from: `before` is the event at which the older of the two stands.
    pub fn forget_events(&self, keep: usize, before: u64) {
        if keep == 0 {
            return;
        }
        let through = self.settled.through().min(before.saturating_sub(1));
        match self.archive.forget(keep, through) {
            Ok(0) => {}
            Ok(files) => eprintln!("engine: {files} files of settled events were dropped"),
            Err(cause) => eprintln!("engine: old events stay where they are: {cause}"),
        }
    }
}

const NAME: &str = "consumers";
const NAME_BYTES_MAX: usize = 64;
/// Of names, so that nobody can fill the disk with them.
const CONSUMERS_MAX: usize = 16;

/// Refuses what no status, page of figures or line of a file could tell.
pub fn check_name(consumer: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if consumer.is_empty() || consumer.len() > NAME_BYTES_MAX || !consumer.bytes().all(plain) {
        return Err("a consumer's name is up to 64 letters, digits, dots, dashes or underscores".into());
    }
    Ok(())
}

/// Lines of a name and the last event that it has settled, kept across starts.
pub struct Settled {
    path: PathBuf,
    through: Mutex<BTreeMap<String, u64>>,
}

impl Settled {
    pub fn open(folder: &Path) -> io::Result<Settled> {
        let path = folder.join(NAME);
        let text = match fs::read_to_string(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let mut through = BTreeMap::new();
        for line in text.lines() {
            let parts = line.split_once(' ').and_then(|(name, seq)| Some((name, seq.parse().ok()?)));
            let (name, seq) = parts.ok_or_else(|| {
                io::Error::other(format!("{} holds a line that is no consumer: {line}", path.display()))
            })?;
            through.insert(name.to_string(), seq);
        }
        Ok(Settled { path, through: Mutex::new(through) })
    }

    /// A consumer has stored everything up to this event. It may go back, to read again what it had.
    pub fn tell(&self, consumer: &str, through: u64) -> Result<(), String> {
        check_name(consumer)?;
        let mut told = self.through.lock().expect("nobody panics while holding it");
        if !told.contains_key(consumer) && told.len() == CONSUMERS_MAX {
            return Err(format!(
                "{CONSUMERS_MAX} consumers are known already: {} lists them",
                self.path.display()
            ));
        }
        let before = told.insert(consumer.to_string(), through);
        if before == Some(through) {
            return Ok(());
        }
        self.write(&told).map_err(|cause| format!("{}: {cause}", self.path.display()))
    }

    /// A known consumer asks for events from `from` on: what it has settled beyond does not count any more.
    pub fn asks_from(&self, consumer: &str, from: u64) -> Result<(), String> {
        let told = self.through.lock().expect("nobody panics while holding it").get(consumer).copied();
        match told {
            Some(through) if from <= through => self.tell(consumer, from.saturating_sub(1)),
            _ => Ok(()),
        }
    }

    /// What every known consumer has settled; 0 where none is known.
    pub fn through(&self) -> u64 {
        let told = self.through.lock().expect("nobody panics while holding it");
        told.values().min().copied().unwrap_or(0)
    }

    fn write(&self, told: &BTreeMap<String, u64>) -> io::Result<()> {
        let fresh = self.path.with_extension("next");
        let mut file = File::create(&fresh)?;
        for (name, through) in told {
            writeln!(file, "{name} {through}")?;
        }
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        // A consumer whose name were lost would not be waited for.
        File::open(self.path.parent().expect("it lies in the journal's folder"))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> (Settled, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Settled::open(folder.path()).unwrap(), folder)
    }

    #[test]
    fn a_consumers_name_is_short_and_plain_and_there_are_few_of_them() {
        let (settled, folder) = settled();
        for wrong in ["", &"x".repeat(NAME_BYTES_MAX + 1), "two words", "two\nlines", "\u{e9}"] {
            assert!(settled.tell(wrong, 1).is_err(), "{wrong}");
        }
        settled.tell(&"x".repeat(NAME_BYTES_MAX), 1).unwrap();
        for number in 1..CONSUMERS_MAX {
            settled.tell(&format!("a-Z.9_{number}"), 1).unwrap();
        }
        assert!(settled.tell("one-more", 1).unwrap_err().contains("16 consumers are known already"));
        settled.tell("a-Z.9_1", 2).unwrap();
        let again = Settled::open(folder.path()).unwrap();
        assert_eq!(again.through.lock().unwrap().len(), CONSUMERS_MAX);
        assert_eq!(again.through.lock().unwrap()["a-Z.9_1"], 2);
    }

    #[test]
    fn what_counts_as_settled_is_what_the_slowest_has_and_nobody_asks_for_again() {
        let (settled, _folder) = settled();
        assert_eq!(settled.through(), 0);
        settled.tell("quick", 9).unwrap();
        settled.tell("slow", 5).unwrap();
        assert_eq!(settled.through(), 5);
        // Who asks for what comes next goes on; who asks for the last one it had has lost it.
        settled.asks_from("slow", 6).unwrap();
        assert_eq!(settled.through(), 5);
        // Nor has anybody stored what it leaves out.
        settled.asks_from("slow", 8).unwrap();
        assert_eq!(settled.through(), 5);
        settled.asks_from("slow", 5).unwrap();
        assert_eq!(settled.through(), 4);
        settled.asks_from("unknown", 1).unwrap();
        settled.asks_from("quick", 0).unwrap();
        assert_eq!(settled.through(), 0);
    }

    #[test]
    fn a_line_that_names_no_consumer_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for line in ["settlement", "settlement nine", "settlement -1"] {
            fs::write(folder.path().join(NAME), line).unwrap();
            let refused = Settled::open(folder.path()).err().unwrap().to_string();
            assert!(refused.contains("no consumer"), "{refused}");
        }
    }

    #[test]
    fn consumers_that_cannot_be_read_are_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(NAME)).unwrap();
        assert!(Settled::open(folder.path()).is_err());
    }
}
