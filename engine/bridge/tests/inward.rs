//! Whatever comes from the socket is read or refused; `tests/contract/test_bridge_stream.py` holds the rest to h2.

use countersign_bridge::http::Word;
use countersign_bridge::inward::Inward;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Heads that a peer could send, so that not all of the rest is passed over.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let frame = (0..10u8, any::<u8>(), 0..3u32, prop::collection::vec(any::<u8>(), 0..40), 0..60u32);
    prop::collection::vec(frame, 0..12).prop_map(|frames| {
        let mut bytes = Vec::new();
        for (kind, flags, number, payload, other) in frames {
            let size = if other < 50 { payload.len() as u32 } else { other };
            bytes.extend_from_slice(&size.to_be_bytes()[1..]);
            bytes.extend([kind, flags]);
            bytes.extend(number.to_be_bytes());
            bytes.extend(payload);
        }
        bytes
    })
}

/// The same runs every time; `PROPTEST_CASES` makes them more and `SEED` makes them others.
fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(512) as u32,
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bytes_are_read_alike_however_they_are_cut(bytes in frames(), size in 1..30usize) {
        let (mut whole, mut cut) = (Inward::default(), Inward::default());
        let (mut words, mut pieces) = (Vec::new(), Vec::new());
        let end = whole.hear(&bytes, &mut words);
        let ends = bytes.chunks(size).map(|piece| cut.hear(piece, &mut pieces)).find(Result::is_err);
        // Which of two ends is told may differ: pieces stop at the first.
        prop_assert_eq!(ends.is_some(), end.is_err());
        if end.is_ok() {
            for messages in [true, false] {
                let of = |words: &[Word]| -> Vec<String> {
                    let wanted = words.iter().filter(|word| matches!(word, Word::Message(_)) == messages);
                    wanted.map(|word| format!("{word:?}")).collect()
                };
                prop_assert_eq!(of(&words), of(&pieces));
            }
        }
    }
}
