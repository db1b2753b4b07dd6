//! What follows when projects, repository Secrets, settings, or Argo CD's own controller change?

use crate::agent::Agent;
use cluster::WatchEvent;
use model::{AppKey, ErrorClass};
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

impl Agent {
    pub(crate) fn project_event(&mut self, event: WatchEvent) {
        let changed = match event {
            WatchEvent::Object(object, _) => {
                self.settings.listing_projects.see(object.name());
                for problem in self.settings.put_project(&object) {
                    tracing::warn!(project = object.name(), %problem, "the AppProject cannot be read");
                }
                true
            }
            WatchEvent::Deleted(key, _) => {
                self.settings.drop_project(&key.name);
                true
            }
            WatchEvent::Listed => {
                let is_less = self.settings.drop_unlisted_projects();
                self.settings_listed(|settings| &mut settings.has_projects);
                is_less
            }
            WatchEvent::Undecodable { name, sentence, .. } => {
                self.settings.listing_projects.see(&name);
                tracing::warn!(
                    project = name,
                    sentence,
                    "the AppProject cannot be read; the previous one stays"
                );
                false
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(error = %why, "AppProjects are not seen");
                false
            }
            WatchEvent::Began => {
                self.settings.listing_projects.begin();
                false
            }
            WatchEvent::Seeing => false,
        };
        if changed {
            self.read_all_apps();
        }
    }

    pub(crate) fn secret_event(&mut self, event: WatchEvent) {
        let changed = match event {
            WatchEvent::Object(object, _) => {
                self.settings.listing_secrets.see(object.name());
                let read = self.settings.put_secret(&object);
                if let Err(sentence) = &read {
                    tracing::warn!(sentence, "the repository Secret cannot be read; the previous one stays");
                }
                read.is_ok()
            }
            WatchEvent::Deleted(key, _) => {
                self.settings.drop_secret(&key);
                true
            }
            WatchEvent::Listed => {
                let is_less = self.settings.drop_unlisted_secrets();
                self.settings_listed(|settings| &mut settings.has_secrets);
                is_less
            }
            WatchEvent::Undecodable { name, .. } => {
                self.settings.listing_secrets.see(&name);
                tracing::warn!(secret = name, "the repository Secret cannot be read; the previous one stays");
                false
            }
            WatchEvent::Blind { why, .. } => {
                tracing::warn!(error = %why, "repository Secrets are not seen");
                false
            }
            WatchEvent::Began => {
                self.settings.listing_secrets.begin();
                false
            }
            WatchEvent::Seeing => false,
        };
        if changed && self.settings.is_ready() {
            self.refollow_all();
        }
    }

    pub(crate) fn config_event(&mut self, event: WatchEvent) {
        let sentences = match event {
            WatchEvent::Object(object, _) => {
                self.settings.listing_config.see(object.name());
                self.settings.put_config(Some(&object))
            }
            WatchEvent::Deleted(..) => self.settings.put_config(None),
            WatchEvent::Listed => {
                self.settings.drop_unlisted_config();
                self.settings_listed(|settings| &mut settings.has_config);
                Vec::new()
            }
            WatchEvent::Undecodable { name, sentence, .. } => {
                self.settings.listing_config.see(&name);
                vec![sentence.to_owned()]
            }
            WatchEvent::Blind { why, .. } => vec![format!("ConfigMap argocd-cm is not seen: {why}")],
            WatchEvent::Began => {
                self.settings.listing_config.begin();
                Vec::new()
            }
            WatchEvent::Seeing => Vec::new(),
        };
        for sentence in sentences {
            tracing::warn!("{sentence}");
        }
    }

    /// Marks a list of settings as read; with the last of them the Applications are read.
    fn settings_listed(&mut self, which: impl Fn(&mut crate::settings::Settings) -> &mut bool) {
        let was_ready = self.settings.is_ready();
        *which(&mut self.settings) = true;
        if !was_ready && self.settings.is_ready() {
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
        for (key, app) in apps {
            let before = self.repos.of(&key).map(|(_, repo)| repo.repository.credentials.clone());
            let followed = self.follow(&key, &app);
            let after = self.repos.of(&key).map(|(_, repo)| repo.repository.credentials.clone());
            if followed.is_ok() && before != after {
                self.repos.ask(&key, Instant::now());
            }
        }
    }

    pub(crate) fn controller_event(&mut self, event: WatchEvent) {
        let replicas = match event {
            WatchEvent::Object(object, _) => {
                self.saw_other_in_list = true;
                object.get("spec").and_then(|spec| spec.get("replicas")).and_then(Value::as_i64).unwrap_or(1)
            }
            WatchEvent::Deleted(..) => 0,
            WatchEvent::Listed => {
                self.has_looked_for_other = true;
                if std::mem::take(&mut self.saw_other_in_list) {
                    self.update_writes();
                    return;
                }
                0
            }
            WatchEvent::Blind { why, .. } => {
                // Without the right to look there is no telling; the lease still keeps us apart from our own kind.
                tracing::warn!(error = %why, "whether Argo CD's controller runs here is not known");
                if why.class == ErrorClass::Forbidden {
                    self.has_looked_for_other = true;
                    self.update_writes();
                }
                return;
            }
            WatchEvent::Began => {
                self.saw_other_in_list = false;
                return;
            }
            WatchEvent::Undecodable { .. } | WatchEvent::Seeing => return,
        };
        let runs = replicas > 0;
        if runs != self.other_controller_runs {
            self.other_controller_runs = runs;
            if runs {
                tracing::warn!(
                    "argocd-application-controller runs in this namespace: only looking until it is scaled to zero"
                );
            } else {
                tracing::info!("argocd-application-controller is gone: writing from now on");
            }
        }
        self.update_writes();
    }
}
