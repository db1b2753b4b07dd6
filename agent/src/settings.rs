//! Which repositories, projects and settings does the cluster hold? The last readable ones stay in force.

use application::Project;
use model::{Object, ObjectKey, Problem};
use serde_json::Value;
use source::{RepositorySecret, SecretKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Settings that others write into the control namespace.
#[derive(Default)]
pub(crate) struct Settings {
    /// Repository Secrets by name.
    secrets: BTreeMap<String, RepositorySecret>,
    /// Projects by name; problems of those that could not be read.
    projects: BTreeMap<String, Arc<Project>>,
    bad_projects: BTreeMap<String, Vec<Problem>>,
    /// `installationID` of `argocd-cm`.
    pub installation_id: Option<String>,
    /// `timeout.reconciliation` of `argocd-cm`; zero turns polling off.
    pub poll_interval: Option<Duration>,
    /// Which of the lists have been read whole.
    pub has_projects: bool,
    pub has_secrets: bool,
    pub has_config: bool,
}

impl Settings {
    /// Returns whether everything was read once, so that decisions rest on it.
    pub(crate) fn is_ready(&self) -> bool {
        self.has_projects && self.has_secrets && self.has_config
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
        let name = secret.name();
        let mut data = BTreeMap::new();
        for (key, value) in secret.get("data").and_then(Value::as_object).into_iter().flatten() {
            let bytes = value.as_str().and_then(model::base64_decode);
            let bytes = bytes.ok_or_else(|| format!("Secret {name}: data.{key} is not base64"))?;
            data.insert(key.clone(), bytes);
        }
        let read = RepositorySecret::from_data(kind, &data).map_err(|why| format!("Secret {name}: {why}"))?;
        self.secrets.insert(name.into(), read);
        Ok(())
    }

    /// Forgets a repository Secret.
    pub(crate) fn drop_secret(&mut self, key: &ObjectKey) {
        self.secrets.remove(&key.name);
    }

    /// Takes a project in; returns its problems if it could not be read.
    pub(crate) fn put_project(&mut self, project: &Object) -> Vec<Problem> {
        let name = project.name().to_owned();
        match Project::read(&project.to_value()) {
            Ok(read) => {
                self.bad_projects.remove(&name);
                self.projects.insert(name, Arc::new(read));
                Vec::new()
            }
            Err(problems) => {
                self.bad_projects.insert(name, problems.clone());
                problems
            }
        }
    }

    /// Forgets a project.
    pub(crate) fn drop_project(&mut self, name: &str) {
        self.projects.remove(name);
        self.bad_projects.remove(name);
    }

    /// Returns a project by name. A missing `default` means Argo CD's built-in one.
    ///
    /// # Errors
    /// When there is none, or none that can be read.
    pub(crate) fn project(&self, name: &str) -> Result<Arc<Project>, Vec<Problem>> {
        if let Some(project) = self.projects.get(name) {
            return Ok(Arc::clone(project));
        }
        if let Some(problems) = self.bad_projects.get(name) {
            return Err(problems.clone());
        }
        if name == "default" {
            return Ok(Arc::new(Project::built_in_default()));
        }
        Err(vec![
            Problem::new(format!("spec.project: there is no AppProject \"{name}\""))
                .help("create it, or name another one".to_owned()),
        ])
    }

    /// Takes `argocd-cm` in; returns sentences about what cannot be read, whose previous value stays.
    pub(crate) fn put_config(&mut self, config: Option<&Object>) -> Vec<String> {
        let text = |key: &str| {
            config.and_then(|map| map.get("data")?.get(key)?.as_str()).filter(|text| !text.is_empty())
        };
        self.installation_id = text("installationID").map(str::to_owned);
        match text("timeout.reconciliation").map(|text| (text, application::duration::parse(text))) {
            None => self.poll_interval = None,
            Some((_, Some(length))) => {
                self.poll_interval =
                    Some(Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or(0)));
            }
            Some((text, None)) => {
                return vec![format!(
                    "ConfigMap argocd-cm: timeout.reconciliation is {text:?}, which is no duration such as 120s; the previous value stays"
                )];
            }
        }
        Vec::new()
    }
}
