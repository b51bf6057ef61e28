//! Moments by a timer of the kernel's, awaited with everything else that one thread waits for.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

pub struct Ticks(AsyncFd<OwnedFd>);

impl Ticks {
    pub fn every(tick: Duration) -> Result<Ticks, String> {
        let begin = || -> io::Result<Ticks> {
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
            let tick = Timespec {
                tv_sec: tick.as_secs() as i64,
                tv_nsec: i64::from(tick.subsec_nanos()),
            };
            let each = Itimerspec {
                it_interval: tick,
                it_value: tick,
            };
            timerfd_settime(&timer, TimerfdTimerFlags::empty(), &each)?;
            // SAFETY: the timer owns its descriptor, and names the same one for as long as it lives.
            Ok(Ticks(unsafe { AsyncFd::register(timer) }?))
        };
        begin().map_err(|cause| format!("no timer: {cause}"))
    }

    /// Waits for the next one; those that were missed count as one.
    pub async fn next(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let read = |timer: &AsyncFd<OwnedFd>| {
                Ok(rustix::io::read(timer.get_ref(), &mut [0; 8]).map(|_| ())?)
            };
            if let Ok(told) = ready.try_io(read) {
                return told;
            }
        }
    }
}
