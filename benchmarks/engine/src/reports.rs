//! What leaves an engine.

use std::hint::black_box;

/// Every report is written out as fixed bytes, as a feed would.
#[derive(Default)]
pub struct Reports {
    bytes: Vec<u8>,
    count: u64,
}

impl Reports {
    #[inline]
    pub fn write(&mut self, kind: u64, id: u64, price: i64, qty: u64) {
        if self.bytes.len() > 60_000 {
            black_box(&self.bytes);
            self.bytes.clear();
        }
        for word in [kind, id, price as u64, qty] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.count += 1;
    }
}
