//! Whose host keys may Git servers show by SSH?

use crate::agent::Agent;
use cluster::WatchEvent;
use model::Object;
use serde_json::Value;
use std::time::Instant;

/// Where Argo CD keeps them.
pub(crate) const MAP: &str = "argocd-ssh-known-hosts-cm";
/// The key that holds them.
pub(crate) const KEY: &str = "ssh_known_hosts";

impl Agent {
    /// Takes in what the watch of the `ConfigMap` tells. While it is not there, or is empty, no host key is known.
    pub(crate) fn known_hosts_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Object(map, _) => {
                self.settings.listing_known_hosts.see(map.name());
                self.known_hosts_changed(Some(&map));
            }
            WatchEvent::Deleted(..) => self.known_hosts_changed(None),
            WatchEvent::Began => self.settings.listing_known_hosts.begin(),
            WatchEvent::Listed(_) => {
                if !self.settings.listing_known_hosts.end(std::iter::once(MAP)).is_empty() {
                    self.known_hosts_changed(None);
                }
                self.settings_listed(|settings| &mut settings.has_known_hosts);
            }
            WatchEvent::Undecodable { name, sentence, .. } => {
                tracing::warn!("ConfigMap {MAP} cannot be read: {sentence}; the host keys known before stay");
                self.settings.listing_known_hosts.see(&name);
            }
            WatchEvent::Blind { why, .. } => tracing::warn!("ConfigMap {MAP} is not seen: {why}"),
            WatchEvent::Seeing => {}
        }
    }

    /// Takes the known hosts in, and asks whoever was judged by the old ones.
    fn known_hosts_changed(&mut self, map: Option<&Object>) {
        let text = map.and_then(|map| map.get("data")?.get(KEY)).and_then(Value::as_str).unwrap_or_default();
        if self.settings.known_hosts == text {
            return;
        }
        text.clone_into(&mut self.settings.known_hosts);
        for problem in self.sources.set_known_hosts(text) {
            tracing::warn!("ConfigMap {MAP}: {KEY}: {problem}; it is left out");
        }
        let by_ssh = self.repos.iter().filter(|(_, repo)| repo.repository.url.is_ssh());
        let urls: Vec<String> = by_ssh.map(|(id, _)| id.url.clone()).collect();
        for url in urls {
            self.repos.hint(&url, Instant::now());
        }
    }
}
