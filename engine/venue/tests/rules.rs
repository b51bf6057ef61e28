//! The rules of a version ... (each test's name finishes the sentence).
//!
//! `rules/logic-N.commands` holds random flow under version N, each command with its time as a journal would hold it, and
//! `logic-N.told` what a program of that version made of it. Who has raised the version writes the next pair with
//! `cargo test -p countersign-venue --test rules -- --ignored`. Nobody writes an older one again: those rules count for ever.

mod desk;
mod flow;

use std::collections::HashSet;
use std::fs;
use std::mem::discriminant;
use std::path::PathBuf;

use countersign_venue::event::{Body, Output};
use countersign_venue::{LOGIC_VERSION, Venue};
use flow::{Step, config, modest, steps};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// The first version of which flow was kept. What programs of older ones left is in `server/tests/former`.
const FIRST: u32 = 3;
const COMMANDS: usize = 3_000;

fn path(version: u32, what: &str) -> PathBuf {
    PathBuf::from(format!("{}/tests/rules/logic-{version}.{what}", env!("CARGO_MANIFEST_DIR")))
}

/// What came of them, in words, and their events.
fn told(commands: &[u8]) -> (String, Output) {
    let (mut venue, mut output) = (Venue::new(), Output::default());
    let mut rest = commands;
    while !rest.is_empty() {
        let (time_ns, after) = rest.split_first_chunk::<8>().expect("a time");
        let (length, after) = after.split_first_chunk::<4>().expect("a length");
        let (command, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        venue.replay(u64::from_le_bytes(*time_ns), command, &mut output).expect("a command");
        rest = after;
    }
    let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let words = format!(
        "commands {}, events {}\nevents {}\nstate {}\n",
        venue.engine_seq(),
        venue.event_seq(),
        hex(venue.chain()),
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

#[test]
#[ignore = "writes what the newest version decides, once"]
fn are_kept_when_they_are_new() {
    assert!(!path(LOGIC_VERSION, "commands").exists(), "they are kept already, and never written again");
    let mut desk = modest(LOGIC_VERSION);
    let mut runner = TestRunner::new(config());
    while desk.journal.len() < COMMANDS {
        let flow = steps(400).new_tree(&mut runner).unwrap().current();
        for step in flow.into_iter().filter(|step| !matches!(step, Step::Retry(_))) {
            if let Some(command) = step.command(&mut desk) {
                desk.give(command);
            }
        }
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
