//! Orders are refused for a while, or for good because another process is to lead.
//!
//! Each step is taken from where it may begin, in one move: two who administer at the same time, or a flush that fails
//! meanwhile, cannot bring back a leader that has given its journal up.

use countersign_wire::v1::{ResultCode, ShardState};

use crate::engine::Engine;

impl Engine {
    /// What still comes is refused. A leader that makes room or has failed stays so: seen as one that only drains, it
    /// would end its clients' streams for good, and cancel the orders of whoever wished for that.
    pub fn drain(&self) {
        self.step(&[ShardState::Running, ShardState::Draining], ShardState::Draining);
    }

    /// Makes room for the next leader; there is no way back.
    pub fn release(&self) {
        if self.step(&[ShardState::Draining], ShardState::Upgrading) == ShardState::Draining {
            self.shared.released.notify_one();
        }
    }

    /// Takes orders again, where it only drained.
    pub fn resume(&self) -> ResultCode {
        match self.step(&[ShardState::Draining], ShardState::Running) {
            ShardState::Draining => ResultCode::Ok,
            ShardState::Running => ResultCode::Unchanged,
            _ => ResultCode::Unsupported,
        }
    }

    /// Gives the state that it was in.
    fn step(&self, from: &[ShardState], to: ShardState) -> ShardState {
        let mut before = to;
        self.shared.state.send_if_modified(|state| {
            before = *state;
            let may = from.contains(&before);
            if may {
                *state = to;
            }
            may
        });
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::idle;

    #[test]
    fn a_leader_that_has_given_its_journal_up_or_has_failed_does_not_come_back() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, _queue) = idle(folder.path(), 1);
        for over in [ShardState::Upgrading, ShardState::Failed] {
            engine.shared.state.send_replace(over);
            engine.drain();
            assert_eq!((engine.state(), engine.resume()), (over, ResultCode::Unsupported));
            assert_eq!(engine.state(), over);
        }
        engine.release();
        assert_eq!(engine.state(), ShardState::Failed);
    }

    #[test]
    fn a_leader_that_only_drains_is_told_of_each_time_and_takes_orders_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, _queue) = idle(folder.path(), 1);
        let mut told = engine.shared.state.subscribe();
        for _ in 0..2 {
            engine.drain();
            assert!(told.has_changed().unwrap());
            assert_eq!(*told.borrow_and_update(), ShardState::Draining);
        }
        assert_eq!((engine.resume(), engine.resume()), (ResultCode::Ok, ResultCode::Unchanged));
        assert_eq!(engine.state(), ShardState::Running);
        engine.drain();
        engine.release();
        assert_eq!(engine.state(), ShardState::Upgrading);
    }
}
