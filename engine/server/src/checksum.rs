//! What a client of market data compares its book with.

use countersign_wire::v1::Level;

/// Levels of each side that the checksum covers.
pub const CHECKED: usize = 25;

/// CRC-32 (IEEE) over the best 25 levels of each side, as the contract says: a client's own sum must come out equal.
pub fn checksum(bids: &[Level], asks: &[Level]) -> u32 {
    let mut sum = !0u32;
    for level in bids.iter().take(CHECKED).chain(asks.iter().take(CHECKED)) {
        for byte in level.price_ticks.to_le_bytes().into_iter().chain(level.qty_lots.to_le_bytes()) {
            sum = TABLE[usize::from(sum as u8 ^ byte)] ^ (sum >> 8);
        }
    }
    !sum
}

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut at = 0;
    while at < 256 {
        let mut word = at as u32;
        let mut bit = 0;
        while bit < 8 {
            word = if word & 1 == 1 { (word >> 1) ^ 0xEDB8_8320 } else { word >> 1 };
            bit += 1;
        }
        table[at] = word;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_zlib() {
        assert_eq!(checksum(&[], &[]), 0);
        let level = |price_ticks, qty_lots| Level { price_ticks, qty_lots, orders: 1 };
        // python3 -c "import zlib,struct; print(hex(zlib.crc32(struct.pack('<qQqQ', 100, 7, 101, 9))))"
        assert_eq!(checksum(&[level(100, 7)], &[level(101, 9)]), 0x4A18_553C);
    }
}
