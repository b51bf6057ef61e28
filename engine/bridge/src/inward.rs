//! The half of a call that receives.

use crate::http::*;

/// Bytes from the socket in, words out.
#[derive(Debug, Default)]
pub struct Inward {
    bytes: Vec<u8>,
    message: Vec<u8>,
    taken: u32,
    headers: Vec<u8>,
    headers_end_it: bool,
}

impl Inward {
    /// Take bytes in. What was said before an end counts, so both may come.
    pub fn hear(&mut self, bytes: &[u8], words: &mut Vec<Word>) -> Result<(), End> {
        self.bytes.extend_from_slice(bytes);
        let mut at = 0;
        let mut end = Ok(());
        while end.is_ok() && self.bytes.len() - at >= HEAD {
            let head: [u8; HEAD] = self.bytes[at..at + HEAD].try_into().expect("nine bytes");
            let size = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if size > FRAME_IN_MAX {
                end = Err(End::Away(format!("a frame of {size} bytes")));
                break;
            }
            if self.bytes.len() - at - HEAD < size {
                break;
            }
            let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let payload = std::mem::take(&mut self.bytes);
            end = self.take(head[3], head[4], number, &payload[at + HEAD..at + HEAD + size], words);
            self.bytes = payload;
            at += HEAD + size;
        }
        self.bytes.drain(..at);
        let cut = self.messages(words);
        end.and(cut)
    }

    /// Kinds that are not known are passed over, as the protocol asks.
    fn take(
        &mut self,
        kind: u8,
        flags: u8,
        number: u32,
        payload: &[u8],
        words: &mut Vec<Word>,
    ) -> Result<(), End> {
        match kind {
            DATA => self.data(flags, payload, words)?,
            WINDOW_UPDATE if number <= CALL && payload.len() == 4 => {
                words.push(Word::Room(number, i64::from(word(payload))))
            }
            SETTINGS if flags & ACK == 0 => {
                let settings = payload.chunks_exact(6);
                words.push(Word::Settings(
                    settings.map(|one| (u16::from_be_bytes([one[0], one[1]]), word(&one[2..]))).collect(),
                ));
            }
            PING if flags & ACK == 0 => {
                if let Ok(payload) = payload.try_into() {
                    words.push(Word::Ping(payload));
                }
            }
            HEADERS | CONTINUATION => self.header_block(kind, flags, payload)?,
            RST_STREAM | GOAWAY => {
                // A farewell without an error lets the call go on to its own end.
                let from = if kind == GOAWAY { 4 } else { 0 };
                let code = payload.get(from..from + 4).map_or(0, word);
                if code != 0 {
                    return Err(End::Away(format!("the engine broke off: HTTP/2 error {code}")));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn data(&mut self, flags: u8, payload: &[u8], words: &mut Vec<Word>) -> Result<(), End> {
        let mut inner = payload;
        if flags & PADDED != 0 {
            let padding = usize::from(*payload.first().unwrap_or(&0));
            inner = payload.get(1..payload.len().saturating_sub(padding)).unwrap_or(&[]);
        }
        self.message.extend_from_slice(inner);
        self.taken += payload.len() as u32;
        if i64::from(self.taken) >= WINDOW / 2 {
            words.push(Word::Taken(std::mem::take(&mut self.taken)));
        }
        if flags & END_STREAM != 0 {
            return Err(End::Away("the engine ended the stream".into()));
        }
        Ok(())
    }

    /// Gather a block, and hand it on where it ends the call.
    fn header_block(&mut self, kind: u8, flags: u8, payload: &[u8]) -> Result<(), End> {
        let mut inner = payload;
        if kind == HEADERS {
            self.headers_end_it = flags & END_STREAM != 0;
            let padded = flags & PADDED != 0;
            let padding = if padded { usize::from(*payload.first().unwrap_or(&0)) } else { 0 };
            let begin = usize::from(padded) + if flags & PRIORITY != 0 { 5 } else { 0 };
            inner = payload.get(begin..payload.len().saturating_sub(padding)).unwrap_or(&[]);
        }
        self.headers.extend_from_slice(inner);
        if self.headers.len() > HEADERS_MAX {
            return Err(End::Away(format!("headers of more than {HEADERS_MAX} bytes")));
        }
        if flags & END_HEADERS != 0 {
            let block = std::mem::take(&mut self.headers);
            if self.headers_end_it {
                return Err(End::Trailers(block));
            }
        }
        Ok(())
    }

    fn messages(&mut self, words: &mut Vec<Word>) -> Result<(), End> {
        let mut at = 0;
        let mut end = Ok(());
        while self.message.len() - at >= PREFIX {
            let packed = self.message[at];
            let size = word(&self.message[at + 1..at + PREFIX]) as usize;
            if packed != 0 || size > FRAME_MAX {
                end = Err(End::Away(format!("a message of {size} bytes, compressed: {packed}")));
                break;
            }
            if self.message.len() - at - PREFIX < size {
                break;
            }
            at += PREFIX;
            words.push(Word::Message(self.message[at..at + size].to_vec()));
            at += size;
        }
        self.message.drain(..at);
        end
    }
}
