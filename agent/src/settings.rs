//! Which repositories, projects and settings does the cluster hold? The last readable ones stay in force.

use crate::unreadable::Unreadable;
use application::Project;
use model::{App, Object, Problem, Seconds, Timestamp};
use serde_json::Value;
use source::{REVERT_ANNOTATION, REVERT_AUTHOR_ANNOTATION, RepositorySecret, RevertPolicy, SecretKind};
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
    /// How often what the repository Secrets say has changed.
    pub secrets_serial: u64,
    /// How often what the projects say has changed.
    pub projects_serial: u64,
    /// Names of repository Secrets that say different things about the same; the first of each group is used.
    rivals: Vec<Vec<String>>,
    /// What cannot be read now.
    pub unreadable: Unreadable,
    /// `installationID` of `argocd-cm`.
    pub installation_id: Option<String>,
    /// Where people see the Applications (`url` of `argocd-cm`).
    pub url: Option<String>,
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
        let (to, author) =
            (secret.annotation(REVERT_ANNOTATION), secret.annotation(REVERT_AUTHOR_ANNOTATION));
        let read = bad.map_or_else(|| RepositorySecret::from_data(kind, &data), Err);
        let wrong = match (read, RevertPolicy::read(kind, to, author)) {
            (Ok(mut read), Ok(reverts)) => {
                let was_unreadable = self.unreadable.drop_secret(secret.name());
                self.secrets_serial += u64::from(was_unreadable);
                read.reverts = reverts;
                self.take_secret(secret.name(), read);
                return Ok(());
            }
            (Ok(mut read), Err(why)) => {
                // What is wrong about reverts keeps nobody from reading the repository.
                let reverts = self.secrets.get(secret.name()).and_then(|known| known.reverts.clone());
                read.reverts = reverts;
                self.take_secret(secret.name(), read);
                why
            }
            (Err(why), _) => why,
        };
        let outline = RepositorySecret::outline(kind, &data);
        self.put_unreadable_secret(secret.name(), wrong.clone(), outline);
        Err(wrong)
    }

    fn take_secret(&mut self, name: &str, secret: RepositorySecret) {
        self.secrets_serial += u64::from(self.secrets.get(name) != Some(&secret));
        self.secrets.insert(name.into(), secret);
    }

    /// Takes in that a repository Secret cannot be read, and what it is for where that can.
    pub(crate) fn put_unreadable_secret(
        &mut self,
        name: &str,
        why: String,
        outline: Option<RepositorySecret>,
    ) {
        self.secrets_serial += u64::from(self.unreadable.put_secret(name, why, outline));
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
        let was_readable = self.secrets.remove(name).is_some();
        let was_there = self.unreadable.drop_secret(name) || was_readable;
        self.secrets_serial += u64::from(was_there);
    }

    /// Forgets every repository Secret that the list just completed did not show.
    pub(crate) fn drop_unlisted_secrets(&mut self) {
        let unreadable = self.unreadable.names_of("Secret");
        let gone = self.listing_secrets.end(self.secrets.keys().map(String::as_str).chain(unreadable));
        for name in &gone {
            self.drop_secret(name);
        }
    }

    /// Takes a project in; returns its problems if it could not be read.
    pub(crate) fn put_project(&mut self, project: &Object) -> Vec<Problem> {
        let name = project.name().to_owned();
        match Project::read(&project.to_value()) {
            Ok(read) => {
                let was_unreadable = self.unreadable.drop_project(&name);
                let is_news = was_unreadable || self.projects.get(&name).is_none_or(|known| **known != read);
                self.projects_serial += u64::from(is_news);
                self.projects.insert(name, Arc::new(read));
                Vec::new()
            }
            Err(problems) => {
                self.put_unreadable_project(&name, problems.clone());
                problems
            }
        }
    }

    /// Takes in what is wrong with a project.
    pub(crate) fn put_unreadable_project(&mut self, name: &str, problems: Vec<Problem>) {
        self.projects_serial += u64::from(self.unreadable.put_project(name, problems));
    }

    /// Forgets a project.
    pub(crate) fn drop_project(&mut self, name: &str) {
        let was_readable = self.projects.remove(name).is_some();
        let was_there = self.unreadable.drop_project(name) || was_readable;
        self.projects_serial += u64::from(was_there);
    }

    /// Forgets every project that the list just completed did not show.
    pub(crate) fn drop_unlisted_projects(&mut self) {
        let unreadable = self.unreadable.names_of("AppProject");
        let gone = self.listing_projects.end(self.projects.keys().map(String::as_str).chain(unreadable));
        for name in &gone {
            self.drop_project(name);
        }
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
        self.url = text("url").filter(|url| model::is_web_link(url)).map(str::to_owned);
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
mod tests;
