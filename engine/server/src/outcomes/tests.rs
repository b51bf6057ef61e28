use std::path::PathBuf;

use countersign_venue::codec::digest;
use countersign_venue::command::{Id, OrderBody, OrderCommand, Scope};
use countersign_venue::dedupe::WINDOW_MS;
use countersign_venue::{Code, Command, LOGIC_VERSION, Output};
use tempfile::TempDir;

use super::*;
use crate::snapshots;

const START_MS: u64 = 1_800_000_000_000;

/// A venue that takes commands, one a millisecond, and the snapshots that are taken of it.
struct Room {
    folder: TempDir,
    venue: Venue,
    now_ms: u64,
    given: u64,
    /// Which commands it took, and under which sequence.
    taken: Vec<(u64, u64)>,
    outcomes: Vec<Named>,
}

impl Room {
    fn open() -> Room {
        let mut venue = Venue::new();
        let lead = Command::Lead { epoch: 1, logic_version: LOGIC_VERSION };
        venue.apply(START_MS * NS_PER_MS, &lead, 0, &mut Output::default());
        let folder = TempDir::new().unwrap();
        Room { folder, venue, now_ms: START_MS, given: 0, taken: Vec::new(), outcomes: Vec::new() }
    }

    fn apply(venue: &mut Venue, number: u64) {
        let (now_ns, command) = ((START_MS + number) * NS_PER_MS, Room::command(number));
        venue.apply(now_ns, &command, Room::digest(&command), &mut Output::default());
    }

    fn command(number: u64) -> Command {
        let mut command_id: Id = [0; 16];
        command_id[..6].copy_from_slice(&(START_MS + number).to_be_bytes()[2..]);
        command_id[6] = 0x70;
        command_id[8..].copy_from_slice(&number.to_be_bytes());
        Command::Order(OrderCommand {
            command_id,
            expires_at_ms: START_MS + number + 30_000,
            session: 0,
            session_seq: 0,
            body: OrderBody::CancelAll(Scope { account_id: 1 + number, ..Scope::default() }),
        })
    }

    fn digest(command: &Command) -> u64 {
        let mut bytes = Vec::new();
        let body = command.encode(&mut bytes);
        digest(&bytes[body..])
    }

    fn give(&mut self, count: u64) {
        for number in self.given..self.given + count {
            self.now_ms = START_MS + number;
            Room::apply(&mut self.venue, number);
            self.taken.push((number, self.venue.engine_seq()));
        }
        self.given += count;
    }

    fn take(&mut self) {
        snapshots::write(self.folder.path(), &self.venue, &mut self.outcomes).unwrap();
    }

    /// How many of all commands a state answers as retries, each with its first outcome.
    fn answered(&self, mut venue: Venue) -> usize {
        let is_answered = |(number, engine_seq): &&(u64, u64)| {
            let command = Room::command(*number);
            let answer = venue.screen(&command, Room::digest(&command), self.now_ms);
            answer.is_some_and(|answer| answer.duplicate && answer.outcome.engine_seq == *engine_seq)
        };
        self.taken.iter().filter(is_answered).count()
    }

    fn newest(&self) -> Option<Venue> {
        snapshots::newest(self.folder.path()).unwrap().map(|found| found.venue)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "out")).collect();
        files.sort();
        files
    }
}

#[test]
fn each_outcome_is_written_once_and_a_start_remembers_all_of_them() {
    let mut room = Room::open();
    room.take();
    assert_eq!(room.files().len(), 0, "nothing came");
    let mut written = 0;
    for files in 1..=3 {
        room.give(300);
        room.take();
        assert_eq!((room.files().len(), room.outcomes.len()), (files, files));
        assert!(room.outcomes[files - 1].bytes < 300 * 60, "only what came since");
        written += room.outcomes[files - 1].bytes;
        let again = room.newest().unwrap();
        assert_eq!(again.state_hash(), room.venue.state_hash());
        assert_eq!(room.answered(again), 300 * files);
    }
    // A process that began from it goes on with its files.
    let mut found = snapshots::newest(room.folder.path()).unwrap().unwrap();
    assert_eq!(found.outcomes, room.outcomes);
    let before = room.files();
    snapshots::write(room.folder.path(), &found.venue, &mut found.outcomes).unwrap();
    assert_eq!(room.files(), before, "and writes none again");
    // As soon as it names too many, one of its own holds them all.
    found.outcomes = found.outcomes.iter().cycle().take(FILES_MAX).cloned().collect();
    let all = add(room.folder.path(), &found.venue, &found.outcomes).unwrap();
    assert_eq!((all.len(), all[0].after), (1, 0));
    assert!(all[0].bytes <= written);
}

#[test]
fn a_start_goes_on_while_they_are_read_and_remembers_no_less() {
    let mut room = Room::open();
    for _ in 0..2 {
        room.give(300);
        room.take();
    }
    room.give(100);
    let ahead = || {
        let go_on = |mut venue: Venue| {
            (600..700).for_each(|number| Room::apply(&mut venue, number));
            venue
        };
        snapshots::ahead(room.folder.path(), go_on, |venue| Some(venue)).unwrap()
    };
    let mut venue = ahead().unwrap();
    assert_eq!(venue.state_hash(), room.venue.state_hash());
    // The next snapshot writes the same of it, and each is answered, asked in any order.
    let since = |venue: &Venue| {
        let mut told = Vec::new();
        let take = |packed: Packed| {
            told.extend_from_slice(packed.bytes());
            Ok::<_, ()>(())
        };
        venue.outcomes_since(550, take).unwrap();
        told
    };
    assert_eq!(since(&venue), since(&room.venue));
    Room::apply(&mut venue, 700);
    assert_eq!(room.answered(venue), 700);
    let first = &room.files()[0];
    let mut damaged = fs::read(first).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(first, damaged).unwrap();
    assert!(ahead().is_none(), "then it is looked which snapshot misses least");
}

#[test]
fn a_file_falls_away_as_a_whole_once_no_snapshot_needs_it() {
    let mut room = Room::open();
    room.give(100);
    room.take();
    let first = room.files();
    // What a death left without a snapshot, and half of one.
    fs::copy(&first[0], room.folder.path().join(name(7, 9))).unwrap();
    fs::write(room.folder.path().join("next-outcomes"), b"CSOUTC").unwrap();
    room.given += WINDOW_MS + 100;
    room.give(10);
    room.take();
    assert_eq!(room.outcomes.len(), 1, "the first file is over");
    assert!(first[0].exists() && !room.folder.path().join(name(7, 9)).exists(), "a kept snapshot names it");
    room.give(10);
    room.take();
    assert!(!first[0].exists());
    assert_eq!(room.files().len(), 2);
    assert_eq!(room.answered(room.newest().unwrap()), 20);
}

#[test]
fn a_snapshot_whose_files_are_not_as_they_were_written_is_passed_over_for_the_one_before_it() {
    let mut room = Room::open();
    room.give(40);
    room.take();
    let stands_at = room.venue.engine_seq();
    room.give(5);
    room.take();
    let newest = room.folder.path().join(room.outcomes[1].name());
    let whole = fs::read(&newest).unwrap();
    let begins_at = |room: &Room| room.newest().map(|venue| venue.engine_seq());
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&newest, &damaged).unwrap();
        assert_eq!(begins_at(&room), Some(stands_at), "byte {at}");
    }
    for left in [0, HEADER - 1, HEADER, HEADER + 3, whole.len() - 1] {
        fs::write(&newest, &whole[..left]).unwrap();
        assert_eq!(begins_at(&room), Some(stands_at), "{left} bytes");
    }
    fs::write(&newest, [&whole[..], &[0]].concat()).unwrap();
    assert_eq!(begins_at(&room), Some(stands_at));
    fs::remove_file(&newest).unwrap();
    assert_eq!(begins_at(&room), Some(stands_at));
    // Another file in its place, whole by itself.
    fs::copy(room.folder.path().join(room.outcomes[0].name()), &newest).unwrap();
    assert_eq!(begins_at(&room), Some(stands_at));
    fs::write(&newest, &whole).unwrap();
    assert_eq!(begins_at(&room), Some(room.venue.engine_seq()));
    // And what the disk does not give is not taken for missing.
    fs::remove_file(room.folder.path().join(room.outcomes[0].name())).unwrap();
    let looped = room.folder.path().join(room.outcomes[0].name());
    std::os::unix::fs::symlink(&looped, &looped).unwrap();
    assert!(snapshots::newest(room.folder.path()).is_err());
}

#[test]
fn what_a_damaged_file_held_is_refused_and_never_taken_for_new() {
    let mut room = Room::open();
    room.give(100);
    room.take();
    room.give(100);
    room.take();
    let (first, last_seq) = (room.files().remove(0), room.venue.engine_seq());
    let whole = fs::read(&first).unwrap();
    // How many answers a state gives, and how many it refuses to; each of the others would be applied again.
    let told = |room: &Room, venue: &mut Venue| {
        let codes = room.taken.iter().map(|(number, engine_seq)| {
            let command = Room::command(*number);
            let answer = venue.screen(&command, Room::digest(&command), room.now_ms);
            let answer = answer.expect("none of them is new");
            let Command::Order(order) = &command else { unreachable!() };
            let asked = venue.query(&order.command_id, room.now_ms).outcome;
            match answer.duplicate {
                true => assert_eq!((answer.outcome.engine_seq, asked), (*engine_seq, answer.outcome)),
                false => assert_eq!((answer.outcome.code, asked.code), (Code::Forgotten, Code::Forgotten)),
            }
            answer.duplicate
        });
        codes.filter(|answered| *answered).count()
    };
    let cut = whole[..whole.len() - 1].to_vec();
    for damage in [&cut, &[&cut[..], &[7]].concat()] {
        fs::write(&first, damage).unwrap();
        let mut found = snapshots::newest(room.folder.path()).unwrap().unwrap();
        assert_eq!(found.venue.engine_seq(), last_seq, "the newest one misses no more than the one before");
        assert_eq!(told(&room, &mut found.venue), 100);
        // Whoever comes first with a later id is served.
        let command = Room::command(300);
        assert_eq!(found.venue.screen(&command, Room::digest(&command), START_MS + 300), None);
        // What is written then names it still, however many files that makes.
        let mut named: Vec<Named> = found.outcomes.iter().cycle().take(FILES_MAX).cloned().collect();
        named = add(room.folder.path(), &found.venue, &named).unwrap();
        assert!(named.len() >= FILES_MAX && named.contains(&room.outcomes[0]));
        snapshots::write(room.folder.path(), &found.venue, &mut found.outcomes).unwrap();
        assert_eq!(told(&room, &mut room.newest().unwrap()), 100, "and the next start knows it too");
    }
    assert!(snapshots::oldest(room.folder.path()).unwrap().is_none(), "a verification wants all");
    // Once nobody may ask for any of it, nothing is missed.
    let mut found = snapshots::newest(room.folder.path()).unwrap().unwrap();
    let late = (START_MS + WINDOW_MS + 1_000) * NS_PER_MS;
    found.venue.apply(late, &Command::Tick, 0, &mut Output::default());
    assert!(!found.venue.misses_outcomes());
    fs::write(&first, &whole).unwrap();
    assert_eq!(room.answered(room.newest().unwrap()), 200, "brought back, it is read as ever");
}
