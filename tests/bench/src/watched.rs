//! What does the agent watch over apps of ConfigMaps? The floor watches the same, and a restart opens each once.

use crate::bed::{CONTROL, applications, config_maps};
use cluster::{Endpoint, WatchSpec};
use model::names;
use std::time::Duration;

/// The server ends no watch of the agent's sooner.
pub(crate) const LIFE: Duration = Duration::from_secs(290);

/// Returns all of it.
pub(crate) fn specs() -> Vec<WatchSpec> {
    let own = |endpoint| WatchSpec { namespace: Some(CONTROL.into()), ..WatchSpec::all(endpoint) };
    let apps = |kind: &str, plural: &str| own(Endpoint::new("apps/v1", kind, plural, true));
    let definitions = Endpoint::new(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    );
    let secrets = "argocd.argoproj.io/secret-type in (repository,repo-creds)";
    vec![
        own(applications()),
        own(Endpoint::new("argoproj.io/v1alpha1", "AppProject", "appprojects", true)),
        WatchSpec { label_selector: secrets.into(), ..own(Endpoint::new("v1", "Secret", "secrets", true)) },
        WatchSpec {
            field_selector: "metadata.name=argocd-secret".into(),
            ..own(Endpoint::new("v1", "Secret", "secrets", true))
        },
        WatchSpec { field_selector: "metadata.name=argocd-cm".into(), ..own(config_maps()) },
        WatchSpec { field_selector: "metadata.name=argocd-ssh-known-hosts-cm".into(), ..own(config_maps()) },
        apps("StatefulSet", "statefulsets"),
        apps("Deployment", "deployments"),
        WatchSpec::all(definitions),
        WatchSpec { label_selector: names::INSTANCE_LABEL.into(), ..WatchSpec::all(config_maps()) },
    ]
}
