//! Versions of the rules: a journal is replayed by those under which it was written.
//!
//! A program leads by the newest rules that it knows, and says so in the journal before anything else ([`Command::Lead`]).
//! From that record on the newer rules count, in its own process and in every replay. Whoever changes a rule so that the
//! same commands would give other events raises [`LOGIC_VERSION`], keeps the old rule beside the new one and asks
//! [`Venue::logic`] which of them counts. An old rule may go once no journal, attic or snapshot needs it.
//!
//! [`Command::Lead`]: crate::Command::Lead
//! [`Venue::logic`]: crate::Venue::logic

use std::fmt;

use crate::codec::Malformed;

/// The newest rules that this program knows. Tests of this crate know one more.
pub const LOGIC_VERSION: u32 = if cfg!(test) { 5 } else { 4 };

/// An order is made larger only within the price band, whatever its price: before, one that kept its price could grow
/// where the band had moved away from it.
pub(crate) const LARGER_WITHIN_BAND: u32 = 2;

/// The ends of streams are journaled, or follow from another leader's begin: see [`crate::sessions`].
pub(crate) const SESSIONS_END: u32 = 3;

/// Nobody has more than [`crate::ACCOUNT_ORDERS_MAX`] orders, and what ends or trades more than [`crate::PIECE`] at once
/// does so in pieces, with other commands between them: an administrator's mass cancel, which is asked for again, and an
/// auction, whose clock goes on with it.
pub(crate) const IN_PIECES: u32 = 4;

/// Rules that only tests know: a tick is told.
#[cfg(test)]
pub(crate) const TRIAL: u32 = 5;

/// Why a journaled command cannot be applied. The state is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Malformed(Malformed),
    /// A leader of these rules wrote from here on.
    Logic(u32),
}

impl From<Malformed> for Refused {
    fn from(what: Malformed) -> Refused {
        Refused::Malformed(what)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Malformed(what) => what.fmt(f),
            Refused::Logic(version) => f.write_str(&unknown(*version)),
        }
    }
}

impl std::error::Error for Refused {}

pub fn is_known(version: u32) -> bool {
    (1..=LOGIC_VERSION).contains(&version)
}

/// What an operator reads where other rules count than this program knows.
pub fn unknown(version: u32) -> String {
    format!(
        "from here on logic version {version} counts, and this program knows versions up to {LOGIC_VERSION}: start the \
         program that wrote it, or a newer one"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Body, Output};
    use crate::{Command, Event, Venue};

    /// A journal: an old leader's ticks, then a newer one's.
    fn journal() -> Vec<Vec<u8>> {
        let lead = |epoch, logic_version| Command::Lead { epoch, logic_version };
        let commands = [
            lead(1, 1),
            Command::Tick,
            Command::Tick,
            lead(2, TRIAL),
            Command::Tick,
            lead(3, TRIAL),
            Command::Tick,
        ];
        let encode = |command: &Command| {
            let mut bytes = Vec::new();
            command.encode(&mut bytes);
            bytes
        };
        commands.iter().map(encode).collect()
    }

    fn replayed(venue: &mut Venue, records: &[Vec<u8>]) -> Vec<Event> {
        let mut output = Output::default();
        for bytes in records {
            venue.replay(venue.time_ns() + 1, bytes, &mut output).unwrap();
        }
        output.events().unwrap()
    }

    fn rules(events: &[Event]) -> Vec<(u64, u32)> {
        let told = |event: &Event| match event.body {
            Body::Marker { logic_version, .. } => (event.engine_seq, logic_version),
            _ => unreachable!("nothing else is told"),
        };
        events.iter().map(told).collect()
    }

    #[test]
    fn old_records_are_replayed_by_the_rules_that_they_were_written_under() {
        let mut venue = Venue::new();
        let events = replayed(&mut venue, &journal());
        // The old leader's ticks are silent for ever, those after the upgrade are told.
        assert_eq!(rules(&events), [(1, 1), (4, TRIAL), (5, TRIAL), (6, TRIAL), (7, TRIAL)]);
        assert_eq!(venue.logic(), TRIAL);
    }

    #[test]
    fn an_upgrade_changes_nothing_of_what_was_told_before_it() {
        let mut old = Venue::new();
        let told = replayed(&mut old, &journal()[..3]);
        let mut new = Venue::new();
        assert_eq!(replayed(&mut new, &journal()[..3]), told);
        // What the new program would have to begin with is what the old one left.
        assert_eq!((new.state_hash(), new.chain(), new.logic()), (old.state_hash(), old.chain(), 1));
    }

    #[test]
    fn a_snapshot_carries_the_rules_that_count_behind_it() {
        let mut whole = Venue::new();
        replayed(&mut whole, &journal());
        for at in 0..=journal().len() {
            let mut venue = Venue::new();
            replayed(&mut venue, &journal()[..at]);
            let mut restored = Venue::restore(&venue.snapshot()).unwrap();
            assert_eq!(restored.logic(), venue.logic());
            replayed(&mut restored, &journal()[at..]);
            assert_eq!((restored.state_hash(), restored.chain()), (whole.state_hash(), whole.chain()));
        }
        // The rules are part of what the hash names.
        let mut other = Venue::restore(&whole.snapshot()).unwrap();
        other.logic = 1;
        assert_ne!(other.state_hash(), whole.state_hash());
    }

    #[test]
    fn rules_that_are_not_known_are_refused_and_the_state_is_as_it_was() {
        let mut venue = Venue::new();
        replayed(&mut venue, &journal());
        let before = (venue.state_hash(), venue.engine_seq());
        for logic_version in [0, TRIAL + 1, u32::MAX] {
            let mut bytes = Vec::new();
            Command::Lead { epoch: 4, logic_version }.encode(&mut bytes);
            let refused = venue.replay(venue.time_ns() + 1, &bytes, &mut Output::default()).unwrap_err();
            assert_eq!(refused, Refused::Logic(logic_version));
            assert!(refused.to_string().contains("start the program that wrote it"), "{refused}");
            assert_eq!((venue.state_hash(), venue.engine_seq()), before);
        }
        venue.logic = TRIAL + 1;
        assert!(Venue::restore(&venue.snapshot()).is_err());
    }
}
