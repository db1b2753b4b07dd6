//! What do Applications and AppProjects look like on the wire?
//!
//! Every field of Argo CD's `argoproj.io/v1alpha1` (Application and AppProject specification documents), also those we
//! do not act on, so that our CRDs keep what theirs keep. All fields are optional here: absent and empty stay apart, and
//! what must be there is said by the schema ([`crate::crd`]), which [`crate::read`] checks first.

mod operation;
mod policy;
mod project;
mod source;

pub use operation::{
    HookStrategy, Initiator, Operation, SyncOperation, SyncResource, SyncStrategy, SyncStrategyOptions,
};
pub use policy::{
    Automated, Backoff, IgnoreDifference, ManagedNamespaceMetadata, Retry, Rollback, SyncPolicy, Tautline,
};
pub use project::{
    DestinationServiceAccount, GitIntegrity, GitIntegrityPolicy, GpgIntegrity, IntegrityRepo, JwtToken,
    KindRule, OrphanedKey, OrphanedResources, ProjectSpec, ResourceRule, Role, SignatureKey, SourceIntegrity,
    SyncWindow,
};
pub use source::{
    Directory, DrySource, EnvEntry, Helm, HelmFileParameter, HelmParameter, HydrateTo, Jsonnet, JsonnetVar,
    Kustomize, KustomizePatch, KustomizeReplica, KustomizeTarget, Plugin, PluginParameter, Source,
    SourceHydrator, SyncSource,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Writes wire types: every field optional and left out when absent.
macro_rules! wire {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$field_meta])*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,)*
        }
    )*};
}
pub(crate) use wire;

/// An Application as far as we validate it: what it asks for. Metadata and status are read as plain JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Application {
    /// What the Application wants.
    #[serde(default)]
    pub spec: ApplicationSpec,
    /// A sync that somebody asks for, or that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}

/// An AppProject as far as we validate it. Metadata and status are read as plain JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppProject {
    /// What apps of the project may do.
    #[serde(default)]
    pub spec: ProjectSpec,
}

wire! {
    /// What the Application wants.
    ApplicationSpec {
        /// AppProject; empty means `default`.
        #[schemars(required)]
        project: String,
        /// Where manifests come from.
        source: Source,
        /// Several places that manifests come from; wins over `source`.
        sources: Vec<Source>,
        /// A source that is rendered to a branch, which is then followed.
        source_hydrator: SourceHydrator,
        /// Where the objects go.
        #[schemars(required)]
        destination: Destination,
        /// When and how to sync.
        sync_policy: SyncPolicy,
        /// Differences that do not count.
        ignore_differences: Vec<IgnoreDifference>,
        /// Shown to people; without effect.
        info: Vec<Info>,
        /// How many entries of `status.history` to keep; 10 where absent.
        revision_history_limit: i64,
    }

    /// Where the objects go: a cluster by `server` or by `name`, never both.
    Destination {
        /// URL of the cluster's API server; `https://kubernetes.default.svc` is the cluster the agent runs in.
        server: String,
        /// Name of the cluster; `in-cluster` is the cluster the agent runs in.
        name: String,
        /// Namespace of namespaced objects that name none.
        namespace: String,
    }

    /// Something to show to people.
    Info {
        /// What it is.
        #[schemars(required)]
        name: String,
        /// What it says.
        #[schemars(required)]
        value: String,
    }
}
