//! Which rendered objects ask for something that we do not do yet.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use application::object_not_yet;
use model::Object;
use serde_json::json;

fn found(annotation: &str, value: &str) -> String {
    let object = Object::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "annotations": {annotation: value}}
    }))
    .unwrap();
    object_not_yet(&object).into_iter().map(|n| n.field).collect::<Vec<_>>().join("; ")
}

#[test]
fn hooks_waves_and_options_are_named() {
    for (annotation, value) in [
        ("argocd.argoproj.io/hook", "PreSync"),
        ("argocd.argoproj.io/hook", "Skip"),
        ("helm.sh/hook", "pre-install,post-upgrade"),
        ("helm.sh/hook", "test"),
        ("argocd.argoproj.io/sync-wave", "1"),
        ("argocd.argoproj.io/sync-wave", "-5"),
        ("helm.sh/hook-weight", "3"),
        ("argocd.argoproj.io/sync-options", "Replace=true"),
        ("argocd.argoproj.io/sync-options", "Force=true"),
        ("argocd.argoproj.io/sync-options", "Validate=false"),
        ("argocd.argoproj.io/sync-options", "PruneLast=true"),
        ("argocd.argoproj.io/sync-options", "Nonsense=1"),
        ("argocd.argoproj.io/compare-options", "ServerSideDiff=true"),
    ] {
        assert_eq!(found(annotation, value), format!("Deployment.apps shop/web: {annotation}: {value}"));
    }
}

#[test]
fn what_is_honoured_or_without_effect_is_not() {
    for (annotation, value) in [
        ("argocd.argoproj.io/hook", ""),
        ("helm.sh/hook", "crd-install"),
        ("argocd.argoproj.io/sync-wave", "0"),
        ("argocd.argoproj.io/sync-wave", "soon"),
        ("argocd.argoproj.io/hook-delete-policy", "HookSucceeded"),
        ("argocd.argoproj.io/sync-options", "Prune=false, Delete=false"),
        ("argocd.argoproj.io/sync-options", "Prune=confirm,Delete=confirm,ServerSideApply=true,"),
        ("argocd.argoproj.io/sync-options", "SkipDryRunOnMissingResource=true"),
        ("argocd.argoproj.io/compare-options", "IgnoreExtraneous"),
        ("argocd.argoproj.io/ignore-healthcheck", "true"),
        ("helm.sh/resource-policy", "keep"),
    ] {
        assert_eq!(found(annotation, value), "", "{annotation}: {value}");
    }
}
