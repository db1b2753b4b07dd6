//! Which kinds does the API server serve, and where?
//!
//! Aggregated discovery (Kubernetes documentation, "Aggregated discovery") tells all of it in two answers. A group whose
//! own server does not answer is `Stale`: its kinds are unknown, which is not the same as absent.

use crate::call::{Answer, Call, Verb, unavailable};
use crate::{Cluster, Endpoint};
use http::Method;
use model::{CallError, ErrorClass, GroupKind, GroupVersionKind};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// How often, and how long apart, discovery is asked for what is to appear.
const TRIES: u32 = 20;
const TRY_WAIT: Duration = Duration::from_millis(250);

/// Whether objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They belong to the cluster.
    Cluster,
}

/// What the API server served when it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    endpoints: BTreeMap<GroupVersionKind, Endpoint>,
    preferred: BTreeMap<GroupKind, GroupVersionKind>,
    /// What people call kinds, in lower case; of several kinds, in the server's order.
    names: BTreeMap<String, Vec<GroupVersionKind>>,
    pub(crate) failed: BTreeSet<String>,
    /// Kinds that their own groups do not tell of, either.
    pub(crate) absent: BTreeSet<GroupKind>,
}

impl Discovery {
    /// Returns where a kind is served at exactly this version.
    pub fn endpoint(&self, gvk: &GroupVersionKind) -> Option<Endpoint> {
        self.endpoints.get(gvk).cloned()
    }

    /// Returns where a kind is served at the version that the server prefers.
    pub fn preferred(&self, kind: &GroupKind) -> Option<Endpoint> {
        self.preferred.get(kind).and_then(|gvk| self.endpoint(gvk))
    }

    /// Finds a kind by what a person calls it, as kubectl does: plural, singular, short name or kind in any case, alone or
    /// followed by a group (`deploy.apps`) or by version and group (`deployments.v1.apps`). Of several kinds the first of
    /// the server's order counts.
    pub fn named(&self, name: &str) -> Option<Endpoint> {
        let name = name.to_ascii_lowercase();
        let (name, rest) = name.split_once('.').unwrap_or((&name, ""));
        let fits = |gvk: &&GroupVersionKind| {
            let GroupVersionKind { group, version, .. } = gvk;
            let is_versioned = || match rest.split_once('.') {
                Some((start, of)) => start == version && of == group,
                None => rest == version && group.is_empty(),
            };
            rest.is_empty() || rest == group || is_versioned()
        };
        self.names.get(name)?.iter().find(fits).and_then(|gvk| self.endpoint(gvk))
    }

    /// Returns whether objects of a kind live in namespaces.
    pub fn scope(&self, gvk: &GroupVersionKind) -> Option<Scope> {
        let endpoint = self.endpoints.get(gvk)?;
        Some(if endpoint.namespaced { Scope::Namespaced } else { Scope::Cluster })
    }

    /// Returns everything that is served, sorted.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.values()
    }

    /// Returns the groups of which some version could not be discovered, sorted: kinds of theirs that are missing here
    /// are unknown, not absent.
    pub fn failed_groups(&self) -> Vec<String> {
        self.failed.iter().cloned().collect()
    }

    /// Returns whether a kind is not told of although its group seems to be told of whole. One answer alone may leave out
    /// what is there, so nothing is forgotten because of it: see [`Discovery::is_absent`].
    pub fn lacks(&self, kind: &GroupKind) -> bool {
        !self.preferred.contains_key(kind) && !self.failed.contains(&kind.group)
    }

    /// Returns whether a kind is certainly not served: its own group was asked as well ([`Cluster::confirm`]).
    pub fn is_absent(&self, kind: &GroupKind) -> bool {
        self.lacks(kind) && self.absent.contains(kind)
    }

    /// Returns the kinds that were asked for and are not served, sorted.
    pub fn absent(&self) -> &BTreeSet<GroupKind> {
        &self.absent
    }

    /// Takes a kind that is lacking as unknown, because something else says that it is there.
    pub fn doubt(&mut self, kind: &GroupKind) {
        self.failed.insert(kind.group.clone());
    }

    /// Returns whether the same is served, and the same groups do not answer.
    pub fn serves_as(&self, other: &Self) -> bool {
        (&self.endpoints, &self.preferred, &self.names, &self.failed)
            == (&other.endpoints, &other.preferred, &other.names, &other.failed)
    }

    /// Adds one answer, the core group's or that of all others.
    fn add(&mut self, answer: &Answer) -> Result<(), CallError> {
        let no_list = || unavailable("the API server does not offer aggregated discovery");
        let text = std::str::from_utf8(&answer.body).map_err(|_| no_list())?;
        let list: List = serde_json::from_str(text).map_err(|_| no_list())?;
        if list.kind != "APIGroupDiscoveryList" {
            return Err(no_list());
        }
        for item in list.items {
            match serde_json::from_str::<Group>(item.get()) {
                Ok(group) => self.add_group(group),
                // One group that does not decode leaves the others alone.
                Err(_) => {
                    self.failed.extend(serde_json::from_str::<Named>(item.get()).map(|n| n.metadata.name));
                }
            }
        }
        Ok(())
    }

    fn add_group(&mut self, group: Group) {
        let name = group.metadata.name;
        for version in group.versions {
            if version.freshness == "Stale" {
                self.failed.insert(name.clone());
            }
            for resource in version.resources.unwrap_or_default() {
                let kind = resource.response_kind.map(|response| response.kind).unwrap_or_default();
                if kind.is_empty() {
                    continue;
                }
                let gvk = GroupVersionKind { group: name.clone(), version: version.name.clone(), kind };
                let names = [resource.singular, resource.plural.clone(), gvk.kind.clone()];
                if self.add_resource(gvk.clone(), resource.plural, &resource.scope, resource.verbs) {
                    self.add_names(&gvk, names.into_iter().chain(resource.short_names.unwrap_or_default()));
                }
            }
        }
    }

    pub(crate) fn add_resource(
        &mut self,
        gvk: GroupVersionKind,
        plural: String,
        scope: &str,
        verbs: Option<Vec<String>>,
    ) -> bool {
        let mut verbs = verbs.unwrap_or_default();
        verbs.sort();
        // Two resources may answer with one kind; the one that can do more is the kind's own.
        if self.endpoints.get(&gvk).is_some_and(|other| other.verbs.len() >= verbs.len()) {
            return false;
        }
        // Versions come in the server's order of preference.
        self.preferred.entry(gvk.group_kind()).or_insert_with(|| gvk.clone());
        let endpoint = Endpoint { gvk: gvk.clone(), plural, namespaced: scope == "Namespaced", verbs };
        self.endpoints.insert(gvk, endpoint);
        true
    }

    pub(crate) fn add_names(&mut self, gvk: &GroupVersionKind, names: impl Iterator<Item = String>) {
        for name in names.map(|name| name.to_ascii_lowercase()).filter(|name| !name.is_empty()) {
            let kinds = self.names.entry(name).or_default();
            if !kinds.contains(gvk) {
                kinds.push(gvk.clone());
            }
        }
    }
}

impl Cluster {
    /// Asks what is served, in two requests.
    pub async fn discover(&self) -> Result<Discovery, CallError> {
        let (core, groups) = futures::future::try_join(self.ask("/api"), self.ask("/apis")).await?;
        let mut discovery = Discovery::default();
        discovery.add(&core)?;
        discovery.add(&groups)?;
        // Every API server has Namespaces; an answer without them is no answer.
        if discovery.lacks(&GroupKind::new("", "Namespace")) {
            return Err(unavailable("the API server's discovery lacks the core group"));
        }
        Ok(discovery)
    }

    /// Asks what is served, again and again for some seconds until it is as waited for: a CRD is established before discovery
    /// tells of its kind. Returns what was told last.
    pub async fn discover_until(&self, is_told: impl Fn(&Discovery) -> bool) -> Result<Discovery, CallError> {
        let mut discovery = self.discover().await?;
        for _ in 0..TRIES {
            if is_told(&discovery) {
                break;
            }
            tokio::time::sleep(TRY_WAIT).await;
            discovery = self.discover().await?;
        }
        Ok(discovery)
    }

    async fn ask(&self, path: &str) -> Result<Answer, CallError> {
        let nowhere = Endpoint::new("", "", "", false);
        let mut call = Call::new(Verb::Discover, &nowhere, Method::GET, path.into());
        call.accept = ACCEPT;
        self.call(call).await.map_err(|error| match error.class {
            // Both paths always exist; a server that says otherwise is still starting.
            ErrorClass::NotFound | ErrorClass::NoSuchKind => {
                CallError { class: ErrorClass::Unavailable, ..error }
            }
            ErrorClass::Conflict
            | ErrorClass::Forbidden
            | ErrorClass::Invalid
            | ErrorClass::Denied
            | ErrorClass::Gone
            | ErrorClass::Throttled
            | ErrorClass::Unavailable
            | ErrorClass::Withheld => error,
        })
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    kind: String,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named {
    metadata: Name,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Group {
    metadata: Name,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "version")]
    name: String,
    #[serde(default)]
    freshness: String,
    #[serde(default)]
    resources: Option<Vec<Resource>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(rename = "resource")]
    plural: String,
    #[serde(default, rename = "singularResource")]
    singular: String,
    #[serde(default)]
    short_names: Option<Vec<String>>,
    #[serde(default)]
    response_kind: Option<ResponseKind>,
    scope: String,
    #[serde(default)]
    verbs: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Reply, cluster};

    const CORE: &str = r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[
        {"metadata":{},"versions":[{"version":"v1","freshness":"Current","resources":[
            {"resource":"namespaces","responseKind":{"group":"","version":"","kind":"Namespace"},"scope":"Cluster","verbs":["watch","get"]},
            {"resource":"configmaps","responseKind":{"kind":"ConfigMap"},"scope":"Namespaced","verbs":["list"],
             "subresources":[{"subresource":"status","responseKind":{"kind":"Scale"},"verbs":["get"]}]}
        ]}]}]}"#;

    const GROUPS: &str = r#"{"kind":"APIGroupDiscoveryList","items":[
        {"metadata":{"name":"apps"},"versions":[
            {"version":"v2","freshness":"Current","resources":[
                {"resource":"deployments","responseKind":{"kind":"Deployment"},"scope":"Namespaced","verbs":["get","list"]},
                {"resource":"aliases","responseKind":{"kind":"Deployment"},"scope":"Namespaced","verbs":["get"]},
                {"resource":"nothing","scope":"Namespaced","verbs":["get"]}]},
            {"version":"v1","freshness":"Current","resources":[
                {"resource":"deployments","responseKind":{"kind":"Deployment"},"scope":"Namespaced","verbs":["get"]}]}]},
        {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1","freshness":"Stale","resources":null}]},
        {"metadata":{"name":"odd.io"},"versions":[{"version":7}]},
        {"metadata":{"name":"b.io"},"versions":[{"version":"v1","freshness":"Current","resources":[
            {"resource":"bs","responseKind":{"kind":"B"},"scope":"Cluster","verbs":null}]}]}
    ]}"#;

    fn gvk(api_version: &str, kind: &str) -> GroupVersionKind {
        GroupVersionKind::from_api_version(api_version, kind)
    }

    async fn discovered() -> Discovery {
        let (cluster, asked) = cluster(vec![Reply::Full(200, CORE.into()), Reply::Full(200, GROUPS.into())]);
        let discovery = cluster.discover().await.unwrap();
        assert_eq!(*asked.lock().unwrap(), ["GET /api", "GET /apis"]);
        discovery
    }

    #[tokio::test]
    async fn kinds_versions_and_scopes() {
        let discovery = discovered().await;
        let endpoints: Vec<String> = discovery
            .endpoints()
            .map(|e| format!("{} {} {} {}", e.gvk, e.plural, e.namespaced, e.verbs.join(",")))
            .collect();
        assert_eq!(
            endpoints,
            [
                "v1 ConfigMap configmaps true list",
                "v1 Namespace namespaces false get,watch",
                "apps/v1 Deployment deployments true get",
                "apps/v2 Deployment deployments true get,list",
                "b.io/v1 B bs false ",
            ]
        );
        let preferred = discovery.preferred(&GroupKind::new("apps", "Deployment")).unwrap();
        assert_eq!(preferred.gvk, gvk("apps/v2", "Deployment"));
        assert_eq!(discovery.scope(&gvk("v1", "ConfigMap")), Some(Scope::Namespaced));
        assert_eq!(discovery.scope(&gvk("b.io/v1", "B")), Some(Scope::Cluster));
        assert_eq!(discovery.scope(&gvk("b.io/v2", "B")), None);
    }

    #[tokio::test]
    async fn people_call_kinds_by_many_names() {
        let core = CORE.replace(
            r#"{"resource":"configmaps","#,
            r#"{"resource":"configmaps","singularResource":"configmap","shortNames":["cm"],"#,
        );
        let groups = GROUPS.replace(
            r#"{"resource":"bs","#,
            r#"{"resource":"bs","singularResource":"b","shortNames":["cm","bb"],"#,
        );
        let (cluster, _) = cluster(vec![Reply::Full(200, core), Reply::Full(200, groups)]);
        let discovery = cluster.discover().await.unwrap();
        let found = |name: &str| discovery.named(name).map(|endpoint| endpoint.gvk.to_string());
        for name in ["configmaps", "configmap", "cm", "ConfigMap", "CM", "configmap.v1"] {
            assert_eq!(found(name).as_deref(), Some("v1 ConfigMap"), "{name}");
        }
        for name in ["deployments", "Deployment", "deployment.apps", "deployments.v2.apps"] {
            assert_eq!(found(name).as_deref(), Some("apps/v2 Deployment"), "{name}");
        }
        assert_eq!(found("Deployment.v1.apps").as_deref(), Some("apps/v1 Deployment"));
        assert_eq!(found("cm.b.io").as_deref(), Some("b.io/v1 B"), "a short name that two have");
        for name in ["", "nothing", "deployments.v3.apps", "deployments.b.io", "configmap.v2"] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[tokio::test]
    async fn kinds_of_a_group_that_does_not_answer_are_unknown_not_absent() {
        let discovery = discovered().await;
        assert_eq!(discovery.failed_groups(), ["metrics.k8s.io", "odd.io"]);
        assert!(!discovery.lacks(&GroupKind::new("metrics.k8s.io", "PodMetrics")));
        assert!(!discovery.lacks(&GroupKind::new("odd.io", "Odd")));
        assert!(discovery.lacks(&GroupKind::new("apps", "Nothing")));
        assert!(!discovery.lacks(&GroupKind::new("b.io", "B")));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_to_appear_is_waited_for_and_not_for_ever() {
        let nothing = r#"{"kind":"APIGroupDiscoveryList","items":[]}"#;
        let answers = |groups: &str| [Reply::Full(200, CORE.into()), Reply::Full(200, groups.into())];
        let told = |discovery: &Discovery| discovery.endpoint(&gvk("b.io/v1", "B")).is_some();
        let (late, asked) =
            cluster([answers(nothing), answers(nothing), answers(GROUPS)].into_iter().flatten().collect());
        assert!(told(&late.discover_until(told).await.unwrap()));
        assert_eq!(asked.lock().unwrap().len(), 6);
        let (never, _) = cluster((0..30).flat_map(|_| answers(nothing)).collect());
        let begun = tokio::time::Instant::now();
        assert!(!told(&never.discover_until(told).await.unwrap()), "what is told last counts");
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        let (away, _) = cluster(answers(nothing).into());
        assert_eq!(away.discover_until(told).await.unwrap_err().class, ErrorClass::Unavailable);
    }

    #[tokio::test]
    async fn half_an_answer_is_none() {
        for (core, groups) in [
            (Reply::Full(200, CORE.into()), Reply::Full(503, String::new())),
            (Reply::Full(404, "404 page not found".into()), Reply::Full(200, GROUPS.into())),
            (Reply::Full(200, r#"{"kind":"APIVersions"}"#.into()), Reply::Full(200, GROUPS.into())),
            (Reply::Full(200, CORE.into()), Reply::Full(200, "{\"kind\":".into())),
            (Reply::Full(200, r#"{"kind":"APIGroupDiscoveryList"}"#.into()), Reply::Full(200, GROUPS.into())),
        ] {
            let (cluster, _) = cluster(vec![core, groups]);
            assert_eq!(cluster.discover().await.unwrap_err().class, ErrorClass::Unavailable);
        }
    }
}
