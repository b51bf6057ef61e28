//! Where the archive meets the disk: each step passes through here, so that a test can count it or let it fail.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading so many bytes.
    Read(u64),
    /// Opening or creating a file of events.
    Open,
    /// Adding events to it.
    Append,
    /// Making them durable.
    Flush,
    /// Writing an index under a name of its own.
    Write,
    /// Giving a file its name.
    Name,
    /// Making names durable.
    NameFlush,
    /// Cutting off what no snapshot stands for.
    Cut,
    /// Deleting a file.
    Drop,
}

type Before = Arc<dyn Fn(Step, &Path) -> io::Result<()> + Send + Sync>;

/// Runs before each step; an error stands for the step's own. Nothing by default.
#[derive(Clone, Default)]
pub struct Seam(Option<Before>);

impl Seam {
    pub fn new(before: impl Fn(Step, &Path) -> io::Result<()> + Send + Sync + 'static) -> Seam {
        Seam(Some(Arc::new(before)))
    }

    pub(crate) fn pass(&self, step: Step, path: &Path) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |before| before(step, path))
    }
}
