//! Where an order's time goes between the socket and its answer, counted by those who do the work.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::live::Buckets;

/// In the order in which a command passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Read, and waiting for its turn.
    Queued,
    /// From its turn until its frame is applied.
    Decided,
    /// In the open block, while the one before is flushed.
    Gathered,
    /// Written and flushed; without `fsync` only written.
    Flushed,
    /// Until its answer is encoded for the socket.
    Told,
}

pub const STAGES: [(Stage, &str); 5] = [
    (Stage::Queued, "queued"),
    (Stage::Decided, "decided"),
    (Stage::Gathered, "gathered"),
    (Stage::Flushed, "flushed"),
    (Stage::Told, "told"),
];

/// When the commands of one frame came how far.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub read: Instant,
    pub taken: Instant,
    pub decided: Instant,
}

/// Microseconds of every command since the start, by stage.
#[derive(Default)]
pub struct Stages([Counts; STAGES.len()]);

#[derive(Default)]
struct Counts {
    counts: [AtomicU64; Buckets::COUNT],
    sum: AtomicU64,
}

impl Stages {
    pub fn add(&self, stage: Stage, took: Duration, commands: u64) {
        let us = took.as_micros() as u64;
        let counts = &self.0[stage as usize];
        counts.counts[Buckets::of(us)].fetch_add(commands, Ordering::Relaxed);
        counts.sum.fetch_add(us * commands, Ordering::Relaxed);
    }

    /// What was passed by the time that its block is durable.
    pub fn add_way(&self, way: &Way, flush: (Instant, Instant), commands: u64) {
        let (began, ended) = flush;
        for (stage, from, to) in [
            (Stage::Queued, way.read, way.taken),
            (Stage::Decided, way.taken, way.decided),
            (Stage::Gathered, way.decided, began),
            (Stage::Flushed, began, ended),
        ] {
            self.add(stage, to.saturating_duration_since(from), commands);
        }
    }

    pub fn told(&self, stage: Stage) -> Buckets {
        let counts = &self.0[stage as usize];
        Buckets {
            counts: array::from_fn(|bucket| counts.counts[bucket].load(Ordering::Relaxed)),
            sum: counts.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_counts_its_own_part_of_the_way() {
        let stages = Stages::default();
        let read = Instant::now();
        let after = |us| read + Duration::from_micros(us);
        let way = Way { read, taken: after(10), decided: after(14) };
        stages.add_way(&way, (after(114), after(414)), 3);
        stages.add(Stage::Told, Duration::from_micros(30), 3);
        let sums = STAGES.map(|(stage, _)| stages.told(stage).sum);
        assert_eq!(sums, [30, 12, 300, 900, 90]);
        for (stage, name) in STAGES {
            assert_eq!(stages.told(stage).counts.iter().sum::<u64>(), 3, "{name}");
        }
        assert_eq!(stages.told(Stage::Flushed).counts[Buckets::of(300)], 3);
    }
}
