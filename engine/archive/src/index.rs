//! What lies beside a file of events: where its spans begin, a checksum over each, and points of the chain.
//!
//! Bytes: magic, the file's first sequence, spans (events, bytes, CRC-32C as u32), points (engine sequence, event
//! sequence, offset, chain), CRC-32C over all of it. Numbers as in [`countersign_venue::codec`].

use countersign_venue::codec::{Malformed, Put, Reader};
use countersign_venue::event::split_event;

use crate::Point;

const MAGIC: &[u8; 8] = b"CSEVIX01";
/// What a consumer reads and checks at a time: so many bytes, to the end of an event.
pub(crate) const SPAN_BYTES: u64 = 64 << 10;
/// Of the newest ones: a start needs those of the two snapshots that are kept.
const POINTS_MAX: usize = 64;

/// Events that are checked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub first_seq: u64,
    pub count: u64,
    pub offset: u64,
    pub length: u64,
    pub sum: u32,
}

impl Span {
    pub fn empty(first_seq: u64, offset: u64) -> Span {
        Span { first_seq, count: 0, offset, length: 0, sum: 0 }
    }

    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.count
    }

    pub fn end(&self) -> u64 {
        self.offset + self.length
    }

    pub fn is_of(&self, bytes: &[u8]) -> bool {
        crc32c::crc32c(bytes) == self.sum
    }

    /// Takes in whole events that follow; gives the spans that are full by now.
    pub fn grow(&mut self, bytes: &[u8]) -> Vec<Span> {
        let mut full = Vec::new();
        let (mut rest, mut from) = (bytes, bytes);
        while let Ok(Some((_, after))) = split_event(rest) {
            self.count += 1;
            self.length += (rest.len() - after.len()) as u64;
            rest = after;
            if self.length >= SPAN_BYTES {
                self.sum = crc32c::crc32c_append(self.sum, &from[..from.len() - rest.len()]);
                from = rest;
                full.push(*self);
                *self = Span::empty(self.next_seq(), self.end());
            }
        }
        self.sum = crc32c::crc32c_append(self.sum, &from[..from.len() - rest.len()]);
        full
    }
}

/// A point, and where in the file the events end that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub point: Point,
    pub offset: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub first_seq: u64,
    pub spans: Vec<Span>,
    pub points: Vec<Known>,
}

impl Index {
    pub fn new(first_seq: u64) -> Index {
        Index { first_seq, spans: Vec::new(), points: Vec::new() }
    }

    /// The sequence behind the last event that it covers.
    pub fn next_seq(&self) -> u64 {
        self.spans.last().map_or(self.first_seq, Span::next_seq)
    }

    /// Where the last event that it covers ends.
    pub fn end(&self) -> u64 {
        self.spans.last().map_or(0, Span::end)
    }

    /// The span that holds this event.
    pub fn span_of(&self, seq: u64) -> Option<Span> {
        span_of(&self.spans, seq)
    }

    pub fn add_point(&mut self, known: Known) {
        self.points.retain(|other| other.point.event_seq != known.point.event_seq);
        self.points.push(known);
        if self.points.len() > POINTS_MAX {
            self.points.remove(0);
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.put_u64(self.first_seq);
        out.put_u64(self.spans.len() as u64);
        for span in &self.spans {
            out.put_u64(span.count);
            out.put_u64(span.length);
            out.extend_from_slice(&span.sum.to_le_bytes());
        }
        out.put_u64(self.points.len() as u64);
        for Known { point, offset } in &self.points {
            out.put_u64(point.engine_seq);
            out.put_u64(point.event_seq);
            out.put_u64(*offset);
            out.extend_from_slice(&point.chain);
        }
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads what [`Index::encode`] wrote, for the file that begins with event `first_seq`.
    pub fn decode(bytes: &[u8], first_seq: u64) -> Result<Index, Malformed> {
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Malformed("cut short"))?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return Err(Malformed("the checksum does not match"));
        }
        let mut reader = Reader::new(body);
        if reader.bytes(8)? != MAGIC {
            return Err(Malformed("it is no index"));
        }
        if reader.u64()? != first_seq {
            return Err(Malformed("it is the index of another file"));
        }
        let mut index = Index::new(first_seq);
        for _ in 0..reader.u64()? {
            let mut span = Span::empty(index.next_seq(), index.end());
            span.count = reader.u64()?;
            span.length = reader.u64()?;
            span.sum = u32::from_le_bytes(reader.bytes(4)?.try_into().expect("4 bytes were taken"));
            index.spans.push(span);
        }
        for _ in 0..reader.u64()? {
            let (engine_seq, event_seq, offset) = (reader.u64()?, reader.u64()?, reader.u64()?);
            let chain = reader.bytes(32)?.try_into().expect("32 bytes were taken");
            index.points.push(Known { point: Point { engine_seq, event_seq, chain }, offset });
        }
        reader.finish()?;
        Ok(index)
    }
}

pub(crate) fn span_of(spans: &[Span], seq: u64) -> Option<Span> {
    let at = spans.partition_point(|span| span.next_seq() <= seq);
    spans.get(at).filter(|span| span.first_seq <= seq).copied()
}
