//! Where everything is, by its id, in parts none of which grows large.
//!
//! Whoever finds a table full pays for a larger one, into which all that lies there is moved: with a million orders that
//! would hold everybody up for tens of milliseconds. Here a part that is full is split in two, and the others stay as they
//! are (extendible hashing: Fagin, Nievergelt, Pippenger, Strong, 1979).
//!
//! Parts are maps of the standard library: the tags that it keeps aside lie in the caches also where the book is deep, so
//! an insertion waits for no line that is not there, and a look-up for one, past which the processor reads on.

use std::hash::{BuildHasher, BuildHasherDefault, Hash};

use crate::Map;
use crate::hash::FixedHasher;

/// Ids of a part at most: what a map of 2,048 places takes.
const PART: usize = 1_792;
/// So many bits of an id's hash tell its part at most. Beyond 65,536 parts, or where ids were chosen so that these bits
/// are the same, parts grow as any table does.
const DEPTH_MAX: u32 = 16;

struct Part<V, K> {
    held: Map<K, V>,
    /// So many bits are the same for all that it holds.
    depth: u32,
}

impl<V, K> Part<V, K> {
    fn of(depth: u32) -> Part<V, K> {
        Part { held: Map::with_capacity_and_hasher(PART, BuildHasherDefault::default()), depth }
    }
}

/// Ids of orders, accounts and transfers to where these are.
pub struct Index<V, K = u64> {
    parts: Vec<Part<V, K>>,
    /// Which part holds the ids whose bits are those of the place here. As long as a power of two.
    directory: Vec<u32>,
    len: usize,
}

impl<V, K> Default for Index<V, K> {
    fn default() -> Self {
        Index { parts: vec![Part::of(0)], directory: vec![0], len: 0 }
    }
}

/// What tells an id's part: not the bits of its hash by which a map finds it.
#[inline]
fn bits<K: Hash>(id: &K) -> usize {
    (BuildHasherDefault::<FixedHasher>::default().hash_one(id) >> 32) as usize
}

impl<V, K: Hash + Eq> Index<V, K> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn part(&self, bits: usize) -> usize {
        self.directory[bits & (self.directory.len() - 1)] as usize
    }

    #[inline]
    pub fn get(&self, id: &K) -> Option<&V> {
        self.parts[self.part(bits(id))].held.get(id)
    }

    #[inline]
    pub fn contains_key(&self, id: &K) -> bool {
        self.get(id).is_some()
    }

    #[inline]
    pub fn insert(&mut self, id: K, value: V) -> Option<V> {
        let bits = bits(&id);
        let mut number = self.part(bits);
        if self.parts[number].held.len() == PART {
            self.split(bits);
            number = self.part(bits);
        }
        let before = self.parts[number].held.insert(id, value);
        self.len += usize::from(before.is_none());
        before
    }

    #[inline]
    pub fn remove(&mut self, id: &K) -> Option<V> {
        let number = self.part(bits(id));
        let taken = self.parts[number].held.remove(id);
        self.len -= usize::from(taken.is_some());
        taken
    }

    /// Makes room where ids with these bits belong: moves those of their part that have the next bit set into a part of
    /// their own, again if these are all or none.
    #[cold]
    fn split(&mut self, belongs: usize) {
        let mut at = self.part(belongs);
        while self.parts[at].held.len() == PART && self.parts[at].depth < DEPTH_MAX {
            let part = &mut self.parts[at];
            let bit = 1 << part.depth;
            let [low, mut high] = [0; 2].map(|_| Part::of(part.depth + 1));
            for (id, value) in std::mem::replace(part, low).held {
                let half = if bits(&id) & bit == 0 { &mut *part } else { &mut high };
                half.held.insert(id, value);
            }
            if self.directory.len() == bit {
                self.directory.extend_from_within(..);
            }
            let same = belongs & (bit - 1);
            for place in (same | bit..self.directory.len()).step_by(bit << 1) {
                self.directory[place] = self.parts.len() as u32;
            }
            self.parts.push(high);
            at = self.part(belongs);
        }
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
    fn splits_what_is_full_and_finds_everything_again() {
        const IDS: u64 = 50_000;
        let mut index = Index::default();
        for id in 0..IDS {
            assert_eq!(index.insert(id, id * 3), None);
        }
        assert_eq!(index.len() as u64, IDS);
        assert!(index.parts.iter().all(|part| part.held.len() <= PART));
        assert!(index.parts.len() <= 64, "{} parts", index.parts.len());
        assert!((0..IDS).all(|id| index.get(&id) == Some(&(id * 3))) && index.get(&IDS).is_none());
        for id in (0..IDS).step_by(2) {
            let told = (index.insert(id, 1), index.remove(&id), index.remove(&id));
            assert_eq!(told, (Some(id * 3), Some(1), None));
        }
        assert!((0..IDS).all(|id| index.get(&id).is_some() == (id % 2 == 1)));
        assert_eq!(index.len() as u64, IDS / 2);
    }

    #[test]
    fn ids_that_no_bit_tells_apart_lie_in_one_part() {
        let mut same = (0u64..).filter(|id| bits(id) & ((1 << DEPTH_MAX) - 1) == 0);
        let mut index = Index::default();
        let held: Vec<u64> = same.by_ref().take(PART + 9).collect();
        held.iter().for_each(|&id| assert_eq!(index.insert(id, ()), None));
        assert!(held.iter().all(|id| index.contains_key(id)) && !index.contains_key(&same.next().unwrap()));
        assert_eq!((index.len(), index.directory.len()), (PART + 9, 1 << DEPTH_MAX));
    }
}
