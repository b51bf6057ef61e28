//! The half of a call that sends.

use crate::http::*;

/// Messages in, bytes for the socket out.
#[derive(Debug)]
pub struct Outward {
    out: Vec<u8>,
    body: Vec<u8>,
    begun: usize,
    room_whole: i64,
    room_call: i64,
    room_first: i64,
    frame_max: usize,
}

impl Outward {
    /// Begin with the request for a method, such as "/package.Service/Method".
    pub fn new(method: &str, authority: &str, scheme: Scheme) -> Self {
        let mut out = PREFACE.to_vec();
        let mut settings = Vec::new();
        for (name, value) in [
            (HEADER_TABLE_SIZE, 0),
            (ENABLE_PUSH, 0),
            (INITIAL_WINDOW_SIZE, WINDOW as u32),
            (MAX_FRAME_SIZE, FRAME_IN_MAX as u32),
        ] {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        frame(&mut out, SETTINGS, 0, WHOLE, &settings);
        frame(&mut out, WINDOW_UPDATE, 0, WHOLE, &((WINDOW - WINDOW_FIRST) as u32).to_be_bytes());
        frame(&mut out, HEADERS, END_HEADERS, CALL, &request(method, authority, scheme));
        Self {
            out,
            body: Vec::new(),
            begun: 0,
            room_whole: WINDOW_FIRST,
            room_call: WINDOW_FIRST,
            room_first: WINDOW_FIRST,
            frame_max: 16_384,
        }
    }

    /// Another message, behind those that wait for room.
    pub fn message(&mut self, message: &[u8]) {
        self.body.push(0);
        self.body.extend_from_slice(&(message.len() as u32).to_be_bytes());
        self.body.extend_from_slice(message);
    }

    /// Take in what the other side said, as far as it is about sending.
    pub fn hear(&mut self, word: &Word) {
        match word {
            Word::Message(_) => {}
            Word::Room(WHOLE, more) => self.room_whole += more,
            Word::Room(_, more) => self.room_call += more,
            Word::Ping(payload) => frame(&mut self.out, PING, ACK, WHOLE, payload),
            Word::Taken(size) => {
                frame(&mut self.out, WINDOW_UPDATE, 0, WHOLE, &size.to_be_bytes());
                frame(&mut self.out, WINDOW_UPDATE, 0, CALL, &size.to_be_bytes());
            }
            Word::Settings(values) => {
                for &(name, value) in values {
                    match name {
                        INITIAL_WINDOW_SIZE => {
                            self.room_call += i64::from(value) - self.room_first;
                            self.room_first = i64::from(value);
                        }
                        MAX_FRAME_SIZE => self.frame_max = value as usize,
                        _ => {}
                    }
                }
                frame(&mut self.out, SETTINGS, ACK, WHOLE, &[]);
            }
        }
    }

    /// The bytes to write next, cut into frames where there is room for them.
    pub fn waiting(&mut self) -> &mut Vec<u8> {
        while self.begun < self.body.len() {
            let room = self.room_whole.min(self.room_call).min(self.frame_max as i64);
            if room <= 0 {
                break;
            }
            let size = (self.body.len() - self.begun).min(room as usize);
            frame(&mut self.out, DATA, 0, CALL, &self.body[self.begun..self.begun + size]);
            self.begun += size;
            self.room_whole -= size as i64;
            self.room_call -= size as i64;
        }
        if self.begun == self.body.len() {
            self.body.clear();
        } else {
            self.body.drain(..self.begun);
        }
        self.begun = 0;
        &mut self.out
    }
}

/// POST of the method (HPACK, RFC 7541): literals that no table keeps, common names by their number.
fn request(method: &str, authority: &str, scheme: Scheme) -> Vec<u8> {
    let mut block = vec![0x83, scheme as u8];
    for (name, value) in [
        (&b"\x04"[..], method),
        (b"\x01", authority),
        (b"\x0f\x10", "application/grpc"),
        (b"\x00\x02te", "trailers"),
    ] {
        block.extend_from_slice(name);
        match value.len() {
            size @ 0..127 => block.push(size as u8),
            size => {
                block.push(127);
                varint(&mut block, (size - 127) as u64);
            }
        }
        block.extend_from_slice(value.as_bytes());
    }
    block
}
