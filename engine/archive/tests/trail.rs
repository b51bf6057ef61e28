//! A standby that keeps up with the leader's events ... (each test's name finishes the sentence).

use std::fs;
use std::thread;
use std::time::Duration;

use crate::history::{Count, FILE_BYTES, Folder, append, history, nothing, options, seal, tells_all};
use countersign_archive::{Archive, Point, Seam, Trail};

fn expect(trail: &mut Trail, from: usize, to: usize) {
    for given in &history()[from..to] {
        trail.expect(&given.bytes, given.point);
    }
}

/// It takes over.
fn lead(trail: Trail) -> Archive {
    trail.finish().unwrap().unwrap().finish().unwrap()
}

/// A leader that appends and now and then takes a snapshot, and a standby beside it.
fn beside(folder: &Folder, to: usize, seam: Seam) -> (Archive, Trail) {
    let archive = folder.create();
    let mut trail = Trail::new(&folder.path(), nothing(), &options(seam));
    for from in (0..to).step_by(50) {
        let next = (from + 50).min(to);
        append(&archive, from, next).unwrap();
        expect(&mut trail, from, next);
        trail.look();
        if next % 400 == 0 {
            seal(&archive, next).unwrap();
        }
    }
    (archive, trail)
}

#[test]
fn reads_no_event_when_it_takes_over_however_many_there_are() {
    let mut files = Vec::new();
    for given in [1_000, 2_500, history().len()] {
        let (folder, count) = (Folder::new(), Count::default());
        let (leader, trail) = beside(&folder, given, count.seam());
        drop(leader);
        let (before, index_before, _) = count.told();
        let whole: usize = history()[..given].iter().map(|given| given.bytes.len()).sum();
        assert_eq!(before, whole as u64, "it has compared each byte once");
        let archive = lead(trail);
        let (after, index_after, _) = count.told();
        assert_eq!(after, before, "no event is read");
        assert!(index_after - index_before < 4_096, "of the last files' indexes only");
        tells_all(&archive, given);
        append(&archive, given, history().len()).unwrap();
        seal(&archive, history().len()).unwrap();
        tells_all(&archive, history().len());
        files.push(folder.files("log").len());
        drop(archive);
        tells_all(&folder.reopen(history().len()).unwrap(), history().len());
    }
    assert!(files[0] > 2, "{files:?}");
}

#[test]
fn writes_what_the_leader_told_nobody_yet() {
    let folder = Folder::new();
    let (leader, mut trail) = beside(&folder, 3_000, Seam::default());
    // Durable in the journal, and the leader died before it wrote the events.
    expect(&mut trail, 3_000, 3_200);
    drop(leader);
    let archive = lead(trail);
    assert_eq!(archive.last_seq(), history()[3_199].point.event_seq);
    tells_all(&archive, 3_200);
}

#[test]
fn goes_through_what_another_told_since_and_cuts_what_was_never_whole() {
    let folder = Folder::new();
    let (leader, trail) = beside(&folder, 2_000, Seam::default());
    append(&leader, 2_000, 4_000).unwrap();
    let files = folder.files("log");
    drop(leader);
    let newest = files.last().unwrap();
    let length = fs::metadata(newest).unwrap().len();
    fs::OpenOptions::new().write(true).open(newest).unwrap().set_len(length - 9).unwrap();
    let mut retelling = trail.finish().unwrap().unwrap();
    for given in &history()[2_000..4_100] {
        retelling.take(&given.bytes).unwrap();
    }
    let archive = retelling.finish().unwrap();
    assert_eq!(folder.files("log"), files);
    tells_all(&archive, 4_100);
    // The journal must give everything that was told.
    let (leader, trail) = beside(&folder, 2_000, Seam::default());
    append(&leader, 2_000, 4_000).unwrap();
    drop(leader);
    let refused = trail.finish().unwrap().unwrap().finish().err().unwrap();
    let told = history()[1_999].point.event_seq + 1;
    assert!(refused.to_string().contains("that the journal does not give"), "{refused} {told}");
}

/// A leader that died in the middle of writing a command's events, into a file that was full or became so with them.
#[test]
fn never_ends_a_file_within_a_command_wherever_the_leader_died() {
    const BEGIN: usize = 1_000;
    let begins: Vec<u64> = history().iter().map(|given| given.point.event_seq + 1).collect();
    let folder = Folder::new();
    let leader = folder.create();
    append(&leader, 0, BEGIN).unwrap();
    seal(&leader, BEGIN).unwrap();
    let newest = folder.files("log").pop().unwrap();
    let (mut last, mut full) = (BEGIN, 0);
    // Two commands further than the file may grow: as one large block has it.
    let mut block = Vec::new();
    while full < 2 {
        block.extend_from_slice(&history()[last].bytes);
        last += 1;
        full += usize::from(fs::metadata(&newest).unwrap().len() + block.len() as u64 >= FILE_BYTES);
    }
    drop(leader);
    let before = fs::read(&newest).unwrap();
    let command = history()[last - 1].bytes.len() + history()[last - 2].bytes.len();
    for cut in block.len() - command..=block.len() {
        fs::write(&newest, [&before, &block[..cut]].concat()).unwrap();
        let mut trail = Trail::new(&folder.path(), history()[BEGIN - 1].point, &options(Seam::default()));
        expect(&mut trail, BEGIN, last + 3);
        let archive = lead(trail);
        append(&archive, last + 3, last + 30).unwrap();
        tells_all(&archive, last + 30);
        for file in folder.files("log") {
            let name = file.file_stem().unwrap().to_str().unwrap().to_string();
            let first_seq: u64 = name["events-".len()..].parse().unwrap();
            assert!(first_seq == 1 || begins.contains(&first_seq), "{name} begins within a command, {cut}");
            if file > newest {
                fs::remove_file(file).unwrap();
            }
        }
    }
}

#[test]
fn begins_at_a_snapshot_without_reading_what_was_before() {
    let (folder, count) = (Folder::new(), Count::default());
    let leader = folder.create();
    append(&leader, 0, 3_000).unwrap();
    seal(&leader, 3_000).unwrap();
    append(&leader, 3_000, 4_000).unwrap();
    let mut trail = Trail::new(&folder.path(), history()[2_999].point, &options(count.seam()));
    expect(&mut trail, 3_000, 4_000);
    trail.look();
    let since: usize = history()[3_000..4_000].iter().map(|given| given.bytes.len()).sum();
    // The span that the snapshot lies in is compared with its checksum.
    assert!((since as u64..=since as u64 + (2 << 16)).contains(&count.told().0), "{:?}", count.told());
    drop(leader);
    tells_all(&lead(trail), 4_000);
}

#[test]
fn leaves_it_to_a_start_that_reads_where_files_are_not_what_it_compared() {
    type Change = fn(&Folder);
    let cut: Change = |folder| {
        let newest = folder.files("log").pop().unwrap();
        let length = fs::metadata(&newest).unwrap().len();
        fs::OpenOptions::new().write(true).open(&newest).unwrap().set_len(length / 2).unwrap();
    };
    let replaced: Change = |folder| {
        let newest = folder.files("log").pop().unwrap();
        let bytes = fs::read(&newest).unwrap();
        fs::remove_file(&newest).unwrap();
        fs::write(&newest, bytes).unwrap();
    };
    let gone: Change = |folder| fs::remove_file(folder.files("log").pop().unwrap()).unwrap();
    for change in [cut, replaced, gone] {
        let folder = Folder::new();
        let (leader, trail) = beside(&folder, 2_500, Seam::default());
        drop(leader);
        change(&folder);
        assert!(trail.finish().unwrap().is_none());
    }
}

#[test]
fn says_which_events_were_told_otherwise_than_it_computes_them() {
    let folder = Folder::new();
    let (leader, mut trail) = beside(&folder, 2_500, Seam::default());
    let mut other: Vec<u8> = history()[2_500].bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    leader.append(&other, history()[2_500].count).unwrap();
    expect(&mut trail, 2_500, 2_600);
    assert_eq!(trail.differs(), None);
    trail.look();
    let told = history()[2_499].point.event_seq;
    assert!(trail.differs().unwrap().contains(&format!("behind event {told}")), "{:?}", trail.differs());
    drop(leader);
    assert!(trail.finish().unwrap().is_none());
    // Also where they were told before it looked for the first time.
    let mut trail = Trail::new(&folder.path(), nothing(), &options(Seam::default()));
    let fewer = 2_500 - 1;
    expect(&mut trail, 0, fewer);
    let wrong = Point { chain: [7; 32], ..history()[fewer].point };
    trail.expect(&history()[fewer].bytes, wrong);
    trail.begin_again();
    thread::sleep(Duration::from_millis(250));
    trail.look();
    assert!(trail.differs().unwrap().contains("other events lie"), "{:?}", trail.differs());
}

#[test]
fn finds_its_way_again_after_another_leader_began_at_an_older_snapshot() {
    let folder = Folder::new();
    let (leader, mut trail) = beside(&folder, 2_300, Seam::default());
    drop(leader);
    let leader = folder.retell(1_600, 2_300, Seam::default()).unwrap().unwrap();
    // Not cut into files where the first one cut them.
    for from in (2_300..2_800).step_by(250) {
        append(&leader, from, from + 250).unwrap();
    }
    expect(&mut trail, 2_300, 2_400);
    trail.begin_again();
    expect(&mut trail, 2_400, 2_800);
    thread::sleep(Duration::from_millis(250));
    trail.look();
    append(&leader, 2_800, 3_500).unwrap();
    expect(&mut trail, 2_800, 3_500);
    trail.look();
    drop(leader);
    let archive = lead(trail);
    tells_all(&archive, 3_500);
}
