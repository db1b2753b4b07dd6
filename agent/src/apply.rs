//! How is one object brought to what Git wants? Server-side apply, with what has to precede it.

use crate::adopting;
use crate::defined;
use crate::desired::{DesiredSet, Rules};
use crate::judge;
use crate::live::{Baseline, LiveView, images};
use crate::refusal;
use crate::wanted::{Kept, Wanted};
use cluster::{ApplyOptions, Cluster, DeleteOptions, Discovery, Endpoint, Priority, Propagation};
use futures::StreamExt;
use model::{
    App, CallError, ErrorClass, LiveDigest, Object, ObjectKey, ObjectOutcome, ObjectResult, names, tracking,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::OnceCell;

/// How many objects of one app are under way at the same time, so that a large app does not hold up a small one.
const PER_APP: usize = 16;
/// What a stage works with: values only, taken when it begins.
#[derive(Clone)]
pub(crate) struct Job {
    /// The API server, in the app's share.
    pub cluster: Cluster,
    /// The app.
    pub app: Arc<App>,
    /// What Git wants.
    pub set: Arc<DesiredSet>,
    /// Project, discovery and who we are.
    pub rules: Rules,
    /// What is known of the live objects.
    pub known: BTreeMap<ObjectKey, Known>,
    /// Objects that were seen to be gone.
    pub gone: BTreeSet<ObjectKey>,
    /// Which sync it is of, and which one is under way by now; 0 and none for a cascade deletion.
    pub sync: u64,
    pub fence: Option<Arc<AtomicU64>>,
    /// Whether we may still write.
    pub gate: Arc<AtomicBool>,
    /// Whether to change anything.
    pub is_dry_run: bool,
    /// Whether a person asked.
    pub by_person: bool,
    /// Whether all of what Git wants was deployed before: what is missing now, somebody took away.
    pub was_deployed: bool,
    /// That the destination namespace was made: many objects find that it lacks, and one makes it.
    pub namespace: OnceCell<()>,
}

/// What a stage needs to know of a live object.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Its digest.
    pub digest: LiveDigest,
    /// Whether our apply entry holds `spec.replicas`.
    pub owns_replicas: bool,
    /// Whether other tools hold fields.
    pub has_other_managers: bool,
    /// Whether it was once as Git wants it now.
    pub was_in_sync: bool,
}

/// What an apply showed us of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The object as stored.
    pub object: Object,
    /// What later events are compared with.
    pub baseline: Baseline,
}

/// Returns what is known of some objects of an app.
pub(crate) fn known(
    live: &LiveView,
    keys: &[ObjectKey],
    app: &App,
    set: &DesiredSet,
) -> BTreeMap<ObjectKey, Known> {
    let entry = |key: &ObjectKey| {
        let entry = live.get(key)?;
        let wanted = set.objects.get(key);
        let question = wanted.map(|wanted| judge::question(app, key, wanted.digest));
        let known_good = entry.baseline.as_ref().map(|baseline| baseline.desired);
        Some((
            key.clone(),
            Known {
                digest: entry.digest.clone(),
                owns_replicas: entry.owns_replicas,
                has_other_managers: match entry.takes_over {
                    Some(takes_over) if entry.judged_by == question => takes_over,
                    Some(_) | None => entry.has_other_managers,
                },
                was_in_sync: known_good.is_some() && known_good == wanted.map(|wanted| wanted.digest),
            },
        ))
    };
    keys.iter().filter_map(entry).collect()
}

/// Applies objects in parallel; one bad object stops only itself.
pub(crate) async fn stage(mut job: Job, keys: Vec<ObjectKey>) -> (Vec<ObjectResult>, Vec<Seen>) {
    let defined = defined::just_defined(&job, &keys);
    let is_told = |discovery: &Discovery| defined.iter().all(|gvk| discovery.endpoint(gvk).is_some());
    if !defined.is_empty()
        && let Ok(discovery) = Box::pin(job.cluster.discover_until(is_told)).await
    {
        job.rules.discovery = Arc::new(discovery);
    }
    let job = Arc::new(job);
    let outcomes = futures::stream::iter(keys).map(|key| {
        let job = Arc::clone(&job);
        async move {
            // Opened when its turn comes.
            let wanted = job.set.objects.get(&key).map(Kept::open);
            let (outcome, seen) = apply(&job, &key, wanted.as_ref()).await;
            let result = ObjectResult {
                version: wanted.as_ref().map(|w| w.object.gvk().version).unwrap_or_default(),
                images: wanted.as_ref().map(|w| images(&w.object)).unwrap_or_default(),
                key,
                outcome,
            };
            (result, seen)
        }
    });
    let mut outcomes: Vec<_> = outcomes.buffer_unordered(PER_APP).collect().await;
    outcomes.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
    let (results, seen): (Vec<_>, Vec<_>) = outcomes.into_iter().unzip();
    (results, seen.into_iter().flatten().collect())
}

impl Job {
    /// Returns the turn of all of its requests: that of who waits for it.
    pub(crate) fn priority(&self) -> Priority {
        if self.by_person { Priority::User } else { Priority::Apply }
    }

    /// Returns why nothing of this job may begin any more: a newer sync took over, or we are not the writer now.
    pub(crate) fn obstacle(&self) -> Option<CallError> {
        let is_newest = self.fence.as_ref().is_none_or(|fence| fence.load(Ordering::Acquire) == self.sync);
        let (class, why) = match (is_newest, self.gate.load(Ordering::Acquire)) {
            (true, true) => return None,
            (false, _) => (ErrorClass::Unavailable, "a newer sync took over"),
            (true, false) => (ErrorClass::Withheld, "this replica does not write any more"),
        };
        Some(CallError::new(class, why))
    }
}

async fn apply(job: &Job, key: &ObjectKey, wanted: Option<&Wanted>) -> (ObjectOutcome, Option<Seen>) {
    if let Some(error) = job.obstacle() {
        return (failed(error.class, error.message), None);
    }
    let Some(wanted) = wanted else {
        return (failed(ErrorClass::Invalid, "it is not in this revision's manifests".into()), None);
    };
    let gvk = wanted.object.gvk();
    let Some(endpoint) = job.rules.discovery.endpoint(&gvk) else {
        let unknown = refusal::unknown_kind(&job.rules.discovery, &gvk);
        return (failed(unknown.class, unknown.message), None);
    };
    if let Err(rule) =
        job.rules.project.permits(&gvk.group_kind(), endpoint.namespaced, &key.name, &key.namespace)
    {
        return (failed(ErrorClass::Denied, rule), None);
    }
    match converge(job, wanted, &endpoint).await {
        Ok((outcome, stored)) if job.is_dry_run => {
            drop(stored);
            (outcome, None)
        }
        Ok((outcome, stored)) => {
            let established = defined::established(job, &endpoint, &stored).await;
            let baseline = judge::after_apply(&job.app, wanted, &stored);
            let seen = Some(Seen { object: stored, baseline });
            (established.map_or_else(|error| refusal::outcome(error, key), |()| outcome), seen)
        }
        Err(error) => (refusal::outcome(error, key), None),
    }
}

/// Prepares what has to precede the apply, applies, and takes over what other tools still hold.
async fn converge(
    job: &Job,
    wanted: &Wanted,
    endpoint: &Endpoint,
) -> Result<(ObjectOutcome, Object), CallError> {
    let known = job.known.get(&wanted.object.key());
    if !job.is_dry_run {
        adopting::prepare(job, wanted, endpoint, known).await?;
    }
    let mut applied = match send(job, wanted, endpoint).await {
        Err(error) => adopting::without_additions(job, wanted, endpoint, error).await?,
        Ok(applied) => applied,
    };
    let is_stranger = known.is_none() && !applied.created;
    // It was there before us: what other tools hold outside of what Git wants goes with a second apply.
    if is_stranger && !job.is_dry_run && adopting::take_over(job, wanted, endpoint, &applied.object).await? {
        applied = send(job, wanted, endpoint).await?;
    }
    let before = known.map(|known| known.digest.resource_version.as_str());
    let is_unchanged = if job.is_dry_run {
        // The answer to a dry run carries the old resourceVersion, whatever would change.
        known.is_some_and(|known| known.digest.matching == model::Match::InSync)
    } else {
        before == Some(applied.object.resource_version())
    };
    let outcome = if applied.created {
        ObjectOutcome::Created
    } else if is_unchanged {
        ObjectOutcome::Unchanged
    } else {
        ObjectOutcome::Configured
    };
    Ok((outcome, applied.object))
}

/// Sends one apply.
pub(crate) async fn send(
    job: &Job,
    wanted: &Wanted,
    endpoint: &Endpoint,
) -> Result<cluster::Applied, CallError> {
    let options = ApplyOptions {
        manager: names::FIELD_MANAGER.into(),
        force: true,
        dry_run: job.is_dry_run,
        priority: job.priority(),
    };
    match job.cluster.apply(endpoint, &wanted.object, &options).await {
        Err(error) if error.class == ErrorClass::NotFound && creates_namespace(job, wanted) => {
            job.namespace.get_or_try_init(|| create_namespace(job, wanted.object.namespace())).await?;
            job.cluster.apply(endpoint, &wanted.object, &options).await
        }
        other => other,
    }
}

/// `CreateNamespace=true` makes the destination namespace once something fails for the lack of it: no call is spent
/// while it exists. A dry run makes nothing.
fn creates_namespace(job: &Job, wanted: &Wanted) -> bool {
    let namespace = wanted.object.namespace();
    job.app.create_namespace
        && !job.is_dry_run
        && !namespace.is_empty()
        && namespace == job.app.destination.namespace
}

async fn create_namespace(job: &Job, name: &str) -> Result<(), CallError> {
    let gvk = model::GroupVersionKind::from_api_version("v1", "Namespace");
    let Some(endpoint) = job.rules.discovery.endpoint(&gvk) else { return Ok(()) };
    // Whoever may not deploy a Namespace may not have one made either, as with Argo CD.
    let permitted = job.rules.project.permits(&gvk.group_kind(), endpoint.namespaced, name, "");
    permitted.map_err(|rule| CallError::new(ErrorClass::Denied, rule))?;
    // Without tracking, as Argo CD makes it: such a namespace is never pruned.
    let body = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let Ok(body) = Object::from_value(body) else { return Ok(()) };
    match job.cluster.create_at(job.priority(), &endpoint, &body, names::FIELD_MANAGER).await {
        Ok(_) => Ok(()),
        Err(error) if error.class == ErrorClass::Conflict => Ok(()),
        Err(error) => Err(error),
    }
}

fn failed(class: ErrorClass, message: String) -> ObjectOutcome {
    ObjectOutcome::Failed(class, message)
}

/// Deletes objects in parallel, each only as it was when it proved to be ours.
pub(crate) async fn prune(job: Job, keys: Vec<ObjectKey>) -> Vec<ObjectResult> {
    let job = Arc::new(job);
    let results = futures::stream::iter(keys).map(|key| {
        let job = Arc::clone(&job);
        async move {
            let skipped = |why: &str| ObjectOutcome::PruneSkipped(why.into());
            let outcome = match job.known.get(&key) {
                None if job.gone.contains(&key) => ObjectOutcome::Pruned,
                None => skipped("ignored (it does not carry our label any more)"),
                Some(known) if !may_still_go(&job, &known.digest) => {
                    skipped("ignored (it changed since the sync began)")
                }
                Some(_) if job.is_dry_run => ObjectOutcome::Pruned,
                Some(known) => match delete(&job, &known.digest, Propagation::Foreground).await {
                    Ok(()) => ObjectOutcome::Pruned,
                    Err(error) => refusal::of_prune(error, &key),
                },
            };
            let version = job.known.get(&key).map(|known| known.digest.version.clone()).unwrap_or_default();
            ObjectResult { key, version, outcome, images: Vec::new() }
        }
    });
    let mut results: Vec<_> = results.buffer_unordered(PER_APP).collect().await;
    results.sort_by(|a, b| a.key.cmp(&b.key));
    results
}

fn may_still_go(job: &Job, digest: &LiveDigest) -> bool {
    let instance = job.app.key.instance_name(&job.rules.identity.control_namespace);
    let part_of = tracking::part_of_label(&job.app.key);
    plan::prune::is_still_deletable(&job.app, digest, (&instance, &part_of))
}

/// Deletes one object if it is still what the digest says: the third witness is on the live object itself, and uid and
/// resourceVersion make the API server hold it to that.
pub(crate) async fn delete(
    job: &Job,
    digest: &LiveDigest,
    propagation: Propagation,
) -> Result<(), CallError> {
    if digest.is_deleting {
        return Ok(());
    }
    if let Some(error) = job.obstacle() {
        return Err(error);
    }
    let kind = digest.key.group_kind();
    let discovery = &job.rules.discovery;
    let Some(endpoint) = discovery.endpoint(&digest.gvk()).or_else(|| discovery.preferred(&kind)) else {
        // The objects of a kind that certainly is not there went with it.
        return if discovery.is_absent(&kind) {
            Ok(())
        } else {
            Err(refusal::unknown_kind(discovery, &digest.gvk()))
        };
    };
    job.rules
        .project
        .permits(&digest.key.group_kind(), endpoint.namespaced, &digest.key.name, &digest.key.namespace)
        .map_err(|rule| CallError::new(ErrorClass::Denied, rule))?;
    let options = DeleteOptions {
        uid: digest.uid.clone(),
        resource_version: digest.resource_version.clone(),
        propagation,
        priority: job.priority(),
    };
    job.cluster.delete(&endpoint, &digest.key, &options).await.map(drop)
}
