//! The gate in front of the books: what each account may spend.
//!
//! An account is an opaque number; a balance is what it has available and what its resting orders hold. Four moves
//! exist: transfer in, transfer out, hold and release, trade. None of them lets a balance fall below zero, and all
//! but the transfers leave the sum over all accounts of an asset where it was ([`Gate::audit`] proves both).
//!
//! Pure: no clock, no I/O. The caller keeps what each order holds; the gate keeps the sums.

use countersign_book::{Index, Pages, Slab};

/// A dense handle for an account number.
pub type Handle = u32;
/// A dense handle for an asset number.
pub type AssetIndex = u32;

/// The venue's own account, which earns the fees.
pub const VENUE: Handle = 0;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub available: u128,
    pub held: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insufficient;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

struct Asset {
    balances: Pages<Balance>,
    /// Transfers in less transfers out: what all balances must sum up to.
    inside: u128,
}

/// One party's part in a trade: it pays from what it holds and receives into what is available.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    pub account: Handle,
    /// Taken from the hold.
    pub pays: u128,
    /// Given back from the hold at once: the price was better than what was reserved.
    pub freed: u128,
    /// Less the fee.
    pub fee: u128,
}

pub struct Gate {
    handles: Index<Handle>,
    accounts: Slab<u64>,
    assets: Vec<Asset>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate::new()
    }
}

impl Gate {
    /// Holds nothing but the venue's account, number 0.
    pub fn new() -> Gate {
        let mut gate = Gate { handles: Index::default(), accounts: Slab::default(), assets: Vec::new() };
        gate.open(0);
        gate
    }

    pub fn add_asset(&mut self) -> AssetIndex {
        self.assets.push(Asset { balances: Pages::new(Balance::default()), inside: 0 });
        (self.assets.len() - 1) as AssetIndex
    }

    pub fn find(&self, account: u64) -> Option<Handle> {
        self.handles.get(&account).copied()
    }

    /// The account's handle; a new account starts with nothing.
    pub fn open(&mut self, account: u64) -> Handle {
        if let Some(known) = self.find(account) {
            return known;
        }
        let next = self.accounts.push(account);
        self.handles.insert(account, next);
        next
    }

    pub fn account(&self, handle: Handle) -> u64 {
        self.accounts[handle]
    }

    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub fn balance(&self, asset: AssetIndex, account: Handle) -> Balance {
        self.assets[asset as usize].balances.get(account as usize)
    }

    #[inline]
    fn at(&mut self, asset: AssetIndex, account: Handle) -> &mut Balance {
        self.assets[asset as usize].balances.at(account as usize)
    }

    /// Money arrives from outside the venue.
    pub fn transfer_in(&mut self, asset: AssetIndex, account: Handle, units: u128) -> Result<(), Overflow> {
        let inside = self.assets[asset as usize].inside.checked_add(units).ok_or(Overflow)?;
        self.assets[asset as usize].inside = inside;
        // No balance is larger than the sum of all, which has just been seen to fit.
        self.at(asset, account).available += units;
        Ok(())
    }

    /// Money leaves the venue, as far as no order holds it.
    pub fn transfer_out(
        &mut self,
        asset: AssetIndex,
        account: Handle,
        units: u128,
    ) -> Result<(), Insufficient> {
        let balance = self.at(asset, account);
        balance.available = balance.available.checked_sub(units).ok_or(Insufficient)?;
        self.assets[asset as usize].inside -= units;
        Ok(())
    }

    /// Reserves for an order.
    #[inline]
    pub fn hold(&mut self, asset: AssetIndex, account: Handle, units: u128) -> Result<(), Insufficient> {
        let balance = self.at(asset, account);
        balance.available = balance.available.checked_sub(units).ok_or(Insufficient)?;
        balance.held += units;
        Ok(())
    }

    /// Gives a reservation back.
    #[inline]
    pub fn release(&mut self, asset: AssetIndex, account: Handle, units: u128) {
        let balance = self.at(asset, account);
        balance.held -= units;
        balance.available += units;
    }

    /// Swaps base against quote between two holds; the fees go to the venue.
    ///
    /// `buyer.pays` is quote and becomes the seller's, `seller.pays` is base and becomes the buyer's. Each fee is in
    /// the asset that its payer receives and at most what it receives.
    #[inline]
    pub fn trade(&mut self, base: AssetIndex, quote: AssetIndex, buyer: Leg, seller: Leg) {
        debug_assert!(buyer.fee <= seller.pays && seller.fee <= buyer.pays);
        let of = self.at(quote, buyer.account);
        of.held -= buyer.pays + buyer.freed;
        of.available += buyer.freed;
        self.at(quote, seller.account).available += buyer.pays - seller.fee;
        self.at(quote, VENUE).available += seller.fee;
        let of = self.at(base, seller.account);
        of.held -= seller.pays + seller.freed;
        of.available += seller.freed;
        self.at(base, buyer.account).available += seller.pays - buyer.fee;
        self.at(base, VENUE).available += buyer.fee;
    }

    /// Net transfers of an asset: what its balances sum up to.
    pub fn inside(&self, asset: AssetIndex) -> u128 {
        self.assets[asset as usize].inside
    }

    /// Puts back a balance that was read from a snapshot.
    pub fn restore(&mut self, asset: AssetIndex, account: Handle, balance: Balance) {
        *self.at(asset, account) = balance;
        self.assets[asset as usize].inside += balance.available + balance.held;
    }

    /// Conservation: the balances of each asset sum up to what was transferred in and not out.
    pub fn audit(&self) -> Result<(), String> {
        for (index, asset) in self.assets.iter().enumerate() {
            let sum: u128 = asset.balances.iter().map(|balance| balance.available + balance.held).sum();
            if sum != asset.inside {
                return Err(format!(
                    "asset {index}: balances sum up to {sum}, transfers to {}",
                    asset.inside
                ));
            }
        }
        Ok(())
    }
}

/// A fee in millionths, rounded up to a unit, so that no trade is too small to pay one.
#[inline]
pub fn fee(units: u128, ppm: u32) -> u128 {
    if ppm == 0 {
        return 0;
    }
    match u64::try_from(units) {
        // 64-bit division is several times faster, and nearly every trade fits.
        Ok(small) if small <= u64::MAX / 1_000_000 => {
            u128::from((small * u64::from(ppm)).div_ceil(1_000_000))
        }
        _ => {
            let (whole, rest) = (units / 1_000_000, units % 1_000_000);
            whole * u128::from(ppm) + (rest * u128::from(ppm)).div_ceil(1_000_000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn funded() -> (Gate, AssetIndex, AssetIndex, Handle, Handle) {
        let mut gate = Gate::new();
        let (base, quote) = (gate.add_asset(), gate.add_asset());
        let (tom, tia) = (gate.open(11), gate.open(12));
        gate.transfer_in(base, tom, 1_000).unwrap();
        gate.transfer_in(quote, tia, 5_000).unwrap();
        (gate, base, quote, tom, tia)
    }

    #[test]
    fn a_hold_beyond_what_is_available_changes_nothing() {
        let (mut gate, base, _, tom, _) = funded();
        assert_eq!(gate.hold(base, tom, 1_001), Err(Insufficient));
        assert_eq!(gate.balance(base, tom), Balance { available: 1_000, held: 0 });
    }

    #[test]
    fn a_transfer_out_cannot_touch_what_is_held() {
        let (mut gate, base, _, tom, _) = funded();
        gate.hold(base, tom, 900).unwrap();
        assert_eq!(gate.transfer_out(base, tom, 101), Err(Insufficient));
        gate.transfer_out(base, tom, 100).unwrap();
        assert_eq!(gate.balance(base, tom), Balance { available: 0, held: 900 });
        gate.audit().unwrap();
    }

    #[test]
    fn a_trade_pays_both_sides_and_the_venue_and_frees_the_better_price() {
        let (mut gate, base, quote, tom, tia) = funded();
        gate.hold(base, tom, 100).unwrap();
        gate.hold(quote, tia, 1_100).unwrap();
        gate.trade(
            base,
            quote,
            Leg { account: tia, pays: 1_000, freed: 100, fee: 1 },
            Leg { account: tom, pays: 100, freed: 0, fee: 2 },
        );
        assert_eq!(gate.balance(quote, tia), Balance { available: 4_000, held: 0 });
        assert_eq!(gate.balance(base, tia), Balance { available: 99, held: 0 });
        assert_eq!(gate.balance(quote, tom), Balance { available: 998, held: 0 });
        assert_eq!(gate.balance(base, tom), Balance { available: 900, held: 0 });
        assert_eq!(gate.balance(base, VENUE).available, 1);
        assert_eq!(gate.balance(quote, VENUE).available, 2);
        gate.audit().unwrap();
    }

    #[test]
    fn a_transfer_that_would_overflow_is_refused_whole() {
        let (mut gate, base, _, tom, tia) = funded();
        assert_eq!(gate.transfer_in(base, tia, u128::MAX), Err(Overflow));
        assert_eq!(gate.balance(base, tia), Balance::default());
        assert_eq!(gate.balance(base, tom).available, 1_000);
        gate.audit().unwrap();
    }

    #[test]
    fn the_audit_sees_a_unit_too_much_and_one_too_few() {
        let (mut gate, base, _, tom, _) = funded();
        gate.hold(base, tom, 10).unwrap();
        gate.at(base, tom).held -= 1;
        assert!(gate.audit().is_err());
        gate.at(base, tom).available += 2;
        assert!(gate.audit().is_err());
        gate.at(base, tom).available -= 1;
        gate.audit().unwrap();
    }

    #[test]
    fn a_fee_is_rounded_up_and_never_more_than_what_is_received() {
        assert_eq!(fee(0, 800), 0);
        assert_eq!(fee(1, 800), 1);
        assert_eq!(fee(1_250, 800), 1);
        assert_eq!(fee(1_251, 800), 2);
        assert_eq!(fee(7, 1_000_000), 7);
        assert_eq!(fee(u128::from(u64::MAX) * 1_000_000, 1), u128::from(u64::MAX));
        assert_eq!(fee(u128::MAX, 1_000_000), u128::MAX);
    }
}
