//! The book behind a C interface, so that an outside harness can drive it and read its reports back.
//!
//! One book, one thread. Orders are named by the caller's ids. Reports of the latest call lie in a buffer of the book
//! and stay valid until the next call; `ffi/countersign_book.h` is the header.

use countersign_book::{Book, Fill, Index, Reach, Resting, Side, Slot, Stop, Stp, Taker, Tape};

pub const TAKEN: i32 = 0;
pub const MALFORMED: i32 = 1;
pub const DUPLICATE: i32 = 2;
pub const UNKNOWN: i32 = 3;
pub const WOULD_TAKE: i32 = 4;
pub const UNFILLABLE: i32 = 5;

const GTC: u32 = 1;
const IOC: u32 = 2;
const FOK: u32 = 3;

/// What happened to a maker: 1 = traded, 2 = cancelled because it was of the taker's own group.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub kind: u64,
    pub maker: u64,
    pub price: i64,
    pub qty: u64,
    pub maker_leaves: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub id: u64,
    /// 1 = buy, 2 = sell.
    pub side: u32,
    /// 1 = good till cancelled, 2 = immediate or cancel, 3 = fill or kill.
    pub tif: u32,
    pub price: i64,
    pub qty: u64,
    /// Self-trade group; 0 = none.
    pub group: u64,
    /// 1 = cancel the maker, 2 = the taker, 3 = both.
    pub stp: u32,
    pub post_only: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub code: i32,
    /// 1 when what was left rests now.
    pub rests: i32,
    pub leaves: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub id: u64,
    pub price: i64,
    pub leaves: u64,
    pub group: u64,
}

#[derive(Clone, Copy)]
struct Place {
    slot: Slot,
    side: Side,
}

/// What the handle points to.
#[derive(Default)]
pub struct Desk {
    book: Book,
    index: Index<Place>,
    reports: Vec<Report>,
    standing: Vec<Standing>,
}

struct Floor<'a> {
    index: &'a mut Index<Place>,
    reports: &'a mut Vec<Report>,
}

impl Tape for Floor<'_> {
    #[inline]
    fn fill(&mut self, fill: Fill) {
        let Fill { maker, price, qty, maker_leaves, .. } = fill;
        self.reports.push(Report { kind: 1, maker, price, qty, maker_leaves });
        if maker_leaves == 0 {
            self.index.remove(&maker);
        }
    }

    fn pulled(&mut self, _: Slot, order: Resting, price: i64) {
        self.reports.push(Report { kind: 2, maker: order.id, price, qty: order.leaves, maker_leaves: 0 });
        self.index.remove(&order.id);
    }
}

fn side_of(number: u32) -> Option<Side> {
    match number {
        1 => Some(Side::Buy),
        2 => Some(Side::Sell),
        _ => None,
    }
}

impl Desk {
    fn submit(&mut self, order: &Order) -> Outcome {
        self.reports.clear();
        let refuse = |code| Outcome { code, rests: 0, leaves: order.qty };
        let stp = match order.stp {
            2 => Stp::CancelTaker,
            3 => Stp::CancelBoth,
            _ => Stp::CancelMaker,
        };
        let Some(side) = side_of(order.side) else { return refuse(MALFORMED) };
        if order.qty == 0 || order.id == 0 || !(GTC..=FOK).contains(&order.tif) {
            return refuse(MALFORMED);
        }
        if self.index.contains_key(&order.id) {
            return refuse(DUPLICATE);
        }
        let crosses = self.book.crosses(side, order.price);
        if order.post_only != 0 && (crosses || order.tif != GTC) {
            return refuse(WOULD_TAKE);
        }
        let mut taker =
            Taker { side, limit: order.price, leaves: order.qty, budget: None, group: order.group, stp };
        if order.tif == FOK && self.book.reach(&taker) != Reach::Whole {
            return refuse(UNFILLABLE);
        }
        let mut stop = Stop::Done;
        if crosses {
            stop =
                self.book.take(&mut taker, &mut Floor { index: &mut self.index, reports: &mut self.reports });
        }
        let rests = order.tif != IOC && taker.leaves > 0 && stop == Stop::Done;
        if rests {
            let resting = Resting { id: order.id, leaves: taker.leaves, group: order.group, owner: 0 };
            let slot = self.book.rest(side, order.price, resting);
            self.index.insert(order.id, Place { slot, side });
        }
        Outcome { code: TAKEN, rests: i32::from(rests), leaves: taker.leaves }
    }

    fn cancel(&mut self, id: u64) -> i32 {
        self.reports.clear();
        let Some(place) = self.index.remove(&id) else { return UNKNOWN };
        self.book.remove(place.side, place.slot);
        TAKEN
    }

    /// Makes an order smaller in its place; nothing left means that it goes.
    fn reduce(&mut self, id: u64, by: u64) -> i32 {
        self.reports.clear();
        let Some(place) = self.index.get(&id).copied() else { return UNKNOWN };
        let leaves = self.book.order(place.slot).leaves;
        if by == 0 {
            return MALFORMED;
        }
        if by >= leaves {
            return self.cancel(id);
        }
        self.book.reduce(place.side, place.slot, leaves - by);
        TAKEN
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn countersign_book_new() -> *mut Desk {
    Box::into_raw(Box::default())
}

/// # Safety
/// `desk` comes from [`countersign_book_new`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_book_free(desk: *mut Desk) {
    if !desk.is_null() {
        // SAFETY: by this function's contract the box is handed back exactly once.
        drop(unsafe { Box::from_raw(desk) });
    }
}

/// # Safety
/// `desk` is a living book that no other thread uses; `order` points to an order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_book_submit(desk: *mut Desk, order: *const Order) -> Outcome {
    // SAFETY: by this function's contract both are valid and the book is not shared.
    let (desk, order) = unsafe { (&mut *desk, &*order) };
    desk.submit(order)
}

/// # Safety
/// `desk` is a living book that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_book_cancel(desk: *mut Desk, id: u64) -> i32 {
    // SAFETY: by this function's contract.
    unsafe { &mut *desk }.cancel(id)
}

/// # Safety
/// `desk` is a living book that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_book_reduce(desk: *mut Desk, id: u64, by: u64) -> i32 {
    // SAFETY: by this function's contract.
    unsafe { &mut *desk }.reduce(id, by)
}

/// Reports of the latest call; `count` receives how many.
///
/// # Safety
/// `desk` is a living book that no other thread uses; `count` can be written to. What is returned may be read until
/// the next call with this book.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_book_reports(desk: *const Desk, count: *mut usize) -> *const Report {
    // SAFETY: by this function's contract.
    unsafe {
        *count = (*desk).reports.len();
        (*desk).reports.as_ptr()
    }
}

/// Resting orders of a side, best price first, oldest first within a price.
///
/// # Safety
/// As for [`countersign_book_reports`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_book_standing(
    desk: *mut Desk,
    side: u32,
    count: *mut usize,
) -> *const Standing {
    // SAFETY: by this function's contract.
    let desk = unsafe { &mut *desk };
    desk.standing.clear();
    if let Some(side) = side_of(side) {
        let told = desk.book.orders(side).map(|(price, _, order)| Standing {
            id: order.id,
            price,
            leaves: order.leaves,
            group: order.group,
        });
        desk.standing.extend(told);
    }
    // SAFETY: by this function's contract.
    unsafe { *count = desk.standing.len() };
    desk.standing.as_ptr()
}

#[cfg(test)]
mod tests;
