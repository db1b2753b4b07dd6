//! What was decided of each content, counted beside the engine: is what was found to be bad left alone, does the app go back no
//! oftener than it may, and to nothing but what settled last?

use super::*;
use engine::{Cause, Run};
use model::{Again, Held};

/// How often an app goes back from a content that failed by its own fault: once, and once more where what was stable was not well
/// either.
const MOST_CONDEMNED: u32 = 2;
/// How often from one that is only held up.
const MOST_HELD: u32 = 3;

/// What was decided so far; what was told of it outlives the agent.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    known: Known,
    told: Known,
    /// What was known when what is yet to be told was decided.
    untold: VecDeque<Known>,
    /// In which order contents were deployed since something disturbed the app.
    swings: Vec<DesiredHash>,
}

#[derive(Clone, Default)]
struct Known {
    /// What failed by its own fault or was to be left alone, and was not let go since.
    bad: BTreeSet<DesiredHash>,
    /// What of that a person wants to be left alone.
    unwanted: BTreeSet<DesiredHash>,
    /// How often the app went back from what.
    restores: BTreeMap<DesiredHash, Restores>,
}

#[derive(Clone, Default)]
struct Restores {
    condemned: u32,
    held: u32,
    /// How often it got another chance because what was stable was not well either.
    chances: u32,
}

impl Known {
    fn leave(&mut self, hash: DesiredHash) {
        self.bad.insert(hash);
        self.unwanted.insert(hash);
    }
}

impl Ledger {
    /// Notes that a report is written.
    pub(super) fn told(&mut self) {
        self.told = self.untold.pop_front().expect("a report was decided on");
    }

    /// Forgets what nobody was told of.
    pub(super) fn forget(&mut self) {
        self.known = self.told.clone();
        self.untold.clear();
    }

    /// Notes that something happened to the app that may well move it.
    pub(super) fn disturb(&mut self) {
        self.swings.clear();
    }

    /// Notes that there is a new commit: what is held up, or was to be tried once more, may be tried anew.
    pub(super) fn pushed(&mut self) {
        for known in [&mut self.known, &mut self.told].into_iter().chain(&mut self.untold) {
            let bad = &known.bad;
            known.restores.retain(|hash, _| bad.contains(hash));
            known.restores.values_mut().for_each(|restores| restores.held = 0);
        }
    }

    /// Takes a step in; returns what is wrong with it.
    pub(super) fn take_in(
        &mut self,
        (before, after): (&State, &State),
        effects: &[Effect],
        settled: Option<&Stable>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        self.take_in_request(before, after, &mut wrong);
        self.take_in_verdict(before, after, settled);
        self.take_in_hold(before, after, settled, &mut wrong);
        for effect in effects {
            self.take_in_effect(after, effect, &mut wrong);
        }
        let most = 2 * (MOST_CONDEMNED + MOST_HELD) as usize + 2;
        if self.swings.len() > most {
            wrong.push(format!(
                "goes to and fro: {:?}",
                self.swings.iter().map(|of| name_of(*of)).collect::<Vec<_>>()
            ));
        }
        wrong
    }

    /// A person's word counts for more than what was found, and is carried out.
    fn take_in_request(&mut self, before: &State, after: &State, wrong: &mut Vec<String>) {
        let answered = after.answered.as_ref().filter(|_| before.answered != after.answered);
        let (Some(request), Some(desired)) = (answered, &after.desired) else { return };
        let hash = desired.hash;
        self.known.restores.values_mut().for_each(|restores| restores.held = 0);
        let held = after.hold.as_ref().map(|hold| &hold.held);
        let is_left = after.quarantine.contains(hash);
        let is_done = match &request.what {
            Asked::Resume => {
                self.let_go(hash);
                // The moment in which it is carried out may be the one in which something is found.
                end(before) != end(after) || (held.is_none() && !is_left)
            }
            Asked::Quarantine => {
                self.known.leave(hash);
                is_left
            }
            // There is nothing to go back from.
            Asked::RollBack { to, until_resumed: false } if to.hash == hash => true,
            Asked::RollBack { to, until_resumed } => {
                if to.hash != hash {
                    self.known.leave(hash);
                }
                held.is_some_and(|held| held.at == *to && held.until_resumed == *until_resumed)
            }
            Asked::Unreadable(_) => true,
        };
        if !is_done {
            wrong.push(format!("says that it is done, and has not done it: {:?}", request.what));
        }
    }

    fn let_go(&mut self, hash: DesiredHash) {
        self.known.bad.remove(&hash);
        self.known.unwanted.remove(&hash);
        self.known.restores.remove(&hash);
    }

    /// What failed by its own fault is bad until it is well.
    fn take_in_verdict(&mut self, before: &State, after: &State, settled: Option<&Stable>) {
        // That more is said of it is no other verdict.
        let Some(last) = after.tried().filter(|_| end(before) != end(after)) else { return };
        let Some(hash) = last.hash else { return };
        // A verdict is taken back, or comes late, where nothing is under way.
        let deploys = before.run().is_none_or(|run| {
            !matches!(run.cause, Cause::Rollback | Cause::SelfHeal(..))
                && run.is_full()
                && run.mode() == Mode::Real
        });
        let is_pinned = before.run().is_some_and(Run::is_pinned);
        let is_evidence = matches!(
            last.reason,
            Reason::Refused | Reason::Degraded | Reason::HealthTimeout | Reason::CheckFailed
        );
        let is_settled = settled.is_some_and(|settled| settled.hash == hash);
        match last.phase {
            // That it got well after all says nothing against a person's word.
            OperationPhase::Succeeded if before.run().is_none() && self.known.unwanted.contains(&hash) => {}
            OperationPhase::Succeeded if deploys => self.let_go(hash),
            OperationPhase::Failed
                if deploys && last.is_condemned && is_evidence && !is_pinned && !is_settled =>
            {
                self.known.bad.insert(hash);
            }
            _ => {}
        }
    }

    /// The app goes back to what settled last, so and so often.
    fn take_in_hold(
        &mut self,
        before: &State,
        after: &State,
        settled: Option<&Stable>,
        wrong: &mut Vec<String>,
    ) {
        let held = |state: &State| state.hold.as_ref().map(|hold| hold.held.clone());
        let (old, new) = (held(before), held(after));
        let is_asked = before.answered != after.answered;
        let ends = matches!(before.run().map(|run| &run.cause), Some(Cause::Operation(_)))
            && !matches!(after.run().map(|run| &run.cause), Some(Cause::Operation(_)));
        let was_kept = old.as_ref().is_some_and(|old| old.until_resumed);
        if was_kept && new.as_ref().is_none_or(|new| !new.until_resumed) && !is_asked && !ends {
            wrong.push("lets go of what was to stay until somebody resumes".into());
        }
        let is_same = |new: &Held| {
            let is_it = |old: &Held| {
                old.at == new.at && old.bad.hash == new.bad.hash && old.bad.failed_at == new.bad.failed_at
            };
            old.as_ref().is_some_and(is_it)
        };
        let Some(new) = new.filter(|new| !is_asked && !is_same(new)) else { return };
        let is_newest = settled == Some(&new.at);
        // A person went back from what settled last: it is no better for that something else failed as well.
        let is_left = settled.is_some_and(|settled| self.known.bad.contains(&settled.hash));
        let is_where_it_was = old.as_ref().is_some_and(|old| old.at == new.at);
        let is_right = if is_left { is_where_it_was } else { is_newest };
        if !is_right {
            wrong.push(format!("goes back to {}, which is not what settled last", new.at.revision));
        }
        // Git came back to what had failed before.
        if new.again == Again::Quarantined && before.quarantine.get(new.bad.hash) == Some(&new.bad) {
            return;
        }
        self.count(&new, wrong);
    }

    fn count(&mut self, new: &Held, wrong: &mut Vec<String>) {
        let restores = self.known.restores.entry(new.bad.hash).or_default();
        match new.again {
            Again::Quarantined => restores.condemned += 1,
            Again::At(..) | Again::Now(_) | Again::No => restores.held += 1,
        }
        let is_often = restores.condemned > 1 + restores.chances || restores.held > MOST_HELD;
        if is_often || restores.condemned > MOST_CONDEMNED {
            wrong.push(format!(
                "goes back from {} too often: {} times for its fault, {} times held up",
                new.bad.revision, restores.condemned, restores.held
            ));
        }
    }

    fn take_in_effect(&mut self, after: &State, effect: &Effect, wrong: &mut Vec<String>) {
        match effect {
            Effect::Report(_) => self.untold.push_back(self.known.clone()),
            Effect::Note(note) if note.reason == Reason::Retry => self.take_in_chance(after),
            Effect::Apply { hash, mode: Mode::Real, .. } => {
                let Some(run) = after.run() else { return };
                if run.operation().is_some() && run.is_full() {
                    // Whoever syncs by hand wants it tried whatever was found.
                    self.known.restores.remove(hash);
                }
                if run.is_full() && self.swings.last() != Some(hash) {
                    self.swings.push(*hash);
                }
                let is_own =
                    matches!(run.cause, Cause::NewDesired | Cause::SelfHeal(..)) && !after.is_of_hold(run);
                let held = after.hold.as_ref().map(|hold| &hold.held);
                if is_own && self.known.bad.contains(hash) {
                    wrong.push(format!("deploys {} by itself, which is bad", name_of(*hash)));
                }
                if is_own && held.is_some_and(|held| held.until_resumed || held.leaves_alone(*hash)) {
                    wrong.push(format!("deploys {} by itself, which is to wait", name_of(*hash)));
                }
            }
            _ => {}
        }
    }

    /// What was stable was not well either, and is well again.
    fn take_in_chance(&mut self, after: &State) {
        let held = after.hold.as_ref().filter(|hold| hold.held.again == Again::Quarantined);
        let Some(hash) = held.map(|hold| hold.held.bad.hash) else { return };
        self.known.bad.remove(&hash);
        self.known.restores.entry(hash).or_default().chances += 1;
    }
}

/// Returns how the last sync of all objects ended, and when.
fn end(state: &State) -> Option<(OperationPhase, Timestamp, Timestamp)> {
    state.tried().map(|last| (last.phase, last.finished_at, last.started_at))
}
