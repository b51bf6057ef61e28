//! Outcomes of recent commands by command id, so that a retry is answered and not applied again.
//!
//! A command id is a UUIDv7 and so carries its own time. Ids are filed under that time, in buckets of 64 ms; ids outside
//! the window are refused before they are looked up. So forgetting a bucket can never let an old command in, every
//! lookup is one probe, and no table ever grows large enough for its growth to be felt: whoever doubles a table reads
//! all that lies in it, which is 20,000 outcomes at 300,000 a second.

use std::hash::{BuildHasher, BuildHasherDefault};

use countersign_book::FixedHasher;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::codec::Put;
use crate::command::Id;
use crate::event::Code;

/// Outcomes are kept for this long after the id's own time: twice the longest life of a command.
pub const WINDOW_MS: u64 = 2 * LIFETIME_MS_MAX;
/// `expires_at_ms` may not be further ahead.
pub const LIFETIME_MS_MAX: u64 = 60_000;
/// How far a client's clock may be ahead of the engine's.
pub const AHEAD_MS_MAX: u64 = 10_000;

const BUCKET_BITS: u32 = 6;
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

/// Outcomes in the order in which they came, and where each id's lies: only the small table is written at random.
#[derive(Default)]
struct Bucket {
    stamp: u64,
    outcomes: Vec<(Id, Remembered)>,
    places: HashTable<u32>,
}

fn hash(id: &Id) -> u64 {
    BuildHasherDefault::<FixedHasher>::default().hash_one(id)
}

impl Bucket {
    fn find(&self, id: &Id) -> Option<&Remembered> {
        let at = self.places.find(hash(id), |&at| self.outcomes[at as usize].0 == *id)?;
        Some(&self.outcomes[*at as usize].1)
    }

    fn put(&mut self, id: Id, remembered: Remembered) {
        let outcomes = &self.outcomes;
        let same = |&at: &u32| outcomes[at as usize].0 == id;
        match self.places.entry(hash(&id), same, |&at| hash(&outcomes[at as usize].0)) {
            Entry::Occupied(place) => {
                let at = *place.get() as usize;
                self.outcomes[at].1 = remembered;
            }
            Entry::Vacant(place) => {
                place.insert(outcomes.len() as u32);
                self.outcomes.push((id, remembered));
            }
        }
    }

    /// Empty again, with room for as many.
    fn begin(&mut self, stamp: u64, expected: usize) {
        self.stamp = stamp;
        self.outcomes.clear();
        self.outcomes.reserve(expected);
        self.places.clear();
        self.places.reserve(expected, |_| unreachable!("it is empty"));
    }
}

pub struct Dedupe {
    buckets: Vec<Bucket>,
}

impl Default for Dedupe {
    fn default() -> Self {
        Dedupe { buckets: (0..BUCKETS).map(|_| Bucket::default()).collect() }
    }
}

fn time_ms(id: &Id) -> u64 {
    u64::from_be_bytes([0, 0, id[0], id[1], id[2], id[3], id[4], id[5]])
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
    pub fn find(&self, id: &Id) -> Option<&Remembered> {
        let stamp = time_ms(id) >> BUCKET_BITS;
        let bucket = &self.buckets[(stamp % BUCKETS) as usize];
        if bucket.stamp == stamp { bucket.find(id) } else { None }
    }

    pub fn remember(&mut self, id: Id, remembered: Remembered) {
        let stamp = time_ms(&id) >> BUCKET_BITS;
        if self.buckets[(stamp % BUCKETS) as usize].stamp != stamp {
            self.begin(stamp);
        }
        self.buckets[(stamp % BUCKETS) as usize].put(id, remembered);
    }

    /// Begins a bucket as large as the busiest one just before, so that it seldom grows at all.
    fn begin(&mut self, stamp: u64) {
        let recent = (stamp.saturating_sub(RECENT)..stamp)
            .map(|before| (before, &self.buckets[(before % BUCKETS) as usize]));
        let before = recent.filter(|(before, bucket)| bucket.stamp == *before);
        let expected = before.map(|(_, bucket)| bucket.outcomes.len()).max().unwrap_or(0);
        self.buckets[(stamp % BUCKETS) as usize].begin(stamp, expected + expected / 8);
    }

    /// How much a retry could still ask for.
    pub fn count(&self, now_ms: u64) -> u64 {
        let all = self.buckets.iter().flat_map(|bucket| &bucket.outcomes);
        all.filter(|(id, _)| age(id, now_ms) == Age::Current).count() as u64
    }

    /// All of that in the order of its ids, for snapshots and state hashes: an id begins with its time, so no more than a
    /// bucket need be sorted at once.
    pub fn each<E>(
        &self,
        now_ms: u64,
        mut take: impl FnMut(&Id, &Remembered) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buckets: Vec<&Bucket> = self.buckets.iter().collect();
        buckets.sort_unstable_by_key(|bucket| bucket.stamp);
        let mut sorted: Vec<&(Id, Remembered)> = Vec::new();
        for bucket in buckets {
            sorted.clear();
            sorted.extend(bucket.outcomes.iter().filter(|(id, _)| age(id, now_ms) == Age::Current));
            sorted.sort_unstable_by_key(|(id, _)| *id);
            sorted.iter().try_for_each(|(id, remembered)| take(id, remembered))?;
        }
        Ok(())
    }
}

impl Remembered {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn id(time_ms: u64, number: u64) -> Id {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&time_ms.to_be_bytes()[2..]);
        id[6] = 0x70;
        id[8..].copy_from_slice(&number.to_be_bytes());
        id
    }

    fn remembered(engine_seq: u64) -> Remembered {
        let outcome = Outcome {
            code: Code::Ok,
            engine_seq,
            time_ns: 0,
            order_id: 0,
            filled: 0,
            leaves: 0,
            cancelled: 0,
        };
        Remembered { digest: engine_seq, outcome }
    }

    #[test]
    fn nothing_within_the_window_and_ahead_pushes_anything_else_out() {
        // At the end of a bucket the window touches one more of them than at its beginning.
        for now_ms in [NOW_MS, NOW_MS + 63] {
            let times = || now_ms - WINDOW_MS..=now_ms + AHEAD_MS_MAX;
            let mut dedupe = Dedupe::default();
            for time_ms in times().rev() {
                dedupe.remember(id(time_ms, 7), remembered(time_ms));
            }
            assert!(times().all(|time_ms| dedupe.find(&id(time_ms, 7)) == Some(&remembered(time_ms))));
            assert_eq!(dedupe.count(now_ms), WINDOW_MS + AHEAD_MS_MAX + 1);
            let mut told = times();
            let in_order = dedupe.each(now_ms, |found, _| match told.next() {
                Some(time_ms) if *found == id(time_ms, 7) => Ok(()),
                _ => Err(*found),
            });
            assert_eq!((in_order, told.next()), (Ok(()), None));
        }
    }

    #[test]
    fn a_busy_second_lies_in_small_tables_that_begin_with_room_for_what_comes() {
        const EACH_MS: u64 = 50;
        let mut dedupe = Dedupe::default();
        for at in 0..1_024 * EACH_MS {
            dedupe.remember(id(NOW_MS + at / EACH_MS, at), remembered(at));
        }
        let held = dedupe.buckets.iter().map(|bucket| bucket.outcomes.len() as u64).max().unwrap();
        assert_eq!(held, 64 * EACH_MS);
        dedupe.remember(id(NOW_MS + 1_024, 0), remembered(0));
        let begun = dedupe.buckets.iter().find(|bucket| bucket.outcomes.len() == 1).unwrap();
        assert!(begun.outcomes.capacity() as u64 > held && begun.places.capacity() as u64 > held);
    }
}
