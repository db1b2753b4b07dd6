//! How do the objects of a deleted Application go?

use crate::agent::Agent;
use crate::applications::patch_application;
use crate::apply::{self, Job};
use crate::apps::AppEntry;
use crate::input::Input;
use crate::refusal;
use cluster::{Priority, Propagation};
use engine::{CascadePass, Event};
use model::{App, AppKey, CallError, Cascade, ErrorClass, LiveDigest, ObjectKey, names};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How long a watch may take to tell of a deletion. The next pass after that asks for it again; no timer begins one.
const ON_ITS_WAY: Duration = Duration::from_secs(30);

/// Starts a pass: deletes what proves to be the app's and is not going yet, and tells what is left.
pub(crate) fn start(agent: &mut Agent, key: &AppKey, app: &Arc<App>, policy: Cascade) {
    let Some(entry) = agent.apps.get(key) else { return };
    if let Some(pass) = obstacle(agent, key, entry) {
        agent.spawn_ready(Input::Cascaded(key.clone(), pass, Answers::default()));
        return;
    }
    let own_key = ObjectKey::new("argoproj.io", "Application", &key.namespace, &key.name);
    let permits = |object: &ObjectKey| Agent::permits(entry, object);
    let cascaded = plan::prune::cascade(app, agent.digests_of(entry), owner(entry), &own_key, permits);
    let not_permitted = cascaded.not_permitted.iter().map(|digest| digest.key.to_string()).collect();
    let (waiting, going): (Vec<_>, Vec<_>) =
        cascaded.going.into_iter().cloned().partition(|d| d.delete_needs_confirmation && !is_approved(app));
    let unconfirmed: Vec<String> = waiting.iter().map(|digest| digest.key.to_string()).collect();
    // One that asks holds all of them up, as Argo CD does: a person decides about the whole.
    let going = if unconfirmed.is_empty() { going } else { Vec::new() };
    let (asked, going): (Vec<_>, Vec<_>) = going.into_iter().partition(|digest| is_on_its_way(entry, digest));
    // They may be the app's, so it does not go before them.
    let (failed, unseen) = (Agent::not_taken_over(entry), agent.unseen_of_all());
    let propagation = match policy {
        Cascade::Background => Propagation::Background,
        Cascade::Foreground | Cascade::Orphan => Propagation::Foreground,
    };
    let (job, before) = (job(agent, entry, app), entry.conflicts.clone());
    let key = key.clone();
    agent.spawn(async move {
        let passed = pass(job, going, propagation, before).await;
        let remaining = asked.iter().map(what_is_left).chain(passed.remaining).collect();
        let (failed, not_yet) = (passed.failed.into_iter().chain(failed).collect(), Vec::new());
        let has_conflicts = !passed.answers.conflicts.is_empty();
        let pass =
            CascadePass { remaining, has_conflicts, unconfirmed, failed, unseen, not_yet, not_permitted };
        Input::Cascaded(key, pass, passed.answers)
    });
}

/// Returns whether an object was asked to go and has not changed since: the watch tells of it later than the answer did.
fn is_on_its_way(entry: &AppEntry, digest: &LiveDigest) -> bool {
    let asked = entry.asked_to_go.get(&digest.key);
    asked.is_some_and(|(version, at)| *version == digest.resource_version && at.elapsed() < ON_ITS_WAY)
}

/// Returns a pass that deletes nothing, where it is not known what the app has or whether it is read-only.
fn obstacle(agent: &Agent, key: &AppKey, entry: &AppEntry) -> Option<CascadePass> {
    let own_kinds = agent.kinds_of(entry, entry.current().map(AsRef::as_ref));
    let is_inheriting = agent.is_inheriting(key);
    if is_inheriting || own_kinds.iter().any(|kind| !agent.live.sees(kind)) {
        let inheriting =
            is_inheriting.then(|| "some of what its status lists has yet to be looked at".to_owned());
        let unseen = agent.unseen_of_all().into_iter().chain(inheriting).chain(agent.unseen(own_kinds));
        let unseen = unseen.collect::<BTreeSet<_>>().into_iter().collect();
        return Some(CascadePass { unseen, ..CascadePass::default() });
    }
    // What Git holds may make the app read-only; where nobody knows that, its objects say how Git wanted them.
    let not_yet = match &entry.state.desired {
        Some(_) => Vec::new(),
        None => plan::prune::not_yet(agent.digests_of(entry), owner(entry)),
    };
    (!not_yet.is_empty()).then(|| CascadePass { not_yet, ..CascadePass::default() })
}

/// Returns whether a person consented to the deletion after it was asked for.
fn is_approved(app: &App) -> bool {
    match (app.deletion, app.deletion_approved) {
        (Some(deletion), Some(at)) => at.as_millis() / 1000 >= deletion.requested_at.as_millis() / 1000,
        (Some(_) | None, _) => false,
    }
}

fn owner(entry: &AppEntry) -> (&str, &str) {
    (entry.instance.as_str(), entry.part_of.as_str())
}

fn job(agent: &Agent, entry: &AppEntry, app: &Arc<App>) -> Job {
    Job {
        cluster: agent.cluster.for_app(&app.key),
        app: Arc::clone(app),
        set: Arc::new(crate::desired::DesiredSet::empty()),
        rules: agent.rules_of(entry),
        known: BTreeMap::new(),
        gone: BTreeSet::new(),
        sync: 0,
        fence: None,
        gate: Arc::clone(&agent.gate),
        is_dry_run: false,
        by_person: true,
        was_deployed: false,
        namespace: OnceCell::new(),
    }
}

impl Agent {
    /// Returns the objects that carry an app's label.
    fn digests_of<'a>(&'a self, entry: &'a AppEntry) -> impl Iterator<Item = &'a LiveDigest> {
        self.live.part_of(&entry.part_of).filter_map(|key| self.live.get(key)).map(|live| &live.digest)
    }

    /// Takes in what came of a pass.
    pub(crate) fn cascaded(&mut self, key: &AppKey, pass: CascadePass, answers: Answers) {
        if let Some(entry) = self.apps.get_mut(key) {
            let at = Instant::now();
            let agreed = answers.agreed.into_iter().map(|(object, version)| (object, (version, at)));
            entry.asked_to_go.extend(agreed);
            entry.conflicts = answers.conflicts;
        }
        self.event(key, Event::Cascaded(pass));
    }
}

/// Names an object that is still there, and what it waits for where it is going already.
fn what_is_left(digest: &LiveDigest) -> String {
    let why =
        digest.health.as_ref().filter(|_| digest.is_deleting).map(|health| format!(" ({})", health.message));
    format!("{}{}", digest.key, why.unwrap_or_default())
}

/// What came of a pass.
#[derive(Default)]
struct Passed {
    /// What is still there.
    remaining: Vec<String>,
    /// What could not be deleted: sentences.
    failed: Vec<String>,
    /// What the API server answered.
    answers: Answers,
}

/// What the API server answered to deletions, by object: at which resourceVersion.
#[derive(Default)]
pub(crate) struct Answers {
    /// It agreed.
    pub agreed: BTreeMap<ObjectKey, String>,
    /// It said that the object had changed.
    pub conflicts: BTreeMap<ObjectKey, String>,
}

impl Passed {
    /// Takes in what the API server answered. `before` are the conflicts of the last pass.
    fn answered(
        &mut self,
        digest: &LiveDigest,
        answer: Result<(), CallError>,
        before: &BTreeMap<ObjectKey, String>,
    ) {
        let (key, version) = (&digest.key, &digest.resource_version);
        match answer {
            Ok(()) => {
                self.answers.agreed.insert(key.clone(), version.clone());
            }
            Err(error) if error.class == ErrorClass::Conflict => {
                self.answers.conflicts.insert(key.clone(), version.clone());
                // It changed since it was seen, and what the watch shows next is judged anew; but where it shows nothing,
                // something else is in the way.
                if before.get(key) == Some(version) {
                    self.failed.push(refusal::of_deletion(error, key));
                    return;
                }
            }
            Err(error) => {
                self.failed.push(refusal::of_deletion(error, key));
                return;
            }
        }
        self.remaining.push(what_is_left(digest));
    }
}

/// Deletes objects. `before` are the conflicts of the last pass.
async fn pass(
    job: Job,
    going: Vec<LiveDigest>,
    propagation: Propagation,
    before: BTreeMap<ObjectKey, String>,
) -> Passed {
    let mut passed = Passed::default();
    // Reverse order of creation: workloads before what they need, namespaces last.
    let by_key: BTreeMap<ObjectKey, LiveDigest> =
        going.into_iter().map(|digest| (digest.key.clone(), digest)).collect();
    for stage in plan::staged(by_key.keys().cloned()).into_iter().rev() {
        let job = &job;
        let deletions = stage
            .keys
            .iter()
            .filter_map(|key| by_key.get(key))
            .map(|digest| async move { (digest, apply::delete(job, digest, propagation).await) });
        for (digest, outcome) in futures::future::join_all(deletions).await {
            passed.answered(digest, outcome, &before);
        }
    }
    passed
}

/// Takes our finalizers off the Application, so that it goes.
pub(crate) fn finalize(agent: &mut Agent, key: &AppKey) {
    let Some(entry) = agent.apps.get(key) else { return };
    let raw = entry.stored.value();
    let finalizers = raw.pointer("/metadata/finalizers").and_then(Value::as_array);
    let ours = [
        names::RESOURCES_FINALIZER,
        names::RESOURCES_FINALIZER_BACKGROUND,
        names::RESOURCES_FINALIZER_FOREGROUND,
    ];
    let rest: Vec<&Value> =
        finalizers.into_iter().flatten().filter(|f| !f.as_str().is_some_and(|f| ours.contains(&f))).collect();
    let patch = json!({"metadata": {"resourceVersion": &entry.stored.resource_version, "finalizers": rest}});
    let (cluster, key) = (agent.cluster.clone(), key.clone());
    agent.spawn(async move {
        let by = (Priority::Apply, names::FIELD_MANAGER);
        let outcome = patch_application(&cluster, by, &key, &patch).await;
        Input::Finalized(key, outcome.map(drop))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, config_map, key};

    #[tokio::test]
    async fn a_conflict_is_told_where_the_object_has_not_changed_since_the_last() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        let mut at = |version| {
            harness.agent.live_object(config_map("web", "first", version, "one"));
            harness.agent.live.get(&key("web")).unwrap().digest.clone()
        };
        let conflict = || Err(CallError::new(ErrorClass::Conflict, "not now"));
        let conflicts = |version: &str| BTreeMap::from([(key("web"), version.to_owned())]);
        let (old, new) = (at(5), at(7));

        let mut first = Passed::default();
        first.answered(&old, conflict(), &BTreeMap::new());
        assert_eq!(first.answers.conflicts, conflicts("5"));
        assert_eq!((first.remaining, first.failed), (vec!["ConfigMap shop/web".to_owned()], vec![]));

        let mut changed = Passed::default();
        changed.answered(&new, conflict(), &first.answers.conflicts);
        assert_eq!(changed.answers.conflicts, conflicts("7"));
        assert_eq!((changed.remaining.len(), changed.failed), (1, vec![]));

        let mut unchanged = Passed::default();
        unchanged.answered(&new, conflict(), &changed.answers.conflicts);
        assert_eq!(unchanged.answers.conflicts, conflicts("7"));
        assert_eq!(unchanged.failed, ["ConfigMap shop/web cannot be deleted: not now"]);
    }
}
