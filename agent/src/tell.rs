//! What is told to people, and where? One log line per transition, with fixed fields; an event where a person should look.

use crate::agent::Agent;
use cluster::{EventDraft, EventType, Regarding};
use engine::{Note, Report, Tone};
use model::{AppKey, Reason};

impl Agent {
    /// Tells a transition.
    pub(crate) fn tell(&mut self, key: &AppKey, note: &Note) {
        if let Reason::RolledBack | Reason::Inconclusive | Reason::RollbackFailed = note.reason
            && let Some(entry) = self.apps.get_mut(key)
        {
            *entry.rollbacks.entry(note.reason).or_default() += 1;
        }
        let revision = self
            .apps
            .get(key)
            .and_then(|entry| entry.state.desired.as_ref())
            .map(|d| d.revision.short().to_owned());
        let revision = revision.unwrap_or_default();
        match note.tone {
            Tone::Plain => tracing::info!(app = %key, revision, reason = %note.reason, "{}", note.message),
            Tone::Warning => tracing::warn!(app = %key, revision, reason = %note.reason, "{}", note.message),
        }
        if self.may_write && (note.tone == Tone::Warning || self.config.all_events) {
            self.write_event(key, note);
        }
    }

    /// Tells a status that changed.
    pub(crate) fn tell_status(&self, key: &AppKey, report: &Report) {
        let Some(entry) = self.apps.get(key) else { return };
        let old = &entry.stored;
        if *old.sync == *report.sync.as_str() && *old.health == *report.health.status.as_str() {
            return;
        }
        let revision = report.revision.as_ref().map_or("", |revision| revision.short());
        let (sync, health) = (report.sync.as_str(), report.health.status.as_str());
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        let conditions: Vec<&str> =
            report.conditions.iter().map(|condition| condition.message.as_str()).collect();
        tracing::info!(
            app = %key,
            revision,
            reason = %Reason::Compared,
            sync = %sync,
            health = %health,
            cause = said(report.health.message.clone()),
            conditions = said(conditions.join("; ")),
            "sync status {sync}, health {health}"
        );
    }

    fn write_event(&self, key: &AppKey, note: &Note) {
        let Some(entry) = self.apps.get(key) else { return };
        let draft = EventDraft {
            regarding: Regarding {
                api_version: "argoproj.io/v1alpha1".into(),
                kind: "Application".into(),
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                uid: entry.stored.uid.to_string(),
                resource_version: entry.stored.resource_version.to_string(),
            },
            r#type: match note.tone {
                Tone::Plain => EventType::Normal,
                Tone::Warning => EventType::Warning,
            },
            reason: note.reason.as_str().into(),
            message: note.message.clone(),
            action: "Sync".into(),
        };
        // Bounded: what does not fit is dropped and counted, and never holds anything up.
        let Ok(permit) = std::sync::Arc::clone(&self.event_room).try_acquire_owned() else {
            self.metrics.events_dropped.add(1);
            return;
        };
        let (cluster, turns) = (self.cluster.clone(), std::sync::Arc::clone(&self.event_turns));
        tokio::spawn(async move {
            // Few at a time: under a burst the API server is for what is told of.
            let _turn = turns.acquire().await;
            if let Err(error) = cluster.event(&draft).await {
                tracing::debug!(%error, "an event could not be written");
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, shop};

    #[tokio::test]
    async fn events_that_find_no_room_are_dropped_and_counted_and_hold_nothing_up() {
        let mut harness = Harness::new(&[]).await;
        let agent = &mut harness.agent;
        let note = Note { reason: Reason::Synced, message: "look".into(), tone: Tone::Warning };
        let room = agent.event_room.available_permits();
        // Nothing is written meanwhile: the tasks do not run before this one waits.
        for _ in 0..room + 3 {
            agent.tell(&shop(), &note);
        }
        assert_eq!(agent.metrics.events_dropped.get(), 3);
    }
}
