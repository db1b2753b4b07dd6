//! When did something happen? Time comes into the core as values of these types.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// An instant with millisecond precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes an instant from milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the time from `earlier` to this instant, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Seconds {
        Seconds::from_millis((self.0 - earlier.0).max(0))
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with whole seconds, as Kubernetes' `metav1.Time` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = jiff::Timestamp::from_second(self.0.div_euclid(1000)).map_err(|_| fmt::Error)?;
        write!(f, "{instant}")
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads RFC 3339.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse::<jiff::Timestamp>()?.as_millisecond()))
    }
}

/// A length of time with millisecond precision, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(i64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Makes a length from whole seconds.
    pub const fn new(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    /// Makes a length from milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the length in milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the length times `factor`, at most `cap`.
    #[must_use]
    pub fn scaled(self, factor: f64, cap: Self) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a back-off needs no exact milliseconds"
        )]
        let scaled = (self.0 as f64 * factor).min(cap.0 as f64) as i64;
        Self(scaled.clamp(0, cap.0.max(0)))
    }
}

impl Add<Seconds> for Timestamp {
    type Output = Self;
    fn add(self, length: Seconds) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl Sub<Seconds> for Timestamp {
    type Output = Self;
    fn sub(self, length: Seconds) -> Self {
        Self(self.0.saturating_sub(length.0))
    }
}

impl fmt::Display for Seconds {
    /// Writes `1.5s`, `40s`, `3m` or `1h5m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
            (0, 0, _) if self.0 % 1000 != 0 => write!(f, "{}.{}s", seconds, self.0 % 1000 / 100),
            (0, 0, s) => write!(f, "{s}s"),
            (0, m, 0) => write!(f, "{m}m"),
            (0, m, s) => write!(f, "{m}m{s}s"),
            (h, 0, _) => write!(f, "{h}h"),
            (h, m, _) => write!(f, "{h}h{m}m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc3339() {
        let instant: Timestamp = "2026-01-01T10:00:09Z".parse().unwrap();
        assert_eq!(instant.to_string(), "2026-01-01T10:00:09Z");
        assert_eq!((instant + Seconds::new(61)).to_string(), "2026-01-01T10:01:10Z");
        assert_eq!(
            "2026-01-01T12:00:09.5+02:00".parse::<Timestamp>().unwrap().as_millis(),
            instant.as_millis() + 500
        );
    }

    #[test]
    fn lengths_read_well() {
        let text = |millis| Seconds::from_millis(millis).to_string();
        assert_eq!(
            [text(1_500), text(40_000), text(180_000), text(3_900_000)],
            ["1.5s", "40s", "3m", "1h5m"]
        );
    }

    #[test]
    fn back_off_is_capped() {
        assert_eq!(Seconds::new(5).scaled(2.0_f64.powi(20), Seconds::new(180)), Seconds::new(180));
        assert_eq!(Seconds::new(5).scaled(f64::INFINITY, Seconds::new(180)), Seconds::new(180));
    }
}
