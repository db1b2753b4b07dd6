//! When is one repository asked, and what does each app hear of the answer?

use crate::agent::Task;
use model::{AppKey, Revision};
use source::{Repository, SourceError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How far apart, at least, polls begin that webhooks ask for: whoever sends one webhook after the other costs no more.
const PUSH_SPACING: Duration = Duration::from_secs(1);

/// One repository.
pub(crate) struct Repo {
    /// Who follows which revision.
    pub followers: BTreeMap<AppKey, String>,
    /// How to reach it.
    pub repository: Repository,
    /// When the next poll is due, webhooks apart.
    due: Instant,
    /// When a webhook's poll is due that has not begun.
    push_due: Option<Instant>,
    /// When a poll began last that a webhook asked for.
    push_polled: Option<Instant>,
    /// Whether a poll is under way.
    pub is_polling: bool,
    /// That poll; it ends when nobody follows any more.
    task: Option<Task>,
    /// Whether another poll was asked for while one is under way: it may have read the refs before.
    pub is_asked_again: bool,
    /// Polls that failed in a row.
    pub n_failed: u32,
    /// Apps that wait for an answer even where nothing moved: of the next poll, for one under way may have read the refs
    /// before they asked.
    pub asking: BTreeSet<AppKey>,
    /// Those that the poll under way answers.
    pub answering: BTreeSet<AppKey>,
    /// What each target revision was last resolved to.
    pub resolved: BTreeMap<String, Revision>,
    /// When it was last read well.
    pub last_success: Option<Instant>,
}

/// What a poll found, per target revision.
pub(crate) type Polled = Result<BTreeMap<String, Result<Revision, SourceError>>, SourceError>;

impl Repo {
    /// Begins with one that is due.
    pub(crate) fn new(repository: Repository, now: Instant) -> Self {
        Self {
            followers: BTreeMap::new(),
            repository,
            due: now,
            push_due: None,
            push_polled: None,
            is_polling: false,
            task: None,
            is_asked_again: false,
            n_failed: 0,
            asking: BTreeSet::new(),
            answering: BTreeSet::new(),
            resolved: BTreeMap::new(),
            last_success: None,
        }
    }

    /// Asks for a poll at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if self.is_polling {
            self.is_asked_again = true;
        } else {
            self.due = now;
        }
    }

    /// Asks for a poll because a webhook says that it moved: at once, or a while after the last one that began so. However
    /// many come meanwhile, it is one poll, and it begins after the last of them.
    pub(crate) fn pushed(&mut self, now: Instant) {
        let rested = self.push_polled.map_or(now, |last| now.max(last + PUSH_SPACING));
        self.push_due.get_or_insert(rested);
    }

    /// Returns when the next poll is due.
    pub(crate) fn due(&self) -> Instant {
        self.push_due.map_or(self.due, |push| push.min(self.due))
    }

    /// Begins a poll; returns the target revisions that it is about.
    pub(crate) fn begin(&mut self, now: Instant) -> Vec<String> {
        self.is_polling = true;
        if self.push_due.take().is_some() {
            self.push_polled = Some(now);
        }
        self.answering = std::mem::take(&mut self.asking);
        let targets: BTreeSet<String> = self.followers.values().cloned().collect();
        targets.into_iter().collect()
    }

    /// Takes in what carries the poll out.
    pub(crate) fn carried_out_by(&mut self, task: Task) {
        self.task = Some(task);
    }

    /// Notes that a poll ended, and when the next one is due; `wait` says after how long, by the failures in a row.
    pub(crate) fn ended(&mut self, polled: &Polled, now: Instant, wait: impl FnOnce(u32) -> Duration) {
        self.is_polling = false;
        self.task = None;
        match polled {
            Ok(_) => {
                self.n_failed = 0;
                self.last_success = Some(now);
            }
            Err(_) => self.n_failed += 1,
        }
        let is_asked_again = std::mem::take(&mut self.is_asked_again);
        self.due = if is_asked_again { now } else { now + wait(self.n_failed) };
    }

    /// Returns what each app has to hear of a poll that ended. Who asked meanwhile hears of the next one.
    pub(crate) fn news(
        &mut self,
        polled: &Polled,
        now: Instant,
    ) -> Vec<(AppKey, Result<Revision, SourceError>)> {
        let answering = std::mem::take(&mut self.answering);
        let due_again = self.asking.clone();
        let mut news = Vec::new();
        for (app, target) in self.followers.iter().filter(|(app, _)| !due_again.contains(*app)) {
            let answer = match polled {
                Err(error) => Err(error.clone()),
                Ok(found) => {
                    let Some(answer) = found.get(target) else {
                        // Followed since the poll began: the next one answers.
                        self.due = now;
                        self.asking.insert(app.clone());
                        continue;
                    };
                    answer.clone()
                }
            };
            let moved = answer.as_ref().is_ok_and(|revision| self.resolved.get(target) != Some(revision));
            if moved || answer.is_err() || answering.contains(app) {
                news.push((app.clone(), answer));
            }
        }
        news
    }

    /// Remembers what a poll found, so that the next one tells only what moved.
    pub(crate) fn remember(&mut self, polled: &Polled) {
        let Ok(found) = polled else {
            // Whoever heard of the failure has to hear of its end, too.
            self.resolved.clear();
            return;
        };
        for (target, revision) in found {
            match revision {
                Ok(revision) => {
                    self.resolved.insert(target.clone(), revision.clone());
                }
                Err(_) => {
                    self.resolved.remove(target);
                }
            }
        }
    }
}

/// Returns the wait before the next poll, by chance of the URL, so that repositories on one host are not all asked at the
/// same moment: up to a tenth longer than the interval, and while it fails longer and longer, spread over the upper half
/// and each time anew, for what failed together would come back together.
pub(crate) fn wait(interval: Duration, n_failed: u32, url: &str) -> Duration {
    let chance = |text: &str| f64::from(model::digest(text.as_bytes()).bytes()[0]) / 256.0;
    if n_failed == 0 {
        return interval.mul_f64(1.0 + chance(url) / 10.0);
    }
    let longest = interval.max(Duration::from_mins(5));
    let wait = Duration::from_secs(1).saturating_mul(1 << n_failed.min(9)).min(longest);
    wait.mul_f64(0.5 + chance(&format!("{url} {n_failed}")) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn waits_grow_while_a_repository_fails_and_differ_by_its_url() {
        let millis = |n_failed, url: &str| wait(INTERVAL, n_failed, url).as_millis();
        let urls: Vec<String> = (0..100).map(|n| format!("https://git.example/shop-{n}")).collect();
        for (n_failed, least, most) in
            [(0, 30, 33), (1, 1, 2), (2, 2, 4), (3, 4, 8), (8, 128, 256), (9, 150, 300), (40, 150, 300)]
        {
            let waits: BTreeSet<u128> = urls.iter().map(|url| millis(n_failed, url)).collect();
            let (first, last) = (waits.first().copied().unwrap(), waits.last().copied().unwrap());
            assert!(least * 1_000 <= first && last <= most * 1_000, "{n_failed}: {first} to {last}");
            // Spread, not bunched.
            assert!(waits.len() > 50 && last - first > (most - least) * 900, "{n_failed}: {waits:?}");
        }
        // What came together once does not come together the next time.
        let order = |n_failed| {
            let mut order = urls.clone();
            order.sort_by_key(|url| millis(n_failed, url));
            order
        };
        assert_ne!(order(8), order(9));
    }
}
