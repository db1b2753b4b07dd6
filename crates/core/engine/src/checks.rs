//! What do an app's own checks say of what was deployed?
//!
//! ```text
//!  all is well ──Effect::Check──▶ looks ──Event::Checked──▶ every one passed, at the soak's end or after it ──▶ a release
//!       ▲                           │  │ one failed, and goes on failing for the grace ──▶ condemned
//!       └── every 5 s ◀─────────────┘  └ not known: no release, and no fault of anybody's
//! ```
//!
//! Nothing is kept of it: a restart begins anew, which takes time and changes nothing else.

use crate::effect::{Effect, Tone};
use crate::note;
use crate::soak::Soak;
use crate::state::State;
use model::{
    App, AppKey, Check, DesiredHash, Look, ObjectKey, Probe, Reason, SYNC_DEADLINE, Seconds, Timestamp,
};

/// How long after a look the next one comes.
const PAUSE: Seconds = Seconds::new(5);
/// The same where what is waited for has not come by the deadline.
const LONG_PAUSE: Seconds = Seconds::new(60);
/// How long an answer is waited for.
const PATIENCE: Seconds = Seconds::new(60);

/// What is to be looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// Hash of what was deployed.
    pub hash: DesiredHash,
    /// When its sync began: what was before it is compared with what is now.
    pub since: Timestamp,
    /// The checks.
    pub checks: Vec<Check>,
}

/// What is known of an app's checks while it is watched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checks {
    /// When the last look began.
    asked_at: Option<Timestamp>,
    /// Whether it was answered.
    is_answered: bool,
    /// What each said last.
    told: Vec<Told>,
    /// Whether the deadline has passed.
    is_held: bool,
}

/// What a check said last.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    check: Check,
    /// What it says now.
    look: Look,
    /// What is said of that to people: its first sentence, for numbers change with every look.
    first: Look,
    /// Since when it says so without a break.
    since: Timestamp,
    /// When it said so last.
    last: Timestamp,
}

/// Where the checks stand.
pub(crate) enum Opinion {
    /// They hold, or there are none.
    Passed,
    /// That is not known yet, or for now.
    Open,
    /// What was deployed is at fault; the sentence, and the object that it is about.
    Condemned(String, ObjectKey),
}

impl Checks {
    /// Returns since when each says what it says.
    pub(crate) fn since_mut(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        self.told.iter_mut().flat_map(|told| [&mut told.since, &mut told.last])
    }

    /// Returns what is known of those checks that the app has now: another one of the same name is another one.
    fn of<'a>(&'a self, app: &'a App) -> impl Iterator<Item = &'a Told> {
        self.told.iter().filter(|told| app.checks.contains(&told.check))
    }

    /// Returns what keeps the app from being stable, check by check, as people are told.
    pub(crate) fn obstacles(&self, app: &App) -> Vec<String> {
        let sentence = |told: &Told| match &told.first {
            Look::Passed | Look::Waits(_) => None,
            Look::Failed(why) => Some(format!("{} fails: {why}", told.check)),
            Look::Unknown(why) => Some(format!("{} cannot be made: {why}", told.check)),
        };
        self.of(app).filter_map(sentence).collect()
    }

    /// Returns what a person waits for who waits for the app to become stable.
    pub(crate) fn waits_for(&self, app: &App) -> Option<String> {
        let first = app.checks.first()?;
        let open =
            self.of(app).find_map(|told| told.look.why_not().map(|why| format!("{}: {why}", told.check)));
        Some(open.unwrap_or_else(|| match app.checks.len() {
            1 => format!("{first} to pass"),
            several => format!("{several} checks to pass"),
        }))
    }

    /// Returns whether the deadline has passed.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Forgets what was said, for what is looked at is not well by itself; but not when that was: what comes and goes is not asked
    /// each time that it comes.
    pub(crate) fn interrupt(&mut self) {
        *self = Self { asked_at: self.asked_at, is_answered: true, ..Self::default() };
    }

    /// Returns whether a check need not be looked at again: a Job that has passed may be gone by now, and is not to run once more.
    fn is_done(&self, check: &Check) -> bool {
        matches!(check.probe, Probe::Job(_))
            && self.told.iter().any(|told| told.check == *check && told.look == Look::Passed)
    }

    fn have_passed(&self, app: &App, end: Timestamp) -> bool {
        let is_of_the_end = self.is_answered && self.asked_at.is_some_and(|at| at >= end);
        let passed =
            |check: &Check| self.of(app).any(|told| told.check == *check && told.look == Look::Passed);
        is_of_the_end && app.checks.iter().all(passed)
    }

    /// Returns the check that has failed for the grace.
    fn condemning(&self, app: &App) -> Option<&Told> {
        let has_failed = |told: &&Told| {
            matches!(told.look, Look::Failed(_)) && told.last >= told.since + app.rollback.degraded_grace
        };
        self.told.iter().filter(|told| app.checks.contains(&told.check)).find(has_failed)
    }

    /// Returns when the next look is due; `end` is when the soak is over.
    fn due(&self, app: &App, end: Timestamp) -> Option<Timestamp> {
        let asked_at = self.asked_at?;
        if !self.is_answered {
            return Some(asked_at + PATIENCE);
        }
        let next = asked_at + if self.is_held { LONG_PAUSE } else { PAUSE };
        let failing = self.of(app).filter(|told| matches!(told.look, Look::Failed(_)));
        let graces = failing.map(|told| told.since + app.rollback.degraded_grace);
        graces.chain([end]).filter(|at| *at > asked_at).chain([next]).min()
    }
}

/// Judges the checks of what is well, and has them looked at when that is due.
pub(crate) fn judge(soak: &mut Soak, app: &App, now: Timestamp, out: &mut Vec<Effect>) -> Opinion {
    let (Some(since), Some(desired)) = (soak.well_since, &soak.run.desired) else { return Opinion::Open };
    let (end, checks) = (since + app.rollback.soak, &mut soak.checks);
    if app.checks.is_empty() || checks.have_passed(app, end) {
        return Opinion::Passed;
    }
    // What was found is nobody's doing.
    if let Some(Told { check, first, .. }) = checks.condemning(app).filter(|_| !soak.is_baseline) {
        let why = first.why_not().unwrap_or_default();
        return Opinion::Condemned(format!("{check} failed: {why}"), subject(check, app));
    }
    if !checks.is_held && now >= held_at(app, end) {
        checks.is_held = true;
        let why = checks.waits_for(app).unwrap_or_default();
        let story = format!("{} does not become a release: {why}", desired.revision.short());
        out.push(note(Reason::CheckUnknown, story, Tone::Warning));
    }
    // A clock may have been set back.
    if checks.due(app, end).is_none_or(|due| due <= now) || checks.asked_at.is_some_and(|at| at > now) {
        checks.asked_at = Some(now);
        checks.is_answered = false;
        let open = app.checks.iter().filter(|check| !checks.is_done(check)).cloned().collect();
        let inspection = Inspection { hash: desired.hash, since: soak.run.started_at, checks: open };
        out.push(Effect::Check(Box::new(inspection)));
    }
    Opinion::Open
}

/// Returns when what was deployed has had its time to become stable.
fn held_at(app: &App, end: Timestamp) -> Timestamp {
    end + app.sync_deadline.unwrap_or(SYNC_DEADLINE)
}

/// Returns the object that a check is about; a query is about the whole app.
fn subject(check: &Check, app: &App) -> ObjectKey {
    match &check.probe {
        Probe::Http(http) => ObjectKey::new("", "Service", http.namespace.as_str(), http.service.as_str()),
        Probe::Job(job) => job.key(),
        Probe::Query(_) => {
            let AppKey { namespace, name } = &app.key;
            ObjectKey::new("argoproj.io", "Application", namespace.as_str(), name.as_str())
        }
    }
}

/// Takes in what a look said; one at other content, or for an earlier sync of it, says nothing.
pub(crate) fn answered(
    state: &mut State,
    (hash, since): (DesiredHash, Timestamp),
    looks: Vec<(Check, Look)>,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let is_of = |soak: &&mut Box<Soak>| {
        soak.run.started_at == since && soak.run.desired.as_ref().is_some_and(|desired| desired.hash == hash)
    };
    let Some(soak) = state.soak.as_mut().filter(is_of) else { return };
    let checks = &mut soak.checks;
    if checks.is_answered || checks.asked_at.is_none() {
        return;
    }
    checks.is_answered = true;
    let before = std::mem::take(&mut checks.told);
    let is_left = |told: &&Told| looks.iter().all(|(check, _)| *check != told.check);
    checks.told = before.iter().filter(is_left).filter(|told| told.look == Look::Passed).cloned().collect();
    for (check, look) in looks {
        let earlier = before.iter().find(|told| told.check == check);
        out.extend(transition(&check, earlier.map(|told| &told.look), &look));
        let same = earlier.filter(|told| told.look.is_like(&look));
        let (first, since) = same.map_or((look.clone(), now), |told| (told.first.clone(), told.since));
        checks.told.push(Told { check, look, first, since, last: now });
    }
}

/// Tells what is news of a check.
fn transition(check: &Check, before: Option<&Look>, now: &Look) -> Option<Effect> {
    let is_new = match before {
        Some(before) => !before.is_like(now),
        None => *now != Look::Passed,
    };
    let (reason, sentence, tone) = match now {
        Look::Passed => (Reason::CheckPassed, format!("{check} passes again"), Tone::Plain),
        Look::Failed(why) => (Reason::CheckFailed, format!("{check} fails: {why}"), Tone::Warning),
        Look::Unknown(why) => (Reason::CheckUnknown, format!("{check} cannot be made: {why}"), Tone::Warning),
        Look::Waits(_) => return None,
    };
    // What was waited for came to what it should.
    let is_story = !matches!((before, now), (Some(Look::Waits(_)), Look::Passed));
    (is_new && is_story).then(|| note(reason, sentence, tone))
}

/// Returns when a check has to be looked at again although nothing happens.
pub(crate) fn wake(soak: &Soak, app: &App) -> Option<Timestamp> {
    let end = soak.well_since? + app.rollback.soak;
    let held_at = Some(held_at(app, end)).filter(|_| !soak.checks.is_held);
    let due = soak.checks.due(app, end);
    due.into_iter().chain(held_at).min().filter(|_| !app.checks.is_empty())
}
