use super::*;

const NOW_MS: u64 = 1_800_000_000_000;

fn id(time_ms: u64, number: u64) -> Id {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&time_ms.to_be_bytes()[2..]);
    id[6] = 0x70;
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

fn remembered(engine_seq: u64) -> Remembered {
    let outcome =
        Outcome { code: Code::Ok, engine_seq, time_ns: 0, order_id: 0, filled: 0, leaves: 0, cancelled: 0 };
    Remembered { digest: engine_seq, outcome }
}

#[test]
fn nothing_within_the_window_and_ahead_pushes_anything_else_out() {
    // At the end of a bucket the window touches one more of them than at its beginning.
    for now_ms in [NOW_MS, NOW_MS + 63] {
        let times = || now_ms - WINDOW_MS..=now_ms + AHEAD_MS_MAX;
        let mut dedupe = Dedupe::default();
        for time_ms in times().rev() {
            dedupe.remember(id(time_ms, 7), remembered(time_ms));
        }
        assert!(times().all(|time_ms| dedupe.find(&id(time_ms, 7)) == Some(&remembered(time_ms))));
        assert_eq!(dedupe.count(now_ms), WINDOW_MS + AHEAD_MS_MAX + 1);
        let mut told = times();
        let in_order = dedupe.each(now_ms, |found, _| match told.next() {
            Some(time_ms) if *found == id(time_ms, 7) => Ok(()),
            _ => Err(*found),
        });
        assert_eq!((in_order, told.next()), (Ok(()), None));
    }
}

#[test]
fn a_busy_second_lies_in_small_tables_that_begin_with_room_for_what_comes() {
    const EACH_MS: u64 = 50;
    let mut dedupe = Dedupe::default();
    for at in 0..1_024 * EACH_MS {
        dedupe.remember(id(NOW_MS + at / EACH_MS, at), remembered(at));
    }
    let held = dedupe.buckets.iter().map(|bucket| bucket.len() as u64).max().unwrap();
    assert_eq!(held, 64 * EACH_MS);
    dedupe.remember(id(NOW_MS + 1_024, 0), remembered(0));
    let begun = dedupe.buckets.iter().find(|bucket| bucket.len() == 1).unwrap();
    assert!(begun.room() as u64 > held);
}

/// In the order in which they came, dates as clients' clocks have them.
fn flow(count: u64) -> Vec<(Id, Remembered)> {
    let mut flow = Vec::new();
    for seq in 1..=count {
        let noise = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let mut remembered = remembered(seq * 3);
        remembered.digest = noise << 40 | seq;
        remembered.outcome.code = if noise % 7 == 0 { Code::BadCommand } else { Code::Ok };
        remembered.outcome.time_ns = NOW_MS * 1_000_000 + seq / 5;
        remembered.outcome.order_id = noise * noise;
        remembered.outcome.filled = noise % 3 * 1_000;
        remembered.outcome.leaves = noise % 200;
        remembered.outcome.cancelled = (noise % 2) as u32;
        flow.push((id(NOW_MS - noise % 1_000, noise << 32 | seq), remembered));
    }
    flow
}

fn filled(flow: &[(Id, Remembered)]) -> Dedupe {
    let mut dedupe = Dedupe::default();
    flow.iter().for_each(|(id, remembered)| dedupe.remember(*id, *remembered));
    dedupe
}

/// As a snapshot writes it, and a start reads it.
fn read_back(packed: &Packed) -> Packed {
    Packed::told(packed.stamp, packed.count() as u32, packed.last_seq, packed.bytes().into()).unwrap()
}

fn since(dedupe: &Dedupe, after: u64) -> Vec<Packed> {
    let mut told = Vec::new();
    let Ok(()) = dedupe.since(after, NOW_MS, |packed| {
        told.push(read_back(&packed));
        Ok::<_, std::convert::Infallible>(())
    });
    told
}

fn all(dedupe: &Dedupe) -> Vec<(Id, Remembered)> {
    let mut all = Vec::new();
    let Ok(()) = dedupe.each(NOW_MS, |id, remembered| {
        all.push((*id, *remembered));
        Ok::<_, std::convert::Infallible>(())
    });
    all
}

#[test]
fn what_lies_packed_is_remembered_like_what_was_told_just_now() {
    let flow = flow(4_000);
    let whole = filled(&flow);
    // Two snapshots wrote it, and more came since.
    let (first, second) = (since(&filled(&flow[..1_500]), 0), since(&filled(&flow[..3_000]), 1_500 * 3));
    let mut recalled = Dedupe::default();
    for packed in first.iter().chain(&second) {
        recalled.recall(read_back(packed), NOW_MS).unwrap();
    }
    assert_eq!(recalled.count(NOW_MS), 3_000);
    assert!(all(&recalled) == all(&filled(&flow[..3_000])));
    assert!(since(&recalled, 3_000 * 3).is_empty(), "a snapshot writes nothing of it again");
    for (id, remembered) in &flow[..3_000] {
        assert_eq!(recalled.look_for(id), Some(*remembered));
    }
    assert_eq!(recalled.look_for(&flow[3_000].0), None);
    // Each outcome is found whether its bucket was touched before or not, and nothing else is.
    for (id, remembered) in &flow[3_000..] {
        assert_eq!(recalled.find(id), None);
        recalled.remember(*id, *remembered);
    }
    for (id, remembered) in &flow {
        assert_eq!(
            (recalled.find(id).copied(), recalled.look_for(id)),
            (Some(*remembered), Some(*remembered))
        );
    }
    assert!(all(&recalled) == all(&whole));
    // And what is written of it then is the same, wherever it came from.
    for after in [0, 3, 1_499 * 3, 3_500 * 3] {
        let (told, expected) = (since(&recalled, after), since(&whole, after));
        assert!(told.iter().map(Packed::bytes).eq(expected.iter().map(Packed::bytes)), "behind {after}");
    }
    let (told, expected) = (since(&read_again(&whole), 1_000 * 3), since(&whole, 1_000 * 3));
    assert!(told.iter().map(Packed::bytes).eq(expected.iter().map(Packed::bytes)), "from packed ones");
}

#[test]
fn the_first_look_into_a_bucket_files_all_of_it_and_touches_no_other() {
    let flow = flow(400);
    let mut recalled = read_again(&filled(&flow));
    let packed = |dedupe: &Dedupe| dedupe.buckets.iter().filter(|bucket| bucket.is_packed()).count();
    let before = packed(&recalled);
    assert!(before > 1);
    let (asked, remembered) = flow[7];
    assert_eq!(recalled.find(&asked), Some(&remembered));
    assert_eq!(packed(&recalled), before - 1);
    // Also where nothing is found: what it is asked for next is answered by one probe.
    let other = flow.iter().find(|(id, _)| time_ms(id) >> BUCKET_BITS != time_ms(&asked) >> BUCKET_BITS);
    let mut unknown = other.unwrap().0;
    unknown[15] ^= 0xFF;
    unknown[14] ^= 0xFF;
    assert_eq!(
        (recalled.look_for(&unknown), packed(&recalled)),
        (None, before - 1),
        "a question files nothing"
    );
    assert_eq!((recalled.find(&unknown).copied(), packed(&recalled)), (None, before - 2));
    // One of no bucket that is held files none.
    assert_eq!((recalled.find(&id(NOW_MS + 9_000, 1)).copied(), packed(&recalled)), (None, before - 2));
}

#[test]
fn what_is_not_found_may_be_lost_up_to_the_end_of_the_bucket_that_is() {
    let mut dedupe = filled(&flow(10));
    assert!(!dedupe.may_be_lost(&id(NOW_MS - WINDOW_MS, 1)));
    let through = NOW_MS >> BUCKET_BITS;
    dedupe.lose(through);
    dedupe.lose(through - 5);
    let last_ms = through << BUCKET_BITS | 63;
    assert!(dedupe.may_be_lost(&id(last_ms, 1)) && !dedupe.may_be_lost(&id(last_ms + 1, 1)));
    assert!(dedupe.misses(last_ms + WINDOW_MS) && !dedupe.misses(last_ms + WINDOW_MS + 1));
    assert!(!Dedupe::default().misses(NOW_MS));
}

fn read_again(dedupe: &Dedupe) -> Dedupe {
    let mut again = Dedupe::default();
    since(dedupe, 0).into_iter().for_each(|packed| again.recall(packed, NOW_MS).unwrap());
    again
}

#[test]
fn a_former_snapshot_brings_nothing_that_is_over_and_none_brings_what_cannot_be() {
    let told = since(&filled(&flow(100)), 0);
    let newest = told.last().unwrap().stamp << BUCKET_BITS | 63;
    for (now_ms, kept) in [(newest + WINDOW_MS, true), (newest + WINDOW_MS + 1, false)] {
        let mut dedupe = Dedupe::default();
        told.iter().for_each(|packed| dedupe.recall(read_back(packed), now_ms).unwrap());
        assert_eq!(dedupe.buckets.iter().any(|bucket| bucket.len() > 0), kept);
    }
    let early = (told[0].stamp << BUCKET_BITS) - AHEAD_MS_MAX - 1;
    assert!(Dedupe::default().recall(read_back(&told[0]), early).is_err());
}

#[test]
fn packed_bytes_are_not_read_as_anything_else() {
    let told = since(&filled(&flow(40)), 0);
    let packed = told.iter().max_by_key(|packed| packed.count()).unwrap();
    let read = |stamp, count, bytes: &[u8]| Packed::told(stamp, count, 0, bytes.into())?.try_each(|_, _| ());
    let (count, bytes) = (packed.count() as u32, packed.bytes());
    assert!(count > 1 && read(packed.stamp, count, bytes).is_ok());
    for cut in 0..bytes.len() {
        assert!(read(packed.stamp, count, &bytes[..cut]).is_err(), "{cut} bytes");
    }
    assert!(read(packed.stamp, count, &[bytes, &[0]].concat()).is_err());
    assert!(read(packed.stamp, count - 1, bytes).is_err() && read(packed.stamp, count + 1, bytes).is_err());
    assert!(read(packed.stamp + 1, count, bytes).is_err(), "among those of another date");
    assert!(read(1 << 42, 0, &[]).is_err() && read((1 << 42) - 1, 0, &[]).is_ok());
    let mut other = bytes.to_vec();
    other[16 - 5 + 8] = 250;
    assert!(read(packed.stamp, count, &other).is_err(), "a code that nobody knows");
}
