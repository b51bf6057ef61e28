//! Whatever comes from the socket is read or refused; `tests/contract/test_bridge_stream.py` holds the rest to h2.

use crate::frames::{Frame, message};
use crate::seeded;
use countersign_bridge::http::*;
use countersign_bridge::inward::Inward;
use proptest::prelude::*;

/// Heads that a peer could send, so that not all of the rest is passed over.
fn any_frames() -> impl Strategy<Value = Vec<u8>> {
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
    fn bytes_are_read_alike_however_they_are_cut(bytes in any_frames(), size in 1..30usize) {
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

fn written(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, flags, number, payload) in frames {
        frame(&mut bytes, *kind, *flags, *number, payload);
    }
    bytes
}

/// What these frames say, and why there is nothing more, if so.
fn heard(frames: &[Frame]) -> (Vec<Word>, Option<End>) {
    let mut words = Vec::new();
    let end = Inward::default().hear(&written(frames), &mut words).err();
    (words, end)
}

fn away(why: &str) -> Option<End> {
    Some(End::Away(why.into()))
}

#[test]
fn messages_are_put_together_from_frames_without_their_padding() {
    let bytes = [message(b"one"), message(b""), message(b"three")].concat();
    let padded = [&[2][..], &bytes[4..9], &[9, 9]].concat();
    let frames = [
        (DATA, 0, CALL, bytes[..4].to_vec()),
        (DATA, PADDED, CALL, padded),
        (DATA, END_STREAM, CALL, bytes[9..].to_vec()),
    ];
    let words = [&b"one"[..], b"", b"three"].map(|one| Word::Message(one.to_vec()));
    assert_eq!(heard(&frames), (Vec::from(words), away("the engine ended the stream")));
    // More padding than there is: nothing is left of it.
    assert_eq!(heard(&[(DATA, PADDED, CALL, vec![9, 1])]), (vec![], None));
    assert_eq!(heard(&[(DATA, PADDED, CALL, vec![])]), (vec![], None));
}

#[test]
fn what_could_not_be_kept_is_refused_before_it_comes() {
    let large = |size: u32, packed: u8| [&[packed][..], &size.to_be_bytes()].concat();
    let (most, more) = (FRAME_MAX as u32, FRAME_MAX as u32 + 1);
    assert_eq!(heard(&[(DATA, 0, CALL, large(most, 0))]), (vec![], None));
    let refused = format!("a message of {more} bytes, compressed: 0");
    assert_eq!(heard(&[(DATA, 0, CALL, large(more, 0))]), (vec![], away(&refused)));
    assert_eq!(heard(&[(DATA, 0, CALL, large(0, 1))]), (vec![], away("a message of 0 bytes, compressed: 1")));
    for (size, refused) in [(FRAME_IN_MAX, None), (FRAME_IN_MAX + 1, away("a frame of 1048577 bytes"))] {
        let head = [&(size as u32).to_be_bytes()[1..], &[9, 9, 0, 0, 0, 0]].concat();
        assert_eq!(Inward::default().hear(&head, &mut Vec::new()).err(), refused);
    }
    let block = |size| (HEADERS, 0, CALL, vec![7; size]);
    assert_eq!(heard(&[block(HEADERS_MAX)]), (vec![], None));
    assert_eq!(heard(&[block(HEADERS_MAX), block(1)]).1, away("headers of more than 65536 bytes"));
}

#[test]
fn the_headers_that_end_a_call_are_handed_on_and_others_are_not() {
    let greeting = (HEADERS, END_HEADERS, CALL, b"first".to_vec());
    assert_eq!(heard(std::slice::from_ref(&greeting)), (vec![], None));
    let both = PADDED | PRIORITY | END_STREAM;
    let ending = [
        greeting,
        (HEADERS, both, CALL, b"\x02pppppab\x00\x00".to_vec()),
        (CONTINUATION, END_HEADERS, CALL, b"cd".to_vec()),
        (PING, 0, WHOLE, b"too late".to_vec()),
    ];
    assert_eq!(heard(&ending), (vec![], Some(End::Trailers(b"abcd".to_vec()))));
    let bare = (HEADERS, END_HEADERS | END_STREAM, CALL, b"ab".to_vec());
    assert_eq!(heard(&[bare]).1, Some(End::Trailers(b"ab".to_vec())));
}

#[test]
fn only_a_farewell_with_an_error_ends_a_call() {
    let word = |code: u32| code.to_be_bytes().to_vec();
    let goaway = |code| (GOAWAY, 0, WHOLE, [word(1), word(code)].concat());
    let cut = [(RST_STREAM, 0, CALL, vec![0, 0]), (GOAWAY, 0, WHOLE, word(7))];
    assert_eq!(heard(&[(RST_STREAM, 0, CALL, word(0)), goaway(0)]), (vec![], None));
    assert_eq!(heard(&cut), (vec![], None));
    let broke = "the engine broke off: HTTP/2 error 8";
    assert_eq!(heard(&[(RST_STREAM, 0, CALL, word(8))]).1, away(broke));
    assert_eq!(heard(&[goaway(8)]).1, away(broke));
}

#[test]
fn room_settings_and_pings_are_told_and_their_answers_and_strangers_are_not() {
    let four = 70_000_u32.to_be_bytes().to_vec();
    let setting = [&[0, 4][..], &four].concat();
    let told = [
        (WINDOW_UPDATE, 0, WHOLE, four.clone()),
        (WINDOW_UPDATE, 0, CALL, four.clone()),
        (SETTINGS, 0, WHOLE, [&setting[..], &setting].concat()),
        (PING, 0, WHOLE, b"12345678".to_vec()),
    ];
    let words = vec![
        Word::Room(WHOLE, 70_000),
        Word::Room(CALL, 70_000),
        Word::Settings(vec![(4, 70_000), (4, 70_000)]),
        Word::Ping(*b"12345678"),
    ];
    assert_eq!(heard(&told), (words, None));
    let passed_over = [
        (WINDOW_UPDATE, 0, 2, four.clone()),
        (WINDOW_UPDATE, 0, CALL, four[..3].to_vec()),
        (SETTINGS, ACK, WHOLE, setting),
        (PING, ACK, WHOLE, b"12345678".to_vec()),
        (PING, 0, WHOLE, b"short".to_vec()),
        (99, 0, WHOLE, four),
    ];
    assert_eq!(heard(&passed_over), (vec![], None));
}

#[test]
fn what_was_taken_in_is_told_once_it_is_half_of_the_room() {
    let mut inward = Inward::default();
    let message = message(&vec![7; FRAME_IN_MAX - PREFIX]);
    let piece = written(&[(DATA, 0, CALL, message)]);
    let mut told = Vec::new();
    for _ in 0..5 {
        let mut words = Vec::new();
        inward.hear(&piece, &mut words).unwrap();
        told.push(words.iter().find_map(|word| match word {
            Word::Taken(size) => Some(*size),
            _ => None,
        }));
    }
    let half = Some(2 * FRAME_IN_MAX as u32);
    assert_eq!(told, [None, half, None, half, None]);
}
