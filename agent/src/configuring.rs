//! What follows when projects, repository Secrets or settings change?

use crate::agent::Agent;
use crate::clock::now;
use cluster::WatchEvent;
use engine::Event;
use model::{AppKey, Object, Problem, Seconds};
use std::sync::Arc;
use std::time::Instant;

/// Said of a Secret whose sentence says why.
const UNREADABLE_SECRET: &str = "the repository Secret cannot be read; the previous one stays";
/// How far apart, on average, apps say what concerns them all.
const SPREAD_PER_APP: Seconds = Seconds::from_millis(20);

impl Agent {
    pub(crate) fn project_event(&mut self, event: WatchEvent) {
        let before = self.settings.projects_serial;
        match event {
            WatchEvent::Object(object, _) => {
                self.settings.listing_projects.see(object.name());
                for problem in self.settings.put_project(&object) {
                    tracing::warn!(project = object.name(), %problem, "the AppProject cannot be read");
                }
            }
            WatchEvent::Deleted(key, _) => self.settings.drop_project(&key.name),
            WatchEvent::Began => self.settings.listing_projects.begin(),
            WatchEvent::Listed(_) => {
                self.settings.drop_unlisted_projects();
                self.settings_listed(|settings| &mut settings.has_projects);
            }
            WatchEvent::Undecodable { name, sentence, .. } => {
                tracing::warn!(
                    project = name,
                    sentence,
                    "the AppProject cannot be read; the previous one stays"
                );
                self.settings.listing_projects.see(&name);
                self.settings.put_unreadable_project(&name, vec![Problem::new(sentence)]);
            }
            WatchEvent::Blind { why, .. } => tracing::warn!(error = %why, "AppProjects are not seen"),
            WatchEvent::Seeing => {}
        }
        // Many come at once, most of which say what they said: each would have all apps read.
        if self.settings.projects_serial != before {
            self.read_all_apps();
            self.tell_unreadable_to_all();
        }
    }

    pub(crate) fn secret_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Object(object, _) => {
                self.settings.listing_secrets.see(object.name());
                if let Err(sentence) = self.settings.put_secret(&object) {
                    tracing::warn!(secret = object.name(), sentence, "{UNREADABLE_SECRET}");
                }
            }
            WatchEvent::Deleted(key, _) => self.settings.drop_secret(&key.name),
            WatchEvent::Began => self.settings.listing_secrets.begin(),
            WatchEvent::Listed(_) => {
                self.settings.drop_unlisted_secrets();
                self.settings_listed(|settings| &mut settings.has_secrets);
            }
            WatchEvent::Undecodable { name, sentence, .. } => {
                tracing::warn!(secret = name, sentence, "{UNREADABLE_SECRET}");
                self.settings.listing_secrets.see(&name);
                self.settings.put_unreadable_secret(&name, sentence.into(), None);
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(error = %why, "repository Secrets are not seen");
            }
            WatchEvent::Seeing => {}
        }
    }

    /// Has apps follow their repositories by what the repository Secrets say now, once for all that changed since it was asked
    /// last.
    pub(crate) fn take_in_secrets(&mut self) {
        if self.followed_by == self.settings.secrets_serial || !self.settings.is_ready() {
            return;
        }
        self.followed_by = self.settings.secrets_serial;
        for sentence in self.settings.find_rivals() {
            tracing::warn!("{sentence}");
        }
        self.refollow_all();
        self.tell_unreadable_to_all();
    }

    pub(crate) fn config_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Object(object, _) => {
                self.settings.listing_config.see(object.name());
                self.config_changed(Some(&object));
            }
            WatchEvent::Deleted(..) => self.config_changed(None),
            WatchEvent::Began => self.settings.listing_config.begin(),
            WatchEvent::Listed(_) => {
                if self.settings.is_config_unlisted() {
                    self.config_changed(None);
                }
                self.settings_listed(|settings| &mut settings.has_config);
            }
            WatchEvent::Undecodable { name, sentence, .. } => {
                let told =
                    format!("ConfigMap argocd-cm cannot be read: {sentence}; its previous values stay");
                tracing::warn!("{told}");
                self.settings.listing_config.see(&name);
                let spread = self.spread();
                self.settings.unreadable.put_config(vec![told], now(), spread);
                self.tell_unreadable_to_all();
            }
            WatchEvent::Blind { why, .. } => tracing::warn!("ConfigMap argocd-cm is not seen: {why}"),
            WatchEvent::Seeing => {}
        }
    }

    fn config_changed(&mut self, config: Option<&Object>) {
        let spread = self.spread();
        let before = self.settings.installation_id.clone();
        for sentence in self.settings.put_config(config, now(), spread) {
            tracing::warn!("{sentence}");
        }
        let (new, used) = (&self.settings.installation_id, &self.identity.installation_id);
        if new != used && (*new != before || !self.settings.has_config) {
            let shown = |id: &Option<String>| id.clone().unwrap_or_else(|| "none".into());
            tracing::warn!(
                "ConfigMap argocd-cm: installationID is {}, and {} goes on being used: what is deployed is found by it. \
                 Restart the agent to use the new one",
                shown(new),
                shown(used)
            );
        }
        self.tell_unreadable_to_all();
    }

    /// Returns for how long apps begin to say what concerns them all. Those that a start finds with it say so already.
    fn spread(&self) -> Seconds {
        let n_apps = if self.settings.is_ready() { self.apps.len() } else { 0 };
        Seconds::from_millis(SPREAD_PER_APP.as_millis() * i64::try_from(n_apps).unwrap_or(0))
    }

    fn tell_unreadable_to_all(&mut self) {
        if !self.settings.is_ready() {
            return;
        }
        let keys: Vec<AppKey> = self.apps.keys().cloned().collect();
        for key in keys {
            self.tell_unreadable(&key);
        }
    }

    /// Tells an app's engine which settings that concern it cannot be read, unless it knows.
    pub(crate) fn tell_unreadable(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get(key) else { return };
        let Some(app) = &entry.app else { return };
        let unreadable = self.settings.unreadable_for(app);
        if entry.state.unreadable != unreadable {
            self.event(key, Event::Settings(unreadable));
        }
    }

    /// Marks a list of settings as read; with the last of them the Applications are read.
    pub(crate) fn settings_listed(&mut self, which: impl Fn(&mut crate::settings::Settings) -> &mut bool) {
        let was_ready = self.settings.is_ready();
        *which(&mut self.settings) = true;
        if !was_ready && self.settings.is_ready() {
            for sentence in self.settings.find_rivals() {
                tracing::warn!("{sentence}");
            }
            self.read_all_apps();
        }
    }

    fn read_all_apps(&mut self) {
        let keys: Vec<AppKey> = self.apps.keys().cloned().collect();
        for key in keys {
            self.read_app(&key);
        }
    }

    fn refollow_all(&mut self) {
        let apps: Vec<(AppKey, Arc<model::App>)> =
            self.apps.iter().filter_map(|(key, entry)| Some((key.clone(), entry.app.clone()?))).collect();
        let secrets = self.settings.secrets();
        for (key, app) in apps {
            let before = self.repos.of(&key).map(|(_, repo)| repo.repository.clone());
            let followed = self.follow_by(&secrets, &key, &app);
            let after = self.repos.of(&key).map(|(_, repo)| repo.repository.clone());
            if followed.is_ok() && before != after {
                self.repos.ask(&key, Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::Agent;
    use crate::harness::{Harness, shop};
    use cluster::{Origin, WatchEvent};
    use model::Object;
    use serde_json::json;

    fn secret(password: &str) -> Object {
        Object::from_value(json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "shop", "labels": {"argocd.argoproj.io/secret-type": "repository"}},
            "data": {"url": model::base64_encode(b"https://git.example/shop.git"),
                "password": model::base64_encode(password.as_bytes())}}))
        .unwrap()
    }

    /// Returns whether an app looks at Git again after a watch has shown a Secret many times.
    fn is_looked_at(agent: &mut Agent, password: &str) -> bool {
        agent.repos.forget(&shop());
        let app = agent.apps[&shop()].app.clone().unwrap();
        agent.follow(&shop(), &app).unwrap();
        for _ in 0..100 {
            agent.secret_event(WatchEvent::Object(secret(password), Origin::Listed));
        }
        let is_asking = |agent: &Agent| agent.repos.of(&shop()).unwrap().1.asking.contains(&shop());
        assert!(!is_asking(agent), "all that comes at once is taken in at once");
        agent.take_in_secrets();
        is_asking(agent)
    }

    #[tokio::test]
    async fn a_repository_secret_that_says_what_it_said_makes_nobody_look_at_git() {
        let mut harness = Harness::new(&[]).await;
        let agent = &mut harness.agent;
        agent.settings.has_projects = true;
        (agent.settings.has_secrets, agent.settings.has_config) = (true, true);
        agent.settings.has_known_hosts = true;
        assert!(is_looked_at(agent, "one"));
        assert!(!is_looked_at(agent, "one"));
        assert!(is_looked_at(agent, "two"));
    }
}
