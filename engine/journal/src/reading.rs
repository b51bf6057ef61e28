//! A segment from its beginning to its end, without a copy of it in memory.

use std::io::{self, Read};

/// What is read at once.
const PIECE: usize = 128 << 10;

/// A segment on its way through memory, where no more of it lies than a block, however large it is.
pub(crate) struct Reading {
    source: Box<dyn Read>,
    /// What was read; all before `used` is done with.
    buffer: Vec<u8>,
    used: usize,
    /// Where in the segment that is.
    pub offset: u64,
}

impl Reading {
    pub fn new(source: Box<dyn Read>) -> Reading {
        Reading { source, buffer: Vec::new(), used: 0, offset: 0 }
    }

    /// The next `want` bytes, or fewer at the segment's end; more where they lie there anyway.
    pub fn peek(&mut self, want: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.used < want {
            self.buffer.drain(..self.used);
            self.used = 0;
            let missing = (want.max(PIECE) - self.buffer.len()) as u64;
            self.source.by_ref().take(missing).read_to_end(&mut self.buffer)?;
        }
        Ok(&self.buffer[self.used..])
    }

    pub fn pass(&mut self, count: usize) {
        self.used += count;
        self.offset += count as u64;
    }

    /// What is left as far as it is not zero, and where the segment ends.
    pub fn rest(mut self) -> io::Result<(Vec<u8>, u64)> {
        let (mut dirty, mut length) = (Vec::new(), 0);
        loop {
            let piece = self.peek(1)?;
            if piece.is_empty() {
                return Ok((dirty, self.offset));
            }
            // Nearly all of it is, and so it is not looked at byte by byte.
            if piece.iter().fold(0, |any, byte| any | byte) != 0 {
                let end = piece.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
                dirty.resize(length, 0);
                dirty.extend_from_slice(&piece[..end]);
            }
            let read = piece.len();
            length += read;
            self.pass(read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_segment_takes_no_more_memory_than_its_largest_block() {
        const LENGTH: u64 = 64 << 20;
        let mut reading = Reading::new(Box::new(io::repeat(7).take(LENGTH)));
        for want in [1, 1 << 20, 3 * PIECE, 64].into_iter().cycle() {
            let there = reading.peek(want).unwrap();
            assert!(there.iter().take(want).all(|&byte| byte == 7));
            let passed = there.len().min(want);
            if passed == 0 {
                break;
            }
            reading.pass(passed);
        }
        assert_eq!(reading.offset, LENGTH);
        assert!(reading.buffer.capacity() < 4 << 20, "{} bytes", reading.buffer.capacity());
    }

    #[test]
    fn what_is_left_is_told_up_to_its_last_byte_that_is_not_zero() {
        for (left, zeros) in [(0, 0), (0, 9), (1, 0), (PIECE, 2 * PIECE), (5 * PIECE + 1, 3)] {
            let mut left = vec![0; left];
            if let Some(last) = left.last_mut() {
                *last = 1;
            }
            let segment = [vec![7; 100], left.clone(), vec![0; zeros]].concat();
            let length = segment.len() as u64;
            let mut reading = Reading::new(Box::new(io::Cursor::new(segment)));
            reading.peek(100).unwrap();
            reading.pass(100);
            assert!(reading.rest().unwrap() == (left, length), "{zeros} zeros");
        }
    }
}
