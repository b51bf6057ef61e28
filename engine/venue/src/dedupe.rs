//! Outcomes of recent commands by command id, so that a retry is answered and not applied again.
//!
//! A command id is a UUIDv7 and so carries its own time. Ids are filed under that time, in buckets of about a second;
//! ids outside the window are refused before they are looked up. So forgetting a bucket can never let an old command
//! in, every lookup is one probe, and no table ever grows large enough for its growth to be felt.

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

const BUCKET_BITS: u32 = 10;
/// Enough for every bucket that the window and the allowance ahead can touch at once.
const BUCKETS: u64 = ((WINDOW_MS + AHEAD_MS_MAX) >> BUCKET_BITS) + 2;

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

    /// Begins a bucket as large as the busiest one just before: growing it step by step would stall for milliseconds.
    fn begin(&mut self, stamp: u64) {
        let recent = stamp.saturating_sub(3)..stamp;
        let before = self.buckets.iter().filter(|bucket| recent.contains(&bucket.stamp));
        let expected = before.map(|bucket| bucket.outcomes.len()).max().unwrap_or(0);
        self.buckets[(stamp % BUCKETS) as usize].begin(stamp, expected + expected / 8);
    }

    /// Everything that a retry could still ask for, sorted, for snapshots and state hashes.
    pub fn current(&self, now_ms: u64) -> Vec<(Id, Remembered)> {
        let mut all: Vec<(Id, Remembered)> = self
            .buckets
            .iter()
            .flat_map(|bucket| bucket.outcomes.iter())
            .filter(|(id, _)| age(id, now_ms) == Age::Current)
            .copied()
            .collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
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
