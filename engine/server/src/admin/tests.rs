//! What an operator is told.

use std::collections::BTreeSet;

use super::*;
use crate::engine::tests::idle;

#[test]
fn each_reason_for_a_refusal_has_a_sentence_of_its_own() {
    let codes = [
        Code::BadCommand,
        Code::Unchanged,
        Code::UnknownInstrument,
        Code::UnknownAsset,
        Code::InstrumentState,
        Code::NotEmpty,
        Code::Unsupported,
        Code::PriceOutOfRange,
        Code::PriceBand,
        Code::TooManyOrders,
        Code::Overtaken,
        Code::Unconfirmed,
        Code::NotOwner,
    ];
    let said = codes.map(|code| sentence(code, ""));
    assert_eq!(said.last().map(String::as_str), Some("it was refused"));
    assert_eq!(said.iter().collect::<BTreeSet<_>>().len(), codes.len());
    assert_eq!(sentence(Code::Unchanged, "twice"), "it is already so: twice");
}

#[test]
fn a_status_tells_what_is_applied_what_of_it_is_safe_and_when_to_come_again() {
    let folder = tempfile::TempDir::new().unwrap();
    let (engine, _queue) = idle(folder.path(), 1);
    engine.shared.retry_after_ms.store(700, Ordering::Relaxed);
    let told = || {
        let told = status(&engine, &Consumers::default());
        assert_eq!((told.state_hash_seq, told.queue_limit), (told.durable_seq, COMMANDS_MAX));
        (told.engine_seq, told.durable_seq, told.retry_after_ms)
    };
    engine.shared.applied_seq.store(5, Ordering::Relaxed);
    engine.shared.durable.set(3, &[1; 32]);
    assert_eq!(told(), (5, 3, 0));
    // Made durable by another thread than the one that says what is applied.
    engine.shared.durable.set(7, &[2; 32]);
    for (state, retry_after_ms) in [
        (ShardState::Draining, 700),
        (ShardState::Upgrading, 700),
        (ShardState::Failed, 0),
        (ShardState::Running, 0),
    ] {
        engine.shared.state.send_replace(state);
        assert_eq!(told(), (7, 7, retry_after_ms), "{state:?}");
    }
    engine.shared.queued.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(status(&engine, &Consumers::default()).queue_depth, u32::MAX);
}
