//! By what are Applications chosen, without reading them?
//!
//! A list of thousands is narrowed by a few words of each; only what is answered is made a tree of JSON.

use crate::{AppName, ListQuery, Namespace, dto};
use serde_json::{Value, json};

/// One Application as lists and streams see it: what it is chosen by, and its text.
#[derive(Debug)]
pub struct Listed {
    /// What it is chosen by.
    pub head: Head,
    text: Box<str>,
}

/// What an Application is chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.namespace`.
    pub namespace: Box<str>,
    /// `spec.project`; `default` where it names none.
    pub project: Box<str>,
    /// `metadata.resourceVersion` as the number that it is in every Kubernetes; 0 where it is none.
    pub version: u64,
    /// Repository URLs of its sources, without passwords.
    repos: Box<[Box<str>]>,
    /// Few: a map would take as much for one as for eleven.
    labels: Box<[(Box<str>, Box<str>)]>,
}

impl Listed {
    /// Keeps an Application.
    pub fn new(raw: &Value) -> Self {
        Self { head: Head::of(raw), text: raw.to_string().into() }
    }

    /// Returns the Application as stored.
    pub fn value(&self) -> Value {
        #[cfg(test)]
        tests::DECODED.with(|decoded| decoded.set(decoded.get() + 1));
        serde_json::from_str(&self.text).expect("the text was written from JSON")
    }

    /// Returns the Application as callers see it.
    pub(crate) fn shown(&self) -> Value {
        dto::application(&self.value())
    }

    /// Returns how much memory it takes, about.
    pub(crate) fn size(&self) -> usize {
        self.text.len() + self.head.size() + size_of::<Self>()
    }
}

impl Head {
    /// Returns how much memory its words take, about.
    pub(crate) fn size(&self) -> usize {
        // What two words and their pieces of memory take themselves.
        const ENTRY: usize = 64;
        let words = [&self.name, &self.namespace, &self.project].into_iter().chain(self.repos.iter());
        let labels = self.labels.iter().map(|(label, value)| label.len() + value.len() + ENTRY);
        words.map(|word| word.len() + ENTRY / 2).chain(labels).sum()
    }

    fn of(raw: &Value) -> Self {
        let word = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let project = word("/spec/project");
        let several = raw.pointer("/spec/sources").and_then(Value::as_array);
        let sources = several.into_iter().flatten().chain(raw.pointer("/spec/source"));
        let urls = sources.filter_map(|source| source["repoURL"].as_str());
        let labels = raw.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        Self {
            name: word("/metadata/name").into(),
            namespace: word("/metadata/namespace").into(),
            project: if project.is_empty() { "default" } else { project }.into(),
            version: word("/metadata/resourceVersion").parse().unwrap_or(0),
            repos: urls.map(|url| dto::without_password(url).into()).collect(),
            labels: labels
                .filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into())))
                .collect(),
        }
    }

    /// Returns whether a query asks for the Application.
    pub fn is_asked_for(&self, query: &ListQuery) -> bool {
        let is = |wanted: Option<&str>, word: &str| wanted.is_none_or(|wanted| wanted == word);
        let is_of = |repo: &String| {
            let repo = dto::without_password(repo);
            self.repos.iter().any(|known| **known == *repo)
        };
        (query.projects.is_empty() || query.projects.iter().any(|wanted| *wanted == *self.project))
            && is(query.name.as_ref().map(AppName::as_str), &self.name)
            && is(query.app_namespace.as_ref().map(Namespace::as_str), &self.namespace)
            && query.repo.as_ref().is_none_or(is_of)
            && query.selector.matches(|key| self.label(key))
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| **label == *key).map(|(_, value)| &**value)
    }

    /// Returns what Applications are sorted by.
    pub(crate) fn place(&self) -> (&str, &str) {
        (&self.name, &self.namespace)
    }
}

/// Returns Argo CD's `ApplicationList` of what a query asks for, sorted by name and namespace, with `continue` and
/// `remainingItemCount` as Kubernetes has them where there is more than the query's limit. `resource_version` is that of the
/// newest view of all Applications. The query's `fields` are applied later, by the route.
pub fn list<'a>(
    applications: impl IntoIterator<Item = &'a Listed>,
    query: &ListQuery,
    resource_version: &str,
) -> Value {
    let after = |head: &Head| {
        query
            .after
            .as_ref()
            .is_none_or(|(name, namespace)| head.place() > (name.as_str(), namespace.as_str()))
    };
    let is_chosen = |app: &&Listed| app.head.is_asked_for(query) && after(&app.head);
    let mut chosen: Vec<&Listed> = applications.into_iter().filter(is_chosen).collect();
    chosen.sort_by(|one, other| one.head.place().cmp(&other.head.place()));
    let n_shown = query.limit.map_or(chosen.len(), |limit| limit.min(chosen.len()));
    let items: Vec<Value> = chosen.iter().take(n_shown).map(|app| app.shown()).collect();
    let mut metadata = json!({ "resourceVersion": resource_version });
    if n_shown < chosen.len() {
        let last = chosen.iter().take(n_shown).next_back();
        let last =
            last.map_or_else(String::new, |app| format!("v1.{}.{}", app.head.namespace, app.head.name));
        metadata["continue"] = json!(last);
        metadata["remainingItemCount"] = json!(chosen.len() - n_shown);
    }
    json!({ "metadata": metadata, "items": items })
}

/// Reads what [`list`] wrote into `continue`: the name and the namespace after which to go on.
pub(crate) fn read_continue(text: &str) -> Option<(String, String)> {
    // A namespace has no dots, and a name may.
    let (namespace, name) = text.strip_prefix("v1.")?.split_once('.')?;
    Some((name.to_owned(), namespace.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Selector;
    use std::cell::Cell;
    use std::time::Instant;

    thread_local! {
        /// How many Applications were made trees of JSON.
        pub(super) static DECODED: Cell<usize> = const { Cell::new(0) };
    }

    fn app(name: &str, namespace: &str, project: &str, repo: &str) -> Listed {
        Listed::new(&json!({
            "metadata": { "name": name, "namespace": namespace, "labels": { "team": name } },
            "spec": { "project": project, "source": { "repoURL": repo } },
        }))
    }

    fn shown(list: &Value) -> String {
        let place = |app: &Value| {
            let word = |field: &str| app["metadata"][field].as_str().unwrap().to_owned();
            format!("{}/{}", word("namespace"), word("name"))
        };
        list["items"].as_array().unwrap().iter().map(place).collect::<Vec<_>>().join(" ")
    }

    fn names(query: &ListQuery) -> String {
        let apps = [
            app("web", "argocd", "shop", "https://git/a"),
            app("api", "tenant", "shop", "https://bot:s3cret@git/b"),
            app("api", "argocd", "", "https://git/a"),
        ];
        let list = list(&apps, query, "12");
        assert_eq!(list["metadata"], json!({ "resourceVersion": "12" }));
        shown(&list)
    }

    #[test]
    fn lists_are_narrowed_and_sorted() {
        let all = ListQuery::default();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(names(&all), "argocd/api tenant/api argocd/web");
        assert_eq!(
            names(&ListQuery { projects: vec!["shop".into()], ..all.clone() }),
            "tenant/api argocd/web"
        );
        assert_eq!(names(&ListQuery { projects: vec!["default".into()], ..all.clone() }), "argocd/api");
        assert_eq!(names(&ListQuery { name: AppName::parse("web").ok(), ..all.clone() }), "argocd/web");
        assert_eq!(
            names(&ListQuery { app_namespace: Namespace::parse("tenant").ok(), ..all.clone() }),
            "tenant/api"
        );
        assert_eq!(names(&ListQuery { repo: some("https://bot:***@git/b"), ..all.clone() }), "tenant/api");
        assert_eq!(names(&ListQuery { repo: some("https://git/b"), ..all.clone() }), "");
        let selector = Selector::parse("team!=api").unwrap();
        assert_eq!(names(&ListQuery { selector, ..all }), "argocd/web");
    }

    #[test]
    fn a_filter_does_not_tell_whether_a_password_was_guessed() {
        let apps = [app("api", "tenant", "shop", "https://bot:s3cret@git/b")];
        for guess in ["https://bot:s3cret@git/b", "https://bot:wrong@git/b"] {
            let query = ListQuery { repo: Some(guess.into()), ..ListQuery::default() };
            assert_eq!(shown(&list(&apps, &query, "")), "tenant/api", "{guess}");
        }
    }

    /// As many as a large installation has, each with a status of its objects.
    fn thousands() -> Vec<Listed> {
        let resources: Vec<Value> = (0..20)
            .map(|n| json!({ "kind": "ConfigMap", "name": n.to_string(), "status": "Synced" }))
            .collect();
        let one = |n: usize| {
            Listed::new(&json!({
                "metadata": {
                    "name": format!("app-{n:04}"), "namespace": "argocd", "resourceVersion": n.to_string(),
                    "labels": { "team": format!("team-{}", n % 10) },
                },
                "spec": { "project": "default", "source": { "repoURL": "https://git/shop" } },
                "status": { "resources": resources },
            }))
        };
        (0..8_000).map(one).collect()
    }

    #[test]
    fn a_page_of_many_reads_only_what_it_shows() {
        let apps = thousands();
        let selector = Selector::parse("team=team-3").unwrap();
        let mut query = ListQuery { selector, limit: Some(50), ..ListQuery::default() };
        let (mut seen, mut n_pages) = (Vec::new(), 0);
        loop {
            DECODED.set(0);
            let begun = Instant::now();
            let page = list(&apps, &query, "8000");
            if n_pages == 0 {
                eprintln!("a page of 50 of 8,000 took {:?}", begun.elapsed());
            }
            assert_eq!(DECODED.get(), 50);
            seen.extend(shown(&page).split(' ').map(str::to_owned));
            n_pages += 1;
            assert_eq!(page["metadata"]["remainingItemCount"].as_u64().unwrap_or(0), 800 - 50 * n_pages);
            let Some(next) = page["metadata"]["continue"].as_str() else { break };
            query.after = read_continue(next);
        }
        let expected: Vec<String> = (0..800).map(|n| format!("argocd/app-{:04}", n * 10 + 3)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_goes_and_comes_between_pages_is_neither_skipped_nor_shown_twice() {
        let apps = ["a", "b", "c", "d"].map(|name| app(name, "argocd", "", ""));
        let mut query = ListQuery { limit: Some(2), ..ListQuery::default() };
        let page = list(&apps, &query, "");
        assert_eq!(shown(&page), "argocd/a argocd/b");
        query.after = read_continue(page["metadata"]["continue"].as_str().unwrap());
        let apps = ["aa", "c", "d"].map(|name| app(name, "argocd", "", ""));
        let page = list(&apps, &query, "");
        assert_eq!(
            (shown(&page).as_str(), &page["metadata"]["continue"]),
            ("argocd/c argocd/d", &Value::Null)
        );
        let dotted = read_continue("v1.argocd.shop.example").unwrap();
        assert_eq!(dotted, ("shop.example".to_owned(), "argocd".to_owned()));
        for odd in ["", "v1.", "v2.a.b", "argocd.a"] {
            assert_eq!(read_continue(odd), None, "{odd}");
        }
    }
}
