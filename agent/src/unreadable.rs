//! Which settings cannot be read, and which apps say so? What they said before stays in force.

use engine::Told;
use model::{App, AppKey, Problem, Seconds, Timestamp, digest};
use source::{RepoUrl, RepositorySecret};
use std::collections::BTreeMap;

/// What cannot be read now, by name.
#[derive(Default)]
pub(crate) struct Unreadable {
    secrets: BTreeMap<String, BadSecret>,
    projects: BTreeMap<String, Vec<Problem>>,
    config: Option<BadConfig>,
}

#[derive(PartialEq, Eq)]
struct BadSecret {
    /// What is wrong with it, without quoting it.
    why: String,
    /// What it is for, where that can be read.
    outline: Option<RepositorySecret>,
}

struct BadConfig {
    sentences: Vec<String>,
    since: Timestamp,
    /// For how long apps begin to say so, one after the other.
    spread: Seconds,
}

impl Unreadable {
    /// Returns whether everything can be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }

    /// Returns kind and name of all that cannot be read.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let secrets = self.secrets.keys().map(|name| ("Secret", name.as_str()));
        let projects = self.projects.keys().map(|name| ("AppProject", name.as_str()));
        secrets.chain(projects).chain(self.config.iter().map(|_| ("ConfigMap", "argocd-cm")))
    }

    /// Returns the names of what cannot be read of a kind.
    pub(crate) fn names_of(&self, kind: &'static str) -> impl Iterator<Item = &str> {
        self.names().filter(move |(other, _)| *other == kind).map(|(_, name)| name)
    }

    /// Takes a repository Secret in that cannot be read; returns whether that is news.
    pub(crate) fn put_secret(&mut self, name: &str, why: String, outline: Option<RepositorySecret>) -> bool {
        let bad = BadSecret { why, outline };
        let is_news = self.secrets.get(name) != Some(&bad);
        self.secrets.insert(name.into(), bad);
        is_news
    }

    /// Forgets a repository Secret: it can be read again, or is gone. Returns whether it could not be read.
    pub(crate) fn drop_secret(&mut self, name: &str) -> bool {
        self.secrets.remove(name).is_some()
    }

    /// Takes an AppProject in that cannot be read; returns whether that is news.
    pub(crate) fn put_project(&mut self, name: &str, problems: Vec<Problem>) -> bool {
        let is_news = self.projects.get(name) != Some(&problems);
        self.projects.insert(name.into(), problems);
        is_news
    }

    /// Forgets an AppProject: it can be read again, or is gone. Returns whether it could not be read.
    pub(crate) fn drop_project(&mut self, name: &str) -> bool {
        self.projects.remove(name).is_some()
    }

    /// Returns what is wrong with an AppProject.
    pub(crate) fn project(&self, name: &str) -> Option<&Vec<Problem>> {
        self.projects.get(name)
    }

    /// Takes in what of `argocd-cm` cannot be read; nothing when all is well. What is said already goes on being said.
    pub(crate) fn put_config(&mut self, sentences: Vec<String>, since: Timestamp, spread: Seconds) {
        if self.config.as_ref().is_none_or(|known| known.sentences != sentences) {
            self.config = (!sentences.is_empty()).then_some(BadConfig { sentences, since, spread });
        }
    }

    /// Returns what an app says, given the repository Secrets that are in force and whether its AppProject is.
    pub(crate) fn of(
        &self,
        app: &App,
        secrets: &BTreeMap<String, RepositorySecret>,
        has_project: bool,
    ) -> Vec<engine::Unreadable> {
        if self.is_empty() {
            return Vec::new();
        }
        let project = self.projects.get(&app.project).filter(|_| has_project).map(|problems| {
            let why = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
            let message = format!("AppProject {} cannot be read: {why}. {STAYS}", app.project);
            engine::Unreadable { message, told: Told::Now }
        });
        let url = RepoUrl::parse(&app.source.repo_url).ok().filter(|url| url.local_path().is_none());
        let of_secrets = self.secrets.iter().filter_map(|(name, bad)| {
            let others: Vec<_> = secrets
                .iter()
                .filter(|(other, _)| *other != name)
                .map(|(_, secret)| secret.clone())
                .collect();
            bad.of(name, url.as_ref()?, &app.project, secrets.get(name), &others)
        });
        let of_config = self.config.iter().flat_map(|bad| bad.of(&app.key));
        project.into_iter().chain(of_secrets).chain(of_config).collect()
    }
}

/// What follows for whoever relies on something that was readable before.
const STAYS: &str = "What it said before stays in force until it is corrected";

impl BadSecret {
    fn of(
        &self,
        name: &str,
        url: &RepoUrl,
        project: &str,
        before: Option<&RepositorySecret>,
        others: &[RepositorySecret],
    ) -> Option<engine::Unreadable> {
        let mut forms = before.into_iter().chain(&self.outline).peekable();
        let nobody_knows = forms.peek().is_none();
        let serves = forms.any(|form| form.would_serve(others, url, project));
        let (told, what_follows) = match before {
            _ if nobody_knows => (Told::WithoutCredentials, "If it is for this repository, correct it"),
            _ if !serves => return None,
            Some(_) => (Told::Now, STAYS),
            None => (Told::Now, "The repository is read without it until it is corrected"),
        };
        let message = format!("repository Secret {name} cannot be read: {}. {what_follows}", self.why);
        Some(engine::Unreadable { message, told })
    }
}

impl BadConfig {
    fn of(&self, app: &AppKey) -> impl Iterator<Item = engine::Unreadable> {
        let name = digest(app.to_string().as_bytes());
        let chance = u16::from_be_bytes([name.bytes()[0], name.bytes()[1]]);
        let wait = self.spread.as_millis() * i64::from(chance) / i64::from(u16::MAX);
        let at = self.since + Seconds::from_millis(wait);
        let told = if wait == 0 { Told::Now } else { Told::From(at) };
        self.sentences.iter().map(move |sentence| engine::Unreadable { message: sentence.clone(), told })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use model::Object;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn secret(name: &str, kind: &str, data: &Value) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "Secret", "data": data, "stringData": {"password": "canary"},
            "metadata": {"name": name, "namespace": "argocd", "labels": {"argocd.argoproj.io/secret-type": kind}}});
        Object::from_value(value).unwrap()
    }

    fn config(timeout: &str) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"},
            "data": {"timeout.reconciliation": timeout}});
        Object::from_value(value).unwrap()
    }

    fn app(url: &str, project: &str) -> App {
        let raw = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {"project": project, "source": {"repoURL": url, "path": "."},
                "destination": {"name": "in-cluster", "namespace": "shop"}}});
        application::read(&raw).unwrap()
    }

    fn said(settings: &Settings, url: &str) -> Vec<String> {
        let line = |setting: engine::Unreadable| format!("{:?}: {}", setting.told, setting.message);
        settings.unreadable_for(&app(url, "team")).into_iter().map(line).collect()
    }

    // base64 of `https://git.ex/shop`, `https://git.ex`, `p`, `can\u{7}ary`.
    const SHOP: &str = "aHR0cHM6Ly9naXQuZXgvc2hvcA==";
    const HOST: &str = "aHR0cHM6Ly9naXQuZXg=";
    const PASSWORD: &str = "cA==";
    const CANARY: &str = "Y2FuB2FyeQ==";

    #[test]
    fn an_unreadable_secret_leaves_the_previous_one_and_its_apps_say_so() {
        let mut settings = Settings::default();
        let (url, other) = ("https://git.ex/shop", "https://elsewhere.ex/shop");
        settings
            .put_secret(&secret("shop", "repository", &json!({"url": SHOP, "password": PASSWORD})))
            .unwrap();
        assert!(said(&settings, url).is_empty());
        // Not even for which repository it is can be read any more.
        let bad = secret("shop", "repository", &json!({"password": CANARY}));
        assert_eq!(settings.put_secret(&bad), Err("field url is missing or empty".into()));
        assert_eq!(settings.secrets().len(), 1);
        assert_eq!(
            said(&settings, url),
            [
                "Now: repository Secret shop cannot be read: field url is missing or empty. What it said before stays in force until it is corrected"
            ]
        );
        assert!(said(&settings, other).is_empty());
        settings
            .put_secret(&secret("shop", "repository", &json!({"url": SHOP, "password": PASSWORD})))
            .unwrap();
        assert!(said(&settings, url).is_empty() && settings.unreadable.is_empty());
    }

    #[test]
    fn a_secret_that_was_never_readable_is_told_where_it_would_serve_or_may_help() {
        let mut settings = Settings::default();
        let template = secret("host", "repo-creds", &json!({"url": HOST, "password": CANARY}));
        let blank = secret("blank", "repository", &json!({"password": CANARY}));
        let garbage = secret("garbage", "repository", &json!({"password": "canary!", "url": "canary!"}));
        for bad in [&template, &blank, &garbage] {
            settings.put_secret(bad).unwrap_err();
        }
        let told = said(&settings, "https://git.ex/shop");
        assert_eq!(
            told,
            [
                "WithoutCredentials: repository Secret blank cannot be read: field url is missing or empty. If it is for this repository, correct it",
                "WithoutCredentials: repository Secret garbage cannot be read: field url is not base64. If it is for this repository, correct it",
                "Now: repository Secret host cannot be read: field password holds a control character. The repository is read without it until it is corrected",
            ]
        );
        assert_eq!(said(&settings, "https://elsewhere.ex/shop"), told[..2]);
        assert!(said(&settings, "/srv/repos/shop").is_empty(), "nobody needs credentials there");
        assert!(!told.concat().contains("canary"));
    }

    #[test]
    fn what_concerns_all_apps_is_said_by_one_after_the_other() {
        let mut settings = Settings::default();
        settings.put_config(Some(&config("5s")), Timestamp::from_millis(0), Seconds::ZERO);
        let sentences = settings.put_config(
            Some(&config(&"soon".repeat(99))),
            Timestamp::from_millis(60_000),
            Seconds::new(10),
        );
        assert_eq!(settings.poll_interval, Some(Duration::from_secs(5)));
        assert!(sentences[0].len() < 200, "{}", sentences[0]);
        let told = |settings: &Settings, name: &str| {
            let mut app = app("/srv/repos/shop", "team");
            app.key.name = name.into();
            match settings.unreadable_for(&app).remove(0).told {
                Told::From(at) => at.as_millis(),
                told @ (Told::Now | Told::WithoutCredentials) => panic!("{told:?}"),
            }
        };
        let times: BTreeSet<i64> = (0..50).map(|n| told(&settings, &format!("shop-{n}"))).collect();
        assert!(times.len() > 40 && times.iter().all(|at| (60_000..=70_000).contains(at)), "{times:?}");
        // Another change beside it does not begin anew.
        settings.put_config(
            Some(&config(&"soon".repeat(99))),
            Timestamp::from_millis(90_000),
            Seconds::new(10),
        );
        assert_eq!((0..50).map(|n| told(&settings, &format!("shop-{n}"))).collect::<BTreeSet<_>>(), times);
        // Whoever starts with it finds it told.
        settings.put_config(Some(&config("soon")), Timestamp::from_millis(0), Seconds::ZERO);
        assert_eq!(settings.unreadable_for(&app("/srv/repos/shop", "team"))[0].told, Told::Now);
    }

    #[test]
    fn an_unreadable_project_leaves_the_previous_one_and_its_apps_say_so() {
        let mut settings = Settings::default();
        let project = |spec: Value| {
            let value = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
                "metadata": {"name": "team", "namespace": "argocd"}, "spec": spec});
            Object::from_value(value).unwrap()
        };
        let bad = project(json!({"sourceRepos": 7}));
        assert!(!settings.put_project(&bad).is_empty());
        assert!(settings.project("team").is_err() && said(&settings, "https://git.ex/shop").is_empty());
        settings.put_project(&project(json!({"sourceRepos": ["*"]})));
        settings.put_project(&bad);
        assert!(settings.project("team").is_ok());
        let told = said(&settings, "https://git.ex/shop");
        assert!(told[0].starts_with("Now: AppProject team cannot be read: spec.sourceRepos"), "{told:?}");
        assert!(settings.unreadable_for(&app("https://git.ex/shop", "default")).is_empty());
    }
}
