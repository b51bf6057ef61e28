//! The wall clock, which never runs backwards while this process lives, not even where somebody sets it back: of a
//! command that was said to have expired it is certain that it will never happen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn wall_ns() -> u64 {
    static LATEST: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    forwards(&LATEST, since.map_or(0, |since| since.as_nanos() as u64))
}

fn forwards(latest: &AtomicU64, now: u64) -> u64 {
    latest.fetch_max(now, Ordering::Relaxed).max(now)
}

pub fn wall_ms() -> u64 {
    wall_ns() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_until_it_has_caught_up() {
        let latest = AtomicU64::new(0);
        assert_eq!([7, 5, 6, 8].map(|now| forwards(&latest, now)), [7, 7, 7, 8]);
    }
}
