//! Can an autoscaler do its work?

use crate::read::{Condition, items};
use crate::say::{degraded, progressing, unknown};
use model::{Health, Object};
use serde_json::Value;

/// Where `autoscaling/v1` keeps the conditions, as JSON, having no field for them.
const V1_CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

const FAILURES: &[(&str, &str)] = &[
    ("AbleToScale", "FailedGetScale"),
    ("AbleToScale", "FailedUpdateScale"),
    ("ScalingActive", "FailedGetResourceMetric"),
    ("ScalingActive", "FailedGetObjectMetric"),
    ("ScalingActive", "FailedGetPodsMetric"),
    ("ScalingActive", "FailedGetExternalMetric"),
    ("ScalingActive", "FailedComputeMetricsReplicas"),
    ("ScalingActive", "InvalidSelector"),
];

pub(crate) fn assess(live: &Object) -> Health {
    if live.gvk().version != "v1" {
        return by_conditions(items(live, "status/conditions"));
    }
    let annotation = live.annotation(V1_CONDITIONS).unwrap_or_default();
    if annotation.is_empty() {
        return by_conditions(&[]);
    }
    match serde_json::from_str::<Vec<Value>>(annotation) {
        Ok(conditions) => by_conditions(&conditions),
        Err(_) => unknown(format!("the annotation {V1_CONDITIONS} is no list in JSON")),
    }
}

fn by_conditions(conditions: &[Value]) -> Health {
    let read = || conditions.iter().map(Condition::from_value);
    if let Some(failure) = read().find(|c| FAILURES.contains(&(c.kind, c.reason))) {
        return degraded(failure.words());
    }
    if read().any(|c| matches!(c.kind, "AbleToScale" | "ScalingLimited") && c.is_true()) {
        return Health::healthy();
    }
    progressing("Waiting to autoscale")
}
