//! Outcomes whose ids are of the same 64 ms.

use std::hash::{BuildHasher, BuildHasherDefault};

use countersign_book::FixedHasher;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::command::Id;
use crate::dedupe::Remembered;
use crate::packed::Packed;

/// Outcomes in the order in which they came, and where each id's lies: only the small table is written at random.
///
/// What a snapshot told lies packed until somebody asks, or tells, for an id of this bucket: most that a start reads is
/// never asked for, so it need not wait until all of it is filed.
#[derive(Default)]
pub(crate) struct Bucket {
    pub stamp: u64,
    /// Earlier than `outcomes`, also where those came first: a start replays while it reads.
    packed: Vec<Packed>,
    outcomes: Vec<(Id, Remembered)>,
    places: HashTable<u32>,
}

fn hash(id: &Id) -> u64 {
    BuildHasherDefault::<FixedHasher>::default().hash_one(id)
}

impl Bucket {
    #[inline]
    pub fn find(&mut self, id: &Id) -> Option<&Remembered> {
        self.file();
        let at = self.places.find(hash(id), |&at| self.outcomes[at as usize].0 == *id)?;
        Some(&self.outcomes[*at as usize].1)
    }

    #[inline]
    pub fn put(&mut self, id: Id, remembered: Remembered) {
        self.file();
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

    /// None of these is of a later command than any that was put.
    pub fn recall(&mut self, packed: Packed) {
        self.packed.push(packed);
    }

    /// Finds room for what lies packed.
    #[inline]
    fn file(&mut self) {
        if !self.packed.is_empty() {
            self.unpack();
        }
    }

    #[cold]
    fn unpack(&mut self) {
        let packed = std::mem::take(&mut self.packed);
        let since = std::mem::take(&mut self.outcomes);
        let count = since.len() + packed.iter().map(Packed::count).sum::<usize>();
        // More may come.
        let count = count + count / 8;
        self.outcomes.reserve(count);
        self.places.clear();
        self.places.reserve(count, |_| unreachable!("it is empty"));
        packed.iter().for_each(|packed| packed.each(|id, remembered| self.put(*id, *remembered)));
        since.into_iter().for_each(|(id, remembered)| self.put(id, remembered));
    }

    /// The same where nothing may change: reads through what lies packed.
    pub fn look_for(&self, id: &Id) -> Option<Remembered> {
        if self.packed.is_empty() {
            let at = self.places.find(hash(id), |&at| self.outcomes[at as usize].0 == *id)?;
            return Some(self.outcomes[*at as usize].1);
        }
        let mut found = None;
        self.each(|each, remembered| {
            if each == id {
                found = Some(*remembered);
            }
        });
        found
    }

    pub fn each(&self, mut take: impl FnMut(&Id, &Remembered)) {
        self.packed.iter().for_each(|packed| packed.each(&mut take));
        self.outcomes.iter().for_each(|(id, remembered)| take(id, remembered));
    }

    pub fn len(&self) -> usize {
        self.outcomes.len() + self.packed.iter().map(Packed::count).sum::<usize>()
    }

    /// What commands behind `after` brought; `None` if that is nothing.
    pub fn since(&self, after: u64) -> Option<Packed> {
        let came = |(_, remembered): &(Id, Remembered)| remembered.outcome.engine_seq <= after;
        if self.packed.iter().all(|packed| packed.last_seq <= after) {
            let late = &self.outcomes[self.outcomes.partition_point(came)..];
            return (!late.is_empty()).then(|| Packed::of(self.stamp, late));
        }
        let mut late = Vec::with_capacity(self.len());
        self.each(|id, remembered| late.push((*id, *remembered)));
        let late = &late[late.partition_point(came)..];
        (!late.is_empty()).then(|| Packed::of(self.stamp, late))
    }

    /// Empty again, with room for as many.
    pub fn begin(&mut self, stamp: u64, expected: usize) {
        self.stamp = stamp;
        self.packed.clear();
        self.outcomes.clear();
        self.outcomes.reserve(expected);
        self.places.clear();
        self.places.reserve(expected, |_| unreachable!("it is empty"));
    }

    pub fn file_anew(&mut self) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.sort_by_key(|(_, remembered)| remembered.outcome.engine_seq);
        self.places.clear();
        outcomes.iter().for_each(|(id, remembered)| self.put(*id, *remembered));
    }

    #[cfg(test)]
    pub fn is_packed(&self) -> bool {
        !self.packed.is_empty()
    }

    #[cfg(test)]
    pub fn room(&self) -> usize {
        self.outcomes.capacity().min(self.places.capacity())
    }
}
