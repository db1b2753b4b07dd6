//! Is a kind really not served of which discovery does not tell?
//!
//! What is told in one answer may lack what is there: an API server that has just started, or a cache between. So before a kind
//! counts as absent, its group is asked for what it serves itself (Kubernetes documentation, "Unaggregated discovery"): built-in
//! groups and those of CRDs answer from another place of the API server, aggregated ones by their own server. What is told
//! there counts as if it had been told at once; a group that does not answer is unknown.

use crate::call::{Call, Verb, unavailable};
use crate::discovery::Discovery;
use crate::{Cluster, Endpoint};
use futures::StreamExt as _;
use http::Method;
use model::{CallError, ErrorClass, GroupKind, GroupVersionKind};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many groups are asked at the same time.
const AT_ONCE: usize = 4;
/// How often, and how long apart, a group is asked that names a version and does not know it then: one that goes is
/// forgotten in two places, one after the other.
const TRIES: u32 = 6;
const TRY_WAIT: Duration = Duration::from_millis(500);

impl Cluster {
    /// Asks the groups of those of some kinds that discovery lacks. Kinds that were absent before are not asked for again: of
    /// what never came there is nothing to lose.
    pub async fn confirm(
        &self,
        discovery: &mut Discovery,
        kinds: &BTreeSet<GroupKind>,
        before: &BTreeSet<GroupKind>,
    ) {
        let lacking: BTreeSet<&GroupKind> = kinds.iter().filter(|kind| discovery.lacks(kind)).collect();
        let groups: BTreeSet<String> =
            lacking.iter().filter(|kind| !before.contains(kind)).map(|kind| kind.group.clone()).collect();
        let answers = groups.into_iter().map(|group| async { (self.group(&group).await, group) });
        let answers: Vec<_> = futures::stream::iter(answers).buffered(AT_ONCE).collect().await;
        for (answer, group) in answers {
            match answer {
                Ok(resources) => resources.into_iter().for_each(|resource| resource.add_to(discovery)),
                Err(error) => {
                    tracing::debug!(group, %error, "it cannot be told what an API group serves");
                    discovery.failed.insert(group);
                }
            }
        }
        discovery.absent = lacking.into_iter().filter(|kind| discovery.lacks(kind)).cloned().collect();
    }

    /// Returns what a group serves, as it says itself: nothing where there is no such group.
    async fn group(&self, group: &str) -> Result<Vec<Resource>, CallError> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if !group.chars().all(is_name) || group.starts_with('.') {
            // The API server has none of such a name.
            return Ok(Vec::new());
        }
        let mut tries = 1;
        loop {
            match self.try_group(group).await {
                Err(error) if error.class == ErrorClass::NoSuchKind && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(TRY_WAIT).await;
                }
                answer => return answer,
            }
        }
    }

    async fn try_group(&self, group: &str) -> Result<Vec<Resource>, CallError> {
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let versions: Vec<String> = match self.told::<Group>(group, &root).await {
            Ok(answer) => answer.versions.into_iter().map(Version::into_name).collect(),
            Err(error) if error.class == ErrorClass::NoSuchKind && !group.is_empty() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut resources = Vec::new();
        for version in versions {
            let list: List = self.told(group, &format!("{root}/{version}")).await?;
            let own = list.resources.into_iter().filter(|resource| !resource.name.contains('/'));
            resources.extend(own.map(|resource| Resource {
                group: group.to_owned(),
                version: version.clone(),
                ..resource
            }));
        }
        Ok(resources)
    }

    async fn told<T: for<'a> Deserialize<'a>>(&self, group: &str, path: &str) -> Result<T, CallError> {
        let of_group = Endpoint::new(&format!("{group}/"), "", "", false);
        let answer = self.call(Call::new(Verb::Discover, &of_group, Method::GET, path.into())).await?;
        serde_json::from_slice(&answer.body).map_err(|_| unavailable(format!("{path} is no discovery")))
    }
}

/// An `APIGroup`, or `APIVersions` for the core group.
#[derive(Deserialize)]
struct Group {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Core(String),
    Named { version: String },
}

impl Version {
    fn into_name(self) -> String {
        match self {
            Self::Core(version) | Self::Named { version } => version,
        }
    }
}

/// An `APIResourceList`.
#[derive(Deserialize)]
struct List {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(skip)]
    group: String,
    #[serde(skip)]
    version: String,
    name: String,
    #[serde(default)]
    singular_name: String,
    #[serde(default)]
    short_names: Vec<String>,
    namespaced: bool,
    kind: String,
    #[serde(default)]
    verbs: Vec<String>,
}

impl Resource {
    fn add_to(self, discovery: &mut Discovery) {
        let gvk = GroupVersionKind { group: self.group, version: self.version, kind: self.kind };
        let names = [self.singular_name, self.name.clone(), gvk.kind.clone()];
        let scope = if self.namespaced { "Namespaced" } else { "Cluster" };
        if discovery.add_resource(gvk.clone(), self.name, scope, Some(self.verbs)) {
            discovery.add_names(&gvk, names.into_iter().chain(self.short_names));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Asked, Reply, server};

    const GROUP: &str =
        r#"{"kind":"APIGroup","name":"b.io","versions":[{"groupVersion":"b.io/v1","version":"v1"}]}"#;
    const VERSION: &str = r#"{"kind":"APIResourceList","groupVersion":"b.io/v1","resources":[
        {"name":"bs","singularName":"b","namespaced":true,"kind":"B","verbs":["list","get"],"shortNames":["bb"]},
        {"name":"bs/status","singularName":"","namespaced":true,"kind":"B","verbs":["get"]}]}"#;
    const NONE: &str = "404 page not found\n";

    fn kinds(kinds: &[&str]) -> BTreeSet<GroupKind> {
        kinds.iter().map(|kind| GroupKind::new("b.io", *kind)).collect()
    }

    /// A cluster whose group answers like this, by path.
    fn says(answers: &'static [(&'static str, u16, &'static str)]) -> (Cluster, Asked) {
        server(move |request| {
            let answer = answers.iter().find(|(path, ..)| *path == request.url);
            answer.map_or(Reply::Refused, |(_, status, body)| Reply::Full(*status, (*body).into()))
        })
    }

    async fn confirmed(answers: &'static [(&'static str, u16, &'static str)], asked: &[&str]) -> Discovery {
        let mut discovery = Discovery::default();
        says(answers).0.confirm(&mut discovery, &kinds(asked), &BTreeSet::new()).await;
        discovery
    }

    #[tokio::test]
    async fn what_a_group_tells_of_itself_counts_as_told() {
        let answers = &[("/apis/b.io", 200, GROUP), ("/apis/b.io/v1", 200, VERSION)];
        let discovery = confirmed(answers, &["B", "C"]).await;
        let endpoint = discovery.preferred(&GroupKind::new("b.io", "B")).unwrap();
        assert_eq!((endpoint.plural.as_str(), endpoint.namespaced), ("bs", true));
        assert_eq!(endpoint.verbs, ["get", "list"]);
        assert_eq!(discovery.named("bb.b.io"), Some(endpoint));
        let absent = GroupKind::new("b.io", "C");
        assert!(discovery.is_absent(&absent) && !discovery.is_absent(&GroupKind::new("b.io", "B")));
        assert!(!discovery.is_absent(&GroupKind::new("b.io", "D")), "nobody asked");
        assert!(discovery.lacks(&GroupKind::new("b.io", "D")));
    }

    #[tokio::test]
    async fn a_kind_is_absent_where_there_is_no_such_group_and_unknown_where_that_cannot_be_told() {
        let kind = GroupKind::new("b.io", "B");
        assert!(confirmed(&[("/apis/b.io", 404, NONE)], &["B"]).await.is_absent(&kind));
        let unknown: [&'static [(&str, u16, &str)]; 5] = [
            &[],
            &[("/apis/b.io", 503, "")],
            &[("/apis/b.io", 200, "{}")],
            &[("/apis/b.io", 200, GROUP), ("/apis/b.io/v1", 503, "")],
            &[("/apis/b.io", 200, GROUP), ("/apis/b.io/v1", 200, GROUP)],
        ];
        for answers in unknown {
            let discovery = confirmed(answers, &["B"]).await;
            assert!(!discovery.is_absent(&kind) && !discovery.lacks(&kind), "{answers:?}");
            assert_eq!(discovery.failed_groups(), ["b.io"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_that_is_named_and_not_known_is_asked_for_again_and_not_for_ever() {
        let answers = &[("/apis/b.io", 200, GROUP), ("/apis/b.io/v1", 404, NONE)];
        let discovery = confirmed(answers, &["B"]).await;
        assert_eq!(discovery.failed_groups(), ["b.io"]);
        let mut n_asked = 0;
        let (goes, asked) = server(move |request| {
            n_asked += 1;
            let body = if n_asked > 2 || request.url != "/apis/b.io" { (404, NONE) } else { (200, GROUP) };
            Reply::Full(body.0, body.1.into())
        });
        let mut discovery = Discovery::default();
        goes.confirm(&mut discovery, &kinds(&["B"]), &BTreeSet::new()).await;
        assert!(discovery.is_absent(&GroupKind::new("b.io", "B")));
        assert_eq!(*asked.lock().unwrap(), ["GET /apis/b.io", "GET /apis/b.io/v1", "GET /apis/b.io"]);
    }

    #[tokio::test]
    async fn what_was_absent_before_is_not_asked_for_again_and_what_cannot_be_a_group_never() {
        let (cluster, asked) = says(&[]);
        let mut discovery = Discovery::default();
        let known = BTreeSet::from([GroupKind::new("b.io", "B"), GroupKind::new("../x?y", "Z")]);
        cluster.confirm(&mut discovery, &known, &kinds(&["B"])).await;
        assert!(known.iter().all(|kind| discovery.is_absent(kind)), "{discovery:?}");
        assert_eq!(asked.lock().unwrap().len(), 0);
    }
}
