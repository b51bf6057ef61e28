//! Where everything is, by its id, in parts that grow one at a time.
//!
//! Whoever finds a table full pays for a larger one, into which all that lies there is moved: with a million orders that
//! would hold everybody up for tens of milliseconds. Each part is a small share of it, and they are not full at once.

use std::hash::{BuildHasher, BuildHasherDefault, Hash};

use crate::hash::{FixedHasher, Map};

const PARTS: usize = 64;

/// Ids of orders, accounts and transfers to where these are.
pub struct Index<V, K = u64> {
    parts: Box<[Map<K, V>; PARTS]>,
    len: usize,
}

impl<V, K> Default for Index<V, K> {
    fn default() -> Self {
        Index { parts: Box::new(std::array::from_fn(|_| Map::default())), len: 0 }
    }
}

/// A table goes by the lowest and the highest bits of the same hash: these are others.
#[inline]
fn part<K: Hash>(id: &K) -> usize {
    (BuildHasherDefault::<FixedHasher>::default().hash_one(id) >> 40) as usize % PARTS
}

impl<V, K: Hash + Eq> Index<V, K> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn get(&self, id: &K) -> Option<&V> {
        self.parts[part(id)].get(id)
    }

    #[inline]
    pub fn contains_key(&self, id: &K) -> bool {
        self.get(id).is_some()
    }

    #[inline]
    pub fn insert(&mut self, id: K, value: V) -> Option<V> {
        let before = self.parts[part(&id)].insert(id, value);
        self.len += usize::from(before.is_none());
        before
    }

    #[inline]
    pub fn remove(&mut self, id: &K) -> Option<V> {
        let removed = self.parts[part(id)].remove(id);
        self.len -= usize::from(removed.is_some());
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_and_not_taken() {
        let mut index = Index::default();
        assert_eq!(index.insert(7, 'a'), None);
        assert_eq!(index.insert(7, 'b'), Some('a'));
        assert_eq!((index.len(), index.get(&7), index.contains_key(&8)), (1, Some(&'b'), false));
        assert_eq!((index.remove(&8), index.remove(&7), index.remove(&7)), (None, Some('b'), None));
        assert!(index.is_empty() && index.get(&7).is_none());
    }

    #[test]
    fn spreads_ids_that_follow_one_another_evenly_over_the_parts() {
        const EACH: usize = 1_000;
        let mut index = Index::default();
        (0..(PARTS * EACH) as u64).for_each(|id| assert_eq!(index.insert(id, ()), None));
        assert_eq!(index.len(), PARTS * EACH);
        let held = index.parts.iter().map(|part| part.len());
        assert!(held.clone().min() > Some(EACH * 8 / 10) && held.max() < Some(EACH * 12 / 10));
    }
}
