//! The gate agrees with a ledger of signed numbers: no move takes what is not there, and every sum stays where it was.

use std::collections::BTreeMap;

use countersign_risk::{Balance, Gate, Handle, Insufficient, Leg, VENUE, fee};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[derive(Clone, Debug)]
enum Move {
    In(u32, Handle, u128),
    Out(u32, Handle, u128),
    Hold(u32, Handle, u128),
    Release(u32, Handle, u128),
    Trade { buyer: Handle, seller: Handle, base: u128, quote: u128, ppm: (u32, u32), freed: (u128, u128) },
}

fn moves() -> impl Strategy<Value = Move> {
    let units = || prop_oneof![1u128..1_000, any::<u64>().prop_map(u128::from)];
    let whose = || (0u32..2, 1u32..4, units());
    prop_oneof![
        2 => whose().prop_map(|(asset, account, units)| Move::In(asset, account, units)),
        1 => whose().prop_map(|(asset, account, units)| Move::Out(asset, account, units)),
        3 => whose().prop_map(|(asset, account, units)| Move::Hold(asset, account, units)),
        1 => whose().prop_map(|(asset, account, units)| Move::Release(asset, account, units)),
        3 => (1u32..4, 1u32..4, units(), units(), (0u32..100_000, 0u32..100_000), (0u128..50, 0u128..50)).prop_map(
            |(buyer, seller, base, quote, ppm, freed)| Move::Trade { buyer, seller, base, quote, ppm, freed }
        ),
    ]
}

/// (available, held) of an asset and an account, as numbers that could fall below zero.
type Signed = BTreeMap<(u32, Handle), (i128, i128)>;

fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(512) as u32,
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_move_takes_what_is_not_there_and_no_sum_moves(moves in prop::collection::vec(moves(), 1..120)) {
        let mut gate = Gate::new();
        for _ in 0..2 {
            gate.add_asset();
        }
        for account in [11, 12, 13] {
            gate.open(account);
        }
        let mut signed = Signed::new();
        let mut inside = [0i128; 2];
        for of in moves {
            match of {
                Move::In(asset, account, units) => {
                    prop_assert_eq!(gate.transfer_in(asset, account, units), Ok(()));
                    signed.entry((asset, account)).or_default().0 += units as i128;
                    inside[asset as usize] += units as i128;
                }
                Move::Out(asset, account, units) => {
                    let of = signed.entry((asset, account)).or_default();
                    let enough = of.0 >= units as i128;
                    let expected = if enough { Ok(()) } else { Err(Insufficient) };
                    prop_assert_eq!(gate.transfer_out(asset, account, units), expected);
                    if enough {
                        of.0 -= units as i128;
                        inside[asset as usize] -= units as i128;
                    }
                }
                Move::Hold(asset, account, units) => {
                    let of = signed.entry((asset, account)).or_default();
                    let enough = of.0 >= units as i128;
                    let expected = if enough { Ok(()) } else { Err(Insufficient) };
                    prop_assert_eq!(gate.hold(asset, account, units), expected);
                    if enough {
                        of.0 -= units as i128;
                        of.1 += units as i128;
                    }
                }
                Move::Release(asset, account, units) => {
                    let of = signed.entry((asset, account)).or_default();
                    let units = units.min(of.1 as u128);
                    gate.release(asset, account, units);
                    of.0 += units as i128;
                    of.1 -= units as i128;
                }
                Move::Trade { buyer, seller, base, quote, ppm, freed } => {
                    // As much as both hold: the book only ever trades what orders hold.
                    let held = |asset, account| signed.get(&(asset, account)).map_or(0, |of| of.1) as u128;
                    let base = base.min(held(0, seller));
                    let quote = quote.min(held(1, buyer));
                    let freed = (freed.0.min(held(1, buyer) - quote), freed.1.min(held(0, seller) - base));
                    let (buyers, sellers) = (fee(base, ppm.0), fee(quote, ppm.1));
                    gate.trade(
                        0,
                        1,
                        Leg { account: buyer, pays: quote, freed: freed.0, fee: buyers },
                        Leg { account: seller, pays: base, freed: freed.1, fee: sellers },
                    );
                    for (key, available, taken) in [
                        ((1, buyer), freed.0 as i128, (quote + freed.0) as i128),
                        ((1, seller), (quote - sellers) as i128, 0),
                        ((1, VENUE), sellers as i128, 0),
                        ((0, seller), freed.1 as i128, (base + freed.1) as i128),
                        ((0, buyer), (base - buyers) as i128, 0),
                        ((0, VENUE), buyers as i128, 0),
                    ] {
                        let of = signed.entry(key).or_default();
                        of.0 += available;
                        of.1 -= taken;
                    }
                }
            }
            for (&(asset, account), &(available, held)) in &signed {
                prop_assert!(available >= 0 && held >= 0);
                let expected = Balance { available: available as u128, held: held as u128 };
                prop_assert_eq!(gate.balance(asset, account), expected);
            }
            prop_assert_eq!([gate.inside(0) as i128, gate.inside(1) as i128], inside);
            prop_assert_eq!(gate.audit(), Ok(()));
        }
    }

    #[test]
    fn a_fee_is_the_exact_part_rounded_up(units in any::<u64>(), shift in 0u32..40, ppm in 0u32..=1_000_000) {
        let units = u128::from(units) << shift;
        prop_assert_eq!(fee(units, ppm), (units * u128::from(ppm)).div_ceil(1_000_000));
        prop_assert!(fee(units, ppm) <= units);
    }
}
