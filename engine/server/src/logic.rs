//! Which rules have ever counted in a folder: a program that does not know them touches nothing there.
//!
//! The journal itself says so too, but a start has cut and written events by the time that it reads as far.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use countersign_venue::logic::{is_known, unknown};

/// Holds the newest version that ever led, once that is another than the first.
const NAME: &str = "logic";

/// Refuses a folder in which rules count that this program does not know.
pub fn check(folder: &Path) -> Result<(), String> {
    let path = folder.join(NAME);
    let version = read(folder).map_err(|cause| format!("{}: {cause}", path.display()))?;
    match is_known(version) {
        true => Ok(()),
        false => Err(format!("{}: {}; nothing was changed", path.display(), unknown(version))),
    }
}

/// Says that these rules count from now on, before the journal does.
pub fn raise(folder: &Path, version: u32) -> io::Result<()> {
    if version <= read(folder)? {
        return Ok(());
    }
    let fresh = folder.join("next-logic");
    let mut file = File::create(&fresh)?;
    writeln!(file, "{version}")?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}

fn read(folder: &Path) -> io::Result<u32> {
    match fs::read_to_string(folder.join(NAME)) {
        Ok(text) => text.trim().parse().map_err(|_| io::Error::other("it names no logic version")),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(1),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use countersign_venue::LOGIC_VERSION;

    use super::*;

    #[test]
    fn rules_that_ever_counted_are_remembered_and_those_not_known_refused() {
        let folder = tempfile::tempdir().unwrap();
        raise(folder.path(), LOGIC_VERSION).unwrap();
        assert_eq!(check(folder.path()), Ok(()));
        raise(folder.path(), LOGIC_VERSION + 1).unwrap();
        raise(folder.path(), LOGIC_VERSION).unwrap();
        let refused = check(folder.path()).unwrap_err();
        assert!(refused.contains(&format!("logic version {} counts", LOGIC_VERSION + 1)), "{refused}");
        fs::write(folder.path().join(NAME), "newest").unwrap();
        assert!(check(folder.path()).unwrap_err().contains("names no logic version"));
    }
}
