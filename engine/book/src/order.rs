//! The words of the book: what rests, what takes, and what is told of both.

use crate::Slot;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Side {
    Buy = 1,
    Sell = 2,
}

impl Side {
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

/// What happens when an order meets one of its own group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stp {
    CancelMaker = 1,
    CancelTaker = 2,
    CancelBoth = 3,
}

/// An order that rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    pub id: u64,
    pub leaves: u64,
    /// Self-trade group; 0 is none.
    pub group: u64,
    /// The caller's own handle, told back in every report.
    pub owner: u32,
}

/// An order on its way through the book. [`Book::take`] counts `leaves` and `budget` down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taker {
    pub side: Side,
    /// No trade is worse than this.
    pub limit: i64,
    pub leaves: u64,
    /// Sum of price × quantity that may still be spent; `None` where the quantity alone decides.
    pub budget: Option<u64>,
    pub group: u64,
    pub stp: Stp,
}

/// One trade, told from the maker's place in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    pub slot: Slot,
    pub maker: u64,
    pub owner: u32,
    /// The maker's price: the only one anybody trades at.
    pub price: i64,
    pub qty: u64,
    pub maker_leaves: u64,
    pub taker_leaves: u64,
}

/// Who listens to what [`Book::take`] does, as it happens.
pub trait Tape {
    fn fill(&mut self, fill: Fill);
    /// A maker of the taker's own group was cancelled; `slot` is free from now on.
    fn pulled(&mut self, slot: Slot, order: Resting, price: i64);
}

/// Why [`Book::take`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing left to fill, or nothing left to fill it with.
    Done,
    /// The taker met its own group and is cancelled.
    SelfTrade,
    /// The budget does not buy one more lot.
    Budget,
}

/// Whether an order could be filled whole, here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Whole,
    Partly,
    /// Its own group stands in the way.
    SelfTrade,
}
