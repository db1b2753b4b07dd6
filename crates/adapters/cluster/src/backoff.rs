//! How long until the next attempt?

use model::CallError;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that grow while attempts fail.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Notes a failure and returns the wait before the next attempt: doubled each time, at most half a minute, spread
    /// over its upper half so that watches that broke together do not come back together. A server's own wish counts
    /// where it is longer.
    pub(crate) fn failed(&mut self, error: Option<&CallError>) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        let asked = error.and_then(|error| error.retry_after).map_or(0, model::Seconds::as_millis);
        let asked = Duration::from_millis(u64::try_from(asked).unwrap_or_default());
        spread(wait).max(a_little_more(asked))
    }

    /// Notes a success.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Returns how often in a row attempts failed.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// Returns a random length between half of `length` and all of it, so that what failed together does not come back
/// together.
pub fn spread(length: Duration) -> Duration {
    length.mul_f64(0.5 + fraction() / 2.0)
}

/// Returns a random length from `length` to a tenth more.
pub(crate) fn a_little_more(length: Duration) -> Duration {
    length.mul_f64(1.0 + fraction() / 10.0)
}

/// Returns a random number from 0 up to 1. The standard library seeds its maps well enough for waits.
fn fraction() -> f64 {
    let random = u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or_default();
    f64::from(random) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ErrorClass, Seconds};

    #[test]
    fn waits_grow_stay_bounded_and_begin_anew() {
        let mut backoff = Backoff::default();
        for most in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] {
            let wait = backoff.failed(None).as_millis();
            assert!((most / 2..=most).contains(&wait), "{wait} of {most}");
        }
        backoff.succeeded();
        assert!(backoff.failed(None) <= FIRST);
    }

    #[test]
    fn the_server_may_ask_for_more() {
        let error =
            CallError { retry_after: Some(Seconds::new(20)), ..CallError::new(ErrorClass::Throttled, "") };
        assert!(Backoff::default().failed(Some(&error)) >= Duration::from_secs(20));
    }
}
