//! One market: its rules, its state, its book, and what the book need not know about each order.

use std::collections::BTreeMap;

use countersign_book::{Book, Slab, Slot};
use countersign_risk::AssetIndex;

use crate::auction::Call;
use crate::command::{InstrumentSpec, Side, State, Stp, Tif};
use crate::standing::Listed;

/// Beside the book's order, under the same slot.
#[derive(Clone, Copy, Debug)]
pub struct Details {
    pub side: Side,
    pub tif: Tif,
    pub stp: Stp,
    pub post_only: bool,
    pub session: u32,
    pub price: i64,
    /// Filled part included.
    pub total: u64,
    pub owner_ref: u64,
    /// 0 = none.
    pub expire_at_ms: u64,
    pub filled_ticklots: u128,
    /// Its entry among its owner's orders.
    pub(crate) listed: Listed,
}

/// Where an order rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub market: u32,
    pub slot: Slot,
}

pub struct Market {
    pub spec: InstrumentSpec,
    pub state: State,
    /// 0 before the first trade.
    pub last_price: i64,
    pub base: AssetIndex,
    pub quote: AssetIndex,
    pub book: Book,
    pub details: Slab<Details>,
    /// While the market is in `AUCTION`.
    pub call: Option<Call>,
}

/// The largest quantity and notional that an instrument may allow: sums of as many orders as may rest still fit.
const QTY_MAX: u64 = 1 << 40;
const UNITS_MAX: u128 = 1 << 100;

/// What is wrong with a specification, as a sentence for the operator.
pub fn check_spec(spec: &InstrumentSpec) -> Result<(), &'static str> {
    let symbol_is_plain = !spec.symbol.is_empty()
        && spec.symbol.len() <= 32
        && spec.symbol.bytes().all(|byte| byte.is_ascii_graphic());
    if spec.instrument_id == 0 || spec.instrument_id > 0xFFFF {
        return Err("the instrument id must be between 1 and 65535");
    }
    if !symbol_is_plain {
        return Err("the symbol must be 1 to 32 visible ASCII characters");
    }
    if spec.base_asset_id == spec.quote_asset_id {
        return Err("base and quote must be different assets");
    }
    if spec.base_units_per_lot == 0 || spec.quote_units_per_ticklot == 0 {
        return Err("units per lot and per ticklot must be at least 1");
    }
    if spec.min_price < 1 || spec.max_price < spec.min_price {
        return Err("prices of a spot market start at 1 tick, and the highest is not below the lowest");
    }
    if spec.min_qty < 1 || spec.max_qty < spec.min_qty || spec.max_qty > QTY_MAX {
        return Err(
            "quantities start at 1 lot and end at 2^40 lots, and the largest is not below the smallest",
        );
    }
    if spec.maker_fee_ppm > 100_000 || spec.taker_fee_ppm > 100_000 {
        return Err("a fee above 10 % is refused as a slip of the pen");
    }
    if spec.reference_price != 0
        && (spec.reference_price < spec.min_price || spec.reference_price > spec.max_price)
    {
        return Err("the reference price lies outside the price range");
    }
    let base = u128::from(spec.max_qty) * u128::from(spec.base_units_per_lot);
    let quote = (spec.max_price as u128 * u128::from(spec.max_qty))
        .saturating_mul(u128::from(spec.quote_units_per_ticklot));
    if base > UNITS_MAX || quote > UNITS_MAX {
        return Err("the largest order would be worth more than 2^100 units");
    }
    Ok(())
}

impl Market {
    #[inline]
    pub fn base_units(&self, qty: u64) -> u128 {
        u128::from(qty) * u128::from(self.spec.base_units_per_lot)
    }

    #[inline]
    pub fn quote_units(&self, price: i64, qty: u64) -> u128 {
        price as u128 * u128::from(qty) * u128::from(self.spec.quote_units_per_ticklot)
    }

    /// What a resting order of this price and remainder holds, and of which asset.
    #[inline]
    pub fn hold_of(&self, side: Side, price: i64, leaves: u64) -> (AssetIndex, u32, u128) {
        match side {
            Side::Buy => (self.quote, self.spec.quote_asset_id, self.quote_units(price, leaves)),
            Side::Sell => (self.base, self.spec.base_asset_id, self.base_units(leaves)),
        }
    }

    /// The last trade's price, or the operator's where nothing was traded since; 0 = neither.
    #[inline]
    pub fn anchor(&self) -> i64 {
        if self.last_price != 0 { self.last_price } else { self.spec.reference_price }
    }

    /// Whether the price is further on the paying side than the band allows.
    #[inline]
    pub fn is_outside_band(&self, side: Side, price: i64) -> bool {
        let anchor = self.anchor();
        if self.spec.price_band_ppm == 0 || anchor == 0 {
            return false;
        }
        let width = i128::from(anchor) * i128::from(self.spec.price_band_ppm);
        let distance = (i128::from(price) - i128::from(anchor)) * 1_000_000;
        match side {
            Side::Buy => distance > width,
            Side::Sell => distance < -width,
        }
    }

    /// Two orders that should have met rest side by side, as only an auction allows.
    pub fn is_crossed(&self) -> bool {
        match (self.book.best(Side::Buy), self.book.best(Side::Sell)) {
            (Some(bid), Some(ask)) => bid >= ask,
            _ => false,
        }
    }

    /// Only an auction leaves a book crossed, and even there no group stands against itself.
    pub fn audit(&self) -> Result<(), String> {
        if !self.is_crossed() {
            return Ok(());
        }
        let symbol = &self.spec.symbol;
        if matches!(self.state, State::Open | State::PostOnly) {
            return Err(format!("{symbol} is open and crossed"));
        }
        let mut asks = BTreeMap::new();
        for (price, _, order) in self.book.orders(Side::Sell).filter(|(_, _, order)| order.group != 0) {
            asks.entry(order.group).or_insert(price);
        }
        for (price, _, order) in self.book.orders(Side::Buy) {
            if asks.get(&order.group).is_some_and(|&ask| ask <= price) {
                return Err(format!("group {} stands against itself in {symbol}", order.group));
            }
        }
        Ok(())
    }

    pub fn put_details(&mut self, slot: Slot, details: Details) {
        if slot as usize == self.details.len() {
            self.details.push(details);
        } else {
            self.details[slot] = details;
        }
    }
}

/// Which states an instrument may go to from each state.
pub fn next(state: State) -> &'static [State] {
    use State::{Auction, CancelOnly, Closed, Halted, Open, PostOnly, Preopen};
    match state {
        Preopen => &[Auction, Open, PostOnly, CancelOnly, Halted, Closed],
        Auction => &[CancelOnly, Halted, Preopen],
        Open => &[PostOnly, CancelOnly, Halted],
        PostOnly => &[Open, CancelOnly, Halted],
        CancelOnly => &[Preopen, Auction, Open, PostOnly, Halted, Closed],
        Halted => &[Preopen, Auction, Open, PostOnly, CancelOnly, Closed],
        Closed => &[],
    }
}
