//! Where the open block lies between the thread that fills it and the one that makes it durable.
//!
//! While a flush is under way the engine thread takes the block out, adds to it and lays it back; when the flush has
//! ended the journal thread takes what lies there. Neither has to be told that the other is ready: on a busy machine a
//! word there and back costs each flush two turns on a core.
//! The events of durable blocks lie on another one until their thread takes them.

use std::sync::{Condvar, Mutex, MutexGuard};

pub struct Tray<T> {
    place: Mutex<Place<T>>,
    changed: Condvar,
}

struct Place<T> {
    lying: Option<T>,
    /// Somebody waits for a change. Only one of the two ever does: one for something to lie here, the other for nothing.
    awaited: bool,
    closed: bool,
}

impl<T> Default for Tray<T> {
    fn default() -> Tray<T> {
        let place = Place { lying: None, awaited: false, closed: false };
        Tray { place: Mutex::new(place), changed: Condvar::new() }
    }
}

impl<T> Tray<T> {
    /// Lays something where nothing lies. Says whether anybody will ever take it.
    pub fn lay(&self, it: T) -> bool {
        let mut place = self.place();
        debug_assert!(place.lying.is_none(), "one thread lays, and what it laid it takes back first");
        place.lying = Some(it);
        self.tell(&mut place);
        !place.closed
    }

    /// Takes back what was laid, unless the other side has it.
    pub fn take_back(&self) -> Option<T> {
        self.place().lying.take()
    }

    /// Waits until the other side has what was laid, or nobody will ever take it.
    pub fn wait_until_taken(&self) {
        let mut place = self.place();
        while place.lying.is_some() && !place.closed {
            place = self.wait(place);
        }
    }

    /// Waits for something and takes it; `None` once the tray is closed and empty.
    pub fn take(&self) -> Option<T> {
        let mut place = self.place();
        loop {
            if let Some(it) = place.lying.take() {
                self.tell(&mut place);
                return Some(it);
            }
            if place.closed {
                return None;
            }
            place = self.wait(place);
        }
    }

    /// One side has ended.
    pub fn close(&self) {
        let mut place = self.place();
        place.closed = true;
        self.tell(&mut place);
    }

    fn place(&self) -> MutexGuard<'_, Place<T>> {
        self.place.lock().expect("nobody panics while holding it")
    }

    fn wait<'a>(&self, mut place: MutexGuard<'a, Place<T>>) -> MutexGuard<'a, Place<T>> {
        place.awaited = true;
        self.changed.wait(place).expect("nobody panics while holding it")
    }

    /// A system call only where somebody waits.
    fn tell(&self, place: &mut Place<T>) {
        if std::mem::take(&mut place.awaited) {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_and_laid_again_is_taken_once_and_in_order() {
        let tray: Tray<Vec<u32>> = Tray::default();
        let taken = std::thread::scope(|scope| {
            let taker = scope.spawn(|| std::iter::from_fn(|| tray.take()).flatten().collect::<Vec<u32>>());
            for number in 0..100_000 {
                let mut open = tray.take_back().unwrap_or_default();
                open.push(number);
                let full = open.len() == 8;
                assert!(tray.lay(open));
                if full {
                    tray.wait_until_taken();
                }
            }
            tray.close();
            taker.join().unwrap()
        });
        assert_eq!(taken, Vec::from_iter(0..100_000));
    }

    #[test]
    fn nobody_waits_for_a_side_that_has_ended() {
        let tray = Tray::default();
        assert!(tray.lay(1));
        tray.close();
        tray.wait_until_taken();
        assert_eq!(tray.take(), Some(1));
        assert_eq!(tray.take(), None);
        assert!(!tray.lay(2));
    }
}
