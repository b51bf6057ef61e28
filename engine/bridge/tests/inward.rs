//! Whatever comes from the socket is read or refused; `tests/contract/test_bridge_stream.py` holds the rest to h2.

mod seeded;

use countersign_bridge::http::Word;
use countersign_bridge::inward::Inward;
use proptest::prelude::*;

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

proptest! {
    #![proptest_config(seeded::config(512))]

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
