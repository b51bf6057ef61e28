//! Reading a journal from its beginning, verifying everything.

use std::path::{Path, PathBuf};

use crate::block::{self, Record, Sealed};
use crate::reading::Reading;
use crate::segment::{self, Header};
use crate::{Error, attic, io_error};

/// What [`scan`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The sequence that the next record would have.
    pub next_seq: u64,
    pub records: u64,
    pub blocks: u64,
    pub segments: usize,
    pub bytes: u64,
    /// Bytes of a block that was being written when its writer died. They were never acknowledged.
    pub torn_bytes: u64,
    pub(crate) tail: Option<Tail>,
}

/// Where writing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub path: PathBuf,
    pub offset: u64,
    pub length: u64,
    /// Where the last block begins: the only one that may never have been flushed.
    pub last: u64,
    /// End of what is not zero: up to here must be wiped before anything is appended.
    pub dirty_to: u64,
    pub sum: u32,
}

/// Reads every record above `after` and verifies the whole chain of the segments that hold them.
///
/// Reads only; a torn tail is measured and left where it is. `visit` may refuse a record by saying why.
pub fn scan(
    folder: &Path,
    after: u64,
    visit: impl FnMut(Record<'_>) -> Result<(), String>,
) -> Result<Scan, Error> {
    read(folder, segment::list(folder)?, after, true, visit)
}

/// The same for the segments that are closed, while another thread or process writes the
/// one behind them. Nothing of a closed segment may be damaged, its end included.
pub fn scan_closed(
    folder: &Path,
    after: u64,
    visit: impl FnMut(Record<'_>) -> Result<(), String>,
) -> Result<Scan, Error> {
    let mut segments = segment::list(folder)?;
    segments.pop();
    read(folder, segments, after, false, visit)
}

/// Reads segments in order. `open_end`: the last of them may end in a block that was being written.
fn read(
    folder: &Path,
    mut segments: Vec<(u64, PathBuf)>,
    after: u64,
    open_end: bool,
    mut visit: impl FnMut(Record<'_>) -> Result<(), String>,
) -> Result<Scan, Error> {
    // Older segments may have been archived, and need not be read if a snapshot stands for them.
    let begin = segments.iter().rposition(|(first, _)| *first <= after + 1).unwrap_or(0);
    segments.drain(..begin);
    let mut scan =
        Scan { next_seq: after + 1, records: 0, blocks: 0, segments: 0, bytes: 0, torn_bytes: 0, tail: None };
    let mut chain: Option<(u64, u32)> = None;
    let count = segments.len();
    for (at, (first, path)) in segments.into_iter().enumerate() {
        let last = open_end && at + 1 == count;
        let bytes = match attic::read(&path) {
            // It went to the attic while we looked.
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                attic::read(&attic::path_of(folder, first))
            }
            read => read,
        };
        let mut bytes = Reading::new(bytes.map_err(io_error("read", &path))?);
        let corrupt =
            |offset: u64, what: &str| Error::Corrupt { path: path.clone(), offset, what: what.to_string() };
        let header = Header::read(bytes.peek(segment::HEADER).map_err(io_error("read", &path))?)
            .ok_or_else(|| corrupt(0, "the segment's header is damaged"))?;
        if header.first_seq != first {
            return Err(corrupt(0, "the segment's name and header disagree"));
        }
        let (mut next, mut sum) = chain.unwrap_or((first, header.before));
        if first != next || header.before != sum {
            return Err(corrupt(0, &format!("a segment is missing before it: record {next} was expected")));
        }
        if chain.is_none() && first > after + 1 {
            return Err(corrupt(
                0,
                &format!("the journal begins at {first}, record {} is needed", after + 1),
            ));
        }
        bytes.pass(segment::HEADER);
        let mut newest = 0;
        loop {
            let offset = bytes.offset;
            let claimed = block::claimed(bytes.peek(block::HEADER).map_err(io_error("read", &path))?);
            let Some(length) = claimed else { break };
            let whole = bytes.peek(length).map_err(io_error("read", &path))?;
            let Some(block) = Sealed::read(whole) else { break };
            if block.first_seq != next || block.before != sum {
                return Err(corrupt(offset, "a block does not continue the one before"));
            }
            for record in block.records().map_err(|what| corrupt(offset, what))? {
                if record.seq > after {
                    visit(record).map_err(|why| Error::Refused { seq: record.seq, why })?;
                    scan.records += 1;
                }
            }
            scan.blocks += 1;
            newest = offset;
            next += u64::from(block.count);
            sum = block.sum;
            let length = block.len();
            bytes.pass(length);
        }
        // From here on there must be nothing that was ever durable.
        let offset = bytes.offset;
        let (dirty, length) = bytes.rest().map_err(io_error("read", &path))?;
        if !dirty.is_empty() {
            if !last {
                return Err(corrupt(offset, "a block is damaged, and its segment was closed behind it"));
            }
            if let Some(found) = block::any_block_after(&dirty, next) {
                let at = offset + found as u64;
                let what = format!("a block is damaged, and a valid one follows at byte {at}");
                return Err(corrupt(offset, &what));
            }
        }
        let dirty = dirty.len() as u64;
        scan.segments += 1;
        scan.bytes += offset;
        scan.torn_bytes = dirty;
        scan.next_seq = next.max(after + 1);
        scan.tail =
            Some(Tail { path: path.clone(), offset, length, last: newest, dirty_to: offset + dirty, sum });
        chain = Some((next, sum));
        if last && next <= after {
            let what = format!("the journal ends before record {next}, and a snapshot stands for {after}");
            return Err(corrupt(offset, &what));
        }
    }
    Ok(scan)
}
