//! Where the journal meets the disk: each step passes through here, so that a test can let any of them fail.

use std::io;
use std::sync::Arc;

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writing a block.
    Append,
    /// Making it durable.
    Flush,
    /// Filling the next segment with zeros.
    Fill,
    /// Writing the next segment's header.
    Head,
    /// Giving it its name.
    Name,
    /// Making names in a folder durable.
    NameFlush,
    /// Making durable what the writer before left.
    TakeOn,
    /// Writing the compressed copy of an old segment.
    Compress,
    /// Giving the copy its name.
    Keep,
    /// Deleting the segment that was copied.
    Drop,
    /// Deleting an old copy, or writing down that it is going.
    Forget,
}

type Before = Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>;

/// Runs before each step; an error stands for the step's own. Nothing by default.
#[derive(Clone, Default)]
pub struct Seam(Option<Before>);

impl Seam {
    pub fn new(before: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static) -> Seam {
        Seam(Some(Arc::new(before)))
    }

    pub(crate) fn pass(&self, step: Step) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |before| before(step))
    }
}

impl std::fmt::Debug for Seam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Seam(set)" } else { "Seam" })
    }
}
