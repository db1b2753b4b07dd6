//! What if a `StatefulSet` goes back to a release, and its controller waits for a pod that the bad commit broke? That pod is
//! deleted, as people do by hand; the controller makes it anew as the release has it. Its volumes stay.

use super::pods;
use crate::agent::Agent;
use crate::input::Input;
use cluster::{DeleteOptions, Priority, Propagation};
use engine::{Cause, Note, Tone};
use health::Stuck;
use model::{AppKey, CallError, ErrorClass, Match, ObjectKey, Reason};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long until a deletion is tried again that failed.
const AGAIN: Duration = Duration::from_secs(5);
/// How often a pod of one name is deleted while its workload is not healthy: what comes back sick is not stuck.
const MOST: usize = 2;

/// Whose pods are to be looked at, and which of them have been.
#[derive(Default)]
pub(super) struct Unblocking {
    /// `StatefulSet`s that changed, or whose pods did.
    turned: BTreeSet<ObjectKey>,
    /// Names and uids of their pods whose deletion was asked for, by workload.
    asked: BTreeMap<ObjectKey, BTreeSet<(String, String)>>,
}

impl Unblocking {
    /// Takes in that a workload that is not healthy changed, or that its pods did.
    pub(super) fn turn(&mut self, workload: &ObjectKey) {
        if workload.is_kind("apps", "StatefulSet") {
            self.turned.insert(workload.clone());
        }
    }

    pub(super) fn forget(&mut self, workload: &ObjectKey) {
        self.turned.remove(workload);
        self.asked.remove(workload);
    }

    /// Notes that a pod is to be deleted; returns whether it may be.
    fn ask(&mut self, workload: &ObjectKey, pod: &Stuck) -> bool {
        let asked = self.asked.entry(workload.clone()).or_default();
        let n = asked.iter().filter(|(name, _)| *name == pod.name).count();
        n < MOST && asked.insert((pod.name.clone(), pod.uid.clone()))
    }

    fn ask_again(&mut self, workload: &ObjectKey, pod: &Stuck) {
        if let Some(asked) = self.asked.get_mut(workload) {
            asked.remove(&(pod.name.clone(), pod.uid.clone()));
        }
        self.turn(workload);
    }
}

impl Agent {
    /// Deletes the pods that `StatefulSet`s wait for which go back to a release.
    pub(crate) fn unblock(&mut self) {
        for workload in std::mem::take(&mut self.workloads.unblocking.turned) {
            let Some(app) = self.going_back(&workload) else { continue };
            if !self.is_back(&app, &workload) {
                self.workloads.unblocking.turn(&workload);
                continue;
            }
            for stuck in self.workloads.stuck(&workload) {
                if self.workloads.unblocking.ask(&workload, &stuck) {
                    self.replace(&app, &workload, stuck);
                }
            }
        }
    }

    /// Returns the app that has a workload and goes back to a release now.
    fn going_back(&self, workload: &ObjectKey) -> Option<AppKey> {
        let part_of = &self.live.get(workload)?.digest.part_of;
        let app = self.by_part_of.get(part_of)?;
        let run = self.apps.get(app)?.state.run()?;
        (self.may_write && run.cause == Cause::Rollback).then(|| app.clone())
    }

    /// Returns whether a workload is of the release by now.
    fn is_back(&self, app: &AppKey, workload: &ObjectKey) -> bool {
        let set = self.apps.get(app).and_then(|entry| entry.enforced());
        let is_wanted = set.is_some_and(|set| set.objects.contains_key(workload));
        let matching = self.live.get(workload).map(|entry| entry.digest.matching);
        is_wanted && matching == Some(Match::InSync)
    }

    fn replace(&self, app: &AppKey, workload: &ObjectKey, stuck: Stuck) {
        let (app, workload, cluster) = (app.clone(), workload.clone(), self.cluster.for_app(app));
        self.spawn(async move {
            let key = ObjectKey::new("", "Pod", &workload.namespace, &stuck.name);
            let options = DeleteOptions {
                uid: stuck.uid.clone(),
                resource_version: stuck.resource_version.clone(),
                propagation: Propagation::Background,
                priority: Priority::Apply,
            };
            let outcome = cluster.delete(&pods(), &key, &options).await.map(drop);
            if outcome.as_ref().is_err_and(|error| !is_final(error)) {
                tokio::time::sleep(AGAIN).await;
            }
            Input::Replaced(app, workload, stuck, outcome)
        });
    }

    /// Takes in whether a pod was deleted that a `StatefulSet` waits for.
    pub(crate) fn replaced(
        &mut self,
        app: &AppKey,
        workload: &ObjectKey,
        stuck: &Stuck,
        outcome: Result<(), CallError>,
    ) {
        let Stuck { name, why, .. } = stuck;
        let message = match outcome {
            Ok(()) => {
                format!("pod {name} is deleted, for {workload} waits for it and does not replace it: {why}")
            }
            Err(error) if is_final(&error) => format!(
                "pod {name} stands in the way of {workload}, which waits for it and does not replace it ({why}); it may not be \
                 deleted ({error}), so delete it by hand: kubectl -n {} delete pod {name}",
                workload.namespace
            ),
            Err(error) => {
                tracing::warn!(%app, pod = name, %error, "a pod that a StatefulSet waits for could not be deleted; trying again");
                return self.workloads.unblocking.ask_again(workload, stuck);
            }
        };
        self.tell(app, &Note { reason: Reason::RollingBack, message, tone: Tone::Warning });
    }
}

/// Returns whether a deletion is refused for good: by rights, or by a webhook that protects pods.
fn is_final(error: &CallError) -> bool {
    matches!(error.class, ErrorClass::Forbidden | ErrorClass::Denied | ErrorClass::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, uid: &str) -> Stuck {
        Stuck { name: name.into(), uid: uid.into(), resource_version: "1".into(), why: String::new() }
    }

    #[test]
    fn a_pod_that_comes_back_sick_is_not_deleted_again_and_again() {
        let db = ObjectKey::new("apps", "StatefulSet", "shop", "db");
        let mut unblocking = Unblocking::default();
        let mut ask = |name: &str, uid: &str| unblocking.ask(&db, &pod(name, uid));
        let asked =
            [ask("db-1", "a"), ask("db-1", "a"), ask("db-1", "b"), ask("db-1", "c"), ask("db-0", "d")];
        assert_eq!(asked, [true, false, true, false, true]);
        unblocking.ask_again(&db, &pod("db-1", "b"));
        assert!(unblocking.turned.contains(&db));
        assert!(unblocking.ask(&db, &pod("db-1", "b")), "that call failed");
        unblocking.forget(&db);
        assert!(unblocking.ask(&db, &pod("db-1", "e")), "it was healthy meanwhile");
    }
}
