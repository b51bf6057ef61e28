//! What it costs to cancel all that one account has, beside many orders of others.

use std::time::Instant;

use countersign_venue::command::{
    Command, Kind, NewOrder, OrderBody, OrderCommand, Scope, Side, Tif,
};
use countersign_venue::{Output, Venue};

use crate::venue::{ACCOUNTS, START_NS, open_venue};

/// Resting orders of the one that cancels.
const OWN: u64 = 10;
const ROUNDS: usize = 200;

/// A book in which so many orders of others rest, at 20,000 prices a side.
fn crowded(others: u64) -> Venue {
    let (mut venue, mut output) = (open_venue(), Output::default());
    for id in 1..=others {
        enter(&mut venue, id, 2 + id % (ACCOUNTS - 1), &mut output);
        output.clear();
    }
    venue
}

fn enter(venue: &mut Venue, id: u64, account_id: u64, output: &mut Output) {
    let (side, away) = (
        [Side::Buy, Side::Sell][id as usize % 2],
        1 + (id / 2 % 20_000) as i64,
    );
    let price = match side {
        Side::Buy => 100_000 - away,
        Side::Sell => 100_000 + away,
    };
    let order = NewOrder {
        order_id: id,
        account_id,
        instrument_id: 1,
        side,
        kind: Kind::Limit,
        tif: Tif::Gtc,
        post_only: false,
        price,
        qty: 1,
        budget: 0,
        owner_ref: 0,
        stp_group: 0,
        stp: countersign_book::Stp::CancelMaker,
        expire_at_ms: 0,
    };
    give(venue, id, OrderBody::New(order), output);
}

fn give(venue: &mut Venue, number: u64, body: OrderBody, output: &mut Output) -> u32 {
    let mut command_id = [0; 16];
    command_id[..8].copy_from_slice(&number.to_be_bytes());
    let command = Command::Order(OrderCommand {
        command_id,
        session: 0,
        session_seq: 0,
        expires_at_ms: START_NS / 1_000_000 + 60_000,
        body,
    });
    venue.apply(START_NS, &command, 0, output).cancelled
}

/// By how many others rest. On the wall's clock, so the deciles: a core that a neighbour took is no part of the cost.
pub fn run(runs: usize) {
    println!("cancel-all of {OWN} orders, microseconds, median (tenth to ninth decile)");
    for others in [1_000, 40_000, 400_000] {
        let (mut venue, mut output) = (crowded(others), Output::default());
        let mut next = others;
        let mut took = Vec::new();
        for _ in 0..runs * ROUNDS {
            for _ in 0..OWN {
                next += 1;
                enter(&mut venue, next, 1, &mut output);
            }
            next += 1;
            let scope = Scope {
                account_id: 1,
                ..Scope::default()
            };
            let began = Instant::now();
            let cancelled = give(&mut venue, next, OrderBody::CancelAll(scope), &mut output);
            took.push(began.elapsed().as_secs_f64() * 1e6);
            assert_eq!(u64::from(cancelled), OWN);
            output.clear();
        }
        took.sort_by(f64::total_cmp);
        println!(
            "{others:>10} others {:>8.1} ({:.1}-{:.1})",
            took[took.len() / 2],
            took[took.len() / 10],
            took[took.len() * 9 / 10]
        );
    }
}
