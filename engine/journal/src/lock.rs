//! One writer: the lock of a journal's folder, who holds it, whether it lives, and how a dead hand is forced open.
//!
//! The lock is an advisory one of the kernel and goes with the process, however it ends. A process that is stopped but
//! not gone still holds it, and would write on if it were woken. So nobody ever goes round the lock: whoever wants to
//! lead in the place of a silent leader ends that process first, and only the kernel's release of the lock, which
//! comes after its last write, lets the next one begin.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{Error, io_error};

/// Somebody who only looks whether the lock is held takes it for a moment.
const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) struct Lock {
    file: File,
    path: PathBuf,
    /// The folder is locked too: whoever deletes what looks like a lock left behind lets no second writer in.
    _folder: File,
}

impl Lock {
    pub fn take(folder: &Path) -> Result<Lock, Error> {
        let path = path_of(folder);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error("open", &path))?;
        lock(&file, folder, &path)?;
        let held = File::open(folder).map_err(io_error("open", folder))?;
        lock(&held, folder, folder)?;
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(io_error("write", &path))?;
        Ok(Lock { file, path, _folder: held })
    }

    /// Says that its holder lives.
    pub fn beat(&self) -> Result<(), Error> {
        self.file.set_modified(SystemTime::now()).map_err(io_error("touch", &self.path))
    }
}

fn lock(file: &File, folder: &Path, path: &Path) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Locked(folder.to_path_buf())),
            Err(TryLockError::Error(cause)) => return Err(io_error("lock", path)(cause)),
        }
    }
}

fn path_of(folder: &Path) -> PathBuf {
    folder.join("LOCK")
}

/// Whether some process holds the journal.
pub fn is_led(folder: &Path) -> bool {
    File::open(path_of(folder))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Says that whoever replays this journal, on the way to leading, lives.
pub fn beat(folder: &Path) -> Result<(), Error> {
    let path = path_of(folder);
    let file = OpenOptions::new().write(true).open(&path).map_err(io_error("open", &path))?;
    file.set_modified(SystemTime::now()).map_err(io_error("touch", &path))
}

/// When the holder last said that it lives. Only whether this changes means anything.
pub fn last_beat(folder: &Path) -> Option<SystemTime> {
    fs::metadata(path_of(folder)).and_then(|about| about.modified()).ok()
}

/// Ends the process that holds the journal, if it is the one that says so and this machine knows it by that number.
///
/// What is named in the file is not believed: the kernel's own list must say that this process holds this very lock.
pub fn fence(folder: &Path) -> Result<(), String> {
    let path = path_of(folder);
    let failed = |cause: std::io::Error| format!("{}: {cause}", path.display());
    let mut text = String::new();
    let mut file = File::open(&path).map_err(failed)?;
    file.read_to_string(&mut text).map_err(failed)?;
    let named = text.trim().parse().ok().filter(|number| *number > 0).and_then(Pid::from_raw);
    let pid = named.ok_or_else(|| format!("{} names no process", path.display()))?;
    let number = pid.as_raw_pid();
    // The descriptor pins the process: from here on its number cannot come to mean another one.
    let process =
        pidfd_open(pid, PidfdFlags::empty()).map_err(|cause| format!("process {number}: {cause}"))?;
    let inode = file.metadata().map_err(failed)?.ino();
    if !holds_lock(&fs::read_to_string("/proc/locks").map_err(failed)?, number, inode) {
        return Err(format!("process {number} does not hold {}", path.display()));
    }
    pidfd_send_signal(&process, Signal::KILL).map_err(|cause| format!("process {number}: {cause}"))
}

/// Lines are as `1: FLOCK  ADVISORY  WRITE 4711 fe:01:393218 0 EOF`.
fn holds_lock(locks: &str, pid: i32, inode: u64) -> bool {
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(1) == Some(&"FLOCK")
            && words.get(3) == Some(&"WRITE")
            && words.get(4).and_then(|word| word.parse().ok()) == Some(pid)
            && words.get(5).and_then(|word| word.rsplit(':').next()?.parse().ok()) == Some(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_belongs_to_whom_the_kernel_says() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:01:99 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 8 fe:01:99 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 fe:01:99 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 10 fe:01:99 0 EOF\n";
        let holders: Vec<i32> = (7..=10).filter(|pid| holds_lock(locks, *pid, 99)).collect();
        assert_eq!(holders, [8]);
        assert!(!holds_lock(locks, 8, 98));
    }
}
