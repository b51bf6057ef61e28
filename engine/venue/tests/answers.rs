//! An answer ... (each test's name finishes the sentence).

use crate::desk::{Desk, TIA, TOM, USDT, buy};
use countersign_venue::command::{Command, OrderBody, OrderCommand};
use countersign_venue::dedupe::{AHEAD_MS_MAX, LIFETIME_MS_MAX};
use countersign_venue::event::Code;

#[test]
fn is_that_an_order_has_expired_or_lives_too_long_from_the_first_millisecond_on() {
    let longest = LIFETIME_MS_MAX + AHEAD_MS_MAX;
    for (ahead_ms, code) in [
        (-1, Code::Expired),
        (0, Code::Ok),
        (longest as i64, Code::Ok),
        (longest as i64 + 1, Code::BadCommand),
    ] {
        let mut desk = Desk::open();
        let Command::Order(order) = desk.wrap(OrderBody::New(buy(1, TOM, 100, 1))) else { unreachable!() };
        let expires_at_ms = (desk.now_ns / 1_000_000).checked_add_signed(ahead_ms).unwrap();
        let command = Command::Order(OrderCommand { expires_at_ms, ..order });
        assert_eq!(desk.give(command).0.code, code, "{ahead_ms}");
    }
}

#[test]
fn about_balances_comes_by_pages_that_leave_nobody_out() {
    let mut desk = Desk::open();
    // The venue itself, Tom and Tia are known; these come in another order than their numbers.
    for account in [90, 30, 60] {
        desk.fund(account, USDT, u128::from(account));
    }
    let venue = &desk.venue;
    let (whole, end) = venue.balances_from(0, 1_000);
    let accounts = |page: &[(u64, u32, _)]| page.iter().map(|told| told.0).collect::<Vec<_>>();
    assert_eq!((accounts(&whole), end), (vec![TOM, TOM, TIA, TIA, 30, 60, 90], 0));
    for most in 1..=14 {
        assert_eq!(venue.accounts_within(most), (most / 2).max(1));
        let (mut all, mut place, mut pages) = (Vec::new(), 0, 0);
        loop {
            let (page, next) = venue.balances_from(place, most);
            all.extend(page);
            pages += 1;
            if next == 0 {
                break;
            }
            assert_eq!(next, place + venue.accounts_within(most) as u64);
            place = next;
        }
        all.sort_unstable_by_key(|told| (told.0, told.1));
        assert_eq!((all, pages), (whole.clone(), 6usize.div_ceil(venue.accounts_within(most))));
    }
    assert_eq!(venue.balances_from(6, 10), (vec![], 0));
    assert_eq!(venue.balances_from(u64::MAX, 10), (vec![], 0));
    assert_eq!((venue.accounts_count(), venue.epoch(), venue.time_ns()), (6, 1, desk.now_ns));
}
