//! What do Applications say that cannot be read at all?

use crate::agent::Agent;
use crate::input::Input;
use cluster::Priority;
use model::{AppKey, names};
use serde_json::json;

impl Agent {
    /// Takes in that an Application cannot be read; what was known of it stays in force.
    pub(crate) fn application_unread(&mut self, key: &AppKey, sentence: String) {
        tracing::warn!(app = %key, sentence, "Application cannot be read; what is known of it stays");
        self.unread.insert(key.clone(), sentence);
        self.tell_unread(key);
    }

    /// Tells it of all of them: what was seen before we were the writer is told by nobody else.
    pub(crate) fn tell_all_unread(&mut self) {
        let keys: Vec<AppKey> = self.unread.keys().cloned().collect();
        for key in keys {
            self.tell_unread(&key);
        }
    }

    /// Writes the condition. Without a time it is the same each time, and a patch that changes nothing has no echo.
    fn tell_unread(&mut self, key: &AppKey) {
        let Some(sentence) = self.unread.get(key).filter(|_| self.may_write) else { return };
        let message = format!(
            "the Application cannot be read: {sentence}. What was read of it last stays in force; write it in a simpler form"
        );
        let conditions = json!([{"type": "InvalidSpecError", "message": message}]);
        let patch = json!({"status": {"sync": {"status": "Unknown"}, "conditions": conditions}});
        let (cluster, key) = (self.cluster.clone(), key.clone());
        self.spawn(async move {
            let endpoint = crate::watching::applications();
            let place = (key.namespace.as_str(), key.name.as_str());
            let written =
                cluster.merge_patch_at(Priority::Background, &endpoint, place, &patch, names::FIELD_MANAGER);
            // The answer holds what cannot be read, so it says little; the next event of the object tells again.
            if let Err(error) = written.await {
                tracing::debug!(app = %key, %error, "no answer to the condition of an unreadable Application");
            }
            Input::UnreadTold
        });
    }
}
