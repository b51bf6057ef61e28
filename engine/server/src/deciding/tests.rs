//! What one turn at the desk takes, and what it leaves.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::thread;

use countersign_venue::command::{OrderBody, OrderCommand};

use super::*;
use crate::engine::tests::{idle, look};

#[test]
fn a_time_out_is_not_kept_waiting_by_questions() {
    let folder = tempfile::TempDir::new().unwrap();
    let (engine, queue) = idle(folder.path(), 4);
    let mut venue = Venue::new();
    let body = OrderBody::CancelAllAfter { account_id: 7, timeout_ms: 1 };
    let switch = OrderCommand { command_id: [7; 16], session: 0, session_seq: 0, expires_at_ms: 1, body };
    venue.apply(1, &Command::Order(switch), 0, &mut Output::default());
    assert!(venue.next_timer_ns().is_some());
    for job in [look(), Job::Stop] {
        engine.send(job).unwrap();
    }
    let shared = Arc::clone(&engine.shared);
    let onward = Onward::Flushed(Arc::default(), channel().1);
    let mut deciding = Deciding::new(venue, queue, onward, shared);
    assert_eq!(deciding.turn(1), 1);
    assert_eq!((deciding.venue.next_timer_ns(), deciding.venue.engine_seq()), (None, 2));
}

#[test]
fn a_block_that_is_full_waits_for_whoever_takes_it_and_what_is_left_goes_into_the_next() {
    const JOBS: u64 = 24;
    const EACH: u64 = 4_096;
    let folder = tempfile::TempDir::new().unwrap();
    let (engine, queue) = idle(folder.path(), JOBS as usize);
    let tick = || Entry { id: Bytes::new(), session_seq: 0, command: Ok(Command::Tick) };
    for _ in 0..JOBS {
        engine.send(Job::commands((0..EACH).map(|_| tick()).collect(), Reply::Nobody)).unwrap();
    }
    let tray = Arc::new(Tray::default());
    let onward = Onward::Flushed(Arc::clone(&tray), channel().1);
    let mut deciding = Deciding::new(Venue::new(), queue, onward, Arc::clone(&engine.shared));
    let taken = deciding.turn(u64::MAX);
    assert!(deciding.is_full() && taken < JOBS * EACH && taken.is_multiple_of(EACH));
    assert_eq!(engine.applied_seq(), taken);
    // Somebody comes for it in the end.
    let comes = AtomicBool::new(false);
    let full = thread::scope(|scope| {
        let taker = scope.spawn(|| {
            comes.store(true, Ordering::SeqCst);
            tray.take().unwrap()
        });
        deciding.wait_until_taken();
        assert!(comes.load(Ordering::SeqCst) && !deciding.is_full());
        taker.join().unwrap()
    });
    assert!(
        full.block.len() >= BLOCK_BYTES && (full.engine_seq, full.block.count()) == (taken, taken as u32)
    );
    assert_eq!((deciding.turn(u64::MAX), deciding.is_full()), (JOBS * EACH - taken, false));
    let rest = tray.take().unwrap();
    assert_eq!((rest.engine_seq, u64::from(rest.block.count())), (JOBS * EACH, JOBS * EACH - taken));
    assert_eq!(engine.shared.queued.load(Ordering::Relaxed), 0);
}
