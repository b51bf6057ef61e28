//! Outcomes of one bucket as few bytes: half of what they take where they can be found by their id.
//!
//! They lie in the order in which they came, numbers as their difference to the one before. So those that came since a
//! certain command are bytes of their own, whoever asks and whatever was written before.

use crate::codec::{Malformed, Put, Reader};
use crate::command::Id;
use crate::dedupe::{BUCKET_BITS, Outcome, Remembered};
use crate::event::Code;

/// Its first 42 bits are the bucket's; what begins with the byte in which they end is written.
const SHARED: usize = 5;

pub struct Packed {
    /// When its ids are from, in units of 64 ms.
    pub stamp: u64,
    /// None of them is of a later command.
    pub last_seq: u64,
    count: u32,
    bytes: Box<[u8]>,
}

impl Packed {
    pub(crate) fn of(stamp: u64, outcomes: &[(Id, Remembered)]) -> Packed {
        let mut bytes = Vec::with_capacity(outcomes.len() * 40);
        let (mut engine_seq, mut time_ns) = (0, 0);
        for (id, Remembered { digest, outcome }) in outcomes {
            bytes.extend_from_slice(&id[SHARED..]);
            bytes.extend_from_slice(&digest.to_le_bytes());
            bytes.put_u8(outcome.code as u8);
            bytes.put_u64(outcome.engine_seq.wrapping_sub(engine_seq));
            bytes.put_u64(outcome.time_ns.wrapping_sub(time_ns));
            bytes.put_u64(outcome.order_id);
            bytes.put_u64(outcome.filled);
            bytes.put_u64(outcome.leaves);
            bytes.put_u32(outcome.cancelled);
            (engine_seq, time_ns) = (outcome.engine_seq, outcome.time_ns);
        }
        Packed { stamp, last_seq: engine_seq, count: outcomes.len() as u32, bytes: bytes.into() }
    }

    pub fn count(&self) -> usize {
        self.count as usize
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What [`Packed::bytes`] gave, from a file whose hash says that nothing of it has changed: so they are taken as they
    /// are, and read when somebody asks. No outcome among them is of a command behind `last_seq`.
    pub fn told(stamp: u64, count: u32, last_seq: u64, bytes: Box<[u8]>) -> Result<Packed, Malformed> {
        if stamp >> (48 - BUCKET_BITS) != 0 {
            return Err(Malformed("an outcome without a date"));
        }
        Ok(Packed { stamp, last_seq, count, bytes })
    }

    pub(crate) fn each(&self, take: impl FnMut(&Id, &Remembered)) {
        self.try_each(take).expect("they are the bytes that were written");
    }

    pub(crate) fn try_each(&self, mut take: impl FnMut(&Id, &Remembered)) -> Result<(), Malformed> {
        let mut reader = Reader::new(&self.bytes);
        let mut id: Id = [0; 16];
        id[..6].copy_from_slice(&(self.stamp << BUCKET_BITS).to_be_bytes()[2..]);
        let shared = id[SHARED] >> BUCKET_BITS;
        let (mut engine_seq, mut time_ns) = (0u64, 0u64);
        for _ in 0..self.count {
            id[SHARED..].copy_from_slice(reader.bytes(16 - SHARED)?);
            if id[SHARED] >> BUCKET_BITS != shared {
                return Err(Malformed("an outcome among others of another date"));
            }
            let digest = u64::from_le_bytes(reader.bytes(8)?.try_into().expect("8 bytes were taken"));
            let code = Code::decode(&mut reader)?;
            engine_seq = engine_seq.wrapping_add(reader.u64()?);
            time_ns = time_ns.wrapping_add(reader.u64()?);
            let outcome = Outcome {
                code,
                engine_seq,
                time_ns,
                order_id: reader.u64()?,
                filled: reader.u64()?,
                leaves: reader.u64()?,
                cancelled: reader.u32()?,
            };
            take(&id, &Remembered { digest, outcome });
        }
        reader.finish()
    }
}

impl Remembered {
    /// As a whole state's bytes hold it, by itself.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.digest);
        out.put_u8(self.outcome.code as u8);
        out.put_u64(self.outcome.engine_seq);
        out.put_u64(self.outcome.time_ns);
        out.put_u64(self.outcome.order_id);
        out.put_u64(self.outcome.filled);
        out.put_u64(self.outcome.leaves);
        out.put_u32(self.outcome.cancelled);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Remembered, Malformed> {
        let digest = reader.u64()?;
        let outcome = Outcome {
            code: Code::decode(reader)?,
            engine_seq: reader.u64()?,
            time_ns: reader.u64()?,
            order_id: reader.u64()?,
            filled: reader.u64()?,
            leaves: reader.u64()?,
            cancelled: reader.u32()?,
        };
        Ok(Remembered { digest, outcome })
    }
}
