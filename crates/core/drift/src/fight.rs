//! Does somebody keep changing an object back, and how long do we wait before we correct it again?

use model::{Seconds, Timestamp};

/// How hot it takes for a fight: corrections per minute, about.
const FIGHT_HEAT: f64 = 5.0;
/// How many corrections without a pause in between make a fight, however slow they are.
const FIGHT_CORRECTIONS: u32 = 4;
/// The first wait, its growth, and the longest wait: Argo CD's self-heal back-off.
const FIRST: Seconds = Seconds::new(2);
const FACTOR: f64 = 3.0;
const LONGEST: Seconds = Seconds::new(300);
/// The shortest pause after which all is forgotten.
const PAUSE: Seconds = Seconds::new(60);

/// One object's recent corrections. The heat decays: times `e` to the power of minus the minutes passed, plus one per
/// correction (as Config Sync's fight detector counts).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heat {
    at_last: f64,
    corrections: u32,
    last: Option<Timestamp>,
}

impl Heat {
    /// Counts a correction.
    #[must_use]
    pub fn corrected(self, now: Timestamp) -> Self {
        Self {
            at_last: self.heat(now) + 1.0,
            corrections: self.corrections(now).saturating_add(1),
            last: Some(now),
        }
    }

    /// Returns the heat: about how often per minute the object was corrected lately.
    pub fn heat(&self, now: Timestamp) -> f64 {
        let Some(last) = self.last else { return 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "a decay needs no exact milliseconds")]
        let minutes = now.since(last).as_millis() as f64 / 60_000.0;
        self.at_last * (-minutes).exp()
    }

    /// Returns how often the object was corrected without a pause twice as long as the wait that was due.
    pub fn corrections(&self, now: Timestamp) -> u32 {
        let Some(last) = self.last else { return 0 };
        let pause = Seconds::from_millis(2 * wait(self.corrections).as_millis()).max(PAUSE);
        if now.since(last) > pause { 0 } else { self.corrections }
    }

    /// Returns whether somebody keeps changing the object back.
    pub fn is_fight(&self, now: Timestamp) -> bool {
        self.heat(now) >= FIGHT_HEAT || self.corrections(now) >= FIGHT_CORRECTIONS
    }

    /// Returns how long after the last correction the next one may come: at once for the first, then 2 s, 6 s, 18 s and so on,
    /// at most 5 min.
    pub fn delay(&self, now: Timestamp) -> Seconds {
        wait(self.corrections(now))
    }
}

fn wait(corrections: u32) -> Seconds {
    match corrections {
        0 => Seconds::ZERO,
        n => FIRST.scaled(FACTOR.powi(i32::try_from(n - 1).unwrap_or(i32::MAX)), LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000);

    /// Corrects `n` times, each as soon as it may be, and the other side answers at once.
    fn fought(n: u32) -> (Heat, Timestamp) {
        (0..n).fold((Heat::default(), START), |(heat, now), _| {
            let now = now + heat.delay(now);
            (heat.corrected(now), now)
        })
    }

    #[test]
    fn waits_grow_and_are_capped() {
        let waits: Vec<String> = (0..8).map(fought).map(|(heat, now)| heat.delay(now).to_string()).collect();
        assert_eq!(waits, ["0s", "2s", "6s", "18s", "54s", "2m42s", "5m", "5m"]);
    }

    #[test]
    fn one_edit_is_no_fight_and_a_slow_exchange_is() {
        let is_fight = |n| {
            let (heat, now) = fought(n);
            heat.is_fight(now)
        };
        assert_eq!([0, 1, 3, 4, 20].map(is_fight), [false, false, false, true, true]);
    }

    #[test]
    fn a_burst_is_a_fight_at_once() {
        let heat =
            (0..6).fold(Heat::default(), |heat, i| heat.corrected(START + Seconds::from_millis(i * 100)));
        assert!(heat.heat(START + Seconds::new(1)) > FIGHT_HEAT);
        assert!(heat.is_fight(START + Seconds::new(1)));
    }

    #[test]
    fn peace_is_forgotten_strife() {
        let (heat, now) = fought(1);
        assert_eq!(heat.delay(now + Seconds::new(60)), Seconds::new(2));
        assert_eq!(heat.delay(now + Seconds::new(61)), Seconds::ZERO);
        let (heat, now) = fought(10);
        assert!(heat.is_fight(now + Seconds::new(600)));
        assert!(!heat.is_fight(now + Seconds::new(601)));
        assert_eq!(heat.corrected(now + Seconds::new(601)).delay(now + Seconds::new(601)), Seconds::new(2));
    }
}
