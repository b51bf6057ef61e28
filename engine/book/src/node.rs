//! A resting order as the book keeps it, and all of them by slot.

use crate::{NONE, Pages, Pool, Pooled, Resting, Slot};

/// Two of them share a cache line, and none lies on two: where the book is deep, what it costs is the lines that it reads.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub struct Node {
    pub id: u64,
    pub leaves: u64,
    pub owner: u32,
    /// With [`GROUPED`] set where the order has a group.
    pub(crate) level: u32,
    pub next: u32,
    pub prev: u32,
}

const GROUPED: u32 = 1 << 31;

impl Node {
    #[inline]
    pub fn level(&self) -> u32 {
        self.level & !GROUPED
    }
}

/// The orders that rest, by slot.
pub struct Orders {
    pub nodes: Pool<Node>,
    /// Self-trade groups lie aside, and only of orders that have one.
    groups: Pages<u64>,
}

impl Default for Orders {
    fn default() -> Self {
        Orders { nodes: Pool::default(), groups: Pages::new(0) }
    }
}

impl Orders {
    #[inline]
    pub fn group(&self, slot: Slot) -> u64 {
        if self.nodes[slot].level & GROUPED == 0 { 0 } else { self.groups.get(slot as usize) }
    }

    #[inline]
    pub fn of(&self, slot: Slot) -> Resting {
        let Node { id, leaves, owner, .. } = self.nodes[slot];
        Resting { id, leaves, group: self.group(slot), owner }
    }

    #[inline]
    pub fn put(&mut self, order: Resting, level: u32, prev: u32) -> Slot {
        let Resting { id, leaves, group, owner } = order;
        let level = if group == 0 { level } else { level | GROUPED };
        let slot = self.nodes.put(Node { id, leaves, owner, level, next: NONE, prev });
        if group != 0 {
            *self.groups.at(slot as usize) = group;
        }
        slot
    }
}

impl Pooled for Node {
    #[inline]
    fn next_free(&mut self) -> &mut u32 {
        &mut self.next
    }
}
