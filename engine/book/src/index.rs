//! Where everything is, by its id, in parts none of which grows large.
//!
//! Whoever finds a table full pays for a larger one, into which all that lies there is moved: with a million orders that
//! would hold everybody up for tens of milliseconds. Here a part that is full is split in two, and the others stay as they
//! are (extendible hashing: Fagin, Nievergelt, Pippenger, Strong, 1979).
//!
//! In a part ids lie beside what they stand for, from where their hash says on until there is room (linear probing). Where
//! there are many, an id costs one line that is not in the caches, and a table with tags aside costs two.

use std::hash::{BuildHasher, BuildHasherDefault, Hash};

use crate::hash::FixedHasher;

/// Places of a part.
const PART: usize = 512;
/// So many bits of an id's hash tell its part at most. Beyond 65,536 parts, or where ids were chosen so that these bits
/// are the same, parts grow as any table does.
const DEPTH_MAX: u32 = 16;

struct Part<V, K> {
    /// As many as a power of two, and three of eight free.
    cells: Box<[Option<(K, V)>]>,
    held: usize,
    /// So many bits are the same for all that it holds.
    depth: u32,
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
        Index { parts: vec![Part::of(PART, 0)], directory: vec![0], len: 0 }
    }
}

#[inline]
fn hash<K: Hash>(id: &K) -> u64 {
    BuildHasherDefault::<FixedHasher>::default().hash_one(id)
}

/// Where an id is looked for first in its part is told by the lowest bits of its hash, which part that is by others.
#[inline]
fn bits(hash: u64) -> usize {
    (hash >> 32) as usize
}

impl<V, K> Part<V, K> {
    fn of(places: usize, depth: u32) -> Part<V, K> {
        Part { cells: (0..places).map(|_| None).collect(), held: 0, depth }
    }

    fn is_full(&self) -> bool {
        self.held >= self.cells.len() / 8 * 5
    }
}

impl<V, K: Hash + Eq> Part<V, K> {
    /// Where an id lies, or else where it would.
    #[inline]
    fn find(&self, hash: u64, id: &K) -> Result<usize, usize> {
        let mut at = hash as usize & (self.cells.len() - 1);
        loop {
            match &self.cells[at] {
                Some((held, _)) if held == id => return Ok(at),
                Some(_) => at = (at + 1) & (self.cells.len() - 1),
                None => return Err(at),
            }
        }
    }

    /// For an id that does not lie there yet, and room for it.
    fn put(&mut self, hash: u64, id: K, value: V) {
        let at = self.find(hash, &id).unwrap_or_else(|at| at);
        self.cells[at] = Some((id, value));
        self.held += 1;
    }

    /// Those behind it that stand aside for it move up, so that each is found without a break on the way.
    #[inline]
    fn take(&mut self, at: usize) -> Option<(K, V)> {
        let mask = self.cells.len() - 1;
        let taken = self.cells[at].take();
        self.held -= 1;
        let (mut hole, mut next) = (at, (at + 1) & mask);
        while let Some((id, _)) = &self.cells[next] {
            let home = hash(id) as usize & mask;
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.cells.swap(hole, next);
                hole = next;
            }
            next = (next + 1) & mask;
        }
        taken
    }
}

impl<V, K: Hash + Eq> Index<V, K> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn part(&self, hash: u64) -> usize {
        self.directory[bits(hash) & (self.directory.len() - 1)] as usize
    }

    #[inline]
    pub fn get(&self, id: &K) -> Option<&V> {
        let hash = hash(id);
        let part = &self.parts[self.part(hash)];
        let at = part.find(hash, id).ok()?;
        part.cells[at].as_ref().map(|(_, value)| value)
    }

    #[inline]
    pub fn contains_key(&self, id: &K) -> bool {
        self.get(id).is_some()
    }

    #[inline]
    pub fn insert(&mut self, id: K, value: V) -> Option<V> {
        let hash = hash(&id);
        let number = self.part(hash);
        let part = &mut self.parts[number];
        match part.find(hash, &id) {
            Ok(at) => part.cells[at].replace((id, value)).map(|(_, before)| before),
            Err(at) => {
                if part.is_full() {
                    self.split(hash);
                    let number = self.part(hash);
                    self.parts[number].put(hash, id, value);
                } else {
                    part.cells[at] = Some((id, value));
                    part.held += 1;
                }
                self.len += 1;
                None
            }
        }
    }

    #[inline]
    pub fn remove(&mut self, id: &K) -> Option<V> {
        let hash = hash(id);
        let number = self.part(hash);
        let part = &mut self.parts[number];
        let at = part.find(hash, id).ok()?;
        self.len -= 1;
        part.take(at).map(|(_, value)| value)
    }

    /// Makes room where an id with this hash belongs: moves those of its part that have the next bit set into a part of
    /// their own, again if these are all or none.
    #[cold]
    fn split(&mut self, hashed: u64) {
        let mut at = self.part(hashed);
        while self.parts[at].is_full() {
            let part = &mut self.parts[at];
            let bit = 1 << part.depth;
            if part.depth == DEPTH_MAX {
                let larger = Part::of(2 * part.cells.len(), DEPTH_MAX);
                let cells = std::mem::replace(part, larger).cells;
                cells.into_iter().flatten().for_each(|(id, value)| part.put(hash(&id), id, value));
                return;
            }
            let halves = [0; 2].map(|_| Part::of(part.cells.len(), part.depth + 1));
            let [low, mut high] = halves;
            let cells = std::mem::replace(part, low).cells;
            for (id, value) in cells.into_iter().flatten() {
                let hash = hash(&id);
                let half = if bits(hash) & bit == 0 { &mut *part } else { &mut high };
                half.put(hash, id, value);
            }
            if self.directory.len() == bit {
                self.directory.extend_from_within(..);
            }
            let same = bits(hashed) & (bit - 1);
            for place in (same | bit..self.directory.len()).step_by(bit << 1) {
                self.directory[place] = self.parts.len() as u32;
            }
            self.parts.push(high);
            at = self.part(hashed);
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
        assert!(index.parts.iter().all(|part| part.held <= PART / 8 * 5 && part.cells.len() == PART));
        assert!(index.parts.len() <= 256, "{} parts", index.parts.len());
        assert!((0..IDS).all(|id| index.get(&id) == Some(&(id * 3))) && index.get(&IDS).is_none());
        for id in (0..IDS).step_by(2) {
            let told = (index.insert(id, 1), index.remove(&id), index.remove(&id));
            assert_eq!(told, (Some(id * 3), Some(1), None));
        }
        assert!((0..IDS).all(|id| index.get(&id).is_some() == (id % 2 == 1)));
        assert_eq!(index.len() as u64, IDS / 2);
    }

    /// Against a map of the standard library, with so few ids that they stand in each other's way over the end of a part.
    #[test]
    fn whoever_stood_aside_is_found_when_the_other_is_gone() {
        let (mut index, mut map) = (Index::default(), crate::Map::default());
        let mut ids: Vec<u64> =
            (0..).filter(|id| (hash(id) as usize % PART + 9) % PART < 18).take(40).collect();
        let mut seed = 1u64;
        for turn in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = ids[(seed >> 33) as usize % ids.len()];
            match seed >> 62 {
                0 | 1 => assert_eq!(index.insert(id, turn), map.insert(id, turn)),
                _ => assert_eq!(index.remove(&id), map.remove(&id)),
            }
            if turn % 100 == 0 {
                ids.rotate_left(1);
                assert!(ids.iter().all(|id| index.get(id) == map.get(id)) && index.len() == map.len());
            }
        }
    }

    #[test]
    fn ids_that_no_bit_tells_apart_lie_in_one_part() {
        let same = |id: &u64| bits(hash(id)) & ((1 << DEPTH_MAX) - 1) == 0;
        let mut ids = (0..).filter(same);
        let mut index = Index::default();
        let held: Vec<u64> = ids.by_ref().take(PART).collect();
        held.iter().for_each(|&id| assert_eq!(index.insert(id, ()), None));
        assert!(held.iter().all(|id| index.contains_key(id)) && !index.contains_key(&ids.next().unwrap()));
        assert_eq!((index.len(), index.directory.len()), (PART, 1 << DEPTH_MAX));
    }
}
