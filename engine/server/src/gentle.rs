//! A file that is written a little at a time: all of it at once would keep every order waiting for as long as the disk takes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// What is handed to the disk at once: the journal's next flush waits behind it.
const PIECE: usize = 256 << 10;
/// How long the disk is left to the journal between two pieces.
const BREATH: Duration = Duration::from_millis(2);

pub struct Gentle {
    file: File,
    /// What it is called until it is whole.
    fresh: PathBuf,
    unflushed: usize,
}

impl Gentle {
    /// Begins with `header` zeros: before it is whole, nobody takes it for what it is to be.
    pub fn create(fresh: PathBuf, header: usize) -> io::Result<Gentle> {
        let mut file = File::create(&fresh)?;
        file.write_all(&vec![0; header])?;
        Ok(Gentle { file, fresh, unflushed: 0 })
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.unflushed + bytes.len() > PIECE && self.unflushed > 0 {
            self.file.sync_data()?;
            self.unflushed = 0;
            thread::sleep(BREATH);
        }
        self.unflushed += bytes.len();
        self.file.write_all(bytes)
    }

    /// Writes the header, and gives it the name by which it is found: whole or not at all.
    pub fn end(self, header: &[u8], path: &Path) -> io::Result<()> {
        self.file.write_all_at(header, 0)?;
        self.file.sync_all()?;
        std::fs::rename(&self.fresh, path)?;
        File::open(path.parent().expect("it lies in a folder"))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_whatever_its_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let (fresh, path) = (folder.path().join("fresh"), folder.path().join("whole"));
        for piece in [4_099, PIECE - 1, PIECE, PIECE + 1] {
            let state: Vec<u8> = (0..2 * PIECE + 7).map(|at| (at % 251) as u8).collect();
            let mut file = Gentle::create(fresh.clone(), 3).unwrap();
            state.chunks(piece).for_each(|piece| file.write(piece).unwrap());
            file.end(b"abc", &path).unwrap();
            assert!(
                std::fs::read(&path).unwrap() == [b"abc", &state[..]].concat(),
                "{piece} bytes at a time"
            );
            assert!(!fresh.exists());
        }
    }
}
