//! The rules of a version ... (each test's name finishes the sentence).
//!
//! `rules/logic-N.commands` holds flow under version N, six thousand commands each with its time as a journal would hold it, and
//! `logic-N.told` the hashes over what a program of that version answered, told and then held. Who has raised the version
//! writes the next pair with `cargo test -p countersign-venue rules:: -- --ignored`. Nobody writes an older one again: those
//! rules count for ever.
//!
//! A rule that the flow meets cannot change without a version. It was made to meet fees and their rounding, self-trade
//! prevention, post-only, bands, sizes, amendments, auctions, clocks, sessions and their grace. What it does not meet may
//! change unseen here, and is left to that rule's own test: listing again, markets that are not listed, an auction's choice
//! between two prices as near or without any reference, a budget that is spent whole, fees of trades beyond 64 bits, and what
//! takes thousands of orders: an account's limit, and pieces.

use std::collections::HashSet;
use std::fs;
use std::mem::discriminant;
use std::path::PathBuf;

use crate::desk::{BTC, Desk, MARKET, USDT};
use crate::flow::{ETH, OTHER, Step, TRADERS, config, modest, steps};
use countersign_venue::codec::Chain;
use countersign_venue::command::{AdminBody, Amend, Command, NewOrder, Scope, Side, State, Tif};
use countersign_venue::event::{Body, Output};
use countersign_venue::{LOGIC_VERSION, OpenOrder, Outcome, Venue};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// The first version of which flow was kept. What programs of older ones left is in `server/tests/former`.
const FIRST: u32 = 3;
const COMMANDS: usize = 6_000;

fn path(version: u32, what: &str) -> PathBuf {
    PathBuf::from(format!("{}/tests/rules/logic-{version}.{what}", env!("CARGO_MANIFEST_DIR")))
}

/// What came of them, in words, and their events.
fn told(commands: &[u8]) -> (String, Output) {
    let (mut venue, mut output, mut answers) = (Venue::new(), Output::default(), Chain::default());
    let mut rest = commands;
    while !rest.is_empty() {
        let (time_ns, after) = rest.split_first_chunk::<8>().expect("a time");
        let (length, after) = after.split_first_chunk::<4>().expect("a length");
        let (command, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        let outcome = venue.replay(u64::from_le_bytes(*time_ns), command, &mut output).expect("a command");
        let Outcome { code, engine_seq, time_ns, order_id, filled, leaves, cancelled } = outcome;
        for number in [code as u64, engine_seq, time_ns, order_id, filled, leaves, cancelled.into()] {
            answers.absorb(&number.to_le_bytes());
        }
        rest = after;
    }
    let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let words = format!(
        "commands {}, events {}\nevents {}\nanswers {}\nstate {}\n",
        venue.engine_seq(),
        venue.event_seq(),
        hex(venue.chain()),
        hex(answers.bytes()),
        hex(venue.state_hash())
    );
    (words, output)
}

#[test]
fn decide_as_they_did_when_they_were_new() {
    for version in FIRST..=LOGIC_VERSION {
        let commands = fs::read(path(version, "commands")).unwrap_or_else(|_| {
            panic!("version {version} is new: keep what it decides, as the first lines of this file say")
        });
        let (words, output) = told(&commands);
        assert_eq!(
            words,
            fs::read_to_string(path(version, "told")).unwrap(),
            "the same commands give something else: raise LOGIC_VERSION, keep the old rule and ask Venue::logic"
        );
        // It is worth something only if it meets the rules.
        let bodies: HashSet<_> =
            output.events().unwrap().iter().map(|event| discriminant(&event.body)).collect();
        assert!(bodies.len() >= 12, "{} kinds of events", bodies.len());
        let rejected = output.events().unwrap().into_iter().filter_map(|event| match event.body {
            Body::Rejected { code, .. } => Some(code as u8),
            _ => None,
        });
        let codes: HashSet<_> = rejected.collect();
        assert!(codes.len() >= 8, "{codes:?}");
    }
}

/// Open markets, and modest means for everybody: where random flow ends, nearly everything is refused, or nothing.
fn begin_again(desk: &mut Desk) {
    let open = |desk: &mut Desk, states: &[State]| {
        for instrument_id in [MARKET, OTHER] {
            for &state in states {
                desk.admin(AdminBody::SetState { instrument_id, state });
            }
        }
    };
    // A book that an auction left crossed does not open.
    open(desk, &[State::Halted, State::Open]);
    desk.admin(AdminBody::MassCancel(Scope::default()));
    let opens = [State::Open, State::Auction, State::PostOnly][desk.venue.engine_seq() as usize % 3];
    open(desk, &[State::Halted, opens]);
    for instrument_id in [MARKET, OTHER] {
        desk.admin(AdminBody::SetPriceBand { instrument_id, price_band_ppm: 0, reference_price: 100 });
    }
    for account in TRADERS {
        for (asset, means) in [(BTC, 1_000), (USDT, 15_000), (ETH, 1_000)] {
            let has = desk.available(account, asset);
            desk.transfer(account, asset, has.abs_diff(means).max(1), has < means);
        }
    }
    let through_event_seq = desk.venue.event_seq() - 20;
    desk.give(Command::Acknowledge { through_event_seq });
}

/// Something is due when the next one begins to lead; a book that an auction has crossed is to be opened without one; an
/// auction's price lies outside the band.
fn prepare(step: &Step, desk: &mut Desk) {
    match (step, desk.venue.engine_seq() % 3) {
        (Step::Lead, _) => desk.pass_ms(5_000),
        (&Step::RunAuction(instrument_id, _), 0) => {
            for state in [State::Halted, State::Open, State::Auction] {
                desk.admin(AdminBody::SetState { instrument_id, state });
            }
        }
        (&Step::RunAuction(instrument_id, _), 1) => {
            let reference_price = 90 + desk.venue.engine_seq() as i64 % 20;
            desk.admin(AdminBody::SetPriceBand { instrument_id, price_band_ppm: 10_000, reference_price });
        }
        _ => {}
    }
}

/// Lets steps meet what random ones seldom do: amendments name orders that rest, some orders have ended as they come.
/// Retries, which no journal holds, give way to orders made larger or smallest where they stand, to narrow bands that move,
/// and to pauses in which a lost stream is given up and a session forgotten.
fn aimed(step: Step, desk: &Desk) -> Step {
    let resting = desk.venue.open_orders(0, 0);
    let at = |number: usize| resting.get(number % resting.len().max(1));
    let amended = |order: &OpenOrder, total_qty| {
        let (order_id, account_id) = (order.order_id, order.account_id);
        Step::Amend(Amend { order_id, account_id, total_qty, price: 0, cancel_on_fail: false })
    };
    match step {
        Step::Amend(amend) => match at(amend.order_id as usize) {
            Some(&OpenOrder { order_id, account_id, side, .. }) => {
                // Some reach far over to the other side.
                let across = if side == Side::Buy { 110 } else { 90 };
                let price = if amend.total_qty.is_multiple_of(3) { across } else { amend.price };
                Step::Amend(Amend { order_id, account_id, price, ..amend })
            }
            None => Step::Amend(amend),
        },
        Step::Enter(order) if order.tif == Tif::Gtd && order.order_id.is_multiple_of(4) => {
            Step::Enter(NewOrder { expire_at_ms: 0, ..order })
        }
        Step::Retry(number) => match (number % 6, at(number / 6)) {
            (0 | 1, Some(order)) => amended(order, order.total + 1 + number as u64 % 9),
            (2, Some(order)) => amended(order, 1),
            (3 | 4, _) => {
                let reference = [100, 90 + number as i64 % 20][number / 6 % 2];
                Step::Band(MARKET, number as u32 % 5 * 10_000, reference)
            }
            _ => Step::Pass([5_000, 128_000][number / 6 % 2]),
        },
        other => other,
    }
}

#[test]
#[ignore = "writes what the newest version decides, once"]
fn are_kept_when_they_are_new() {
    assert!(!path(LOGIC_VERSION, "commands").exists(), "they are kept already, and never written again");
    let mut desk = modest(LOGIC_VERSION);
    let mut runner = TestRunner::new(config());
    while desk.journal.len() < COMMANDS {
        begin_again(&mut desk);
        for step in steps(400).new_tree(&mut runner).unwrap().current() {
            prepare(&step, &mut desk);
            if let Some(command) = aimed(step, &desk).command(&mut desk) {
                desk.give(command);
            }
        }
    }
    // When a session is forgotten is part of the state.
    for step in [Step::Attach(1, true), Step::Detach(1)] {
        let command = step.command(&mut desk).expect("a command");
        desk.give(command);
    }
    let mut commands = Vec::new();
    for (time_ns, bytes) in &desk.journal {
        commands.extend_from_slice(&time_ns.to_le_bytes());
        commands.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        commands.extend_from_slice(bytes);
    }
    fs::create_dir_all(path(0, "").parent().unwrap()).unwrap();
    fs::write(path(LOGIC_VERSION, "told"), told(&commands).0).unwrap();
    fs::write(path(LOGIC_VERSION, "commands"), commands).unwrap();
}
