//! How are objects that Argo CD deployed taken over? Those that a status lists and no watch shows are looked up one by one,
//! and get our labels where they say themselves that they are the app's.

use crate::agent::Agent;
use crate::apps::{AppEntry, Probe};
use crate::clock::now;
use crate::desired::DesiredSet;
use crate::input::Input;
use crate::live::Sight;
use crate::look_up::{Found, LookUp};
use crate::status;
use drift::takeover::Owner;
use engine::takeover::{Inheritance, Sighting, Standing, is_permitted};
use engine::{Note, Tone};
use model::{App, AppKey, CallError, ErrorClass, GroupVersionKind, Object, ObjectKey, Reason};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How many kinds that discovery lacks are asked for because a status lists them: whoever may edit it may list anything.
const MOST_UNKNOWN: usize = 20;

impl Agent {
    /// Reads what an app inherits, as soon as that may be acted on: the kinds of what its status lists are watched and
    /// recorded, and each object is looked for.
    pub(crate) fn inherit(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get(key) else { return };
        let Some(app) = entry.app.as_ref().filter(|_| entry.inheritance.is_none()) else { return };
        if !is_permitted(&entry.state, app, now()) {
            return;
        }
        let raw = entry.stored.value();
        let takes_over = entry.is_listed_by_argo_cd || !status::own_state(&raw).is_taken_over;
        let mut listed = application::status::inventory(&raw);
        listed.retain(|(object, _)| Self::permits(entry, object));
        let (served, lacking): (BTreeSet<GroupVersionKind>, BTreeSet<_>) = listed
            .iter()
            .filter_map(|(object, version)| self.gvk_of(object, version))
            .partition(|gvk| !self.discovery.lacks(&gvk.group_kind()));
        let gvks: BTreeSet<GroupVersionKind> =
            served.into_iter().chain(lacking.into_iter().take(MOST_UNKNOWN)).collect();
        for gvk in &gvks {
            self.watch_kind(gvk);
        }
        self.record(gvks.into_iter());
        if let Some(entry) = self.apps.get_mut(key) {
            entry.inheritance = Some(Inheritance::new(listed, takes_over));
        }
        self.dirty.insert(key.clone());
    }

    /// Returns the kind of a listed object, unless the API server certainly has no such kind: then it went with its kind.
    fn gvk_of(&self, object: &ObjectKey, version: &str) -> Option<GroupVersionKind> {
        let kind = object.group_kind();
        let gvk =
            GroupVersionKind { group: kind.group.clone(), version: version.into(), kind: kind.kind.clone() };
        match self.discovery.endpoint(&gvk).or_else(|| self.discovery.preferred(&kind)) {
            Some(endpoint) => Some(endpoint.gvk),
            None => (!self.discovery.is_absent(&kind)).then_some(gvk),
        }
    }

    /// Looks up what no watch shows of what an app inherits.
    pub(crate) fn take_over(&mut self, key: &AppKey) {
        let Some(entry) = self.apps.get(key) else { return };
        let (Some(app), Some(inheritance)) = (entry.app.clone(), &entry.inheritance) else { return };
        if inheritance.objects().is_empty() || !is_permitted(&entry.state, &app, now()) {
            return;
        }
        let sightings: BTreeMap<ObjectKey, Sighting> = inheritance
            .objects()
            .keys()
            .map(|object| (object.clone(), self.sighting(key, entry, inheritance, object)))
            .collect();
        let Some(inheritance) = self.apps.get_mut(key).and_then(|entry| entry.inheritance.as_mut()) else {
            return;
        };
        let asked = inheritance.advance(|object| sightings.get(object).copied().unwrap_or(Sighting::Unclear));
        for object in asked {
            self.look_up(key, object);
        }
        self.tell_taken_over(key);
    }

    fn sighting(
        &self,
        key: &AppKey,
        entry: &AppEntry,
        inheritance: &Inheritance,
        object: &ObjectKey,
    ) -> Sighting {
        let live = self.live.get(object);
        if live.is_some_and(|live| live.digest.has_instance_label) || !Self::permits(entry, object) {
            return Sighting::Settled;
        }
        match self.live.kinds.get(&object.group_kind()).map(|watch| &watch.sight) {
            Some(Sight::NoSuchKind) => Sighting::Settled,
            Some(Sight::Clear) if !inheritance.takes_over() => Sighting::Settled,
            Some(Sight::Clear) => {
                // Labelled only once the kind is recorded: after any crash its watch shows what is ours.
                let is_recorded = self.kinds.covers(std::iter::once(object.group_kind()));
                if is_recorded && !self.leaves_to_sync(key, entry, object) {
                    Sighting::Hidden
                } else {
                    Sighting::Unclear
                }
            }
            // Nothing is listed at all of a kind that is not watched: the API server does not know it.
            None if self.discovery.lacks(&object.group_kind()) => Sighting::Settled,
            Some(Sight::Listing | Sight::Blind(..)) | None => Sighting::Unclear,
        }
    }

    /// Returns whether an object is left to an automated sync, whose apply labels it as well: until it turns out that no
    /// sync is going to apply it.
    fn leaves_to_sync(&self, key: &AppKey, entry: &AppEntry, object: &ObjectKey) -> bool {
        let Some(app) = &entry.app else { return false };
        let is_wanted = entry.current().is_some_and(|set| set.objects.contains_key(object));
        if !is_wanted || app.deletion.is_some() || !self.applies(key, app) {
            return false;
        }
        let is_compared = entry.state.current().is_some_and(|(_, comparison)| comparison.is_settled);
        !is_compared || entry.state.run().is_some()
    }

    fn look_up(&mut self, key: &AppKey, object: ObjectKey) {
        let Some(entry) = self.apps.get(key) else { return };
        let gvk = self.live.kinds.get(&object.group_kind()).map(|watch| watch.gvk.clone());
        let Some(endpoint) = gvk.and_then(|gvk| self.discovery.endpoint(&gvk)) else {
            let error = CallError::new(ErrorClass::NoSuchKind, "the API server does not serve its kind now");
            self.spawn_ready(Input::LookedUp(key.clone(), object, Found::Failed(error, None)));
            return;
        };
        let look = LookUp {
            cluster: self.cluster.for_app(key),
            endpoint,
            object: object.clone(),
            instance: entry.instance.clone(),
            installation_id: self.identity.installation_id.clone(),
            instance_label: self.identity.instance_label.clone(),
            part_of: entry.part_of.clone(),
            gate: Arc::clone(&self.gate),
        };
        self.metrics.checks.add(1);
        let (key, checks) = (key.clone(), Arc::clone(&self.checks));
        self.spawn(async move {
            let permit = checks.acquire().await;
            let found = look.run().await;
            drop(permit);
            Input::LookedUp(key, object, found)
        });
    }

    /// Takes in what came of looking an object up.
    pub(crate) fn looked_up(&mut self, key: &AppKey, object: &ObjectKey, found: Found) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        if let Some(inheritance) = &mut entry.inheritance {
            match &found {
                Found::Absent | Found::Left(_) => inheritance.settle(object),
                Found::Labelled(_) => inheritance.labelled(object),
                Found::Failed(error, _) => {
                    let why = sentence(object, error);
                    if inheritance.fail(object, why.clone()) {
                        let note = Note { reason: Reason::TakeOver, message: why, tone: Tone::Warning };
                        self.tell(key, &note);
                    }
                }
            }
        }
        match found {
            Found::Absent => {
                // Nobody has to look once more.
                if let Some(entry) = self.apps.get_mut(key) {
                    entry.probed.insert(object.clone(), Probe::Absent);
                }
            }
            Found::Left(live) | Found::Labelled(live) | Found::Failed(_, Some(live)) => {
                if !self.is_gone(object, live.uid()) {
                    self.live_object(*live);
                }
            }
            Found::Failed(_, None) => {}
        }
        self.rest(key);
        self.tell_taken_over(key);
        self.dirty.insert(key.clone());
    }

    /// Has what failed tried again after a while.
    fn rest(&mut self, key: &AppKey) {
        let inheritance = self.apps.get_mut(key).and_then(|entry| entry.inheritance.as_mut());
        let Some(wait) = inheritance.and_then(Inheritance::rest) else { return };
        let wait = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(0));
        let key = key.clone();
        self.spawn(async move {
            tokio::time::sleep(wait).await;
            Input::Rested(key)
        });
    }

    /// Tries again what could not be taken over.
    pub(crate) fn rested(&mut self, key: &AppKey) {
        let inheritance = self.apps.get_mut(key).and_then(|entry| entry.inheritance.as_mut());
        if let Some(inheritance) = inheritance {
            inheritance.try_again();
            self.dirty.insert(key.clone());
        }
    }

    fn tell_taken_over(&mut self, key: &AppKey) {
        let inheritance = self.apps.get_mut(key).and_then(|entry| entry.inheritance.as_mut());
        let n_labelled = inheritance.map_or(0, Inheritance::take_labelled);
        if n_labelled > 0 {
            let message =
                format!("took over {n_labelled} objects that Argo CD deployed: they carry our labels now");
            self.tell(key, &Note { reason: Reason::TakeOver, message, tone: Tone::Plain });
        }
    }

    /// Has an object labelled that an app wants and that was found without our labels; returns whether that is under way.
    pub(crate) fn offer(&mut self, live: &Object) -> bool {
        let object = live.key();
        let is_heir = |app: &&AppKey| {
            let Some(entry) = self.apps.get(*app) else { return false };
            let (Some(read), Some(inheritance)) = (&entry.app, &entry.inheritance) else { return false };
            inheritance.takes_over()
                && is_permitted(&entry.state, read, now())
                && Self::permits(entry, &object)
                && drift::takeover::labels(live, &self.owner(entry)).is_some()
        };
        let Some(key) = self.claims.claimants(&object).find(is_heir).cloned() else { return false };
        let inheritance = self.apps.get_mut(&key).and_then(|entry| entry.inheritance.as_mut());
        let is_taken = inheritance.is_some_and(|inheritance| inheritance.offer(&object, &live.gvk().version));
        self.record(std::iter::once(live.gvk()));
        self.dirty.insert(key);
        is_taken
    }

    fn owner<'a>(&'a self, entry: &'a AppEntry) -> Owner<'a> {
        Owner {
            instance: &entry.instance,
            installation_id: self.identity.installation_id.as_deref(),
            instance_label: &self.identity.instance_label,
            part_of: &entry.part_of,
        }
    }

    /// Returns what of an app's inheritance is not settled, as its comparison shows it.
    pub(crate) fn inherited(&self, key: &AppKey, app: &App) -> BTreeMap<ObjectKey, plan::Inherited> {
        let Some(entry) = self.apps.get(key) else { return BTreeMap::new() };
        let objects = entry.inheritance.iter().flat_map(Inheritance::objects);
        objects
            .filter(|_| is_permitted(&entry.state, app, now()))
            .filter(|(object, inherited)| {
                inherited.standing != Standing::Waiting || !self.leaves_to_sync(key, entry, object)
            })
            .map(|(object, inherited)| {
                let obstacle = match &inherited.standing {
                    Standing::Failed(why) => Some(why.clone()),
                    Standing::Waiting | Standing::Asked => self.obstacle(object),
                };
                let obstacle = obstacle.unwrap_or_default();
                (object.clone(), plan::Inherited { version: inherited.version.clone(), obstacle })
            })
            .collect()
    }

    /// Returns why nobody can look for an object now.
    fn obstacle(&self, object: &ObjectKey) -> Option<String> {
        let kind = object.group_kind();
        let blind = self.live.kinds.get(&kind).and_then(|watch| match &watch.sight {
            Sight::Blind(_, why) => Some(sentence(object, why)),
            Sight::Listing | Sight::Clear | Sight::NoSuchKind => None,
        });
        blind.or_else(|| self.kinds.obstacle(&kind).map(|why| not_taken_over(object, why)))
    }

    /// Returns whether some of what an app inherits has yet to be looked at: until then its view is not whole.
    pub(crate) fn is_inheriting(&self, key: &AppKey) -> bool {
        let Some(entry) = self.apps.get(key) else { return false };
        let objects = entry.inheritance.iter().flat_map(|inheritance| inheritance.objects().iter());
        objects.into_iter().any(|(object, inherited)| match &inherited.standing {
            Standing::Waiting => !self.leaves_to_sync(key, entry, object),
            Standing::Asked => true,
            Standing::Failed(_) => false,
        })
    }

    /// Returns why objects of an app could not be taken over: sentences.
    pub(crate) fn not_taken_over(entry: &AppEntry) -> Vec<String> {
        let objects = entry.inheritance.iter().flat_map(|inheritance| inheritance.objects().values());
        let why = |inherited: &engine::takeover::Inherited| match &inherited.standing {
            Standing::Failed(why) => Some(why.clone()),
            Standing::Waiting | Standing::Asked => None,
        };
        objects.filter_map(why).collect()
    }
}

/// Says in one sentence what could not be taken over of what Git no longer has, the first three by name.
pub(crate) fn obstacles(
    inherited: &BTreeMap<ObjectKey, plan::Inherited>,
    set: &DesiredSet,
) -> Option<String> {
    let extras = inherited.iter().filter(|(object, _)| !set.objects.contains_key(object));
    let why: Vec<&str> =
        extras.map(|(_, inherited)| inherited.obstacle.as_str()).filter(|why| !why.is_empty()).collect();
    let named = why.iter().take(3).copied().collect::<Vec<_>>().join("; ");
    let more = why.len().saturating_sub(3);
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    (!why.is_empty()).then(|| named + &tail)
}

fn sentence(object: &ObjectKey, error: &CallError) -> String {
    let next = match error.class {
        ErrorClass::Forbidden => {
            format!("; grant the agent's service account what is missing on {}", object.group_kind())
        }
        ErrorClass::Conflict
        | ErrorClass::Invalid
        | ErrorClass::Denied
        | ErrorClass::NotFound
        | ErrorClass::NoSuchKind
        | ErrorClass::Gone
        | ErrorClass::Throttled
        | ErrorClass::Unavailable
        | ErrorClass::Withheld => String::new(),
    };
    not_taken_over(object, &format!("{error}{next}"))
}

fn not_taken_over(object: &ObjectKey, why: &str) -> String {
    format!("{object} stands in the status and could not be taken over: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, application, config_map, key, shop};
    use crate::stored::Stored;
    use application::Project;
    use model::names;
    use serde_json::json;

    /// An app whose status lists `old`, and whose project denies a kind.
    async fn listing(denied: &str) -> Harness {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        let spec = json!({
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
            "namespaceResourceBlacklist": [{"group": "", "kind": denied}],
        });
        let project = Project::read(&json!({"metadata": {"name": "default"}, "spec": spec})).unwrap();
        let mut raw = application();
        let old = json!({"version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "old"});
        raw["status"] = json!({"resources": [old]});
        let entry = harness.agent.apps.get_mut(&shop()).unwrap();
        (entry.stored, entry.project) = (Stored::new(&raw), Arc::new(project));
        harness
    }

    // N31: an object that Argo CD deployed, listed, listed before the project came to deny it, or seen by a watch
    #[tokio::test]
    async fn what_the_project_denies_is_not_taken_over_whichever_way_it_comes_up() {
        for (denied, is_permitted) in [("Secret", true), ("ConfigMap", false)] {
            let mut harness = listing(denied).await;
            let agent = &mut harness.agent;
            agent.inherit(&shop());
            let inherited = agent.apps[&shop()].inheritance.as_ref().unwrap();
            assert!(inherited.takes_over());
            assert_eq!(inherited.objects().contains_key(&key("old")), is_permitted, "{denied} is denied");

            let before = Inheritance::new([(key("old"), "v1".to_owned())], true);
            let sighting = agent.sighting(&shop(), &agent.apps[&shop()], &before, &key("old"));
            assert_eq!(sighting != Sighting::Settled, is_permitted, "{denied} is denied");

            let mut web = config_map("web", "first", 5, "one");
            web.set_annotation(names::TRACKING_ID, "shop:/ConfigMap:shop/web");
            assert_eq!(agent.offer(&web), is_permitted, "{denied} is denied");
        }
    }
}
