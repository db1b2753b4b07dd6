//! How well is an app, given its objects?

use model::{Health, HealthStatus, ObjectKey, ObjectStatus};

/// How many causes a message names.
const NAMED: usize = 3;

/// Rolls health up as Argo CD does: the worst object decides; objects without an opinion and objects that are not in
/// the cluster do not count, unless nothing is in the cluster at all (`Missing`). A child Application that is
/// `Missing` or `Unknown` does not count either. No objects: `Healthy`.
///
/// The message names the first three objects, in the order given, that are as bad as the app.
pub fn aggregate(objects: &[ObjectStatus]) -> Health {
    if !objects.is_empty() && objects.iter().all(|object| !object.is_live) {
        return Health::new(HealthStatus::Missing, "None of its objects is in the cluster");
    }
    let judged = || objects.iter().filter_map(|object| Some((&object.key, counting(object)?)));
    let worst = judged().map(|(_, status)| status).max().unwrap_or(HealthStatus::Healthy);
    if worst == HealthStatus::Healthy {
        return Health::healthy();
    }
    let causes: Vec<&ObjectKey> =
        judged().filter(|(_, status)| *status == worst).map(|(key, _)| key).collect();
    Health::new(worst, message(&causes))
}

/// Returns the health by which an object counts.
fn counting(object: &ObjectStatus) -> Option<HealthStatus> {
    let status = object.health.as_ref().filter(|_| object.is_live)?.status;
    let is_child_app = object.key.is_kind("argoproj.io", "Application");
    let is_blind = matches!(status, HealthStatus::Missing | HealthStatus::Unknown);
    (!is_child_app || !is_blind).then_some(status)
}

fn message(causes: &[&ObjectKey]) -> String {
    let causes_named: Vec<String> = causes.iter().take(NAMED).map(|key| name(key)).collect();
    let named = format!("Caused by {}", causes_named.join(", "));
    match causes.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn name(key: &ObjectKey) -> String {
    if key.namespace.is_empty() {
        format!("{}:{}", key.kind, key.name)
    } else {
        format!("{}:{}/{}", key.kind, key.namespace, key.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Evidence;

    /// One object per word: `Deployment:Degraded`; `-` for no opinion, `!` before the status for "not in the cluster".
    fn rolled_up(objects: &str) -> String {
        let objects: Vec<ObjectStatus> = objects
            .split_whitespace()
            .enumerate()
            .map(|(i, word)| {
                let (kind, status) = word.split_once(':').unwrap();
                let (group, namespace) = match kind {
                    "Application" => ("argoproj.io", "argocd"),
                    "APIService" => ("apiregistration.k8s.io", ""),
                    _ => ("apps", "shop"),
                };
                ObjectStatus {
                    key: ObjectKey::new(group, kind, namespace, &format!("o{i}")),
                    version: "v1".into(),
                    sync: None,
                    health: HealthStatus::parse(status.trim_start_matches('!')).map(|s| Health::new(s, "m")),
                    evidence: Evidence::None,
                    available: None,
                    is_live: !status.starts_with('!'),
                    requires_pruning: false,
                    requires_confirmation: false,
                    refused: String::new(),
                }
            })
            .collect();
        let health = aggregate(&objects);
        format!("{}: {}", health.status, health.message)
    }

    #[test]
    fn the_worst_object_decides() {
        let cases = [
            ("", "Healthy: "),
            ("ConfigMap:-", "Healthy: "),
            ("Deployment:Healthy ConfigMap:-", "Healthy: "),
            ("Deployment:Suspended Deployment:Healthy", "Suspended: Caused by Deployment:shop/o0"),
            ("Deployment:Progressing Deployment:Suspended", "Progressing: Caused by Deployment:shop/o0"),
            ("Deployment:Progressing Job:Degraded", "Degraded: Caused by Job:shop/o1"),
            ("Job:Degraded Pod:Unknown", "Unknown: Caused by Pod:shop/o1"),
            ("APIService:Progressing Job:Healthy", "Progressing: Caused by APIService:o0"),
        ];
        for (objects, expected) in cases {
            assert_eq!(rolled_up(objects), expected, "{objects}");
        }
    }

    #[test]
    fn three_causes_are_named() {
        assert_eq!(
            rolled_up("Job:Degraded Job:Degraded Job:Degraded Job:Healthy"),
            "Degraded: Caused by Job:shop/o0, Job:shop/o1, Job:shop/o2"
        );
        assert_eq!(
            rolled_up("Job:Degraded Job:Degraded Job:Degraded Job:Degraded Job:Degraded"),
            "Degraded: Caused by Job:shop/o0, Job:shop/o1, Job:shop/o2 and 2 more"
        );
    }

    #[test]
    fn missing_counts_only_when_nothing_is_live() {
        assert_eq!(rolled_up("Deployment:!Missing ConfigMap:-"), "Healthy: ");
        assert_eq!(
            rolled_up("Deployment:!Missing ConfigMap:!-"),
            "Missing: None of its objects is in the cluster"
        );
    }

    #[test]
    fn blind_child_applications_do_not_count() {
        assert_eq!(rolled_up("Application:Unknown Job:Healthy"), "Healthy: ");
        assert_eq!(rolled_up("Application:Missing Job:Healthy"), "Healthy: ");
        assert_eq!(rolled_up("Application:Degraded"), "Degraded: Caused by Application:argocd/o0");
    }
}
