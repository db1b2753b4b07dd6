//! Does what was deployed stay well? Only then it is stable: something to go back to.

use crate::checks::{self, Checks, Opinion};
use crate::effect::{Effect, Outcome, Tone, Word};
use crate::rollback::{self, is_well};
use crate::run::{Cause, Run};
use crate::settle::Standing;
use crate::state::{Activity, Attempt, State};
use crate::verdict::{self, Verdict};
use crate::{note, trigger};
use model::{App, DesiredHash, ObjectKey, OperationPhase, Reason, Seconds, SyncId, Timestamp};
use std::collections::BTreeSet;

/// How long ago a sync may have ended whose release an earlier life did not come to write.
const RECENT: Seconds = Seconds::new(600);

/// What is watched after it was deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct Soak {
    /// The sync that deployed it; of what was found there, one that would have.
    pub run: Run,
    /// Whether it was found there.
    pub is_baseline: bool,
    /// When everything was healthy first.
    pub healthy_at: Timestamp,
    /// Since when it has been without a break; none while something is not.
    pub well_since: Option<Timestamp>,
    /// Since when something has not been well without a break.
    pub unwell_since: Option<Timestamp>,
    /// What the app's own checks say.
    pub checks: Checks,
}

impl Soak {
    /// Notes that something is not well. What had been well for long enough, and is only watched because of its checks, has all its
    /// time again.
    fn interrupt(&mut self, app: &App, now: Timestamp) {
        if self.well_since.take().is_some_and(|since| now >= since + app.rollback.soak) {
            (self.run.tried_at, self.run.progress_at) = (now, now);
            self.run.seen.clear();
        }
        self.unwell_since.get_or_insert(now);
        self.checks.interrupt();
    }

    fn is_blip(&self, app: &App, now: Timestamp) -> bool {
        now < self.unwell_since.unwrap_or(now) + app.rollback.degraded_grace
    }
}

/// Returns whether it has to be found out first which objects a commit changes. An earlier life may have begun with it and died
/// before it told so: what it applied is no news to this one, and is the commit's all the same.
pub(crate) fn must_differ(state: &mut State, out: &mut Vec<Effect>) -> bool {
    let (Some(desired), Some(stable)) = (&state.desired, &state.stable) else { return false };
    let hash = desired.hash;
    if stable.hash == hash || state.was_at_rest || state.tried().is_some_and(|last| !last.is_old) {
        return false;
    }
    match state.differs {
        Some((known, is_answered)) if known == hash => !is_answered,
        Some(_) | None => {
            out.push(Effect::Differ { release: stable.number, hash });
            state.differs = Some((hash, false));
            true
        }
    }
}

/// Returns whether it is known which objects have been changed since all was well.
pub(crate) fn knows_touched(state: &State, hash: DesiredHash) -> bool {
    state.was_at_rest || state.differs == Some((hash, true))
}

/// Notes that the app is as it was told to be.
fn note_rest(state: &mut State) {
    let is_told = |hash: DesiredHash| {
        state.stable.as_ref().is_some_and(|stable| stable.hash == hash) || state.has_deployed(hash)
    };
    state.was_at_rest |= state
        .current()
        .is_some_and(|(desired, comparison)| rollback::is_there(comparison) && is_told(desired.hash));
}

/// Takes in in which objects what Git wants differs from the last release.
pub(crate) fn differs(state: &mut State, hash: DesiredHash, keys: BTreeSet<ObjectKey>) {
    if state.differs.is_some_and(|(asked, _)| asked == hash) {
        state.differs = Some((hash, true));
        state.touched.extend(keys);
    }
}

/// Begins to watch what a sync deployed.
pub(crate) fn begin(state: &mut State, run: &Run, now: Timestamp) {
    let hash = run.desired.as_ref().map(|desired| desired.hash);
    if run.is_whole() && hash != state.stable.as_ref().map(|stable| stable.hash) {
        state.soak = Some(Box::new(Soak {
            run: run.clone(),
            is_baseline: false,
            healthy_at: now,
            well_since: Some(now),
            unwell_since: None,
            checks: Checks::default(),
        }));
    }
}

/// Judges what is watched, and begins to watch what is well and was never seen to stay so.
pub(crate) fn advance(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    note_rest(state);
    rollback::held_back::note_serving(state);
    let hash = state.soak.as_ref().and_then(|soak| soak.run.desired.as_ref()).map(|desired| desired.hash);
    if hash.is_some() && hash != state.desired.as_ref().map(|desired| desired.hash) {
        state.soak = None;
    }
    let is_busy = state.activity != Activity::Idle || !state.knows_releases;
    if is_busy || !state.may_write || trigger::ban(state, app).is_some() {
        return;
    }
    let Some(desired) = state.current().map(|(desired, _)| desired.hash) else { return };
    let Some(comparison) = state.comparison.clone() else { return };
    if state.soak.is_none() {
        let is_stable = state.released == Some(desired)
            || state.stable.as_ref().is_some_and(|stable| stable.hash == desired);
        let is_bad = state.quarantine.contains(desired);
        if !is_stable && !is_bad && state.hold.is_none() && is_well(&comparison) {
            state.soak = Some(Box::new(found(state, now)));
        }
    }
    let Some(soak) = &mut state.soak else { return };
    match soak.run.standing(&comparison, app, now) {
        Standing::Settled => {
            soak.unwell_since = None;
            well(state, app, now, out);
        }
        Standing::Waits(_) => soak.interrupt(app, now),
        // What was well a moment ago has a moment to become so again.
        Standing::Condemned(Reason::HealthTimeout, _) if soak.is_blip(app, now) => soak.interrupt(app, now),
        // It may yet get well, and is watched anew then.
        Standing::Held(_) => state.soak = None,
        Standing::Condemned(..) if soak.is_baseline => state.soak = None,
        Standing::Condemned(reason, message) => {
            broken(state, reason, format!("{message}, after it had been healthy"), app, now, out);
        }
    }
}

/// All is well: has it been so for long enough, and do the app's own checks say the same?
fn well(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(soak) = &mut state.soak else { return };
    let since = *soak.well_since.get_or_insert(now);
    match checks::judge(soak, app, now, out) {
        Opinion::Passed if now >= since + app.rollback.soak => settled(state, now, out),
        Opinion::Passed | Opinion::Open => {}
        Opinion::Condemned(message, about) => {
            soak.run.sick = Some((about, message.clone()));
            broken(state, Reason::CheckFailed, message, app, now, out);
        }
    }
}

/// Watches what was found in the cluster as Git wants it.
fn found(state: &State, now: Timestamp) -> Soak {
    let mut run = Run::new(SyncId::default(), Cause::NewDesired, now);
    run.desired.clone_from(&state.desired);
    let objects = state.comparison.iter().flat_map(|comparison| comparison.objects.iter());
    run.watched = objects.filter(|object| object.health.is_some()).map(|object| object.key.clone()).collect();
    // What an earlier life deployed, or this one, and did not come to see through. What runs for long was not deployed a moment
    // ago, whoever did.
    let is_recent = |last: &Attempt| now.since(last.finished_at) < RECENT;
    let is_ours = state.tried().is_some_and(|last| {
        (state.stable.is_some() || is_recent(last))
            && last.phase == OperationPhase::Succeeded
            && last.hash.is_some()
            && last.hash == run.desired.as_ref().map(|desired| desired.hash)
    });
    if let Some(last) = state.tried().filter(|_| is_ours) {
        run.started_at = last.started_at;
    }
    Soak {
        run,
        is_baseline: !is_ours,
        healthy_at: now,
        well_since: Some(now),
        unwell_since: None,
        checks: Checks::default(),
    }
}

/// What stayed well is a release.
fn settled(state: &mut State, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(Soak { run, is_baseline, healthy_at, .. }) = state.soak.take().map(|soak| *soak) else { return };
    let Some(desired) = &run.desired else { return };
    let asked = run.operation();
    state.released = Some(desired.hash);
    out.push(Effect::Release(Box::new(Outcome {
        hash: desired.hash,
        revision: desired.revision.clone(),
        word: if is_baseline { Word::Found } else { Word::Stable },
        reason: None,
        message: String::new(),
        username: asked.map(|asked| asked.username.clone()).unwrap_or_default(),
        is_asked_for: asked.is_some(),
        started_at: run.started_at,
        healthy_at: Some(healthy_at),
        seen_at: run.seen_at,
        applied_at: run.applied_at,
        ended_at: now,
    })));
}

/// What was well at first and then was not is as bad as what never was.
fn broken(
    state: &mut State,
    reason: Reason,
    message: String,
    app: &App,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let Some(Soak { run, .. }) = state.soak.take().map(|soak| *soak) else { return };
    let Some(bad) = rollback::bad(&run, reason, message, now) else { return };
    out.extend(run.suspect(reason).map(|suspect| Effect::Inquire(Box::new(suspect))));
    out.push(note(reason, format!("{}: {}", bad.revision.short(), bad.message), Tone::Warning));
    if let Some(last) = state.tried_mut().filter(|last| last.hash == Some(bad.hash)) {
        verdict::rewrite(last, Verdict::failed(reason, bad.message.clone(), true), now);
    }
    rollback::condemn(state, bad, app, now, out);
}

/// Returns when what is watched has to be judged again although nothing happens.
pub(crate) fn wake(state: &State, app: &App) -> Option<Timestamp> {
    let soak = state.soak.as_ref().filter(|_| state.knows_releases)?;
    let Some(since) = soak.well_since else {
        let blip = soak.unwell_since.map(|since| since + app.rollback.degraded_grace);
        let next = soak.run.next_judgement(app);
        return Some(blip.map_or(next, |blip| blip.max(next)));
    };
    // At its end there is a look at the checks, if there are any, and another one later.
    checks::wake(soak, app).or(Some(since + app.rollback.soak))
}
