//! Which rendered objects ask for something that we do not do yet? (Argo CD sync phases, waves and options documentation.)

use crate::options::{self, Meaning};
use model::{NotYet, Object, names};

/// Helm's hook weight, which Argo CD takes for the wave where there is no other.
const HOOK_WEIGHT: &str = "helm.sh/hook-weight";

/// Lists what an object's annotations ask for and we do not act on yet, such as
/// `Deployment.apps shop/web: argocd.argoproj.io/sync-wave: 1`. One such object makes its whole app read-only.
pub fn object_not_yet(object: &Object) -> Vec<NotYet> {
    let mut found = Vec::new();
    let mut add = |annotation: &str, value: &str| {
        found.push(NotYet { field: format!("{}: {annotation}: {}", object.key(), value.trim()) });
    };
    if let Some(hook) = object.annotation(names::HOOK).filter(|hook| !hook.trim().is_empty()) {
        add(names::HOOK, hook);
    }
    // `crd-install` makes a plain object in Argo CD.
    if let Some(hook) = object.annotation(names::HELM_HOOK)
        && entries(hook).any(|entry| entry != "crd-install")
    {
        add(names::HELM_HOOK, hook);
    }
    if let Some((annotation, wave)) = wave(object) {
        add(annotation, wave);
    }
    for option in object.annotation(names::SYNC_OPTIONS).into_iter().flat_map(entries) {
        match options::meaning(option) {
            Meaning::NoEffect
            | Meaning::NoPrune
            | Meaning::NoDelete
            | Meaning::ConfirmPrune
            | Meaning::ConfirmDelete => {}
            Meaning::CreateNamespace | Meaning::NotYet | Meaning::Unknown => add(names::SYNC_OPTIONS, option),
        }
    }
    for option in object.annotation(names::COMPARE_OPTIONS).into_iter().flat_map(entries) {
        if option != "IgnoreExtraneous" {
            add(names::COMPARE_OPTIONS, option);
        }
    }
    found
}

/// Returns the wave where it is not 0; what is no whole number counts as 0 (Argo CD).
fn wave(object: &Object) -> Option<(&'static str, &str)> {
    [names::SYNC_WAVE, HOOK_WEIGHT]
        .into_iter()
        .find_map(|name| {
            let text = object.annotation(name)?;
            text.parse::<i64>().ok().map(|number| (name, text, number))
        })
        .filter(|(_, _, number)| *number != 0)
        .map(|(name, text, _)| (name, text))
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}
