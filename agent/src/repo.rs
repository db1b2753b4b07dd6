//! When is one repository asked, and what does each app hear of the answer?

use crate::agent::Task;
use crate::polling::Polled;
use crate::sources::RepoId;
use model::{AppKey, Revision};
use source::{Repository, SourceError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How far apart, at least, polls begin that somebody asks for: whoever sends one webhook after the other, or asks again and
/// again, costs no more.
const SPACING: Duration = Duration::from_secs(1);

/// One repository.
pub(crate) struct Repo {
    /// Who follows which revision.
    pub followers: BTreeMap<AppKey, String>,
    /// How to reach it.
    pub repository: Repository,
    /// When the next poll is due, unless somebody asks for one.
    due: Instant,
    /// When a poll is due that somebody asks for and that has not begun.
    asked_due: Option<Instant>,
    /// When a poll began last that somebody asked for.
    asked_polled: Option<Instant>,
    /// Number of the poll under way, or of the last one; polls that begin later have higher ones, of any repository.
    pub number: u64,
    /// Whether a poll is under way.
    pub is_polling: bool,
    /// That poll; it ends when nobody follows any more.
    task: Option<Task>,
    /// Whether something hinted at news while a poll is under way: it may have read the refs before.
    pub is_hinted: bool,
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
    /// How many refs its last good poll ignored.
    pub n_ignored: usize,
    /// What was told of why it, or a commit of it, cannot be read for now.
    told: Option<String>,
}

/// What is to be told of a repository after a poll.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It, or a commit of it, cannot be read for now, and why.
    Worse(String),
    /// All can be read again.
    Better,
}

/// A poll that is to begin.
pub(crate) struct Due {
    /// Of which repository.
    pub id: RepoId,
    /// How to reach it.
    pub repository: Repository,
    /// Its number.
    pub number: u64,
    /// What apps follow.
    pub targets: Vec<String>,
    /// What each of that was last resolved to.
    pub known: BTreeMap<String, Revision>,
}

/// What an app has to hear of a poll.
#[derive(Debug)]
pub(crate) struct News {
    /// The app.
    pub app: AppKey,
    /// What it follows is at.
    pub answer: Result<Revision, SourceError>,
    /// Whether the app asked while the poll was under way, which may have read the refs before: the next one answers that.
    pub is_overheard: bool,
    /// What it was at, where that comes after what it is at.
    pub went_back_from: Option<Revision>,
}

impl Repo {
    /// Begins with one that is due.
    pub(crate) fn new(repository: Repository, now: Instant) -> Self {
        Self {
            followers: BTreeMap::new(),
            repository,
            due: now,
            asked_due: None,
            asked_polled: None,
            number: 0,
            is_polling: false,
            task: None,
            is_hinted: false,
            n_failed: 0,
            asking: BTreeSet::new(),
            answering: BTreeSet::new(),
            resolved: BTreeMap::new(),
            last_success: None,
            n_ignored: 0,
            told: None,
        }
    }

    /// Asks for a poll at once, because something hinted that it moved.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if self.is_polling {
            self.is_hinted = true;
        } else {
            self.due = now;
        }
    }

    /// Asks for a poll because somebody wants to know, or says that it moved: at once, or a while after the last one that began
    /// so. However many ask meanwhile, it is one poll, and it begins after the last of them.
    pub(crate) fn asked(&mut self, at: Instant) {
        let rested = self.asked_polled.map_or(at, |last| at.max(last + SPACING));
        self.asked_due = Some(self.asked_due.map_or(rested, |due| due.min(rested)));
    }

    /// Returns when the next poll is due.
    pub(crate) fn due(&self) -> Instant {
        self.asked_due.map_or(self.due, |asked| asked.min(self.due))
    }

    /// Begins a poll with this number.
    pub(crate) fn begin(&mut self, id: &RepoId, number: u64, now: Instant) -> Due {
        self.is_polling = true;
        self.number = number;
        if self.asked_due.take().is_some() {
            self.asked_polled = Some(now);
        }
        self.answering = std::mem::take(&mut self.asking);
        let targets: BTreeSet<String> = self.followers.values().cloned().collect();
        Due {
            id: id.clone(),
            repository: self.repository.clone(),
            number,
            targets: targets.into_iter().collect(),
            known: self.resolved.clone(),
        }
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
        let is_hinted = std::mem::take(&mut self.is_hinted);
        self.due = if is_hinted { now } else { now + wait(self.n_failed) };
    }

    /// Returns what each app has to hear of a poll that ended: what moved or failed whether it asked or not, for whoever asks
    /// again and again would hear of nothing else.
    pub(crate) fn news(&mut self, polled: &Polled, now: Instant) -> Vec<News> {
        let answering = std::mem::take(&mut self.answering);
        let mut news = Vec::new();
        for (app, target) in &self.followers {
            let (answer, went_back_from) = match polled {
                Err(error) => (Err(error.clone()), None),
                Ok(found) => {
                    let Some(answer) = found.targets.get(target) else {
                        // Followed since the poll began: the next one answers.
                        self.due = now;
                        self.asking.insert(app.clone());
                        continue;
                    };
                    (answer.clone(), found.went_back.get(target).cloned())
                }
            };
            let moved = answer.as_ref().is_ok_and(|revision| self.resolved.get(target) != Some(revision));
            if moved || answer.is_err() || answering.contains(app) {
                let is_overheard = self.asking.contains(app);
                news.push(News { app: app.clone(), answer, is_overheard, went_back_from });
            }
        }
        news
    }

    /// Returns what is to be told once of trouble that passes. What lasts is told of each app, by its status.
    pub(crate) fn turn(&mut self, polled: &Polled) -> Option<Turn> {
        let errors: Vec<&SourceError> = match polled {
            Err(error) => vec![error],
            Ok(found) => found.targets.values().filter_map(|answer| answer.as_ref().err()).collect(),
        };
        let trouble = errors.iter().find(|error| error.is_transient()).map(ToString::to_string);
        if trouble == self.told {
            return None;
        }
        self.told.clone_from(&trouble);
        // A password that is wrong by now is no better than a host that is away.
        let better = || polled.is_ok().then_some(Turn::Better);
        trouble.map(Turn::Worse).or_else(better)
    }

    /// Remembers what a poll found, so that the next one tells only what moved.
    pub(crate) fn remember(&mut self, polled: &Polled) {
        let Ok(found) = polled else {
            // Whoever heard of the failure has to hear of its end, too.
            self.resolved.clear();
            return;
        };
        self.n_ignored = found.n_ignored;
        for (target, revision) in &found.targets {
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
    use source::Kind;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn trouble_is_told_once_and_so_is_its_end() {
        let url = source::RepoUrl::parse("https://git.example/shop").unwrap();
        let mut repo = Repo::new(Repository::new(url, source::Credentials::None), Instant::now());
        let error = |kind| SourceError::new(kind, "no space left");
        let of_target = |answer| {
            let targets = BTreeMap::from([("main".to_owned(), answer)]);
            Ok(crate::polling::Found { targets, ..Default::default() })
        };
        let of_both = |first, second| {
            let targets = BTreeMap::from([("a".to_owned(), Err(first)), ("main".to_owned(), Err(second))]);
            Ok(crate::polling::Found { targets, ..Default::default() })
        };
        let worse = || Some(Turn::Worse(error(Kind::Unavailable).to_string()));
        let good = || of_target(Ok(Revision::new("1")));
        for (polled, told) in [
            (good(), None),
            (of_target(Err(error(Kind::Unavailable))), worse()),
            (Err(error(Kind::Unavailable)), None),
            (good(), Some(Turn::Better)),
            (good(), None),
            // Every app's status tells of this.
            (of_target(Err(error(Kind::RevisionNotFound))), None),
            // That lasts, and hides nothing.
            (of_both(error(Kind::RevisionNotFound), error(Kind::Unavailable)), worse()),
            (Err(error(Kind::Authentication)), None),
            (good(), None),
            (Err(error(Kind::Unavailable)), worse()),
            (of_target(Err(error(Kind::RevisionNotFound))), Some(Turn::Better)),
        ] {
            assert_eq!(repo.turn(&polled), told);
        }
    }

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
