//! Which metrics are there, under which names and labels? Dashboards read them: changing one breaks somebody's.
//!
//! `argocd_*` are Argo CD's, named and labelled as its metrics documentation says, where ours mean the same.

use super::{Kind, Metric};

/// Upper bounds of [`APP_RECONCILE`], in seconds, as Argo CD's.
pub const RECONCILE_BOUNDS: &[f64] = &[0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

/// One per app, always 1; `operation` is empty, `sync` or `delete`.
pub const APP_INFO: Metric<10> = Metric {
    name: "argocd_app_info",
    help: "Information about an Application; always 1.",
    kind: Kind::Gauge,
    labels: [
        "namespace",
        "name",
        "project",
        "autosync_enabled",
        "repo",
        "dest_server",
        "dest_namespace",
        "sync_status",
        "health_status",
        "operation",
    ],
};
/// One per app and condition, always 1.
pub const APP_CONDITION: Metric<4> = Metric {
    name: "argocd_app_condition",
    help: "Conditions of an Application.",
    kind: Kind::Gauge,
    labels: ["namespace", "name", "project", "condition"],
};
/// Finished syncs; `phase` is `Succeeded`, `Failed` or `Error`, `dry_run` is `true` or `false`.
pub const APP_SYNC_TOTAL: Metric<6> = Metric {
    name: "argocd_app_sync_total",
    help: "Finished syncs of an Application, by phase.",
    kind: Kind::Counter,
    labels: ["namespace", "name", "project", "dest_server", "phase", "dry_run"],
};
/// Rollbacks that ended; `verdict` is `RolledBack`, `Inconclusive` or `RollbackFailed`.
pub const ROLLBACKS: Metric<4> = Metric {
    name: "tautline_rollbacks_total",
    help: "Rollbacks of an Application that ended, by verdict.",
    kind: Kind::Counter,
    labels: ["namespace", "name", "project", "verdict"],
};
/// How long syncs took, in seconds.
pub const APP_SYNC_SECONDS: Metric<4> = Metric {
    name: "argocd_app_sync_duration_seconds_total",
    help: "Seconds that syncs of an Application took, together.",
    kind: Kind::Counter,
    labels: ["namespace", "name", "project", "dest_server"],
};
/// How long comparisons took, in seconds, by [`RECONCILE_BOUNDS`].
pub const APP_RECONCILE: Metric<2> = Metric {
    name: "argocd_app_reconcile",
    help: "Seconds from a change seen to its comparison done.",
    kind: Kind::Histogram,
    labels: ["namespace", "dest_server"],
};
/// Changes of an app that settled in the last 30 days, as far as its releases reach.
pub const DEPLOYMENTS: Metric<3> = Metric {
    name: "tautline_deployments",
    help: "Changes that settled in the last 30 days.",
    kind: Kind::Gauge,
    labels: ["namespace", "name", "project"],
};
/// Changes of an app that failed in the last 30 days.
pub const FAILED_CHANGES: Metric<3> = Metric {
    name: "tautline_failed_changes",
    help: "Changes that failed in the last 30 days, rolled back or not.",
    kind: Kind::Gauge,
    labels: ["namespace", "name", "project"],
};
/// How long a change of an app takes.
pub const LEAD_TIME: Metric<3> = Metric {
    name: "tautline_lead_time_seconds",
    help: "Median of the last 30 days, from a change seen until it had settled.",
    kind: Kind::Gauge,
    labels: ["namespace", "name", "project"],
};
/// How long it takes until an app is well again.
pub const TIME_TO_RESTORE: Metric<3> = Metric {
    name: "tautline_time_to_restore_seconds",
    help: "Median of the last 30 days, from the start of what failed until all was well again.",
    kind: Kind::Gauge,
    labels: ["namespace", "name", "project"],
};
/// [`LEAD_TIME`] over the changes of all apps.
pub const OVERALL_LEAD_TIME: Metric<0> = Metric {
    name: "tautline_overall_lead_time_seconds",
    help: "Median of the last 30 days over all apps, from a change seen until it had settled.",
    kind: Kind::Gauge,
    labels: [],
};
/// [`TIME_TO_RESTORE`] over all apps.
pub const OVERALL_TIME_TO_RESTORE: Metric<0> = Metric {
    name: "tautline_overall_time_to_restore_seconds",
    help: "Median of the last 30 days over all apps, from the start of what failed until all was well again.",
    kind: Kind::Gauge,
    labels: [],
};
/// 1 while the cluster's watches are up, else 0.
pub const CLUSTER_CONNECTION_STATUS: Metric<2> = Metric {
    name: "argocd_cluster_connection_status",
    help: "Whether the cluster is reached: 1 or 0.",
    kind: Kind::Gauge,
    labels: ["server", "k8s_version"],
};
/// Objects watched per cluster.
pub const CLUSTER_OBJECTS: Metric<1> = Metric {
    name: "argocd_cluster_api_resource_objects",
    help: "Objects that are watched in the cluster.",
    kind: Kind::Gauge,
    labels: ["server"],
};
/// Watch events per cluster and kind.
pub const CLUSTER_EVENTS_TOTAL: Metric<3> = Metric {
    name: "argocd_cluster_events_total",
    help: "Watch events received from the cluster, by kind.",
    kind: Kind::Counter,
    labels: ["server", "group", "kind"],
};
/// Requests to Git remotes; `request_type` is `ls-remote` or `fetch`. `repo` holds no password.
pub const GIT_REQUEST_TOTAL: Metric<2> = Metric {
    name: "argocd_git_request_total",
    help: "Requests to Git remotes, by type.",
    kind: Kind::Counter,
    labels: ["repo", "request_type"],
};

/// Sets of manifests read from Git; `outcome` is `ok` or `failed`.
pub const RENDERS: Metric<1> = Metric {
    name: "tautline_renders_total",
    help: "Sets of manifests read from Git, by outcome.",
    kind: Kind::Counter,
    labels: ["outcome"],
};
/// Objects applied; `outcome` is a bounded reason word or `ok`.
pub const APPLIES: Metric<1> = Metric {
    name: "tautline_applies_total",
    help: "Objects applied to the cluster, by outcome.",
    kind: Kind::Counter,
    labels: ["outcome"],
};
/// Writes of Applications; `outcome` is `ok` or an error class.
pub const STATUS_WRITES: Metric<1> = Metric {
    name: "tautline_status_writes_total",
    help: "Status writes of Applications, by outcome.",
    kind: Kind::Counter,
    labels: ["outcome"],
};
/// Requests that we send to the Kubernetes API server.
pub const API_REQUESTS: Metric<2> = Metric {
    name: "tautline_api_requests_total",
    help: "Requests sent to the Kubernetes API server, by verb and kind.",
    kind: Kind::Counter,
    labels: ["verb", "kind"],
};
/// Objects of an app that differ from Git.
pub const APP_DRIFT: Metric<3> = Metric {
    name: "tautline_app_drifted_objects",
    help: "Objects of an Application that differ from Git.",
    kind: Kind::Gauge,
    labels: ["namespace", "name", "project"],
};
/// How old our view of a repository is, in seconds. `repo` holds no password.
pub const SOURCE_AGE: Metric<1> = Metric {
    name: "tautline_source_age_seconds",
    help: "Seconds since the repository was last looked at with success.",
    kind: Kind::Gauge,
    labels: ["repo"],
};
/// One per setting that cannot be read, always 1; `kind` is `Secret`, `ConfigMap` or `AppProject`.
pub const UNREADABLE_SETTINGS: Metric<2> = Metric {
    name: "tautline_unreadable_settings",
    help: "Settings that cannot be read, so that their previous values stay; always 1.",
    kind: Kind::Gauge,
    labels: ["kind", "name"],
};
/// 1 while this replica writes, else 0; `reason` is one word that says why not, or `Writing`.
pub const WRITER: Metric<1> = Metric {
    name: "tautline_writer",
    help: "Whether this replica writes: 1 or 0, and why not.",
    kind: Kind::Gauge,
    labels: ["reason"],
};
/// Always 1.
pub const BUILD_INFO: Metric<1> = Metric {
    name: "tautline_build_info",
    help: "The running version; always 1.",
    kind: Kind::Gauge,
    labels: ["version"],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn shape<const N: usize>(metric: &Metric<N>) -> String {
        format!("{} {:?} {}\n", metric.name, metric.kind, metric.labels.join(","))
    }

    /// Argo CD's metrics documentation is where these come from; dashboards name every one of them.
    #[test]
    fn names_and_labels_are_pinned() {
        let all = [
            shape(&APP_INFO),
            shape(&APP_CONDITION),
            shape(&APP_SYNC_TOTAL),
            shape(&APP_SYNC_SECONDS),
            shape(&APP_RECONCILE),
            shape(&CLUSTER_CONNECTION_STATUS),
            shape(&CLUSTER_OBJECTS),
            shape(&CLUSTER_EVENTS_TOTAL),
            shape(&GIT_REQUEST_TOTAL),
            shape(&RENDERS),
            shape(&APPLIES),
            shape(&STATUS_WRITES),
            shape(&API_REQUESTS),
            shape(&APP_DRIFT),
            shape(&SOURCE_AGE),
            shape(&UNREADABLE_SETTINGS),
            shape(&WRITER),
            shape(&BUILD_INFO),
        ];
        assert_eq!(
            all.concat(),
            "\
argocd_app_info Gauge namespace,name,project,autosync_enabled,repo,dest_server,dest_namespace,sync_status,health_status,operation
argocd_app_condition Gauge namespace,name,project,condition
argocd_app_sync_total Counter namespace,name,project,dest_server,phase,dry_run
argocd_app_sync_duration_seconds_total Counter namespace,name,project,dest_server
argocd_app_reconcile Histogram namespace,dest_server
argocd_cluster_connection_status Gauge server,k8s_version
argocd_cluster_api_resource_objects Gauge server
argocd_cluster_events_total Counter server,group,kind
argocd_git_request_total Counter repo,request_type
tautline_renders_total Counter outcome
tautline_applies_total Counter outcome
tautline_status_writes_total Counter outcome
tautline_api_requests_total Counter verb,kind
tautline_app_drifted_objects Gauge namespace,name,project
tautline_source_age_seconds Gauge repo
tautline_unreadable_settings Gauge kind,name
tautline_writer Gauge reason
tautline_build_info Gauge version
"
        );
    }
}
