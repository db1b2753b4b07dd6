//! Where could the agent tell a secret? Everything that it said, answered and wrote is looked through.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use api::Lasts;
use serde_json::Value;

use crate::agent::{Settings, output_of};
use crate::canary::Canaries;
use crate::http;
use crate::kube::Kube;
use crate::log::Log;
use crate::scene::Scene;

/// Kinds that the agent writes, in which people look who may read no Secrets.
const WRITTEN: [(&str, &str); 5] = [
    ("v1", "Event"),
    ("v1", "ConfigMap"),
    ("coordination.k8s.io/v1", "Lease"),
    ("argoproj.io/v1alpha1", "Application"),
    ("argoproj.io/v1alpha1", "AppProject"),
];

/// How many Applications are asked about: others say the same.
const APPS: usize = 5;

/// How long one agent is asked: its API server may be away.
const LONGEST: Duration = Duration::from_secs(8);

/// How long an answer is listened to that may go on for ever.
const A_MOMENT: Duration = Duration::from_millis(200);

/// Below `/var/run`, where a pod has the token of its service account.
const POD_TOKEN: &str = "secrets/kubernetes.io/serviceaccount/token";

/// What a token is called that an agent shows to the API server.
const AGENTS_TOKEN: &str = "the agent's token";

/// One agent's traces.
#[derive(Clone)]
pub(crate) struct Traces {
    /// What it said, and what it answered.
    pub(crate) log: Log,
    /// Where it printed results, where its cache is, and where what it shows to the API server.
    pub(crate) settings: Settings,
}

impl Scene {
    /// Returns what no agent of the scene may tell; add what stands in no Secret of its namespaces.
    pub fn canaries(&self) -> &Canaries {
        &self.canaries
    }

    /// Looks for canaries in everything that the scene's agents said, answered and wrote so far; returns where they are.
    pub fn search(&self, canaries: &Canaries) -> Vec<String> {
        let places = [self.control.as_str(), &self.namespace];
        let mut found = search(canaries, &self.agents.borrow(), self.place.kube, places);
        for (command, told) in self.told.borrow().iter() {
            let names = canaries.found_in(told).into_iter();
            found.extend(names.map(|name| format!("{name} stands in what `{command}` prints")));
        }
        found
    }

    /// Has what a command prints looked through as well. `render` prints what Git holds, Secrets as they are.
    pub fn keep(&self, arguments: &[&str], printed: String) {
        if arguments.first() != Some(&"render") {
            self.told.borrow_mut().push((format!("tautline {}", arguments.join(" ")), printed));
        }
    }

    /// Looks out for what an agent shows to the API server: that is a secret as well.
    pub(crate) fn add_credentials(&self, settings: &Settings) {
        let text = fs::read_to_string(&settings.kubeconfig).unwrap_or_default();
        for token in values(&text, "token: ") {
            self.canaries.add(AGENTS_TOKEN, token);
        }
        let of_pod = settings.var_run.iter().map(|folder| folder.join(POD_TOKEN));
        for file in values(&text, "tokenFile: ").map(PathBuf::from).chain(of_pod) {
            self.canaries.add(AGENTS_TOKEN, &fs::read_to_string(file).unwrap_or_default());
        }
    }

    /// Fails the test where an agent told one of the scene's secrets.
    pub(crate) fn sweep(&self) {
        for namespace in [&self.control, &self.namespace] {
            self.place
                .kube
                .list(("v1", "Secret", namespace))
                .iter()
                .for_each(|secret| self.canaries.add_secret(secret));
        }
        // Files of tokens are replaced while agents run.
        self.agents.borrow().iter().for_each(|agent| self.add_credentials(&agent.settings));
        let found = self.search(&self.canaries);
        assert!(found.is_empty(), "an agent told a secret:\n{}", found.join("\n"));
    }
}

/// Returns where canaries were found, one sentence each, in what agents said, answered and keep on disk, and in what stands
/// in a control namespace, or as an event in an app's.
fn search(canaries: &Canaries, agents: &[Traces], kube: &Kube, [control, app]: [&str; 2]) -> Vec<String> {
    let mut found = Vec::new();
    let mut look = |place: &str, text: &str| {
        let names = canaries.found_in(text).into_iter();
        found.extend(names.map(|name| format!("{name} stands in {place}")));
    };
    for agent in agents {
        overhear(&agent.log);
        look("a log", &agent.log.text());
        look("what an agent prints", &fs::read_to_string(output_of(&agent.settings)).unwrap_or_default());
        for (asked, answer) in agent.log.answers() {
            look(&format!("the answer to {asked}"), &answer);
        }
    }
    let written = WRITTEN.map(|(api_version, kind)| (api_version, kind, control));
    for (api_version, kind, namespace) in written.into_iter().chain([("v1", "Event", app)]) {
        for object in kube.list((api_version, kind, namespace)) {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            look(&format!("{kind} {name}"), &object.to_string());
        }
    }
    for agent in agents {
        found.extend(search_cache(canaries, &agent.settings.cache));
    }
    found
}

/// Looks through a cache folder. Rendered manifests, Secrets among them, are kept in it, for a restart without Git; nobody
/// else may read those.
fn search_cache(canaries: &Canaries, cache: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for file in files_below(cache) {
        let folder = file.parent().unwrap_or(cache);
        if folder.ends_with("rendered") {
            let is_open = fs::metadata(folder).is_ok_and(|data| data.permissions().mode() & 0o077 != 0);
            found.extend(is_open.then(|| format!("others may look into {}", folder.display())));
        } else {
            // One that is gone meanwhile holds nothing.
            let text = fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let names = canaries.found_in(&text.unwrap_or_default()).into_iter();
            found.extend(names.map(|name| format!("{name} stands in {}", file.display())));
        }
    }
    found
}

/// Returns what follows a field of a kubeconfig, wherever it stands.
fn values<'a>(text: &'a str, field: &'a str) -> impl Iterator<Item = &'a str> {
    let words = text.split(field).skip(1).filter_map(|rest| rest.split_whitespace().next());
    words.map(|word| word.trim_matches(['"', '}', ']']))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.path())).collect()
}

/// Asks a running agent for everything that it answers, and keeps the answers beside its log. Nothing is asked of one that
/// does not run.
pub(crate) fn overhear(log: &Log) {
    let Some((api, probes)) = log.addresses() else { return };
    let end = Instant::now() + LONGEST;
    let ask = |to: SocketAddr, path: &str, accept: &str, longest: Duration| {
        let left = end.saturating_duration_since(Instant::now()).min(longest);
        let as_whom =
            log.token().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let headers = format!("Accept: {accept}\r\n{as_whom}");
        let answer =
            if left.is_zero() { Ok(String::new()) } else { http::overhear(to, path, &headers, left) };
        let answer = answer.unwrap_or_default();
        log.keep(&format!("GET {path}"), &answer);
        answer
    };
    for path in ["/metrics", "/healthz", "/readyz"] {
        ask(probes, path, "*/*", LONGEST);
    }
    let names = names(&ask(api, "/api/v1/applications?fields=items.metadata.name", "*/*", LONGEST));
    for route in api::ROUTES.iter().filter(|route| route.method == "GET") {
        let (n_apps, media_types, longest): (_, &[&str], _) = match route.lasts {
            Lasts::Shortly => (APPS, &["application/json", "text/plain"], LONGEST),
            Lasts::Long => (1, &["*/*"], A_MOMENT),
        };
        let of_apps = names.iter().take(n_apps);
        // The first of an app's releases, which is the longest kept.
        let of_apps = of_apps.map(|name| route.path.replace("{name}", name).replace("{id}", "1"));
        let is_of_app = route.path.contains("{name}");
        let paths: Vec<String> = if is_of_app { of_apps.collect() } else { vec![route.path.to_owned()] };
        for (path, media_type) in paths.iter().flat_map(|path| media_types.iter().map(move |it| (path, it))) {
            ask(api, path, media_type, longest);
        }
    }
}

/// Returns the names in a list of Applications.
fn names(answer: &str) -> Vec<String> {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let list: Value = serde_json::from_str(body).unwrap_or_default();
    let items = list["items"].as_array().into_iter().flatten();
    items.filter_map(|app| Some(app["metadata"]["name"].as_str()?.to_owned())).collect()
}
