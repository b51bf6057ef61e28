//! Files that are larger than a test may write: all but their end is a hole.

use std::sync::Arc;

use countersign_venue::{Command, LOGIC_VERSION, Output, Venue};

use crate::archive::Live;
use crate::index::{Index, Span};
use crate::sealing::Unsealed;
use crate::seam::Seam;
use crate::shelf::Shelf;
use crate::{Archive, Cursor, Options, Point, Retelling};

/// Beyond what 32 bits can say.
const FAR: u64 = (5 << 30) + 17;

fn lead(venue: &mut Venue) -> (Output, Point) {
    let mut told = Output::default();
    let command = Command::Lead { epoch: venue.epoch() + 1, logic_version: LOGIC_VERSION };
    venue.apply(1, &command, 0, &mut told);
    let point = Point { engine_seq: venue.engine_seq(), event_seq: venue.event_seq(), chain: venue.chain() };
    (told, point)
}

fn first(archive: &Archive, event_seq: u64) -> u64 {
    archive.read(&mut Cursor::new(event_seq), 10).unwrap()[0].seq
}

#[test]
fn events_far_behind_in_a_large_file_are_told_sealed_found_again_and_followed_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(folder.path(), Seam::default());
    let file = Arc::new(shelf.create(1).unwrap());
    file.set_len(FAR).unwrap();
    let hole = Span { count: 1, length: FAR, ..Span::empty(1, 0) };
    let live = Live { first_seq: 1, file: Arc::clone(&file), spans: vec![hole], open: (2, FAR), end: FAR };
    let index = Index { spans: vec![hole], ..Index::new(1) };
    let options = Options { file_bytes: 2 * FAR, seam: Seam::default() };
    let archive = Archive::of(
        shelf,
        options.file_bytes,
        vec![live],
        Span::empty(2, FAR),
        vec![Unsealed::of(index, file)],
    );
    let mut venue = Venue::new();
    lead(&mut venue);
    let (told, point) = lead(&mut venue);
    archive.append(&told.bytes, 1).unwrap();
    assert_eq!((archive.last_seq(), first(&archive, 2)), (2, 2));
    archive.seal(&point).unwrap();
    drop(archive);
    let found = Retelling::begin(folder.path(), &point, &options).unwrap().expect("the index fits");
    let archive = found.finish().unwrap();
    let (told, point) = lead(&mut venue);
    archive.append(&told.bytes, 1).unwrap();
    archive.seal(&point).unwrap();
    assert_eq!((archive.last_seq(), first(&archive, 2), first(&archive, 3)), (3, 2, 3));
}
