//! How long a standby has heard nothing of the leader.

use std::time::{Duration, Instant, SystemTime};

/// What one look counts for at most.
const LOOK_MAX: Duration = Duration::from_millis(200);

/// For how long a leader was not heard, as far as somebody listened.
pub struct Silence {
    beat: Option<SystemTime>,
    looked: Instant,
    lasts: Duration,
}

impl Silence {
    pub fn begin(beat: Option<SystemTime>, now: Instant) -> Silence {
        Silence { beat, looked: now, lasts: Duration::ZERO }
    }

    /// Takes in what a look has found. One that comes late counts little: where the whole machine stood still the leader
    /// did, too, and a standby that wakes first must not end it for that.
    pub fn look(&mut self, beat: Option<SystemTime>, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.looked).min(LOOK_MAX);
        self.lasts = if beat == self.beat { self.lasts + since } else { Duration::ZERO };
        (self.beat, self.looked) = (beat, now);
        self.lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_silent_for_as_long_as_its_word_stays_the_same_and_somebody_looks() {
        let (began, word) = (Instant::now(), |ms| Some(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)));
        let mut silent = Silence::begin(word(1), began);
        let mut look = |at, beat| silent.look(beat, began + Duration::from_millis(at)).as_millis();
        assert_eq!((look(20, word(1)), look(150, word(1))), (20, 150));
        // Heard once, it begins anew, also where its clock was set back.
        assert_eq!((look(170, word(2)), look(190, word(2))), (0, 20));
        assert_eq!((look(210, word(0)), look(230, word(0)), look(250, None)), (0, 20, 0));
        // Nobody listened for an hour.
        assert_eq!((look(270, None), look(3_600_000, None), look(3_600_020, None)), (20, 220, 240));
    }
}
