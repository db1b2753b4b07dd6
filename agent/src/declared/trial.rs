//! How does a Job of the app's manifests become a check? It is the pattern of a Job of its own for each sync, which belongs to it and
//! goes with it: a Job runs once, and cannot be changed into another one. The pattern may be a `CronJob` as well, whose Job can.
//!
//! The name says for which sync it runs, so that whoever looks again, in this life or the next, finds the same one.

use crate::wanted::Kept;
use cluster::{Cluster, Endpoint, Priority};
use health::check;
use model::{ErrorClass, JobProbe, Look, Object, ObjectKey, Timestamp, names};
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
    /// Prepares a run; `pattern` is what the app's manifests say of it, `uid` that of the live one.
    pub(super) fn new(probe: &JobProbe, pattern: Option<&Kept>, uid: Option<&str>, since: Timestamp) -> Self {
        let job = match (pattern, uid) {
            (None, _) => Err("is not among the app's objects"),
            (Some(_), None) => Err("is not there"),
            (Some(pattern), Some(uid)) => Ok(run_of(&pattern.open().object, uid, since)),
        };
        Self { probe: probe.clone(), job }
    }

    /// Returns the objects that may be the pattern, the first that there is.
    pub(super) fn patterns(probe: &JobProbe) -> [ObjectKey; 2] {
        let JobProbe { namespace, name } = probe;
        ["Job", "CronJob"].map(|kind| ObjectKey::new("batch", kind, namespace.as_str(), name.as_str()))
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
fn run_of(pattern: &Object, uid: &str, since: Timestamp) -> Object {
    let (kind, name) = (pattern.kind(), pattern.name());
    let fields = pattern.fields();
    let template = fields.get("spec").and_then(|spec| spec.get("jobTemplate")).and_then(Value::as_object);
    let part = |field: &str| template.unwrap_or(fields).get(field).cloned();
    let mut spec = part("spec").unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("suspend");
        spec.entry("ttlSecondsAfterFinished").or_insert(KEPT_SECONDS.into());
    }
    let text =
        |field: &str| part("metadata").map(|metadata| metadata[field].clone()).filter(Value::is_object);
    let mut metadata = json!({
        "name": format!("{name}-{}", since.as_millis() / 1000),
        "namespace": pattern.namespace(),
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": kind, "name": name, "uid": uid}],
    });
    for field in ["labels", "annotations"] {
        if let Some(texts) = text(field) {
            metadata[field] = texts;
        }
    }
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec});
    let mut job = Object::from_value(job).expect("it has kind and name");
    for label in [names::INSTANCE_LABEL, names::PART_OF_LABEL] {
        job.remove_label(label);
    }
    for annotation in [names::TRACKING_ID, names::INSTALLATION_ID] {
        job.remove_annotation(annotation);
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

    fn run(pattern: Value, uid: Option<&str>) -> Result<Object, &'static str> {
        let wanted: WantedObjects = [Object::from_value(pattern).unwrap()].into_iter().collect();
        let probe = JobProbe { namespace: "shop".into(), name: "smoke".into() };
        let pattern = Trial::patterns(&probe).into_iter().find_map(|key| wanted.get(&key));
        Trial::new(&probe, pattern, uid, Timestamp::from_millis(1_796_045_191_250)).job
    }

    #[test]
    fn what_is_run_belongs_to_its_pattern_and_not_to_the_app() {
        let metadata = json!({
            "name": "smoke", "namespace": "shop",
            "labels": {"app": "shop", "tautline.dev/part-of": "x", "tautline.dev/instance": "y"},
            "annotations": {"argocd.argoproj.io/tracking-id": "z"},
        });
        let template = json!({"spec": {"restartPolicy": "Never"}});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
            "spec": {"suspend": true, "backoffLimit": 0, "template": template},
        });
        let cron_job = json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata,
            "spec": {"suspend": true, "schedule": "0 0 1 1 *", "jobTemplate": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"backoffLimit": 0, "template": template},
            }},
        });
        for (kind, pattern) in [("Job", job), ("CronJob", cron_job)] {
            let expected = json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {
                    "name": "smoke-1796045191", "namespace": "shop", "labels": {"app": "shop"},
                    "ownerReferences": [{"apiVersion": "batch/v1", "kind": kind, "name": "smoke", "uid": "u-1"}],
                },
                "spec": {"backoffLimit": 0, "template": template, "ttlSecondsAfterFinished": 3600},
            });
            let ours = run(pattern.clone(), Some("u-1")).unwrap();
            assert_eq!(ours.to_value(), expected);
            assert!(!is_owned(&run(pattern.clone(), Some("u-2")).unwrap(), &ours), "made for another one");
            assert_eq!(run(pattern, None), Err("is not there"));
        }
        let other =
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "namespace": "shop"}});
        assert_eq!(run(other, Some("u-1")), Err("is not among the app's objects"));
    }
}
