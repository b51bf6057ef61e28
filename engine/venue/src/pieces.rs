//! A state on its way out: whoever writes or hashes it gets it piece by piece, and the whole of it never lies in memory.

/// A piece is given away once it has so many bytes.
const PIECE: usize = 64 << 10;

pub(crate) struct Pieces<F> {
    bytes: Vec<u8>,
    give: F,
}

impl<E, F: FnMut(&[u8]) -> Result<(), E>> Pieces<F> {
    pub fn new(give: F) -> Pieces<F> {
        Pieces { bytes: Vec::with_capacity(PIECE + PIECE / 8), give }
    }

    /// Where the next few bytes are written.
    pub fn room(&mut self) -> Result<&mut Vec<u8>, E> {
        if self.bytes.len() >= PIECE {
            (self.give)(&self.bytes)?;
            self.bytes.clear();
        }
        Ok(&mut self.bytes)
    }

    pub fn end(mut self) -> Result<(), E> {
        (self.give)(&self.bytes)
    }
}
