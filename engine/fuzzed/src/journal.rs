//! The journal's reader: damage is told from a torn end, and nothing is ever read that was not written.

use std::fs;
use std::path::PathBuf;

use countersign_journal::{Block, Error, Follower, Journal, Options, scan};
use tempfile::TempDir;

use crate::Bytes;

fn folder() -> TempDir {
    // Memory, where there is some: nothing here needs to be durable.
    let base = PathBuf::from("/dev/shm");
    let made = if base.is_dir() { TempDir::new_in(base) } else { TempDir::new() };
    made.expect("a folder can be made")
}

/// A block whose checksum holds, around arbitrary records: read or refused, by both readers alike.
pub fn journal_records(bytes: &[u8]) {
    let mut taken = Bytes(bytes);
    let (count, first) = (u32::from(taken.byte()), taken.byte());
    let first_seq = if first == 255 { u64::MAX - 1 } else { 1 + u64::from(first / 250) };
    let records = bytes.get(2..).unwrap_or_default();
    let mut block = vec![0u8; 32];
    block[0..4].copy_from_slice(b"CSB1");
    block[4..8].copy_from_slice(&(records.len() as u32).to_le_bytes());
    block[8..16].copy_from_slice(&first_seq.to_le_bytes());
    block[16..20].copy_from_slice(&count.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&block[..28]), records);
    block[28..32].copy_from_slice(&sum.to_le_bytes());
    block.extend_from_slice(records);

    let mut file = vec![0u8; 64];
    file[..8].copy_from_slice(b"CSJRNL01");
    file[8..16].copy_from_slice(&first_seq.to_le_bytes());
    let sum = crc32c::crc32c(&file[..60]);
    file[60..64].copy_from_slice(&sum.to_le_bytes());
    file.extend(block);
    file.extend([0; 256]);

    let folder = folder();
    fs::write(folder.path().join(format!("journal-{first_seq:020}.seg")), &file).expect("it can be written");
    let after = first_seq - 1;
    let mut scanned = Vec::new();
    let told = scan(folder.path(), after, |record| {
        scanned.push((record.seq, record.time_ns, record.bytes.to_vec()));
        Ok(())
    });
    let mut followed = Vec::new();
    let polled = Follower::new(folder.path(), after).poll(|record| {
        followed.push((record.seq, record.time_ns, record.bytes.to_vec()));
        Ok(())
    });
    assert_eq!(told.is_ok(), polled.is_ok());
    if told.is_ok() {
        assert_eq!(scanned, followed);
        // A sequence that nobody can have reached is taken for a block that is not whole.
        assert!(scanned.len() == count as usize || first == 255);
    }
}

/// A journal of some blocks, with some bytes changed: a prefix of what was written is read, or it is refused.
pub fn damaged_journal(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let folder = folder();
    let options = Options { segment_bytes: 512, fsync: false, ..Options::default() };
    let opened = Journal::open(folder.path(), &options, true, 0, |_| Ok(()));
    let (mut journal, _) = opened.expect("a new journal");
    let mut written = 0u64;
    let mut block = Block::default();
    for _ in 0..1 + bytes.below(6) {
        block.start(journal.next_seq());
        for _ in 0..1 + bytes.below(4) {
            written += 1;
            block.push(written, |out| out.extend(written.to_le_bytes().repeat(1 + written as usize % 3)));
        }
        journal.append(&mut block).expect("it can be written");
    }
    drop(journal);

    let mut files: Vec<PathBuf> = fs::read_dir(folder.path())
        .expect("it can be listed")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    files.sort();
    let mut changed = false;
    while !bytes.is_empty() {
        let path = &files[bytes.below(files.len() as u64) as usize];
        let mut content = fs::read(path).expect("it can be read");
        let at = (bytes.below(256) << 8 | bytes.below(256)) as usize % content.len().max(1);
        match bytes.byte() {
            255 => content.truncate(at),
            flip => {
                if let Some(byte) = content.get_mut(at) {
                    *byte ^= flip;
                }
            }
        }
        changed = true;
        fs::write(path, content).expect("it can be written");
    }

    let mut seen = 0u64;
    let told = scan(folder.path(), 0, |record| {
        seen += 1;
        assert_eq!((record.seq, record.time_ns), (seen, seen));
        assert_eq!(record.bytes, seen.to_le_bytes().repeat(1 + seen as usize % 3), "read, but never written");
        Ok(())
    });
    assert!(seen <= written);
    match told {
        Ok(told) => assert!(changed || (told.records, told.torn_bytes) == (written, 0)),
        Err(Error::Corrupt { .. }) => assert!(changed),
        Err(other) => panic!("{other}"),
    }
}
