//! One long gRPC call: as much of HTTP/2 as a single stream needs (RFC 9113, and gRPC's PROTOCOL-HTTP2.md).
//!
//! There is one request on stream 1 and nothing else on the connection, so there is nothing to schedule. Headers are
//! sent as literals; of those that come only the last are handed on, which say how the call ended. Flow control is
//! kept in both directions. Its two halves, `outward` and `inward`, neither read nor write nor wait.

pub const FRAME_MAX: usize = 4 * 1024 * 1024;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITY: u8 = 32;
pub const HEADER_TABLE_SIZE: u16 = 1;
pub const ENABLE_PUSH: u16 = 2;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_FRAME_SIZE: u16 = 5;
/// The connection as a whole, and its only stream.
pub const WHOLE: u32 = 0;
pub const CALL: u32 = 1;

pub const HEAD: usize = 9;
pub const PREFIX: usize = 5;
pub const WINDOW_FIRST: i64 = 65_535;
pub const WINDOW: i64 = 4 * 1024 * 1024;
pub const FRAME_IN_MAX: usize = 1024 * 1024;
pub const HEADERS_MAX: usize = 64 * 1024;

/// By the number of its field in HPACK's own table.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Scheme {
    Http = 0x86,
    Https = 0x87,
}

/// Why there is nothing more to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// In words.
    Away(String),
    /// The header block that ended the call, unread.
    Trailers(Vec<u8>),
}

/// What the other side said.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    Message(Vec<u8>),
    Room(u32, i64),
    Settings(Vec<(u16, u32)>),
    Ping([u8; 8]),
    /// So many bytes were taken in: give the room back.
    Taken(u32),
}

pub fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

pub fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, number: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.push(kind);
    out.push(flags);
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Seven bits at a time, the lowest first: protobuf's numbers, and the rest of HPACK's.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
