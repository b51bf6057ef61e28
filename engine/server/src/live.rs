//! Figures: what is known of the shard without asking the engine thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use countersign_venue::Code;

#[derive(Clone, Default)]
pub struct Live {
    pub epoch: u64,
    pub event_seq: u64,
    pub time_ns: u64,
    pub open_orders: u64,
    pub accounts: u64,
    pub journal_bytes: u64,
    pub blocks: u64,
    /// The latest flushes in microseconds.
    pub flushes: VecDeque<u32>,
    /// Every flush since the start, in microseconds.
    pub flush_us: Buckets,
    /// Commands of every block since the start.
    pub block_commands: Buckets,
}

impl Live {
    /// The p50 and p99 of the latest flushes, in microseconds.
    pub fn flush_us(&self) -> (u64, u64) {
        let mut sorted: Vec<u32> = self.flushes.iter().copied().collect();
        sorted.sort_unstable();
        let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1)));
        (at(50).copied().unwrap_or(0).into(), at(99).copied().unwrap_or(0).into())
    }
}

pub const FLUSHES_KEPT: usize = 1_024;

/// Where the shard is durable: its sequence and the hash over its events, written by one thread.
///
/// Readers take no lock: one that gives way to everybody would keep the journal thread waiting while it holds it.
#[derive(Default)]
pub struct Durable {
    /// Odd while the rest is being written.
    version: AtomicU64,
    engine_seq: AtomicU64,
    chain: [AtomicU64; 4],
}

impl Durable {
    /// Called by the journal thread only.
    pub fn set(&self, engine_seq: u64, chain: &[u8; 32]) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.engine_seq.store(engine_seq, Ordering::Relaxed);
        for (lane, word) in self.chain.iter().zip(chain.as_chunks::<8>().0) {
            lane.store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }

    pub fn get(&self) -> (u64, [u8; 32]) {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let engine_seq = self.engine_seq.load(Ordering::Relaxed);
            let mut chain = [0; 32];
            for (bytes, lane) in chain.as_chunks_mut::<8>().0.iter_mut().zip(&self.chain) {
                *bytes = lane.load(Ordering::Relaxed).to_le_bytes();
            }
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return (engine_seq, chain);
            }
            std::hint::spin_loop();
        }
    }
}

/// A histogram whose bounds double: bucket `n` counts values up to 2^n, the last one all others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buckets {
    pub counts: [u64; Buckets::COUNT],
    pub sum: u64,
}

impl Buckets {
    pub const COUNT: usize = 21;

    pub fn add(&mut self, value: u64) {
        self.counts[Buckets::of(value)] += 1;
        self.sum += value;
    }

    /// Where a value is counted.
    pub fn of(value: u64) -> usize {
        let bucket = (64 - value.saturating_sub(1).leading_zeros()) as usize;
        bucket.min(Buckets::COUNT - 1)
    }
}

/// Commands that were refused, by reason.
pub struct Refusals([AtomicU64; 128]);

impl Default for Refusals {
    fn default() -> Refusals {
        Refusals(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Refusals {
    pub fn add(&self, code: Code, count: u64) {
        if let Some(counter) = self.0.get(code as usize) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Numbers of result codes and how often each was told.
    pub fn told(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        (0..).zip(counts).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_durable_is_read_as_it_was_written_together() {
        let durable = Durable::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for seq in 1..=100_000u64 {
                    durable.set(seq, &[seq.to_le_bytes(); 4].concat().try_into().unwrap());
                }
            });
            let mut seen = 0;
            while seen < 100_000 {
                let (seq, chain) = durable.get();
                assert!(seq >= seen);
                assert_eq!(chain.as_chunks::<8>().0, [seq.to_le_bytes(); 4]);
                seen = seq;
            }
        });
    }

    #[test]
    fn a_bucket_counts_values_up_to_its_power_of_two() {
        let mut buckets = Buckets::default();
        for value in [0, 1, 2, 3, 4, 5, u64::MAX / 2] {
            buckets.add(value);
        }
        assert_eq!(buckets.counts[..4], [2, 1, 2, 1]);
        assert_eq!(buckets.counts[Buckets::COUNT - 1], 1);
        assert_eq!(buckets.sum, u64::MAX / 2 + 15);
    }

    #[test]
    fn half_of_the_latest_flushes_were_quicker_than_the_p50_and_one_in_a_hundred_slower_than_the_p99() {
        let told = |flushes: VecDeque<u32>| Live { flushes, ..Live::default() }.flush_us();
        assert_eq!(told((0..1_000).rev().collect()), (500, 990));
        assert_eq!(told([7, 3].into()), (7, 7));
        assert_eq!((told([5].into()), told([].into())), ((5, 5), (0, 0)));
    }

    #[test]
    fn refusals_are_told_by_their_reasons_where_there_were_any() {
        let refusals = Refusals::default();
        refusals.add(Code::Busy, 3);
        refusals.add(Code::BadCommand, 1);
        refusals.add(Code::Busy, 4);
        let told: Vec<(i32, u64)> = refusals.told().collect();
        assert_eq!(told, [(Code::BadCommand as i32, 1), (Code::Busy as i32, 7)]);
    }
}
