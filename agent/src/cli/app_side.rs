//! What does the cluster hold of an app beside its objects: the Application, its project, who the agent is?

use crate::cli::changes::{Action, Change, deleted};
use crate::cli::failure::Failure;
use crate::cli::owners::Owners;
use crate::desired::{DesiredSet, Identity, Rules};
use crate::exit;
use crate::facts::Facts;
use crate::live::digest_of;
use crate::settings::Settings;
use crate::tools::talk;
use crate::workloads::Assessment;
use application::Project;
use cluster::{Cluster, Discovery, Endpoint, Priority};
use model::{App, AppKey, ErrorClass, Evidence, LiveDigest, Match, Object, ObjectKey, Timestamp, tracking};
use plan::prune::Prune;
use plan::{DesiredObject, Plan, Side};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An app with all that decides about its objects.
pub(crate) struct AppSide {
    /// The Application as it was read.
    pub raw: Value,
    /// What it asks for.
    pub app: App,
    /// Who the agent is, the project, and the kinds of the cluster.
    pub rules: Rules,
}

impl AppSide {
    /// Reads it all.
    pub(crate) async fn read(cluster: &Cluster, key: &AppKey) -> Result<Self, Failure> {
        let raw = crate::cli::app::application(cluster, key).await?;
        let app = application::read(&raw).map_err(|problems| {
            let wrong: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::new(exit::OTHER, format!("Application {key} is wrong: {}", wrong.join("; ")))
        })?;
        let control = &key.namespace;
        let project = project(cluster, control, &app.project).await?;
        let identity = Identity::new(control, installation_id(cluster, control).await?);
        let discovery = discovery(cluster).await?;
        let rules = Rules { identity, project, discovery: Arc::new(discovery) };
        Ok(Self { raw, app, rules })
    }

    /// Finds out what of the app's objects Git does not want any more, and what a sync would do about it.
    pub(crate) async fn extras(
        &self,
        cluster: &Cluster,
        (set, owners): (&DesiredSet, &Owners),
        wanted_live: &BTreeMap<ObjectKey, Object>,
        prune: Prune,
    ) -> Result<Vec<Change>, Failure> {
        let mut live = wanted_live.clone();
        for (key, object) in self.unwanted(cluster, set, owners).await? {
            live.insert(key, object);
        }
        let digests: BTreeMap<ObjectKey, LiveDigest> =
            live.iter().map(|(key, object)| (key.clone(), self.digest(object))).collect();
        let mut plan = Plan::default();
        let permits = |key: &ObjectKey| {
            let is_namespaced = !key.namespace.is_empty();
            self.rules.project.permits(&key.group_kind(), is_namespaced, &key.name, &key.namespace).is_ok()
        };
        plan::prune::add(
            &mut plan,
            &self.app,
            &self.comparison(set, &digests),
            &digests,
            prune,
            (permits, |_: &LiveDigest| false),
        );
        Ok(told(&plan, &live))
    }

    fn digest(&self, object: &Object) -> LiveDigest {
        let assessment = Assessment { health: health::assess(object), evidence: Evidence::None };
        let mut digest = digest_of(object, &self.rules.identity.instance_label, assessment);
        digest.matching = Match::InSync;
        digest
    }

    fn comparison(&self, set: &DesiredSet, live: &BTreeMap<ObjectKey, LiveDigest>) -> model::Comparison {
        let desired: Vec<DesiredObject> = set
            .objects
            .iter()
            .map(|(key, kept)| DesiredObject { key: key.clone(), version: kept.version().to_owned() })
            .collect();
        let key = &self.app.key;
        let instance = key.instance_name(&self.rules.identity.control_namespace);
        let side = Side {
            hash: set.hash(),
            desired: &desired,
            live,
            refused: &BTreeMap::new(),
            inherited: &BTreeMap::new(),
            blind: &BTreeSet::new(),
            unclear: &BTreeSet::new(),
            is_complete: true,
            owner: (&instance, &tracking::part_of_label(key)),
            own_key: &ObjectKey::new("argoproj.io", "Application", &key.namespace, &key.name),
            shared: &[],
            unseen: &[],
        };
        plan::compare(&side, health::aggregate)
    }

    /// Reads what the status lists and Git does not want.
    async fn unwanted(
        &self,
        cluster: &Cluster,
        set: &DesiredSet,
        owners: &Owners,
    ) -> Result<BTreeMap<ObjectKey, Object>, Failure> {
        let mut found = BTreeMap::new();
        for entry in Facts(&self.raw).list("/status/resources") {
            let of = Facts(entry);
            let [group, kind, namespace, name] =
                ["/group", "/kind", "/namespace", "/name"].map(|field| of.text(field));
            let key = ObjectKey::new(group, kind, namespace, name);
            let Some(endpoint) = self.rules.discovery.preferred(&key.group_kind()) else { continue };
            if set.objects.contains_key(&key) || owners.is_moving(&key) {
                continue;
            }
            let read = cluster.get_at(Priority::User, &endpoint, namespace, name).await;
            let read = read.map_err(|error| Failure::of_call(&format!("read {key}"), &error))?;
            found.extend(read.and_then(|value| Object::from_value(value).ok()).map(|object| (key, object)));
        }
        Ok(found)
    }
}

/// Tells a plan's deletions, and what stays although Git does not have it any more.
fn told(plan: &Plan, live: &BTreeMap<ObjectKey, Object>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut tell = |key: &ObjectKey, action, why: &str| {
        changes.extend(live.get(key).map(|object| deleted(object, action, why)));
    };
    for key in plan.prunes.iter().flat_map(|stage| &stage.keys) {
        tell(key, Action::Delete, "");
    }
    for skipped in &plan.skipped {
        let why = match &skipped.outcome {
            model::ObjectOutcome::PruneSkipped(why) => why.as_str(),
            _ => "",
        };
        tell(&skipped.key, Action::Keep, why);
    }
    for key in &plan.unconfirmed {
        tell(key, Action::Keep, "its deletion waits for a person's consent");
    }
    changes
}

/// Returns who wants what Git no longer has to go.
pub(crate) fn prune(app: &App, by_person: bool, now: Timestamp) -> Prune {
    match app.automated {
        _ if by_person => Prune::Person(now),
        Some(automated) if automated.prune => Prune::Automated(now),
        Some(_) | None => Prune::No,
    }
}

/// Asks which kinds the cluster has.
pub(crate) async fn discovery(cluster: &Cluster) -> Result<Discovery, Failure> {
    cluster.discover().await.map_err(|error| Failure::of_call("ask which kinds the cluster has", &error))
}

async fn project(cluster: &Cluster, control: &str, name: &str) -> Result<Arc<Project>, Failure> {
    let endpoint = Endpoint::new("argoproj.io/v1alpha1", "AppProject", "appprojects", true);
    let read = cluster.get_at(Priority::User, &endpoint, control, name).await;
    let what = format!("read AppProject {control}/{name}");
    let mut settings = Settings::default();
    if let Some(value) = read.map_err(|error| Failure::of_call(&what, &error))? {
        let object =
            Object::from_value(value).map_err(|why| Failure::new(exit::OTHER, format!("{what}: {why}")))?;
        settings.put_project(&object);
    }
    settings.project(name).map_err(|problems| {
        let wrong: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(exit::OTHER, wrong.join("; "))
    })
}

/// Reads `installationID` of `argocd-cm`, which tells the agent's objects from others'.
async fn installation_id(cluster: &Cluster, control: &str) -> Result<Option<String>, Failure> {
    let endpoint = Endpoint::new("v1", "ConfigMap", "configmaps", true);
    match cluster.get_at(Priority::User, &endpoint, control, "argocd-cm").await {
        Ok(config) => {
            let id = config.as_ref().and_then(|config| config["data"]["installationID"].as_str());
            Ok(id.filter(|id| !id.is_empty()).map(str::to_owned))
        }
        Err(error) if error.class == ErrorClass::Forbidden => {
            talk(&format!(
                "warning: ConfigMap {control}/argocd-cm may not be read; going on as if it set no installationID"
            ));
            Ok(None)
        }
        Err(error) => Err(Failure::of_call(&format!("read ConfigMap {control}/argocd-cm"), &error)),
    }
}
