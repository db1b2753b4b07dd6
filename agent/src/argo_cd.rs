//! Does Argo CD's own application controller run beside us? Then we only look.

use crate::agent::Agent;
use cluster::{Endpoint, WatchEvent};
use model::{ErrorClass, Object, names};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What may run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Runner {
    /// As Argo CD installs it.
    StatefulSet,
    /// Where it distributes clusters among its replicas by itself.
    Deployment,
}

impl Runner {
    /// Returns where such workloads are served.
    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::StatefulSet => Endpoint::new("apps/v1", "StatefulSet", "statefulsets", true),
            Self::Deployment => Endpoint::new("apps/v1", "Deployment", "deployments", true),
        }
    }
}

/// Whether Argo CD's controller runs in the control namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has replicas.
    Runs,
    /// We may not look for it.
    Forbidden,
    /// We have not looked everywhere yet.
    NotLookedYet,
    /// It is not there, or has no replicas.
    Absent,
}

/// What is seen of Argo CD's controller.
#[derive(Default)]
pub(crate) struct ArgoCd {
    stateful_sets: View,
    deployments: View,
}

/// What one watch shows.
#[derive(Default)]
struct View {
    sight: Sight,
    /// Replicas by name.
    controllers: BTreeMap<String, i64>,
    /// Names seen since the list under way began.
    seen: Option<BTreeSet<String>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Sight {
    #[default]
    NotYet,
    Forbidden,
    Clear,
}

impl ArgoCd {
    /// Returns whether it runs. What could not be looked at lately counts as it was.
    pub(crate) fn presence(&self) -> Presence {
        let views = [&self.stateful_sets, &self.deployments];
        let has = |sight| views.iter().any(|view| view.sight == sight);
        if views.iter().any(|view| view.controllers.values().any(|replicas| *replicas > 0)) {
            Presence::Runs
        } else if has(Sight::Forbidden) {
            Presence::Forbidden
        } else if has(Sight::NotYet) {
            Presence::NotLookedYet
        } else {
            Presence::Absent
        }
    }

    /// Returns the names of what runs it, or would if it were scaled up.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let views = [&self.stateful_sets, &self.deployments];
        views.iter().flat_map(|view| view.controllers.keys().cloned()).collect()
    }

    /// Takes in what a watch saw.
    fn see(&mut self, runner: Runner, event: &WatchEvent, control_namespace: &str) {
        let view = match runner {
            Runner::StatefulSet => &mut self.stateful_sets,
            Runner::Deployment => &mut self.deployments,
        };
        match event {
            WatchEvent::Began => view.seen = Some(BTreeSet::new()),
            WatchEvent::Object(object, _) => {
                let replicas =
                    drift::controller::is_argo_cd(object, control_namespace).then(|| replicas(object));
                view.put(object.name(), replicas);
            }
            // Whatever it is, somebody called it so; what was known of it stays.
            WatchEvent::Undecodable { name, .. } if name == names::ARGO_CD_CONTROLLER => {
                let known = view.controllers.get(name).copied();
                view.put(name, Some(known.unwrap_or(1)));
            }
            WatchEvent::Undecodable { name, .. } => view.put(name, view.controllers.get(name).copied()),
            WatchEvent::Deleted(key, _) => view.put(&key.name, None),
            WatchEvent::Listed(_) => {
                if let Some(seen) = view.seen.take() {
                    view.controllers.retain(|name, _| seen.contains(name));
                }
            }
            WatchEvent::Blind { why, .. } if why.class == ErrorClass::Forbidden => {
                view.sight = Sight::Forbidden;
            }
            WatchEvent::Blind { .. } => {}
            WatchEvent::Seeing => view.sight = Sight::Clear,
        }
    }
}

impl View {
    fn put(&mut self, name: &str, replicas: Option<i64>) {
        let Some(replicas) = replicas else {
            self.controllers.remove(name);
            return;
        };
        self.controllers.insert(name.into(), replicas);
        if let Some(seen) = &mut self.seen {
            seen.insert(name.into());
        }
    }
}

/// The API server writes 1 where nobody says anything.
fn replicas(object: &Object) -> i64 {
    object.get("spec").and_then(|spec| spec.get("replicas")).and_then(Value::as_i64).unwrap_or(1)
}

impl Agent {
    /// Takes in what a watch saw of what may run Argo CD's controller.
    pub(crate) fn argo_cd_event(&mut self, runner: Runner, event: &WatchEvent) {
        let (before, names) = (self.argo_cd.presence(), self.argo_cd.names());
        if let WatchEvent::Blind { why, .. } = event {
            tracing::warn!(error = %why, "whether Argo CD's controller runs here is not seen");
        }
        self.argo_cd.see(runner, event, &self.config.namespace);
        let now = self.argo_cd.presence();
        if now != before {
            match now {
                Presence::Runs => tracing::warn!(
                    "argocd-application-controller runs in this namespace: only looking until it is scaled to zero"
                ),
                Presence::Forbidden => tracing::warn!(
                    "whether argocd-application-controller runs in this namespace may not be seen: only looking until list \
                     and watch of statefulsets.apps and deployments.apps are granted here (see manifests/install.yaml)"
                ),
                Presence::Absent if before == Presence::Runs => {
                    tracing::info!("argocd-application-controller is gone: writing from now on");
                }
                Presence::Absent | Presence::NotLookedYet => {}
            }
        }
        self.update_writes();
        if self.argo_cd.names() != names {
            // That somebody scales it up is drift to no app.
            let apps: Vec<_> = self.apps.keys().cloned().collect();
            for key in apps {
                self.read_app(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::Origin;
    use model::{CallError, Timestamp};
    use serde_json::json;

    fn told(kind: &str, name: &str, replicas: &Value) -> WatchEvent {
        let object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"replicas": replicas}});
        WatchEvent::Object(Object::from_value(object).unwrap(), Origin::Listed)
    }

    fn blind(class: ErrorClass) -> WatchEvent {
        WatchEvent::Blind { since: Timestamp::from_millis(0), why: CallError::new(class, "no") }
    }

    fn after(argo_cd: &mut ArgoCd, runner: Runner, events: impl IntoIterator<Item = WatchEvent>) -> Presence {
        events.into_iter().for_each(|event| argo_cd.see(runner, &event, "argocd"));
        argo_cd.presence()
    }

    const NAME: &str = names::ARGO_CD_CONTROLLER;

    #[test]
    fn it_is_absent_only_where_both_kinds_were_looked_at() {
        let mut it = ArgoCd::default();
        assert_eq!(it.presence(), Presence::NotLookedYet);
        let empty = || {
            [WatchEvent::Began, told("StatefulSet", "redis", &json!(3)), WatchEvent::Listed(String::new())]
        };
        let seeing = || [WatchEvent::Seeing];
        after(&mut it, Runner::StatefulSet, empty());
        assert_eq!(after(&mut it, Runner::StatefulSet, seeing()), Presence::NotLookedYet);
        assert_eq!(after(&mut it, Runner::Deployment, empty()), Presence::NotLookedYet);
        assert_eq!(after(&mut it, Runner::Deployment, seeing()), Presence::Absent);
        // As a Deployment, and without a word about replicas.
        assert_eq!(
            after(&mut it, Runner::Deployment, [told("Deployment", NAME, &Value::Null)]),
            Presence::Runs
        );
        assert_eq!(after(&mut it, Runner::StatefulSet, empty()), Presence::Runs);
        assert_eq!(
            after(&mut it, Runner::Deployment, [told("Deployment", NAME, &json!(0))]),
            Presence::Absent
        );
        assert_eq!(
            after(&mut it, Runner::StatefulSet, [told("StatefulSet", NAME, &json!(1))]),
            Presence::Runs
        );
        // Deleted while nobody watched.
        assert_eq!(after(&mut it, Runner::StatefulSet, empty()), Presence::Absent);
    }

    #[test]
    fn what_may_not_be_seen_may_run() {
        let mut it = ArgoCd::default();
        let empty = || [WatchEvent::Began, WatchEvent::Listed(String::new())];
        after(&mut it, Runner::StatefulSet, empty());
        after(&mut it, Runner::StatefulSet, [WatchEvent::Seeing]);
        assert_eq!(
            after(&mut it, Runner::Deployment, [blind(ErrorClass::Unavailable)]),
            Presence::NotLookedYet
        );
        assert_eq!(after(&mut it, Runner::Deployment, [blind(ErrorClass::Forbidden)]), Presence::Forbidden);
        // It may be listed and not watched: it may be scaled up at any time.
        assert_eq!(after(&mut it, Runner::Deployment, empty()), Presence::Forbidden);
        assert_eq!(after(&mut it, Runner::Deployment, [WatchEvent::Seeing]), Presence::Absent);
        // The API server is away: what was seen last holds.
        assert_eq!(after(&mut it, Runner::Deployment, [blind(ErrorClass::Unavailable)]), Presence::Absent);
        assert_eq!(after(&mut it, Runner::StatefulSet, [blind(ErrorClass::Forbidden)]), Presence::Forbidden);
        let bad = |name: &str| WatchEvent::Undecodable {
            name: name.into(),
            namespace: "argocd".into(),
            sentence: "too deep",
            head: None,
        };
        assert_eq!(
            after(
                &mut it,
                Runner::StatefulSet,
                [WatchEvent::Began, bad("redis"), WatchEvent::Listed(String::new())]
            ),
            Presence::Forbidden
        );
        assert_eq!(after(&mut it, Runner::StatefulSet, [WatchEvent::Seeing]), Presence::Absent);
        assert_eq!(
            after(
                &mut it,
                Runner::StatefulSet,
                [WatchEvent::Began, bad(NAME), WatchEvent::Listed(String::new())]
            ),
            Presence::Runs
        );
    }
}
