//! What of an app outlives the agent, and what does a new one know by it? As the agent keeps it: the status tells of the last sync,
//! an annotation of what was tried and how that ended, of what was bad, and of where the app is held.

use super::*;

/// What stands in the cluster.
#[derive(Clone, Default)]
pub(super) struct Persisted {
    /// The sync that the status tells of.
    pub(super) status: Option<OperationReport>,
    /// What was reported last.
    pub(super) said: Option<Box<Report>>,
    own: Own,
}

/// The annotation's words on the last sync that tried something to its end.
#[derive(Clone, Default)]
struct Own {
    attempted: Option<DesiredHash>,
    desired: Option<DesiredHash>,
    heals: u32,
    reason: Option<Reason>,
    is_condemned: bool,
    headway: Option<Headway>,
}

impl Persisted {
    /// Writes a report.
    pub(super) fn write(&mut self, report: Box<Report>) {
        if let Some(told) = &report.operation {
            self.own.take_in(told);
            self.status = Some(told.clone());
        }
        self.said = Some(report);
    }

    /// Returns the last sync, as far as that is kept.
    fn last(&self) -> Option<Attempt> {
        let (told, own) = (self.status.as_ref()?, &self.own);
        let is_no_try = is_no_try(told);
        let is_told = !is_no_try || own.reason.is_none() || own.is_condemned;
        let has_ended_well = is_no_try && told.phase.is_completed() && own.reason.is_none();
        Some(Attempt {
            hash: own.attempted.or(own.desired).filter(|_| is_told),
            revision: told.revision.clone().unwrap_or_else(|| Revision::new("")),
            phase: if has_ended_well { OperationPhase::Succeeded } else { told.phase },
            reason: own.reason.unwrap_or(Reason::Synced),
            message: told.message.clone(),
            started_at: told.started_at,
            finished_at: told.finished_at.unwrap_or(told.started_at),
            retries: told.retries,
            results: Vec::new(),
            operation: told.operation.as_ref().map(|asked| Operation {
                username: asked.username.clone(),
                dry_run: asked.dry_run,
                resources: told.selective.clone(),
                ..Operation::default()
            }),
            selective: told.selective.clone(),
            heals: own.heals.max(told.heals),
            is_condemned: own.is_condemned,
            may_repeat: false,
            was_blind: false,
            is_old: true,
            headway: own.headway.clone(),
        })
    }

    /// Takes in what was bad and where the app is held.
    fn remember_held(&self, state: &mut State) {
        let said = self.said.as_ref();
        state.quarantine = said.map(|said| said.quarantine.clone()).unwrap_or_default();
        let held = said.and_then(|said| said.held.clone());
        state.hold = held.map(|held| Box::new(Hold::new(held)));
        (state.soak, state.released) = (None, None);
    }
}

impl Own {
    fn take_in(&mut self, told: &OperationReport) {
        self.headway.clone_from(&told.headway);
        if !told.phase.is_completed() || is_no_try(told) {
            return;
        }
        (self.attempted, self.heals) = (told.hash, told.heals);
        (self.reason, self.is_condemned) = (told.reason, told.is_condemned);
        if told.phase == OperationPhase::Succeeded {
            self.desired = told.hash;
        }
    }
}

/// Returns whether a sync tried nothing: a dry run, or one that ended before it was known what it deploys.
fn is_no_try(told: &OperationReport) -> bool {
    told.operation.as_ref().is_some_and(|asked| asked.dry_run || told.revision.is_none())
}

impl World {
    /// Dies between two effects and starts again with what the cluster keeps.
    pub(super) fn restart(&mut self) {
        self.todo.clear();
        self.flying.clear();
        self.wake = None;
        self.state = State::new(self.kept.last(), true);
        self.state.is_new = self.kept.said.is_none();
        self.state.was_untold = self.state.is_new;
        self.kept.remember_held(&mut self.state);
        self.ledger.forget();
        self.tell(Event::AppChanged);
        self.tell(Event::Stable(self.releases.last().cloned()));
    }

    /// Loses the lease for a moment to somebody who writes nothing.
    pub(super) fn lose_lease(&mut self) {
        self.tell(Event::Writes(Writes::Forbidden));
        // What was not written yet is not written any more.
        self.todo.retain(|effect| !matches!(effect, Effect::Report(_)));
        self.kept.remember_held(&mut self.state);
        self.ledger.forget();
        // What we had begun counts, for the status may not tell of it yet.
        self.tell(Event::Writes(Writes::Allowed));
        self.tell(Event::Stable(self.releases.last().cloned()));
    }
}
