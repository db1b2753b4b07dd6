//! What in the cache folder does nobody need any more?

use crate::agent::Agent;
use source::RepoUrl;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often it is looked through.
const INTERVAL: Duration = Duration::from_mins(5);

impl Agent {
    /// Has clones that no app has used for a while removed, and rendered sets of apps that are gone. The first look comes when
    /// all apps are known: an app may have been deleted while nobody watched.
    pub(crate) fn sweep_cache(&mut self) {
        let now = Instant::now();
        let is_due = self.swept.is_none_or(|last| now.duration_since(last) >= INTERVAL);
        if !is_due || !self.has_listed_apps || !self.settings.is_ready() {
            return;
        }
        self.swept = Some(now);
        // What cannot be followed just now will be again.
        let named = self.apps.values().filter_map(|entry| entry.app.as_ref());
        let named =
            named.filter_map(|app| RepoUrl::parse(&app.source.repo_url).ok()).map(|url| url.normalised());
        let in_use: BTreeSet<String> = named.chain(self.repos.iter().map(|(id, _)| id.url.clone())).collect();
        self.cache.keep_only(self.apps.keys());
        let sources = self.sources.clone();
        tokio::spawn(async move {
            match sources.sweep(in_use).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "clones that no app uses were removed"),
                Err(error) => tracing::warn!(%error, "unused clones could not be removed"),
            }
        });
    }
}
