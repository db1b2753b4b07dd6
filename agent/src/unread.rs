//! What do Applications say that cannot be read at all? Their metadata mostly can be, so that a refresh and a deletion get an
//! answer.

use crate::agent::Agent;
use crate::applications::patch_application;
use crate::input::Input;
use cluster::Priority;
use model::{AppKey, Cascade, Object, Problem, names};
use serde_json::{Value, json};
use std::sync::Arc;

/// An Application that cannot be read.
pub(crate) struct Unread {
    /// Why.
    pub sentence: &'static str,
    /// Its metadata, where that can be read by itself.
    pub head: Option<Box<Object>>,
}

impl Unread {
    fn message(&self) -> String {
        format!(
            "the Application cannot be read: {}. What was read of it last stays in force; write it in a simpler form",
            self.sentence
        )
    }

    /// Returns its metadata as far as it can be read.
    fn metadata(&self) -> Value {
        self.head.as_deref().map_or(Value::Null, |head| head.clone().into_value())
    }

    /// Returns whether it is to take its objects along, which are not known.
    pub(crate) fn holds_its_deletion_up(&self) -> bool {
        application::deletion(&self.metadata()).is_some_and(|deletion| match deletion.cascade {
            Cascade::Orphan => false,
            Cascade::Foreground | Cascade::Background => true,
        })
    }

    /// Returns the patch that says so. Without a time it is the same each time, and a patch that changes nothing has no echo.
    fn patch(&self) -> Value {
        let mut conditions = vec![json!({"type": "InvalidSpecError", "message": self.message()})];
        if self.holds_its_deletion_up() {
            let message = "Deletion waits until the Application can be read; write it in a simpler form, or remove its \
                           finalizer to leave the objects";
            conditions.push(json!({"type": "DeletionError", "message": message}));
        }
        let mut patch = json!({"status": {"sync": {"status": "Unknown"}, "conditions": conditions}});
        if application::refresh(&self.metadata()).is_some() {
            // Looking again shows nothing else: whoever asked need not wait.
            let none = json!({names::REFRESH: null, names::REFRESH_TIMESTAMP: null});
            patch["metadata"] = json!({"annotations": none});
        }
        patch
    }
}

impl Agent {
    /// Takes in that an Application cannot be read; what was known of it stays in force, unless it is being deleted.
    pub(crate) fn application_unread(&mut self, key: &AppKey, unread: Unread) {
        let sentence = unread.sentence;
        tracing::warn!(app = %key, sentence, "Application cannot be read; what is known of it stays");
        let (metadata, message) = (unread.metadata(), unread.message());
        let is_going = unread.holds_its_deletion_up();
        // First, so that nothing is written of what is known.
        self.unread.insert(key.clone(), unread);
        if is_going
            && let Some(entry) = self.apps.get_mut(key)
            && let Some(app) = &entry.app
        {
            entry.app = Some(Arc::new(application::requests(&metadata, app.as_ref().clone())));
            self.refuse(key, vec![Problem::new(message)]);
        }
        self.tell_unread(key);
    }

    /// Tells it of all of them: what was seen before we were the writer is told by nobody else.
    pub(crate) fn tell_all_unread(&mut self) {
        let keys: Vec<AppKey> = self.unread.keys().cloned().collect();
        for key in keys {
            self.tell_unread(&key);
        }
    }

    fn tell_unread(&mut self, key: &AppKey) {
        let Some(unread) = self.unread.get(key).filter(|_| self.may_write) else { return };
        let patch = unread.patch();
        let (cluster, key) = (self.cluster.clone(), key.clone());
        self.spawn(async move {
            let by = (Priority::Background, names::FIELD_MANAGER);
            let written = patch_application(&cluster, by, &key, &patch);
            // The answer holds what cannot be read, so it says little; the next event of the object tells again.
            if let Err(error) = written.await {
                tracing::debug!(app = %key, %error, "no answer to the condition of an unreadable Application");
            }
            Input::UnreadTold
        });
    }
}
