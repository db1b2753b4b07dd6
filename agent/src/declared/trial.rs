//! How does a Job of the app's manifests become a check? It is the pattern of a Job of its own for each sync, which belongs to it and
//! goes with it: a Job runs once, and cannot be changed into another one.
//!
//! The name says for which sync it runs, so that whoever looks again, in this life or the next, finds the same one.

use crate::wanted::Kept;
use cluster::{Cluster, Endpoint, Priority};
use health::check;
use model::{ErrorClass, JobProbe, Look, Object, Timestamp, names};
use serde_json::{Value, json};

/// How long such a Job stays after its end, where the pattern says nothing: people may want to read its log.
const KEPT_SECONDS: u32 = 3_600;

/// Runs one Job for one sync.
pub(super) struct Trial {
    probe: JobProbe,
    /// What to run, or why that is not known.
    job: Result<Object, &'static str>,
}

impl Trial {
    /// Prepares a run; `wanted` is what the app's manifests say of the Job, `uid` that of the live one.
    pub(super) fn new(probe: &JobProbe, wanted: Option<&Kept>, uid: Option<&str>, since: Timestamp) -> Self {
        let job = match (wanted, uid) {
            (None, _) => Err("is not among the app's objects"),
            (Some(_), None) => Err("is not there"),
            (Some(wanted), Some(uid)) => Ok(copy(wanted.open().object, uid, since)),
        };
        Self { probe: probe.clone(), job }
    }

    /// Returns whether it is a run of this one.
    pub(super) fn is_of(&self, probe: &JobProbe) -> bool {
        self.probe == *probe
    }

    /// Finds out how it went; it is begun where it was not.
    pub(super) async fn look(&self, cluster: &Cluster) -> Look {
        let key = self.probe.key();
        let job = match &self.job {
            Ok(job) => job,
            Err(why) => return Look::Unknown(format!("{key} {why}")),
        };
        let endpoint = Endpoint::new("batch/v1", "Job", "jobs", true);
        let found = cluster.get_at(Priority::Background, &endpoint, job.namespace(), job.name()).await;
        match found.map(|found| found.and_then(|found| Object::from_value(found).ok())) {
            Ok(Some(live)) if is_owned(&live, job) => check::job(&live),
            Ok(Some(live)) => Look::Unknown(format!("{} is there and is not the agent's", live.key())),
            Ok(None) => match cluster.create(&endpoint, job, names::FIELD_MANAGER).await {
                Ok(_) => Look::Waits(format!("{} begins", job.key())),
                Err(error) if error.class == ErrorClass::Conflict => {
                    Look::Waits(format!("{} begins", job.key()))
                }
                Err(error) => Look::Unknown(format!("{} cannot be created: {error}", job.key())),
            },
            Err(error) => Look::Unknown(format!("{} cannot be read: {error}", job.key())),
        }
    }
}

/// Makes the Job that is run for a sync. It carries none of our labels: it is not one of the app's objects, and goes with its owner.
fn copy(pattern: Object, uid: &str, since: Timestamp) -> Object {
    let mut job = pattern;
    let name = job.name().to_owned();
    for label in [names::INSTANCE_LABEL, names::PART_OF_LABEL] {
        job.remove_label(label);
    }
    for annotation in [names::TRACKING_ID, names::INSTALLATION_ID] {
        job.remove_annotation(annotation);
    }
    let owner = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}]);
    let metadata = job.metadata_mut();
    metadata.insert("name".into(), format!("{name}-{}", since.as_millis() / 1000).into());
    metadata.insert("ownerReferences".into(), owner);
    if let Some(Value::Object(spec)) = job.fields_mut().get_mut("spec") {
        spec.remove("suspend");
        spec.entry("ttlSecondsAfterFinished").or_insert(KEPT_SECONDS.into());
    }
    job
}

/// Returns whether a live Job belongs to whom ours does.
fn is_owned(live: &Object, job: &Object) -> bool {
    let owner = |object: &Object| object.metadata()?.get("ownerReferences")?.get(0)?.get("uid").cloned();
    owner(live) == owner(job)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wanted::WantedObjects;

    #[test]
    fn what_is_run_belongs_to_its_pattern_and_not_to_the_app() {
        let pattern = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "smoke", "namespace": "shop",
                "labels": {"app": "shop", "tautline.dev/part-of": "x", "tautline.dev/instance": "y"},
                "annotations": {"argocd.argoproj.io/tracking-id": "z"},
            },
            "spec": {"suspend": true, "backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never"}}},
        });
        let wanted: WantedObjects = [Object::from_value(pattern).unwrap()].into_iter().collect();
        let probe = JobProbe { namespace: "shop".into(), name: "smoke".into() };
        let since = Timestamp::from_millis(1_796_045_191_250);
        let trial = Trial::new(&probe, wanted.get(&probe.key()), Some("u-1"), since);
        let expected = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "smoke-1796045191", "namespace": "shop", "labels": {"app": "shop"}, "annotations": {},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "smoke", "uid": "u-1"}],
            },
            "spec": {
                "backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never"}}, "ttlSecondsAfterFinished": 3600,
            },
        });
        let job = trial.job.unwrap();
        assert_eq!(job.to_value(), expected);
        assert!(is_owned(&job, &job));
        let other = Trial::new(&probe, wanted.get(&probe.key()), Some("u-2"), since).job.unwrap();
        assert!(!is_owned(&other, &job), "made by somebody else");
        assert!(Trial::new(&probe, wanted.get(&probe.key()), None, since).job.is_err());
        assert!(Trial::new(&probe, None, Some("u-1"), since).job.is_err());
    }
}
