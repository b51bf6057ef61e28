//! What one flush writes.
//!
//! Header (32 bytes, little-endian): magic, length of the records, first sequence, number of records, checksum of the
//! block before, reserved, checksum over all the rest. Record: length (u32), time (u64), bytes.

pub(crate) const HEADER: usize = 32;
const MAGIC: u32 = 0x3142_5343; // "CSB1"
const RECORD_HEADER: usize = 12;
/// No block is larger, so that a damaged length cannot ask for more.
pub(crate) const LENGTH_MAX: usize = 16 << 20;

/// Records that are made durable together.
#[derive(Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    first_seq: u64,
    count: u32,
}

impl Block {
    /// An empty block whose first record will have this sequence.
    pub fn start(&mut self, first_seq: u64) {
        self.bytes.clear();
        self.bytes.resize(HEADER, 0);
        self.first_seq = first_seq;
        self.count = 0;
    }

    /// Adds a record whose bytes `write` appends; gives them back. [`Block::undo`] may take the last one out again.
    pub fn push<T>(&mut self, time_ns: u64, write: impl FnOnce(&mut Vec<u8>) -> T) -> (Undo, T) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&time_ns.to_le_bytes());
        let told = write(&mut self.bytes);
        let length = (self.bytes.len() - start - RECORD_HEADER) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        (Undo(start), told)
    }

    /// The bytes from this offset on, which a record's writer has told.
    pub fn since(&self, offset: usize) -> &[u8] {
        &self.bytes[offset..]
    }

    pub fn undo(&mut self, undo: Undo) {
        self.bytes.truncate(undo.0);
        self.count -= 1;
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Fills the header in. Afterwards [`Block::bytes`] is what goes to disk.
    pub(crate) fn seal(&mut self, before: u32) -> u32 {
        let length = (self.bytes.len() - HEADER) as u32;
        self.bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        self.bytes[4..8].copy_from_slice(&length.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&self.first_seq.to_le_bytes());
        self.bytes[16..20].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[20..24].copy_from_slice(&before.to_le_bytes());
        self.bytes[24..28].copy_from_slice(&[0; 4]);
        let sum = checksum(&self.bytes);
        self.bytes[28..32].copy_from_slice(&sum.to_le_bytes());
        sum
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Remembers where the last record began.
#[derive(Debug)]
pub struct Undo(usize);

/// One command as it was journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub seq: u64,
    pub time_ns: u64,
    pub bytes: &'a [u8],
}

fn checksum(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..28]), &block[HEADER..])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// How long the block is that `bytes` begins with, as its header says; `None` where no block can begin.
pub(crate) fn claimed(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < HEADER || u32_at(bytes, 0) != MAGIC {
        return None;
    }
    let length = u32_at(bytes, 4) as usize;
    (length <= LENGTH_MAX).then_some(HEADER + length)
}

/// A whole block, its checksum verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed<'a> {
    pub first_seq: u64,
    pub count: u32,
    pub before: u32,
    pub sum: u32,
    records: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// `None` unless `bytes` begins with a whole block.
    pub fn read(bytes: &'a [u8]) -> Option<Sealed<'a>> {
        let block = bytes.get(..claimed(bytes)?)?;
        let sum = u32_at(block, 28);
        // No sequence ever comes near the end of its range: the sums below cannot overflow.
        if u64_at(block, 8) > u64::MAX >> 1 {
            return None;
        }
        (checksum(block) == sum).then(|| Sealed {
            first_seq: u64_at(block, 8),
            count: u32_at(block, 16),
            before: u32_at(block, 20),
            sum,
            records: &block[HEADER..],
        })
    }

    pub fn len(&self) -> usize {
        HEADER + self.records.len()
    }

    /// The records, or what is wrong with them although the checksum holds.
    pub fn records(&self) -> Result<Vec<Record<'a>>, &'static str> {
        let mut records = Vec::with_capacity(self.count.min(1 << 16) as usize);
        let mut rest = self.records;
        while !rest.is_empty() {
            if rest.len() < RECORD_HEADER {
                return Err("a record is cut short inside a valid block");
            }
            let length = u32_at(rest, 0) as usize;
            let time_ns = u64_at(rest, 4);
            let (bytes, after) = rest[RECORD_HEADER..]
                .split_at_checked(length)
                .ok_or("a record is cut short inside a valid block")?;
            records.push(Record { seq: self.first_seq + records.len() as u64, time_ns, bytes });
            rest = after;
        }
        if records.len() != self.count as usize {
            return Err("a block does not hold as many records as it says");
        }
        Ok(records)
    }
}

/// Whether any whole block of a sequence above `seq` begins somewhere in `bytes`.
pub(crate) fn any_block_after(bytes: &[u8], seq: u64) -> Option<usize> {
    let magic = MAGIC.to_le_bytes();
    let mut at = 0;
    while at + HEADER <= bytes.len() {
        at += bytes[at..].iter().position(|&byte| byte == magic[0])?;
        if bytes[at..].starts_with(&magic)
            && Sealed::read(&bytes[at..]).is_some_and(|block| block.first_seq > seq)
        {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(first_seq: u64, records: &[&[u8]]) -> Vec<u8> {
        let mut block = Block::default();
        block.start(first_seq);
        for record in records {
            block.push(7, |bytes| bytes.extend_from_slice(record));
        }
        block.seal(1);
        block.bytes().to_vec()
    }

    #[test]
    fn a_block_holds_what_was_pushed_and_not_taken_out_again() {
        let mut block = Block::default();
        block.start(5);
        assert!(block.is_empty());
        let (_, at) = block.push(1, |bytes| {
            bytes.extend_from_slice(b"one");
            bytes.len() - 3
        });
        assert_eq!((block.is_empty(), block.count(), block.since(at)), (false, 1, b"one".as_slice()));
        let (undo, ()) = block.push(2, |bytes| bytes.extend_from_slice(b"two"));
        block.undo(undo);
        assert_eq!((block.count(), block.len(), block.since(at)), (1, HEADER + 12 + 3, b"one".as_slice()));
        block.push(3, |bytes| bytes.extend_from_slice(b"three"));
        block.seal(0);
        let records = Sealed::read(block.bytes()).unwrap().records().unwrap();
        let (one, three) = (b"one".as_slice(), b"three".as_slice());
        assert_eq!(
            records,
            [Record { seq: 5, time_ns: 1, bytes: one }, Record { seq: 6, time_ns: 3, bytes: three }]
        );
    }

    #[test]
    fn a_record_may_be_empty_but_none_may_be_cut_short() {
        let whole = sealed(1, &[b"", b"ab", b""]);
        let lengths: Vec<usize> = Sealed::read(&whole)
            .unwrap()
            .records()
            .unwrap()
            .iter()
            .map(|record| record.bytes.len())
            .collect();
        assert_eq!(lengths, [0, 2, 0]);
        for cut in 1..=12 {
            let mut bytes = whole[..whole.len() - cut].to_vec();
            let length = (bytes.len() - HEADER) as u32;
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            let sum = checksum(&bytes);
            bytes[28..32].copy_from_slice(&sum.to_le_bytes());
            assert!(Sealed::read(&bytes).unwrap().records().is_err(), "{cut} bytes are missing");
        }
    }

    #[test]
    fn a_sequence_near_the_end_of_its_range_is_nobodys() {
        let first = |seq| Sealed::read(&sealed(seq, &[b"x"])).map(|block| block.first_seq);
        assert_eq!(first(u64::MAX >> 1), Some(u64::MAX >> 1));
        for seq in [(u64::MAX >> 1) + 1, u64::MAX - 1, u64::MAX] {
            assert_eq!(first(seq), None);
        }
    }

    #[test]
    fn a_later_block_is_found_wherever_it_lies() {
        let block = sealed(9, &[b"x"]);
        for at in [0, 1, 31, 32, 33, 500, 4_000] {
            let mut bytes = vec![0; at];
            bytes.extend_from_slice(&block);
            assert_eq!(any_block_after(&bytes, 8), Some(at));
            assert_eq!(any_block_after(&bytes, 9), None, "that is what is damaged, and nothing after it");
            assert_eq!(any_block_after(&bytes[..bytes.len() - 1], 8), None);
            bytes.extend_from_slice(&[0x43; 40]);
            assert_eq!(any_block_after(&bytes, 8), Some(at));
        }
    }
}
