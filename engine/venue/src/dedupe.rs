//! Outcomes of recent commands by command id, so that a retry is answered and not applied again.
//!
//! A command id is a UUIDv7 and so carries its own time. Ids are filed under that time, in buckets of 64 ms; ids outside
//! the window are refused before they are looked up. So forgetting a bucket can never let an old command in, every
//! lookup is one probe, and no table ever grows large enough for its growth to be felt: whoever doubles a table reads
//! all that lies in it, which is 20,000 outcomes at 300,000 a second.

use crate::bucket::Bucket;
use crate::codec::Malformed;
use crate::command::Id;
use crate::event::Code;
use crate::packed::Packed;

/// Outcomes are kept for this long after the id's own time: twice the longest life of a command.
pub const WINDOW_MS: u64 = 2 * LIFETIME_MS_MAX;
/// `expires_at_ms` may not be further ahead.
pub const LIFETIME_MS_MAX: u64 = 60_000;
/// How far a client's clock may be ahead of the engine's.
pub const AHEAD_MS_MAX: u64 = 10_000;

pub(crate) const BUCKET_BITS: u32 = 6;
/// Enough for every bucket that the window and the allowance ahead can touch at once.
const BUCKETS: u64 = ((WINDOW_MS + AHEAD_MS_MAX) >> BUCKET_BITS) + 2;
/// A bucket is expected to hold what the busiest of so many before it did.
const RECENT: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub code: Code,
    pub engine_seq: u64,
    pub time_ns: u64,
    pub order_id: u64,
    pub filled: u64,
    pub leaves: u64,
    pub cancelled: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub digest: u64,
    pub outcome: Outcome,
}

/// What an id's own time says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Current,
    /// Older than anything that is remembered, or from a clock far ahead.
    Outside,
    NotVersion7,
}

pub struct Dedupe {
    buckets: Vec<Bucket>,
    /// Outcomes of ids up to this bucket's may be missing; 0 = none is.
    lost_through: u64,
}

impl Default for Dedupe {
    fn default() -> Self {
        Dedupe { buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(), lost_through: 0 }
    }
}

fn time_ms(id: &Id) -> u64 {
    u64::from_be_bytes([0, 0, id[0], id[1], id[2], id[3], id[4], id[5]])
}

/// Whether none of a bucket's ids is looked up any more.
pub fn is_over(stamp: u64, now_ms: u64) -> bool {
    (stamp << BUCKET_BITS | ((1 << BUCKET_BITS) - 1)) + WINDOW_MS < now_ms
}

pub fn age(id: &Id, now_ms: u64) -> Age {
    let at = time_ms(id);
    if id[6] >> 4 != 7 {
        Age::NotVersion7
    } else if at + WINDOW_MS < now_ms || at > now_ms + AHEAD_MS_MAX {
        Age::Outside
    } else {
        Age::Current
    }
}

impl Dedupe {
    fn bucket(&self, id: &Id) -> Option<&Bucket> {
        let stamp = time_ms(id) >> BUCKET_BITS;
        let bucket = &self.buckets[(stamp % BUCKETS) as usize];
        (bucket.stamp == stamp).then_some(bucket)
    }

    /// What may lie packed is read through for each id: fit for questions, not for commands.
    pub fn look_for(&self, id: &Id) -> Option<Remembered> {
        self.bucket(id)?.look_for(id)
    }

    /// What lay packed with it is found by one probe from then on.
    pub fn find(&mut self, id: &Id) -> Option<&Remembered> {
        let stamp = time_ms(id) >> BUCKET_BITS;
        let bucket = &mut self.buckets[(stamp % BUCKETS) as usize];
        if bucket.stamp == stamp { bucket.find(id) } else { None }
    }

    /// A file with outcomes of ids up to this bucket's is not as it was written.
    pub fn lose(&mut self, through: u64) {
        self.lost_through = self.lost_through.max(through);
    }

    /// Whether what is not found under this id may have been there once.
    pub fn may_be_lost(&self, id: &Id) -> bool {
        time_ms(id) >> BUCKET_BITS <= self.lost_through
    }

    /// Whether a retry could still ask for what is lost.
    pub fn misses(&self, now_ms: u64) -> bool {
        !is_over(self.lost_through, now_ms)
    }

    pub fn remember(&mut self, id: Id, remembered: Remembered) {
        self.of(time_ms(&id) >> BUCKET_BITS).put(id, remembered);
    }

    /// What a snapshot tells of one bucket, behind what it told of it before. What nobody may ask for any more is left
    /// out; what nobody can have asked for yet is none of ours.
    pub fn recall(&mut self, packed: Packed, now_ms: u64) -> Result<(), Malformed> {
        if is_over(packed.stamp, now_ms) {
            return Ok(());
        }
        if packed.stamp > (now_ms + AHEAD_MS_MAX) >> BUCKET_BITS {
            return Err(Malformed("an outcome from ahead of its time"));
        }
        let bucket = &mut self.buckets[(packed.stamp % BUCKETS) as usize];
        if bucket.stamp != packed.stamp {
            bucket.begin(packed.stamp, 0);
        }
        bucket.recall(packed);
        Ok(())
    }

    /// The bucket of this stamp. Begins it as large as the busiest one just before, so that it seldom grows at all.
    fn of(&mut self, stamp: u64) -> &mut Bucket {
        let at = (stamp % BUCKETS) as usize;
        if self.buckets[at].stamp != stamp {
            let recent = (stamp.saturating_sub(RECENT)..stamp)
                .map(|before| (before, &self.buckets[(before % BUCKETS) as usize]));
            let before = recent.filter(|(before, bucket)| bucket.stamp == *before);
            let expected = before.map(|(_, bucket)| bucket.len()).max().unwrap_or(0);
            self.buckets[at].begin(stamp, expected + expected / 8);
        }
        &mut self.buckets[at]
    }

    /// How much a retry could still ask for.
    pub fn count(&self, now_ms: u64) -> u64 {
        let mut count = 0;
        for bucket in &self.buckets {
            bucket.each(|id, _| count += u64::from(age(id, now_ms) == Age::Current));
        }
        count
    }

    fn in_order(&self) -> Vec<&Bucket> {
        let mut buckets: Vec<&Bucket> = self.buckets.iter().collect();
        buckets.sort_unstable_by_key(|bucket| bucket.stamp);
        buckets
    }

    /// All of that in the order of its ids, for state hashes: an id begins with its time, so no more than a bucket need be
    /// sorted at once.
    pub fn each<E>(
        &self,
        now_ms: u64,
        mut take: impl FnMut(&Id, &Remembered) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut sorted: Vec<(Id, Remembered)> = Vec::new();
        for bucket in self.in_order() {
            sorted.clear();
            bucket.each(|id, remembered| {
                if age(id, now_ms) == Age::Current {
                    sorted.push((*id, *remembered));
                }
            });
            sorted.sort_unstable_by_key(|(id, _)| *id);
            sorted.iter().try_for_each(|(id, remembered)| take(id, remembered))?;
        }
        Ok(())
    }

    /// What a retry could still ask for and a command behind `after` brought, bucket by bucket.
    pub fn since<E>(
        &self,
        after: u64,
        now_ms: u64,
        mut take: impl FnMut(Packed) -> Result<(), E>,
    ) -> Result<(), E> {
        let buckets = self.in_order().into_iter().filter(|bucket| !is_over(bucket.stamp, now_ms));
        buckets.filter_map(|bucket| bucket.since(after)).try_for_each(&mut take)
    }

    /// What came in the order of its ids is filed in the order in which it came first.
    pub(crate) fn file_anew(&mut self) {
        self.buckets.iter_mut().for_each(Bucket::file_anew);
    }
}

#[cfg(test)]
mod tests;
