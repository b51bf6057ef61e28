//! Random flow keeps every promise of the state, and replaying its journal gives the same bytes.

use std::convert::Infallible;

use crate::desk::Desk;
use crate::flow::{Step, config, logic, modest, steps};
use countersign_venue::command::Command;
use countersign_venue::event::{Body, Output, Reason};
use countersign_venue::{Packed, Venue};
use proptest::prelude::*;

/// [`Desk::give`] audits the whole state after each command: sums, holds, books, index.
fn play(desk: &mut Desk, steps: Vec<Step>) {
    let mut sent: Vec<Command> = Vec::new();
    for step in steps {
        if let Step::Retry(at) = step {
            if sent.is_empty() {
                continue;
            }
            let before = (desk.venue.engine_seq(), desk.venue.state_hash());
            desk.give(sent[at % sent.len()].clone());
            let after = (desk.venue.engine_seq(), desk.venue.state_hash());
            assert_eq!(after, before, "a retry changes nothing");
            continue;
        }
        let command = step.command(desk).expect("only a retry is no command of its own");
        let (outcome, _) = desk.give(command.clone());
        if outcome.engine_seq != 0 && matches!(command, Command::Order(_) | Command::Transfer(_)) {
            sent.push(command);
        }
    }
}

fn replayed(desk: &Desk, upto: usize) -> (Venue, Vec<u8>) {
    let mut venue = Venue::new();
    let mut output = Output::default();
    for (time_ns, bytes) in &desk.journal[..upto] {
        venue.replay(*time_ns, bytes, &mut output).unwrap();
    }
    (venue, output.bytes)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_replayed_journal_gives_the_same_state_and_the_same_events(
        steps in steps(200),
        logic_version in logic(),
    ) {
        let mut desk = modest(logic_version);
        play(&mut desk, steps);
        let (venue, bytes) = replayed(&desk, desk.journal.len());
        prop_assert_eq!(venue.state_hash(), desk.venue.state_hash());
        prop_assert_eq!(venue.chain(), desk.venue.chain());
        prop_assert_eq!(&bytes, &desk.bytes);
        prop_assert_eq!(venue.open_orders(0, 0), desk.venue.open_orders(0, 0));
        tell_every_order_once(&desk);
    }

    #[test]
    fn a_snapshot_and_the_rest_of_the_journal_give_what_the_whole_journal_gives(
        steps in steps(200),
        share in 0usize..100,
        logic_version in logic(),
    ) {
        let mut desk = modest(logic_version);
        play(&mut desk, steps);
        let at = desk.journal.len() * share / 100;
        let (before, told) = replayed(&desk, at);
        let bytes = before.snapshot();
        let venue = Venue::restore(&bytes).unwrap();
        prop_assert_eq!(&venue.snapshot(), &bytes, "a snapshot writes itself again");
        prop_assert_eq!(venue.next_timer_ns(), before.next_timer_ns());
        // With the outcomes in it, and with them in files of their own.
        for mut venue in [venue, apart(&replayed(&desk, at / 2).0, &before)] {
            prop_assert_eq!(venue.state_hash(), before.state_hash());
            let mut output = Output::default();
            for (time_ns, record) in &desk.journal[at..] {
                venue.replay(*time_ns, record, &mut output).unwrap();
            }
            prop_assert_eq!(venue.state_hash(), desk.venue.state_hash());
            prop_assert_eq!(&output.bytes[..], &desk.bytes[told.len()..]);
        }
        for cut in [0, bytes.len() / 3, bytes.len() - 1] {
            // The first rules are not named: without its last byte a state is at most one of theirs.
            let read = Venue::restore(&bytes[..cut]);
            prop_assert!(read.is_err() || (before.logic() > 1 && read.is_ok_and(|venue| venue.logic() == 1)));
        }
    }
}

/// `venue` as two snapshots tell it, of which the earlier one was taken where `former` stands.
fn apart(former: &Venue, venue: &Venue) -> Venue {
    let mut bare = Vec::new();
    let Ok(()) = venue.write_bare(|piece| {
        bare.extend_from_slice(piece);
        Ok::<_, Infallible>(())
    });
    let mut again = Venue::restore(&bare).unwrap();
    assert_eq!(again.snapshot(), bare);
    for (told, after) in [(former, 0), (venue, former.engine_seq())] {
        let Ok(()) = told.outcomes_since(after, |packed| {
            let read =
                Packed::told(packed.stamp, packed.count() as u32, packed.last_seq, packed.bytes().into());
            again.recall(read.unwrap()).unwrap();
            Ok::<_, Infallible>(())
        });
    }
    again
}

/// From the events alone: every order that was accepted ends once, quantities add up, and no group trades with itself.
fn tell_every_order_once(desk: &Desk) {
    struct Told {
        total: u64,
        filled: u64,
        group: u64,
        budgeted: bool,
    }
    let mut open: std::collections::BTreeMap<u64, Told> = std::collections::BTreeMap::new();
    for event in &desk.events {
        match &event.body {
            Body::Accepted { order, .. } => {
                let told =
                    Told { total: order.qty, filled: 0, group: order.stp_group, budgeted: order.budget != 0 };
                assert!(open.insert(order.order_id, told).is_none(), "accepted twice");
            }
            Body::Trade(trade) => {
                assert!(trade.qty > 0);
                let groups = [trade.maker_order_id, trade.taker_order_id].map(|id| open[&id].group);
                assert!(groups[0] == 0 || groups[0] != groups[1], "a group traded with itself");
                for id in [trade.maker_order_id, trade.taker_order_id] {
                    open.get_mut(&id).unwrap().filled += trade.qty;
                }
            }
            Body::Amended { order_id, total, leaves, .. } => {
                let told = open.get_mut(order_id).unwrap();
                told.total = *total;
                assert_eq!(told.total, told.filled + leaves);
            }
            Body::Done(done) => {
                let told = open.remove(&done.order_id).expect("an order ends once");
                assert_eq!(told.filled, done.filled);
                if !told.budgeted {
                    assert_eq!(told.total, done.filled + done.cancelled);
                    assert_eq!(done.reason == Reason::Filled, done.cancelled == 0);
                }
            }
            _ => {}
        }
    }
    let resting = desk.venue.open_orders(0, 0);
    assert_eq!(open.len(), resting.len());
    for order in resting {
        let told = &open[&order.order_id];
        assert_eq!((told.total, told.total - told.filled), (order.total, order.leaves));
    }
}
