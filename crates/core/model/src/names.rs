//! Names that clusters remember: annotations, labels, finalizers, field managers. Changing one breaks installed state.

/// Field manager of everything we apply. Load-bearing: a change orphans the fields of every managed object.
pub const FIELD_MANAGER: &str = "tautline";
/// Field manager that adds our labels to objects taken over from Argo CD.
pub const TRACK_MANAGER: &str = "tautline-track";
/// Field manager that holds `spec.replicas` when Git stops saying it.
pub const SCALE_MANAGER: &str = "tautline-scale";

/// Label on every managed object: which agent's.
pub const INSTANCE_LABEL: &str = "tautline.dev/instance";
/// Label on every managed object: which app's.
pub const PART_OF_LABEL: &str = "tautline.dev/part-of";
/// Type of the Secrets that hold releases.
pub const RELEASE_TYPE: &str = "tautline.dev/release";
/// Label on a release: which app's, as a hash. No managed object carries it.
pub const RELEASE_OF_LABEL: &str = "tautline.dev/release-of";
/// Label on the further Secrets of a release that is larger than one may be: which part.
pub const RELEASE_PART_LABEL: &str = "tautline.dev/release-part";
/// Secret in the agent's own namespace with the key that releases are sealed with, as `key` in its data. Load-bearing: without
/// it no release that was sealed with it is used again.
pub const RELEASE_KEY: &str = "tautline-release-key";
/// Annotation on an Application: our own state, as JSON.
pub const STATE_ANNOTATION: &str = "tautline.dev/state";
/// Annotation on a live object that permits pruning it although its kind holds data: `allow`.
pub const DELETE_ANNOTATION: &str = "tautline.dev/delete";
/// Annotation on an Application: `remove` or `keep` fields that people added by hand.
pub const ADDED_FIELDS_ANNOTATION: &str = "tautline.dev/added-fields";
/// Annotation on an Application: what a person asks for beside a sync; the agent takes it off when it is done.
pub const REQUEST_ANNOTATION: &str = "tautline.dev/request";
/// Annotation on an Application: the longest time without progress that a sync may take, such as `5m`.
pub const DEADLINE_ANNOTATION: &str = "tautline.dev/deadline";
/// Annotation on an Application, and on an AppProject for its apps: who goes back when a commit is bad; `automatic`, `manual` or
/// `off`.
pub const ROLLBACK_ANNOTATION: &str = "tautline.dev/rollback";
/// Annotation on an Application: how long everything has to stay healthy before a state counts as stable, such as `10s`.
pub const SOAK_ANNOTATION: &str = "tautline.dev/soak";
/// Annotation on an Application: how long an object may be Degraded before it counts, such as `15s`.
pub const DEGRADED_GRACE_ANNOTATION: &str = "tautline.dev/degraded-grace";
/// Annotation on an Application: `keep` or `remove` what a first deploy that failed has created.
pub const FIRST_DEPLOY_ANNOTATION: &str = "tautline.dev/first-deploy";
/// Annotation of an Application: when what Git no longer has is deleted.
pub const PRUNE_ANNOTATION: &str = "tautline.dev/prune";
/// Annotation on an Application: what has to hold before what was deployed counts as stable, a list in YAML or JSON.
pub const CHECKS_ANNOTATION: &str = "tautline.dev/checks";
/// Annotation on an AppProject: which of the words of `tautline.dev/rollback` its apps may ask for, comma separated.
pub const ROLLBACK_ALLOWED_ANNOTATION: &str = "tautline.dev/rollback-allowed";
/// Annotation on an AppProject: the longest `tautline.dev/deadline` that its apps may ask for.
pub const LONGEST_DEADLINE_ANNOTATION: &str = "tautline.dev/longest-deadline";
/// Annotation on an AppProject: the longest `tautline.dev/soak` that its apps may ask for.
pub const LONGEST_SOAK_ANNOTATION: &str = "tautline.dev/longest-soak";

/// Argo CD's application controller: what its `StatefulSet` is called, and its field manager.
pub const ARGO_CD_CONTROLLER: &str = "argocd-application-controller";

/// Annotations with this prefix, on objects and Applications, are links that user interfaces show: `url` or `title|url`.
pub const LINK_PREFIX: &str = "link.argocd.argoproj.io/";

/// Annotation that leaves out the links that an Ingress would get from its rules.
pub const IGNORE_DEFAULT_LINKS: &str = "argocd.argoproj.io/ignore-default-links";

/// Argo CD's tracking annotation on managed objects.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// Argo CD's installation annotation on managed objects.
pub const INSTALLATION_ID: &str = "argocd.argoproj.io/installation-id";
/// Argo CD's request to look again: `normal` or `hard`.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// When the refresh was asked for.
pub const REFRESH_TIMESTAMP: &str = "argocd.argoproj.io/refresh-timestamp";
/// Argo CD's request to hydrate anew, which its server adds to every refresh, whatever the source.
pub const HYDRATE: &str = "argocd.argoproj.io/hydrate";
/// When that was asked for.
pub const HYDRATE_TIMESTAMP: &str = "argocd.argoproj.io/hydrate-timestamp";
/// Argo CD's request to leave an Application alone.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// A person's consent to deletions that ask for it, as RFC 3339.
pub const DELETION_APPROVED: &str = "argocd.argoproj.io/deletion-approved";
/// Options per object, comma separated.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// Options of the comparison per object, comma separated.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// Order inside a sync.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Marks an object as a hook.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// Leaves an object out of the app's health.
pub const IGNORE_HEALTHCHECK: &str = "argocd.argoproj.io/ignore-healthcheck";
/// Helm's hook annotation.
pub const HELM_HOOK: &str = "helm.sh/hook";
/// Helm's annotation that keeps objects: `keep`.
pub const HELM_RESOURCE_POLICY: &str = "helm.sh/resource-policy";
/// What kubectl's client-side apply leaves behind.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Finalizers that make the deletion of an Application delete its objects.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// The same, in the background.
pub const RESOURCES_FINALIZER_BACKGROUND: &str = "resources-finalizer.argocd.argoproj.io/background";
/// The same, in the foreground, spelled out.
pub const RESOURCES_FINALIZER_FOREGROUND: &str = "resources-finalizer.argocd.argoproj.io/foreground";
