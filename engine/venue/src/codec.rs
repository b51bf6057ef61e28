//! Bytes of commands and events: the same value always gives the same bytes.
//!
//! Unsigned numbers are LEB128, signed ones zigzag first; ids are 16 plain bytes. Reading never trusts lengths.

pub trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u64(&mut self, value: u64);
    fn put_u128(&mut self, value: u128);
    fn put_id(&mut self, id: &[u8; 16]);
    fn put_text(&mut self, text: &str);

    fn put_i64(&mut self, value: i64) {
        self.put_u64(((value << 1) ^ (value >> 63)) as u64);
    }

    fn put_u32(&mut self, value: u32) {
        self.put_u64(u64::from(value));
    }

    fn put_bool(&mut self, value: bool) {
        self.put_u8(u8::from(value));
    }
}

impl Put for Vec<u8> {
    #[inline]
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    #[inline]
    fn put_u64(&mut self, mut value: u64) {
        if value < 0x80 {
            self.push(value as u8);
            return;
        }
        let mut bytes = [0u8; 10];
        let mut length = 0;
        while value >= 0x80 {
            bytes[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length] = value as u8;
        self.extend_from_slice(&bytes[..=length]);
    }

    #[inline]
    fn put_u128(&mut self, value: u128) {
        if let Ok(small) = u64::try_from(value) {
            return self.put_u64(small);
        }
        let mut rest = value;
        while rest >= 0x80 {
            self.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.push(rest as u8);
    }

    #[inline]
    fn put_id(&mut self, id: &[u8; 16]) {
        self.extend_from_slice(id);
    }

    fn put_text(&mut self, text: &str) {
        self.put_u64(text.len() as u64);
        self.extend_from_slice(text.as_bytes());
    }
}

/// What was read is not what was ever written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed bytes: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Everything was read.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes are left over")) }
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.0.split_first().ok_or(Malformed("cut short"))?;
        self.0 = rest;
        Ok(first)
    }

    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither true nor false")),
        }
    }

    #[inline]
    pub fn u128(&mut self) -> Result<u128, Malformed> {
        let mut value = 0u128;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            let part = u128::from(byte & 0x7F);
            if shift > 126 || (shift == 126 && part > 3) {
                return Err(Malformed("a number is too long"));
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    #[inline]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7F);
            if shift > 63 || (shift == 63 && part > 1) {
                return Err(Malformed("a number is too long"));
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.u64()?).map_err(|_| Malformed("a number is too large"))
    }

    pub fn i64(&mut self) -> Result<i64, Malformed> {
        let raw = self.u64()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    pub fn id(&mut self) -> Result<[u8; 16], Malformed> {
        Ok(self.bytes(16)?.try_into().expect("16 bytes were taken"))
    }

    pub fn text(&mut self) -> Result<String, Malformed> {
        let length = self.u64()?;
        let bytes = self.bytes(usize::try_from(length).map_err(|_| Malformed("cut short"))?)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("not UTF-8"))
    }
}

/// A running hash that finds divergence between two runs. It is no defence against somebody who looks for collisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain([u64; 4]);

impl Default for Chain {
    fn default() -> Self {
        Chain([0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344, 0xA409_3822_299F_31D0, 0x082E_FA98_EC4E_6C89])
    }
}

impl Chain {
    #[inline]
    pub fn absorb(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            self.round(block);
        }
        let mut last = [0u8; 32];
        last[..rest.len()].copy_from_slice(rest);
        last[31] = rest.len() as u8 | 0x80;
        self.round(&last);
    }

    #[inline]
    fn round(&mut self, block: &[u8; 32]) {
        let (words, _) = block.as_chunks::<8>();
        let before = self.0;
        for lane in 0..4 {
            let word = u64::from_le_bytes(words[lane]) ^ before[lane];
            let product = u128::from(word) * 0xD6E8_FEB8_6659_FD93u128;
            self.0[lane] = (product as u64 ^ (product >> 64) as u64)
                .wrapping_add(before[(lane + 1) & 3].rotate_left(29));
        }
    }

    pub fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (at, word) in self.0.iter().enumerate() {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> Chain {
        let (words, _) = bytes.as_chunks::<8>();
        Chain([0, 1, 2, 3].map(|at| u64::from_le_bytes(words[at])))
    }
}

/// The hash that [`Chain::absorb`] would give, over bytes that come in pieces.
#[derive(Default)]
pub struct Hash {
    chain: Chain,
    rest: [u8; 32],
    held: usize,
}

impl Hash {
    pub fn take(&mut self, bytes: &[u8]) {
        let (first, bytes) = bytes.split_at(bytes.len().min((32 - self.held) % 32));
        self.rest[self.held..self.held + first.len()].copy_from_slice(first);
        self.held += first.len();
        if self.held == 32 {
            self.chain.round(&self.rest);
            self.held = 0;
        }
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            self.chain.round(block);
        }
        if self.held == 0 {
            self.rest[..rest.len()].copy_from_slice(rest);
            self.held = rest.len();
        }
    }

    pub fn end(mut self) -> [u8; 32] {
        self.chain.absorb(&self.rest[..self.held]);
        self.chain.bytes()
    }
}

/// A 64-bit digest of a command's body, by which a retry is told from another command under the same id.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut chain = Chain::default();
    chain.absorb(bytes);
    let [a, b, c, d] = chain.0;
    a ^ b.rotate_left(16) ^ c.rotate_left(32) ^ d.rotate_left(48)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_does_not_depend_on_the_pieces_that_its_bytes_come_in() {
        let bytes: Vec<u8> = (0..300u32).map(|at| (at * 7 % 251) as u8).collect();
        for length in 0..=130 {
            let mut whole = Chain::default();
            whole.absorb(&bytes[..length]);
            for (first, second) in
                (0..=length).flat_map(|first| (first..=length).map(move |second| (first, second)))
            {
                let mut hash = Hash::default();
                hash.take(&bytes[..first]);
                hash.take(&bytes[first..second]);
                hash.take(&bytes[second..length]);
                assert_eq!(hash.end(), whole.bytes(), "{first}, {second}, {length}");
            }
        }
    }
}
