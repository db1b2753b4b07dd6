//! When and how does an Application want to be synced?

use super::wire;
use std::collections::BTreeMap;

wire! {
    /// When and how to sync.
    SyncPolicy {
        /// Sync without being asked; present means on, unless `enabled` is false.
        automated: Automated,
        /// Options such as `CreateNamespace=true`.
        sync_options: Vec<String>,
        /// Repeats of failed syncs.
        retry: Retry,
        /// Labels and annotations of the destination namespace, with `CreateNamespace=true`.
        managed_namespace_metadata: ManagedNamespaceMetadata,
        /// Tautline's own settings; an annotation `tautline.dev/...` of the same meaning wins.
        tautline: Tautline,
        /// Tautline: what to do about a bad commit; an annotation `tautline.dev/...` of the same meaning wins.
        rollback: Rollback,
    }

    /// Syncs without being asked.
    Automated {
        /// Delete what Git no longer has; false where absent.
        prune: bool,
        /// Undo what others change; false where absent.
        self_heal: bool,
        /// Accept an empty set of manifests; false where absent.
        allow_empty: bool,
        /// Whether automated syncs are on; true where absent.
        enabled: bool,
    }

    /// Repeats of failed syncs.
    Retry {
        /// How often at most; 0 for never, negative for ever.
        limit: i64,
        /// How the waits grow.
        backoff: Backoff,
        /// Whether a repeat takes the newest revision.
        refresh: bool,
    }

    /// How the waits grow: `duration * factor^n`, at most `maxDuration`.
    Backoff {
        /// First wait, such as `5s`; a bare number counts seconds.
        duration: String,
        /// Growth; 2 where absent.
        factor: i64,
        /// Longest wait, such as `3m`.
        max_duration: String,
    }

    /// Labels and annotations of a namespace that the sync creates.
    ManagedNamespaceMetadata {
        /// Labels to set.
        labels: BTreeMap<String, String>,
        /// Annotations to set.
        annotations: BTreeMap<String, String>,
    }

    /// Tautline's own settings. Each is also an annotation, which wins and which Argo CD's CRDs keep as well.
    Tautline {
        /// What to do with fields that people added by hand: `keep` (default) or `remove`; annotation
        /// `tautline.dev/added-fields`.
        #[schemars(extend("enum" = ["keep", "remove"]))]
        added_fields: String,
    }

    /// What to do about a bad commit. Each is also an annotation, which wins and which Argo CD's CRDs keep as well.
    Rollback {
        /// Who goes back to the stable release when a commit is bad: `automatic` for the agent, `manual` for a person, `"off"`
        /// (in quotes, for YAML takes the bare word for `false`) for nobody; annotation `tautline.dev/rollback`.
        policy: String,
        /// Longest time without progress that a sync may take, such as `5m`; annotation `tautline.dev/deadline`.
        deadline: String,
        /// How long everything has to stay healthy before a state counts as stable, such as `10s`; annotation
        /// `tautline.dev/soak`.
        soak: String,
        /// How long an object may be Degraded before it counts, such as `15s`; annotation `tautline.dev/degraded-grace`.
        degraded_grace: String,
        /// What to do with what a first deploy that failed has created: `keep` (default) or `remove`; annotation
        /// `tautline.dev/first-deploy`.
        #[schemars(extend("enum" = ["keep", "remove"]))]
        first_deploy: String,
        /// What has to hold before what was deployed counts as stable, and is at fault where it does not: at most 16 of `http`, `query`
        /// and `job`, each with a `name`; annotation `tautline.dev/checks`.
        #[schemars(extend("items" = {"type": "object", "x-kubernetes-preserve-unknown-fields": true}))]
        checks: Vec<serde_json::Value>,
    }

    /// Differences that do not count.
    IgnoreDifference {
        /// Glob over the API group; empty for the core group.
        group: String,
        /// Glob over the kind.
        #[schemars(required)]
        kind: String,
        /// Name; empty for any.
        name: String,
        /// Namespace; empty for any.
        namespace: String,
        /// Fields, as JSON pointers.
        json_pointers: Vec<String>,
        /// Fields, as jq path expressions.
        jq_path_expressions: Vec<String>,
        /// Fields, by who owns them.
        managed_fields_managers: Vec<String>,
    }
}
