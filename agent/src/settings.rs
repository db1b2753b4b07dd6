//! Which repositories, projects and settings does the cluster hold? The last readable ones stay in force.

use crate::unreadable::Unreadable;
use application::Project;
use model::{App, Object, Problem, Seconds, Timestamp};
use serde_json::Value;
use source::{RepositorySecret, SecretKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How much of a value a sentence quotes.
const SHOWN: usize = 40;

/// Settings that others write into the control namespace.
#[derive(Default)]
pub(crate) struct Settings {
    /// Repository Secrets by name.
    secrets: BTreeMap<String, RepositorySecret>,
    /// Projects by name.
    projects: BTreeMap<String, Arc<Project>>,
    /// The `default` project while there is no `AppProject` of that name.
    built_in: BuiltIn,
    /// Names of repository Secrets that say different things about the same; the first of each group is used.
    rivals: Vec<Vec<String>>,
    /// What cannot be read now.
    pub unreadable: Unreadable,
    /// `installationID` of `argocd-cm`.
    pub installation_id: Option<String>,
    /// `timeout.reconciliation` of `argocd-cm`; zero turns polling off.
    pub poll_interval: Option<Duration>,
    /// `ssh_known_hosts` of `argocd-ssh-known-hosts-cm`.
    pub known_hosts: String,
    /// Which of the lists have been read whole.
    pub has_projects: bool,
    pub has_secrets: bool,
    pub has_config: bool,
    pub has_known_hosts: bool,
    /// What the lists under way have shown.
    pub listing_projects: RollCall,
    pub listing_secrets: RollCall,
    pub listing_config: RollCall,
    pub listing_known_hosts: RollCall,
}

/// Argo CD's built-in `default` project, once for all apps.
struct BuiltIn(Arc<Project>);

impl Default for BuiltIn {
    fn default() -> Self {
        Self(Arc::new(Project::built_in_default()))
    }
}

/// Who answered since a list began: whoever did not by its end is gone. Nobody tells of what went while nobody watched.
#[derive(Default)]
pub(crate) struct RollCall(Option<BTreeSet<String>>);

impl RollCall {
    /// A list begins.
    pub(crate) fn begin(&mut self) {
        self.0 = Some(BTreeSet::new());
    }

    /// Somebody is there, readable or not; an empty name stands for one that cannot be told.
    pub(crate) fn see(&mut self, name: &str) {
        if let Some(seen) = &mut self.0 {
            seen.insert(name.into());
        }
    }

    /// The list is complete; returns which of `known` are gone: none while somebody's name cannot be told.
    pub(crate) fn end<'a>(&mut self, known: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        match self.0.take() {
            Some(seen) if !seen.contains("") => {
                known.filter(|name| !seen.contains(*name)).map(str::to_owned).collect()
            }
            Some(_) | None => BTreeSet::new(),
        }
    }
}

impl Settings {
    /// Returns whether everything was read once, so that decisions rest on it.
    pub(crate) fn is_ready(&self) -> bool {
        self.has_projects && self.has_secrets && self.has_config && self.has_known_hosts
    }

    /// Returns the repository Secrets.
    pub(crate) fn secrets(&self) -> Vec<RepositorySecret> {
        self.secrets.values().cloned().collect()
    }

    /// Takes a repository Secret in; an unreadable one leaves the previous one in force.
    ///
    /// # Errors
    /// With a sentence, without the secret.
    pub(crate) fn put_secret(&mut self, secret: &Object) -> Result<(), String> {
        let kind = match secret.label("argocd.argoproj.io/secret-type") {
            Some("repository") => SecretKind::Repository,
            Some("repo-creds") => SecretKind::Template,
            Some(_) | None => return Ok(()),
        };
        let mut data = BTreeMap::new();
        let mut bad = None;
        for (key, value) in secret.get("data").and_then(Value::as_object).into_iter().flatten() {
            match value.as_str().and_then(model::base64_decode) {
                Some(bytes) => {
                    data.insert(key.clone(), bytes);
                }
                None => bad = Some(format!("field {key} is not base64")),
            }
        }
        match bad.map_or_else(|| RepositorySecret::from_data(kind, &data), Err) {
            Ok(read) => {
                self.unreadable.drop_secret(secret.name());
                self.secrets.insert(secret.name().into(), read);
                Ok(())
            }
            Err(why) => {
                let outline = RepositorySecret::outline(kind, &data);
                self.unreadable.put_secret(secret.name(), why.clone(), outline);
                Err(why)
            }
        }
    }

    /// Finds out which repository Secrets are for the same; returns sentences about those that were not known to be.
    pub(crate) fn find_rivals(&mut self) -> Vec<String> {
        let names: Vec<&String> = self.secrets.keys().collect();
        let groups = source::rivals(&self.secrets());
        let name = |place: usize| names[place].clone();
        let rivals: Vec<Vec<String>> =
            groups.into_iter().map(|group| group.into_iter().map(name).collect()).collect();
        let new = rivals.iter().filter(|group| !self.rivals.contains(group));
        let told = new.map(|group| rivalry(group)).collect();
        self.rivals = rivals;
        told
    }

    /// Says of the Secrets that an app's repository is reached by that others are for the same.
    fn rivals_for(&self, app: &App) -> Vec<engine::Unreadable> {
        let url = source::RepoUrl::parse(&app.source.repo_url).ok().filter(|_| !self.rivals.is_empty());
        let Some(url) = url else { return Vec::new() };
        let consulted = source::consulted(&self.secrets(), &url, &app.project);
        let names: Vec<&String> = self.secrets.keys().collect();
        let is_consulted = |name: &String| consulted.iter().any(|place| names[*place] == name);
        let concerned = self.rivals.iter().filter(|group| group.iter().any(is_consulted));
        let told = concerned.map(|group| rivalry(group));
        told.map(|message| engine::Unreadable { message, told: engine::Told::Now }).collect()
    }

    /// Forgets a repository Secret.
    pub(crate) fn drop_secret(&mut self, name: &str) {
        self.secrets.remove(name);
        self.unreadable.drop_secret(name);
    }

    /// Forgets every repository Secret that the list just completed did not show; returns whether there was one.
    pub(crate) fn drop_unlisted_secrets(&mut self) -> bool {
        let unreadable = self.unreadable.names_of("Secret");
        let gone = self.listing_secrets.end(self.secrets.keys().map(String::as_str).chain(unreadable));
        for name in &gone {
            self.drop_secret(name);
        }
        !gone.is_empty()
    }

    /// Takes a project in; returns its problems if it could not be read.
    pub(crate) fn put_project(&mut self, project: &Object) -> Vec<Problem> {
        let name = project.name().to_owned();
        match Project::read(&project.to_value()) {
            Ok(read) => {
                self.unreadable.drop_project(&name);
                self.projects.insert(name, Arc::new(read));
                Vec::new()
            }
            Err(problems) => {
                self.unreadable.put_project(&name, problems.clone());
                problems
            }
        }
    }

    /// Forgets a project.
    pub(crate) fn drop_project(&mut self, name: &str) {
        self.projects.remove(name);
        self.unreadable.drop_project(name);
    }

    /// Forgets every project that the list just completed did not show; returns whether there was one.
    pub(crate) fn drop_unlisted_projects(&mut self) -> bool {
        let unreadable = self.unreadable.names_of("AppProject");
        let gone = self.listing_projects.end(self.projects.keys().map(String::as_str).chain(unreadable));
        for name in &gone {
            self.drop_project(name);
        }
        !gone.is_empty()
    }

    /// Returns whether the list just completed did not show `argocd-cm`.
    pub(crate) fn is_config_unlisted(&mut self) -> bool {
        !self.listing_config.end(std::iter::once("argocd-cm")).is_empty()
    }

    /// Returns a project by name. A missing `default` means Argo CD's built-in one.
    ///
    /// # Errors
    /// When there is none, or none that can be read.
    pub(crate) fn project(&self, name: &str) -> Result<Arc<Project>, Vec<Problem>> {
        if let Some(project) = self.projects.get(name) {
            return Ok(Arc::clone(project));
        }
        if let Some(problems) = self.unreadable.project(name) {
            return Err(problems.clone());
        }
        if name == "default" {
            return Ok(self.built_in_project());
        }
        Err(vec![
            Problem::new(format!("spec.project: there is no AppProject \"{name}\""))
                .help("create it, or name another one".to_owned()),
        ])
    }

    /// Returns the `default` project that there is without an `AppProject` of that name.
    pub(crate) fn built_in_project(&self) -> Arc<Project> {
        Arc::clone(&self.built_in.0)
    }

    /// Takes `argocd-cm` in; returns sentences about what cannot be read, whose previous value stays. Apps say so from
    /// `since` on, spread over a time.
    pub(crate) fn put_config(
        &mut self,
        config: Option<&Object>,
        since: Timestamp,
        spread: Seconds,
    ) -> Vec<String> {
        let text = |key: &str| {
            config.and_then(|map| map.get("data")?.get(key)?.as_str()).filter(|text| !text.is_empty())
        };
        self.installation_id = text("installationID").map(str::to_owned);
        let mut sentences = Vec::new();
        match text("timeout.reconciliation").map(|text| (text, application::duration::parse(text))) {
            None => self.poll_interval = None,
            Some((_, Some(length))) => {
                self.poll_interval =
                    Some(Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or(0)));
            }
            Some((text, None)) => {
                let shown: String = text.chars().take(SHOWN).collect();
                sentences.push(format!(
                    "ConfigMap argocd-cm: timeout.reconciliation is {shown:?}, which is no duration such as 120s; the previous value stays"
                ));
            }
        }
        self.unreadable.put_config(sentences.clone(), since, spread);
        sentences
    }

    /// Returns which settings that concern an app cannot be read, or contradict each other.
    pub(crate) fn unreadable_for(&self, app: &App) -> Vec<engine::Unreadable> {
        let mut told = self.unreadable.of(app, &self.secrets, self.projects.contains_key(&app.project));
        told.extend(self.rivals_for(app));
        told
    }
}

/// Says that several repository Secrets are for the same, and which one is used.
fn rivalry(names: &[String]) -> String {
    format!(
        "repository Secrets {} are for the same URL and project and hold different credentials: {} is used. Delete the \
         others, or correct their url",
        names.join(", "),
        names.first().map_or("none", String::as_str)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn project(name: &str) -> Object {
        Object::from_value(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": name, "namespace": "argocd"}, "spec": {"sourceRepos": ["*"]}}))
        .unwrap()
    }

    fn secret(name: &str) -> Object {
        Object::from_value(json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": "repository"}},
            "data": {"url": "aHR0cHM6Ly9leGFtcGxlLmNvbS8=", "username": "YQ==", "password": "Yg=="}}))
        .unwrap()
    }

    fn config() -> Object {
        Object::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"},
            "data": {"timeout.reconciliation": "7s"}}))
        .unwrap()
    }

    /// Settings of two projects, two Secrets and `argocd-cm`.
    fn filled() -> Settings {
        let mut settings = Settings::default();
        for name in ["a", "b"] {
            assert!(settings.put_project(&project(name)).is_empty());
            settings.put_secret(&secret(name)).unwrap();
        }
        assert!(settings.put_config(Some(&config()), Timestamp::from_millis(0), Seconds::ZERO).is_empty());
        settings
    }

    #[test]
    fn what_a_list_does_not_show_is_forgotten() {
        let mut settings = filled();
        settings.listing_projects.begin();
        settings.listing_projects.see("b");
        assert!(settings.drop_unlisted_projects());
        assert!(settings.project("a").is_err() && settings.project("b").is_ok());
        settings.listing_secrets.begin();
        settings.listing_secrets.see("b");
        assert!(settings.drop_unlisted_secrets());
        assert_eq!(settings.secrets().len(), 1);
        settings.listing_config.begin();
        assert!(settings.is_config_unlisted());
    }

    #[test]
    fn what_a_list_shows_stays_and_so_does_all_without_a_whole_list() {
        let mut settings = filled();
        // No list began.
        assert!(!settings.drop_unlisted_projects() && !settings.drop_unlisted_secrets());
        // A list began anew: what the first one showed says nothing.
        for names in [&["a"][..], &["b", "a"]] {
            settings.listing_projects.begin();
            settings.listing_secrets.begin();
            for name in names {
                settings.listing_projects.see(name);
                settings.listing_secrets.see(name);
            }
        }
        assert!(!settings.drop_unlisted_projects() && !settings.drop_unlisted_secrets());
        // Something is there whose name nobody can read: it may be any of them.
        settings.listing_projects.begin();
        settings.listing_projects.see("");
        assert!(!settings.drop_unlisted_projects());
        settings.listing_config.begin();
        settings.listing_config.see("argocd-cm");
        assert!(!settings.is_config_unlisted());
        assert_eq!(settings.poll_interval, Some(Duration::from_secs(7)));
        assert!(settings.project("a").is_ok() && settings.secrets().len() == 2);
    }

    #[test]
    fn secrets_that_contradict_each_other_are_told_once_and_by_the_apps_concerned() {
        let mut settings = Settings::default();
        let put = |settings: &mut Settings, name: &str, password: &str| {
            let mut secret = secret(name);
            secret.fields_mut()["data"]["url"] = "aHR0cHM6Ly9naXQuZXgvc2hvcA==".into();
            secret.fields_mut()["data"]["password"] = password.into();
            settings.put_secret(&secret).unwrap();
        };
        put(&mut settings, "a", "Yg==");
        put(&mut settings, "b", "Yg==");
        assert!(settings.find_rivals().is_empty(), "they say the same");
        put(&mut settings, "other", "Yw==");
        let told = "repository Secrets a, b, other are for the same URL and project and hold different credentials: a is \
                    used. Delete the others, or correct their url";
        assert_eq!(settings.find_rivals(), [told]);
        assert!(settings.find_rivals().is_empty(), "it is known");
        let says = |settings: &Settings, url: &str| -> Vec<String> {
            let raw = json!({"metadata": {"name": "shop", "namespace": "argocd"}, "spec": {"project": "default",
                "source": {"repoURL": url, "path": "."}, "destination": {"name": "in-cluster"}}});
            let app = application::read(&raw).unwrap();
            settings.unreadable_for(&app).into_iter().map(|setting| setting.message).collect()
        };
        assert_eq!(says(&settings, "https://git.ex/shop"), [told]);
        assert!(says(&settings, "https://elsewhere.com/shop").is_empty());
        settings.drop_secret("other");
        assert!(settings.find_rivals().is_empty() && says(&settings, "https://git.ex/shop").is_empty());
    }

    #[test]
    fn what_was_never_readable_is_forgotten_as_well() {
        let mut settings = Settings::default();
        let mut bad = project("default");
        bad.fields_mut().insert("spec".into(), json!({"sourceRepos": 7}));
        assert!(!settings.put_project(&bad).is_empty());
        assert!(settings.project("default").is_err());
        settings.listing_projects.begin();
        assert!(settings.drop_unlisted_projects());
        assert!(settings.project("default").is_ok(), "the built-in one stands in");
        let mut blank = secret("blank");
        blank.fields_mut().remove("data");
        settings.put_secret(&blank).unwrap_err();
        settings.listing_secrets.begin();
        assert!(settings.drop_unlisted_secrets() && settings.unreadable.is_empty());
    }
}
