//! The venue: balances and books joined into one deterministic state machine.
//!
//! [`Venue::apply`] takes a command and its journaled time, and writes events. The same commands in the same order
//! give the same events byte for byte and the same [`Venue::state_hash`], in every run and on every machine: the venue
//! reads no clock and no randomness, and iterates no hash map.
//!
//! [`Venue::screen`] stands before the journal. It answers retries from memory and refuses what can be refused for
//! good without being recorded: malformed, expired or forgotten commands.

mod admin;
mod amend;
pub mod auction;
mod audit;
mod bucket;
mod cancel;
pub mod codec;
pub mod command;
mod command_bytes;
pub mod dedupe;
pub mod event;
mod event_bytes;
mod floor;
pub mod logic;
pub mod market;
mod orders;
mod packed;
mod pieces;
mod query;
mod restoring;
mod screen;
pub mod sessions;
mod snapshot;
mod spec_bytes;
mod standing;
mod state;
mod transfers;

pub use command::Command;
pub use dedupe::Outcome;
pub use event::{Body, Code, Event, Output};
pub use logic::LOGIC_VERSION;
pub use packed::Packed;
pub use query::OpenOrder;
pub use state::{ACCOUNT_ORDERS_MAX, ORDERS_MAX, PIECE, Venue};
