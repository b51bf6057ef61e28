//! How many connections and streams there may be: never so many that the journal could not open its next file.
//!
//! Each connection takes a descriptor, and so does each reader of old events. A process that has none left could begin
//! no segment, and would have to end. So every listener has a share of its own, and what enters orders cannot keep
//! administration out.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Each kind of connection, and each kind of stream, may take one of so many parts of all descriptors.
const PARTS: u64 = 8;
/// However many descriptors there are: what a connection may hold in memory is to stay within bounds too.
const CONNECTIONS_MAX: u64 = 4_096;
const STREAMS_MAX: u64 = 1_024;
/// Whoever comes for the figures is answered at once, or waited for.
const FIGURES_MAX: u64 = 32;
/// Of the connections of a door that all identities share, each may keep one of so many parts, and so may nobody.
pub const SHARES: usize = 5;
const LEAST: u64 = 4;

/// Places of one kind; a place is free again when it is dropped.
#[derive(Clone)]
pub struct Places {
    pub limit: usize,
    free: Arc<Semaphore>,
}

pub type Place = OwnedSemaphorePermit;

impl Places {
    fn of(files: u64, most: u64) -> Places {
        let limit = (files / PARTS).clamp(LEAST, most) as usize;
        Places { limit, free: Arc::new(Semaphore::new(limit)) }
    }

    /// For the connections of one listener.
    pub fn for_connections() -> Places {
        Places::of(files(), CONNECTIONS_MAX)
    }

    /// For those who come for the figures.
    pub fn for_figures() -> Places {
        Places::of(files(), FIGURES_MAX)
    }

    /// As many as one of those who share these may keep.
    pub fn share(&self) -> Places {
        let limit = (self.limit / SHARES).max(1);
        Places { limit, free: Arc::new(Semaphore::new(limit)) }
    }

    /// For streams: each may hold what its other end does not read, and a descriptor where it reads old events.
    pub fn for_streams() -> Places {
        Places::of(files(), STREAMS_MAX)
    }

    /// A place, or what whoever asks for one hears.
    pub fn or_refuse(&self, what: &str) -> Result<Place, Status> {
        let full = || {
            Status::resource_exhausted(format!("{} {what} are open, and there may be no more", self.limit))
        };
        self.take().ok_or_else(full)
    }

    pub fn take(&self) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }
}

/// How many files may be open: as many as we may allow ourselves.
fn files() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_its_part_of_all_files_within_bounds_and_whoever_shares_it_a_fifth_of_that() {
        let of = |files| Places::of(files, 100);
        assert_eq!([0, 39, 40, 800, u64::MAX].map(|files| of(files).limit), [4, 4, 5, 100, 100]);
        assert_eq!([0, 79, 80, 800].map(|files| of(files).share().limit), [1, 1, 2, 20]);
    }

    #[test]
    fn a_place_is_taken_by_one_and_free_again_when_it_is_left() {
        let places = Places::of(0, 100);
        let mut taken: Vec<Place> = (0..4).map(|_| places.or_refuse("readers").unwrap()).collect();
        let refused = places.or_refuse("readers").unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert_eq!(refused.message(), "4 readers are open, and there may be no more");
        assert!(places.clone().take().is_none());
        taken.pop();
        let share = places.share();
        assert!(share.take().is_some_and(|_| places.take().is_some()), "a share counts by itself");
    }
}
