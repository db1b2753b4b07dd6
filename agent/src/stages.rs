//! How is a stage of a sync carried out, and how does it end before its time?

use crate::agent::Agent;
use crate::apply::Seen;
use crate::apps::AppEntry;
use crate::input::Input;
use engine::{Effect, Event};
use model::{AppKey, ErrorClass, ObjectKey, ObjectOutcome, ObjectResult, SyncId};
use std::convert::Infallible;
use tokio::sync::oneshot;

/// Requests to the API server that may be in flight.
pub(crate) const IN_FLIGHT: usize = 32;

/// Stages under way at most. What waits begins when its turn comes, and costs no memory until then.
const MOST: usize = 2 * IN_FLIGHT;

/// A stage under way; it ends when this is dropped.
pub(crate) struct Stage {
    _keep: oneshot::Sender<Infallible>,
}

impl Agent {
    /// Carries a stage out; its answer comes in any case.
    pub(crate) fn begin_stage(
        &mut self,
        key: &AppKey,
        sync: SyncId,
        keys: Vec<ObjectKey>,
        work: impl Future<Output = (Vec<ObjectResult>, Vec<Seen>)> + Send + 'static,
    ) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        let (keep, ended) = oneshot::channel();
        entry.stage = Some(Stage { _keep: keep });
        self.turns.n_stages += 1;
        let (key, work) = (key.clone(), Box::pin(work));
        self.spawn(async move {
            let (results, seen) = tokio::select! {
                biased;
                outcome = work => outcome,
                _ = ended => (unanswered(keys, "a newer sync took over"), Vec::new()),
            };
            Input::StageDone(key, sync, results, seen)
        });
    }

    /// Returns whether a stage of an app may begin now: what a person asked for need not wait.
    pub(crate) fn has_room_for_stage(&self, entry: &AppEntry) -> bool {
        self.turns.n_stages < MOST || entry.state.run().is_some_and(|run| run.operation().is_some())
    }

    /// Begins stages that waited, as far as there is room.
    pub(crate) fn begin_waiting(&mut self) {
        while self.turns.n_stages < MOST
            && let Some((key, app, effect)) = self.stages_due.pop_front()
        {
            self.carry_out(&key, &app, effect);
        }
    }

    /// Answers a stage that still waits for its turn and whose sync has ended: what comes next waits for that answer.
    pub(crate) fn answer_waiting(&mut self, key: &AppKey) {
        if self.apps.get(key).is_none_or(|entry| entry.state.unanswered.is_none()) {
            return;
        }
        let Some(place) = self.stages_due.iter().position(|(other, ..)| other == key) else { return };
        if let Some((_, _, Effect::Apply { sync, keys, .. })) = self.stages_due.remove(place) {
            self.answer_held(key, sync, keys, "a newer sync took over");
        }
    }

    /// Ends what an older sync may still have under way: the engine has waited long enough for it, and what is planned now must
    /// not be undone by it.
    pub(crate) fn end_stage(&mut self, key: &AppKey) {
        if let Some(entry) = self.apps.get_mut(key) {
            entry.stage = None;
        }
    }

    /// Answers a stage that could not even begin.
    pub(crate) fn answer_held(&mut self, key: &AppKey, sync: SyncId, keys: Vec<ObjectKey>, why: &str) {
        self.event(key, Event::StageDone { sync, results: unanswered(keys, why) });
    }
}

fn unanswered(keys: Vec<ObjectKey>, why: &str) -> Vec<ObjectResult> {
    let result = |key| ObjectResult {
        key,
        version: String::new(),
        outcome: ObjectOutcome::Failed(ErrorClass::Unavailable, why.into()),
        images: Vec::new(),
    };
    keys.into_iter().map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, config_map, shop};
    use engine::Writes;
    use serde_json::json;

    /// An app whose sync wants to begin while as many stages as may be are under way.
    async fn crowded() -> Harness {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        let agent = &mut harness.agent;
        agent.kinds.load(Some(&json!({"data": {"ConfigMap": "v1"}})));
        agent.turns.n_stages = MOST;
        agent.dirty.insert(shop());
        agent.compare_dirty();
        harness
    }

    fn begun(agent: &Agent) -> bool {
        agent.apps[&shop()].stage.is_some()
    }

    #[tokio::test]
    async fn a_stage_waits_for_its_turn_and_then_begins() {
        let mut harness = crowded().await;
        let agent = &mut harness.agent;
        assert_eq!((agent.stages_due.len(), begun(agent)), (1, false));
        agent.begin_waiting();
        assert_eq!((agent.stages_due.len(), begun(agent)), (1, false));
        agent.turns.n_stages -= 1;
        agent.begin_waiting();
        assert_eq!((agent.stages_due.len(), begun(agent)), (0, true));
        assert_eq!(agent.turns.n_stages, MOST);
    }

    #[tokio::test]
    async fn a_stage_whose_sync_ended_is_answered_before_its_turn() {
        let mut harness = crowded().await;
        let agent = &mut harness.agent;
        agent.event(&shop(), Event::Writes(Writes::Forbidden));
        assert_eq!((agent.stages_due.len(), begun(agent)), (0, false));
        assert!(agent.apps[&shop()].state.unanswered.is_none());
    }
}
