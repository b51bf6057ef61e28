//! The next segment, filled slowly while there is time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::seam::Seam;
use crate::{Error, Options, segment};

type Filled = Result<(PathBuf, File), Error>;

/// Nobody fills any more once it is dropped: whoever has the folder then gives another file the same name.
pub(crate) struct Filler {
    path: PathBuf,
    length: u64,
    seam: Seam,
    stop: Arc<AtomicBool>,
    filling: Option<JoinHandle<Filled>>,
}

impl Filler {
    pub fn new(folder: &Path, options: &Options) -> Filler {
        let path = folder.join("next-segment");
        let (length, seam) = (options.segment_bytes, options.seam.clone());
        Filler { path, length, seam, stop: Arc::default(), filling: None }
    }

    /// Begins, if it has not. Where no thread can be had, the segment is filled when it is needed.
    pub fn begin(&mut self) {
        if self.filling.is_some() {
            return;
        }
        let (path, length) = (self.path.clone(), self.length);
        let (seam, stop) = (self.seam.clone(), Arc::clone(&self.stop));
        let fill = move || {
            let file = segment::prepare(&path, length, segment::GIVE_WAY, &stop, &seam)?;
            Ok((path, file))
        };
        self.filling = thread::Builder::new().name("segments".into()).spawn(fill).ok();
    }

    /// The segment, waiting for it if need be.
    pub fn take(&mut self) -> Filled {
        match self.filling.take() {
            Some(filling) => filling.join().expect("filling does not panic"),
            None => self.fill(),
        }
    }

    /// Fills it now, without a pause.
    pub fn fill(&self) -> Filled {
        let file = segment::prepare(&self.path, self.length, Duration::ZERO, &self.stop, &self.seam)?;
        Ok((self.path.clone(), file))
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(filling) = self.filling.take() {
            filling.join().ok();
        }
    }
}
