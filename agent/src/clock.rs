//! What time is it, and what if the machine's clock jumps?
//!
//! Deadlines and back-offs are times of day, for they are told, and compared with what others write. A clock that is set an
//! hour on would end them all at once, and condemn a commit whose pods merely start; one that is set back would make them an
//! hour longer. So the time is counted from a look at the machine's clock by one that does not jump, and the next look that
//! counts comes when nothing is under way.

use model::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What is no jump: how far two looks may differ because one of them came late.
const TOLERANCE: i64 = 1_000;

/// A look at both clocks at once.
#[derive(Clone, Copy)]
struct Look {
    wall: Timestamp,
    at: Instant,
}

static LAST: Mutex<Option<Look>> = Mutex::new(None);

impl Look {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { wall: Timestamp::from_millis(millis(since)), at: Instant::now() }
    }

    /// Returns what time it is, by this look.
    fn time(self, at: Instant) -> Timestamp {
        Timestamp::from_millis(
            self.wall.as_millis().saturating_add(millis(at.saturating_duration_since(self.at))),
        )
    }

    /// Returns how far the machine's clock has jumped until another look, in milliseconds; 0 where it has not.
    fn jump(self, later: Self) -> i64 {
        let jump = later.wall.as_millis().saturating_sub(self.time(later.at).as_millis());
        if jump.abs() > TOLERANCE { jump } else { 0 }
    }
}

/// Returns the time.
pub(crate) fn now() -> Timestamp {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.get_or_insert_with(Look::now).time(Instant::now())
}

/// Goes by the machine's clock again if it has jumped and `is_calm` says that nothing is under way. Returns whether the time
/// is another one now.
pub(crate) fn follow(is_calm: impl FnOnce() -> bool) -> bool {
    let jump = {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Look::now();
        let jump = last.map_or(0, |last| last.jump(new));
        if jump == 0 || !is_calm() {
            return false;
        }
        *last = Some(new);
        jump
    };
    let (by, way) = (Duration::from_millis(jump.unsigned_abs()), if jump < 0 { "back" } else { "on" });
    tracing::warn!(?by, "the machine's clock was set {way}; what was under way by then had all of its time");
    true
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn the_time_goes_on_whatever_is_done_to_the_machines_clock() {
        let at = Instant::now();
        let look = Look { wall: Timestamp::from_millis(10 * HOUR), at };
        let later = |seconds: u64, jumped: i64| {
            let at = at + Duration::from_secs(seconds);
            let wall = 10 * HOUR + i64::try_from(seconds).unwrap() * 1_000 + jumped;
            Look { wall: Timestamp::from_millis(wall), at }
        };
        for jumped in [-HOUR, -TOLERANCE, 0, TOLERANCE, 24 * HOUR] {
            let seen = later(60, jumped);
            assert_eq!(look.time(seen.at).as_millis(), 10 * HOUR + 60_000);
            let is_jump = jumped.abs() > TOLERANCE;
            assert_eq!(look.jump(seen), if is_jump { jumped } else { 0 });
        }
        // By the next look it is the machine's time again.
        let next = later(60, -HOUR);
        assert_eq!(next.time(next.at + Duration::from_secs(5)).as_millis(), 9 * HOUR + 65_000);
        assert_eq!(next.jump(later(120, -HOUR)), 0);
    }

    #[test]
    fn a_clock_that_does_not_jump_is_followed_in_silence() {
        now();
        assert!(!follow(|| panic!("nobody is asked")));
    }
}
