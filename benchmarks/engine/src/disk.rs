//! What the disk alone takes: a loop that writes a block and flushes it, and does nothing else.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

const FILE_BYTES: u64 = 64 << 20;

/// Blocks of so many bytes for so long, one after the other over a file of zeros, as the journal's lie.
pub fn flushes(folder: &Path, block: u64, time: Duration) -> std::io::Result<Histogram<u64>> {
    let path = folder.join("disk");
    let mut file = File::create(&path)?;
    for _ in 0..FILE_BYTES >> 20 {
        file.write_all(&vec![0; 1 << 20])?;
    }
    file.sync_all()?;
    let block = vec![1; block.clamp(1, FILE_BYTES) as usize];
    let mut took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("constant bounds");
    let (began, mut at) = (Instant::now(), 0);
    while began.elapsed() < time {
        if at + block.len() as u64 > FILE_BYTES {
            at = 0;
        }
        let since = Instant::now();
        file.write_all_at(&block, at)?;
        file.sync_data()?;
        took.saturating_record(since.elapsed().as_micros().max(1) as u64);
        at += block.len() as u64;
    }
    std::fs::remove_file(path)?;
    Ok(took)
}
