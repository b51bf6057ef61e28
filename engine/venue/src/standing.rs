//! Whose orders rest where: a list for each account and for each session.
//!
//! Cancelling all of somebody's orders, or telling them, costs as much as that one has standing, however many others
//! rest beside them. The lists run through one table, so an order joins and leaves at a cost that depends on nothing.
//! They hold no state of their own: a snapshot does not carry them, and reading one back builds them again.

use countersign_book::{NONE, Pages, Pool, Pooled};
use countersign_risk::Handle;

use crate::market::Place;

/// Where an order is in the table. Kept beside the order, valid until it leaves.
pub(crate) type Listed = u32;

#[derive(Clone, Copy)]
struct Link {
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    place: Place,
    account: Handle,
    /// 0 = none, and then in no list of sessions.
    session: u32,
    /// Rises with every order that rests, so it tells the queue's order within a price.
    turn: u64,
    of_account: Link,
    of_session: Link,
}

impl Pooled for Entry {
    #[inline]
    fn next_free(&mut self) -> &mut u32 {
        &mut self.of_account.next
    }
}

pub(crate) struct Standing {
    entries: Pool<Entry>,
    turn: u64,
    /// First entry of each account and of each session; newest first.
    accounts: Pages<u32>,
    sessions: Pages<u32>,
    /// Of each account.
    counts: Pages<u32>,
}

impl Default for Standing {
    fn default() -> Self {
        let heads = || Pages::new(NONE);
        let (entries, counts) = (Pool::default(), Pages::new(0));
        Standing { entries, turn: 0, accounts: heads(), sessions: heads(), counts }
    }
}

/// Whose list is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Account(Handle),
    Session(u32),
}

impl Owner {
    fn link(self, entry: &mut Entry) -> &mut Link {
        match self {
            Owner::Account(_) => &mut entry.of_account,
            Owner::Session(_) => &mut entry.of_session,
        }
    }
}

impl Standing {
    pub fn join(&mut self, place: Place, account: Handle, session: u32) -> Listed {
        self.turn += 1;
        let alone = Link { prev: NONE, next: NONE };
        let entry = Entry { place, account, session, turn: self.turn, of_account: alone, of_session: alone };
        let listed = self.entries.put(entry);
        self.link(Owner::Account(account), listed);
        *self.counts.at(account as usize) += 1;
        if session != 0 {
            self.link(Owner::Session(session), listed);
        }
        listed
    }

    pub fn leave(&mut self, listed: Listed) {
        let Entry { account, session, .. } = self.entries[listed];
        self.unlink(Owner::Account(account), listed);
        *self.counts.at(account as usize) -= 1;
        if session != 0 {
            self.unlink(Owner::Session(session), listed);
        }
        self.entries.give_back(listed);
    }

    fn head(&mut self, owner: Owner) -> &mut u32 {
        match owner {
            Owner::Account(account) => self.accounts.at(account as usize),
            Owner::Session(session) => self.sessions.at(session as usize),
        }
    }

    fn link(&mut self, owner: Owner, listed: Listed) {
        let first = std::mem::replace(self.head(owner), listed);
        owner.link(&mut self.entries[listed]).next = first;
        if first != NONE {
            owner.link(&mut self.entries[first]).prev = listed;
        }
    }

    fn unlink(&mut self, owner: Owner, listed: Listed) {
        let Link { prev, next } = *owner.link(&mut self.entries[listed]);
        match prev {
            NONE => *self.head(owner) = next,
            prev => owner.link(&mut self.entries[prev]).next = next,
        }
        if next != NONE {
            owner.link(&mut self.entries[next]).prev = prev;
        }
    }

    /// Orders of an account that rest.
    #[inline]
    pub fn count(&self, account: Handle) -> u32 {
        self.counts.get(account as usize)
    }

    /// Where somebody's orders rest, each with its turn; newest first.
    pub fn of(&self, owner: Owner) -> impl Iterator<Item = (Place, u64)> {
        let first = match owner {
            Owner::Account(account) => self.accounts.get(account as usize),
            Owner::Session(session) => self.sessions.get(session as usize),
        };
        let mut at = first;
        std::iter::from_fn(move || {
            let mut entry = *self.entries.get(at)?;
            at = owner.link(&mut entry).next;
            Some((entry.place, entry.turn))
        })
    }

    /// The order that was listed as this one: its place, account, session and turn.
    pub fn entry(&self, listed: Listed) -> Option<(Place, Handle, u32, u64)> {
        let entry = self.entries.get(listed)?;
        Some((entry.place, entry.account, entry.session, entry.turn))
    }

    /// The lists hold `resting` orders and nothing twice; the caller has looked at each order's own entry.
    pub fn audit(&self, resting: usize) -> Result<(), String> {
        let accounts = (0..self.accounts.end() as u32).map(Owner::Account);
        let sessions = (1..self.sessions.end() as u32).map(Owner::Session);
        let (mut in_accounts, mut in_sessions) = (0, 0);
        for owner in accounts.chain(sessions) {
            let (mut newer, before) = (u64::MAX, in_accounts);
            for (_, turn) in self.of(owner) {
                // Turns that only fall also prove that the list ends.
                if turn >= newer {
                    return Err(format!("a list of resting orders is out of turn at {turn}"));
                }
                newer = turn;
                match owner {
                    Owner::Account(_) => in_accounts += 1,
                    Owner::Session(_) => in_sessions += 1,
                }
            }
            if let Owner::Account(account) = owner
                && in_accounts - before != self.count(account) as usize
            {
                return Err(format!("{} orders of an account are counted", self.count(account)));
            }
        }
        if in_accounts != resting || self.entries.len() != resting || in_sessions > resting {
            return Err(format!(
                "{resting} orders rest, accounts list {in_accounts} of them and sessions {in_sessions}"
            ));
        }
        Ok(())
    }
}
