//! Entries that come and go, each under a number that is given out again once it is free.

use std::ops::{Index, IndexMut};

use crate::Slab;

/// No entry.
pub const NONE: u32 = u32::MAX;

/// What a pool holds. Of an entry that is free one field names the next free one; what else it held stays readable.
pub trait Pooled: Copy {
    fn next_free(&mut self) -> &mut u32;
}

pub struct Pool<T> {
    slab: Slab<T>,
    /// The one that was given back last.
    free: u32,
    taken: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { slab: Slab::default(), free: NONE, taken: 0 }
    }
}

impl<T: Pooled> Pool<T> {
    /// Entries that are taken.
    pub fn len(&self) -> usize {
        self.taken
    }

    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// What was ever put there, taken or free.
    pub fn get(&self, at: u32) -> Option<&T> {
        self.slab.get(at)
    }

    #[inline]
    pub fn put(&mut self, value: T) -> u32 {
        self.taken += 1;
        let at = self.free;
        if at == NONE {
            return self.slab.push(value);
        }
        let entry = &mut self.slab[at];
        self.free = *entry.next_free();
        *entry = value;
        at
    }

    #[inline]
    pub fn give_back(&mut self, at: u32) {
        self.taken -= 1;
        *self.slab[at].next_free() = self.free;
        self.free = at;
    }

    /// Every number was given out: it is taken or free, and none is free twice.
    pub fn audit(&self) -> Result<(), String> {
        let (mut at, mut free) = (self.free, 0);
        while at != NONE && free <= self.slab.len() {
            free += 1;
            at = *{ self.slab[at] }.next_free();
        }
        if self.taken + free != self.slab.len() {
            return Err(format!("{} are taken and {free} free of {}", self.taken, self.slab.len()));
        }
        Ok(())
    }
}

impl<T> Index<u32> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: u32) -> &T {
        &self.slab[at]
    }
}

impl<T> IndexMut<u32> for Pool<T> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.slab[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct One {
        value: u32,
        next: u32,
    }

    impl Pooled for One {
        fn next_free(&mut self) -> &mut u32 {
            &mut self.next
        }
    }

    #[test]
    fn a_number_is_given_out_again_once_it_is_free_the_last_one_first() {
        let mut pool = Pool::default();
        let put = |pool: &mut Pool<One>, value| pool.put(One { value, next: NONE });
        assert_eq!([1, 2, 3, 4].map(|value| put(&mut pool, value)), [0, 1, 2, 3]);
        pool.give_back(1);
        pool.give_back(3);
        assert_eq!((pool.len(), pool[3].value, pool.audit()), (2, 4, Ok(())));
        assert_eq!([5, 6, 7].map(|value| put(&mut pool, value)), [3, 1, 4]);
        assert_eq!((pool[0].value, pool[1].value, pool[3].value, pool[4].value), (1, 6, 5, 7));
        pool.audit().unwrap();
        pool.give_back(0);
        pool.give_back(0);
        assert!(pool.audit().is_err(), "one is free twice");
    }
}
