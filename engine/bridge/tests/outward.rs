//! What is sent, and when: no byte beyond the room that the other side gave, and an answer to what asks for one.

use crate::frames::{Frame, message};
use countersign_bridge::http::*;
use countersign_bridge::outward::Outward;

/// All of them are whole.
fn read(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let size = (word(bytes) >> 8) as usize;
        frames.push((bytes[3], bytes[4], word(&bytes[5..]), bytes[HEAD..HEAD + size].to_vec()));
        bytes = &bytes[HEAD + size..];
    }
    frames
}

fn begun() -> (Outward, Vec<Frame>) {
    let mut out = Outward::new("/p.S/M", &"a".repeat(200), Scheme::Https);
    let first = out.waiting().split_off(0);
    assert_eq!(&first[..PREFACE.len()], PREFACE);
    (out, read(&first[PREFACE.len()..]))
}

/// What may be written now, by kind: the sizes of data, and everything else.
fn written(out: &mut Outward) -> (Vec<usize>, Vec<Frame>) {
    let (data, others): (Vec<Frame>, Vec<Frame>) =
        read(&out.waiting().split_off(0)).into_iter().partition(|frame| frame.0 == DATA);
    assert!(data.iter().all(|frame| (frame.1, frame.2) == (0, CALL)));
    (data.iter().map(|frame| frame.3.len()).collect(), others)
}

#[test]
fn a_call_begins_with_its_settings_its_room_and_its_headers() {
    let (_, first) = begun();
    let setting = |name: u16, value: u32| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let settings = [
        setting(HEADER_TABLE_SIZE, 0),
        setting(ENABLE_PUSH, 0),
        setting(INITIAL_WINDOW_SIZE, WINDOW as u32),
        setting(MAX_FRAME_SIZE, FRAME_IN_MAX as u32),
    ];
    let room = (4 * 1024 * 1024 - 65_535_u32).to_be_bytes().to_vec();
    let mut block = b"\x83\x87\x04\x06/p.S/M\x01".to_vec();
    // RFC 7541, 5.1: seven bits full of ones, and the rest as a varint.
    block.extend([127, 73]);
    block.extend("a".repeat(200).bytes());
    block.extend(b"\x0f\x10\x10application/grpc\x00\x02te\x08trailers");
    assert_eq!(first[0], (SETTINGS, 0, WHOLE, settings.concat()));
    assert_eq!(first[1..], [(WINDOW_UPDATE, 0, WHOLE, room), (HEADERS, END_HEADERS, CALL, block)]);
}

#[test]
fn no_byte_leaves_without_room_of_the_call_and_of_the_whole() {
    let (mut out, _) = begun();
    out.message(&[7; 200_000]);
    assert_eq!(written(&mut out).0, [16_384, 16_384, 16_384, 16_383]);
    out.hear(&Word::Room(WHOLE, 10));
    assert_eq!(written(&mut out).0, [0; 0]);
    out.hear(&Word::Room(CALL, 4));
    assert_eq!(written(&mut out).0, [4]);
    // The call's first room grows, and with it what is left of it; that of the whole does not.
    out.hear(&Word::Settings(vec![(INITIAL_WINDOW_SIZE, 65_538), (HEADER_TABLE_SIZE, 9)]));
    assert_eq!(written(&mut out), (vec![3], vec![(SETTINGS, ACK, WHOLE, vec![])]));
    out.hear(&Word::Settings(vec![(INITIAL_WINDOW_SIZE, 65_637)]));
    assert_eq!(written(&mut out).0, [3]);
    // Taken away again: 96 are left, and 100 fewer make less than nothing.
    out.hear(&Word::Settings(vec![(INITIAL_WINDOW_SIZE, 65_537), (MAX_FRAME_SIZE, 20_000)]));
    out.hear(&Word::Room(WHOLE, 1 << 20));
    assert_eq!(written(&mut out).0, [0; 0]);
    out.hear(&Word::Room(CALL, 30_004));
    assert_eq!(written(&mut out).0, [20_000, 10_000]);
    out.hear(&Word::Room(CALL, 1 << 20));
    let whole = message(&[7; 200_000]).len();
    let rest = whole - 65_535 - 10 - 30_000;
    let last = written(&mut out).0;
    assert_eq!((last.iter().sum::<usize>(), last.iter().max()), (rest, Some(&20_000)));
    assert_eq!(written(&mut out), (vec![], vec![]));
}

#[test]
fn messages_follow_one_another_whole() {
    let (mut out, _) = begun();
    for number in 0..3 {
        out.message(&[number; 5]);
    }
    let told: Vec<u8> = read(&out.waiting().split_off(0)).into_iter().flat_map(|frame| frame.3).collect();
    assert_eq!(told, [message(&[0; 5]), message(&[1; 5]), message(&[2; 5])].concat());
}

#[test]
fn what_asks_for_an_answer_gets_it_and_what_was_taken_in_gives_its_room_back() {
    let (mut out, _) = begun();
    out.hear(&Word::Ping(*b"12345678"));
    out.hear(&Word::Taken(70_000));
    out.hear(&Word::Message(vec![1]));
    let room = 70_000_u32.to_be_bytes().to_vec();
    let answers = vec![
        (PING, ACK, WHOLE, b"12345678".to_vec()),
        (WINDOW_UPDATE, 0, WHOLE, room.clone()),
        (WINDOW_UPDATE, 0, CALL, room),
    ];
    assert_eq!(written(&mut out), (vec![], answers));
}
