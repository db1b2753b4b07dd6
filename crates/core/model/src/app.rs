//! What is an app, once its Application has been read and found valid?

use crate::{Check, ObjectKey, ReleaseRequest, RollbackSettings, Seconds, Timestamp};
use std::fmt;

/// Entries of history to keep where the spec says nothing (Argo CD).
pub const HISTORY: usize = 10;

/// What identifies an Application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppKey {
    /// Namespace of the Application object.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl AppKey {
    /// Names an Application.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Returns Argo CD's instance name: the name, with the namespace before it for apps outside the control namespace.
    pub fn instance_name(&self, control_namespace: &str) -> String {
        if self.namespace == control_namespace {
            self.name.clone()
        } else {
            format!("{}_{}", self.namespace, self.name)
        }
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One Application, valid as far as it goes. What we cannot act on is listed in `not_yet` and makes it read-only.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// What identifies it.
    pub key: AppKey,
    /// `metadata.uid`.
    pub uid: String,
    /// AppProject; `default` where the spec is empty.
    pub project: String,
    /// Where manifests come from.
    pub source: Source,
    /// Where they go.
    pub destination: Destination,
    /// Set while auto-sync is on.
    pub automated: Option<Automated>,
    /// `CreateNamespace=true`.
    pub create_namespace: bool,
    /// `Prune=false` for the whole app.
    pub prune_disabled: bool,
    /// Whether all that is pruned goes only once the new state has settled.
    pub prunes_after_settling: bool,
    /// `Delete=false` for the whole app.
    pub delete_disabled: bool,
    /// Repeats of failed syncs; `None` where the spec says nothing: automated ones for ever (Argo CD: 5), manual ones never.
    pub retry: Option<Retry>,
    /// Differences that do not count.
    pub ignore_differences: Vec<IgnoreRule>,
    /// How many entries of history to keep.
    pub history_limit: usize,
    /// What to do with fields that people added by hand.
    pub added_fields: AddedFields,
    /// Longest time without progress that a sync may take; `None` for the default.
    pub sync_deadline: Option<Seconds>,
    /// What is done about a bad commit, and how soon a commit counts as good or bad.
    pub rollback: RollbackSettings,
    /// What has to hold beside the health of its objects before what was deployed counts as stable.
    pub checks: Vec<Check>,
    /// Everything in the spec that we do not act on yet. Not empty: read-only.
    pub not_yet: Vec<NotYet>,
    /// Somebody asks for a sync, or it is under way.
    pub operation: Option<Operation>,
    /// Somebody asked to end the sync under way.
    pub terminate: bool,
    /// Somebody asks us to look again.
    pub refresh: Option<Refresh>,
    /// What tells that request from an earlier one; empty where it does not say.
    pub refresh_stamp: String,
    /// Somebody asks for something beside a sync.
    pub request: Option<ReleaseRequest>,
    /// Leave this Application alone altogether.
    pub skip_reconcile: bool,
    /// Set once the Application is being deleted.
    pub deletion: Option<Deletion>,
    /// When a person consented to deletions that ask for it.
    pub deletion_approved: Option<Timestamp>,
}

impl App {
    /// Returns an app of which nothing is known but its name: it asks for nothing.
    pub fn named(key: AppKey) -> Self {
        Self {
            key,
            uid: String::new(),
            project: String::new(),
            source: Source::default(),
            destination: Destination::default(),
            automated: None,
            create_namespace: false,
            prune_disabled: false,
            prunes_after_settling: false,
            delete_disabled: false,
            retry: None,
            ignore_differences: Vec::new(),
            history_limit: HISTORY,
            added_fields: AddedFields::Keep,
            sync_deadline: None,
            rollback: RollbackSettings::default(),
            checks: Vec::new(),
            not_yet: Vec::new(),
            operation: None,
            terminate: false,
            refresh: None,
            refresh_stamp: String::new(),
            request: None,
            skip_reconcile: false,
            deletion: None,
            deletion_approved: None,
        }
    }

    /// Returns whether we may change the cluster for this app.
    pub fn is_read_only(&self) -> bool {
        !self.not_yet.is_empty()
    }
}

/// A field that Argo CD acts on and we do not yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotYet {
    /// Where it stands, such as `spec.source.helm` or `Deployment.apps shop/web: argocd.argoproj.io/sync-wave`.
    pub field: String,
}

/// Where manifests come from.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Source {
    /// Repository URL, as the spec writes it.
    pub repo_url: String,
    /// Folder in the repository, without slashes at its ends; empty for the root.
    pub path: String,
    /// Branch, tag, SHA or `HEAD`.
    pub target_revision: String,
    /// Which files of the folder.
    pub directory: Directory,
}

/// Which files of a folder are manifests.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Directory {
    /// Folders below it, too.
    pub recurse: bool,
    /// Glob over paths relative to the folder; empty for all.
    pub include: String,
    /// Glob over paths relative to the folder; empty for none.
    pub exclude: String,
}

/// Where objects go. Only the cluster that the agent runs in, for now.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Destination {
    /// The server, as the spec writes it; empty if it names the cluster instead.
    pub server: String,
    /// The cluster's name, as the spec writes it; empty if it names the server instead.
    pub name: String,
    /// Default namespace of namespaced objects; may be empty.
    pub namespace: String,
}

/// Auto-sync and what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Automated {
    /// Delete what Git no longer has.
    pub prune: bool,
    /// Undo what others change.
    pub self_heal: bool,
    /// Accept an empty set of manifests.
    pub allow_empty: bool,
}

/// How often and how fast a failed sync is repeated (Argo CD `syncPolicy.retry`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Repeats at most; negative for ever.
    pub limit: i64,
    /// How the waits grow.
    pub backoff: Backoff,
}

/// How waits grow: `duration * factor^n`, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// First wait.
    pub duration: Seconds,
    /// Growth.
    pub factor: f64,
    /// Longest wait.
    pub max: Seconds,
}

impl Default for Backoff {
    /// Argo CD's defaults: 5 s, doubled, at most 3 min.
    fn default() -> Self {
        Self { duration: Seconds::new(5), factor: 2.0, max: Seconds::new(180) }
    }
}

/// Differences that do not count, by JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreRule {
    /// Glob over the group.
    pub group: String,
    /// Glob over the kind.
    pub kind: String,
    /// Namespace; empty for any.
    pub namespace: String,
    /// Name; empty for any.
    pub name: String,
    /// JSON pointers of fields.
    pub json_pointers: Vec<String>,
}

/// What to do with fields that people added by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AddedFields {
    /// Report them and leave them, as Argo CD does.
    #[default]
    Keep,
    /// They are drift; self-heal removes them.
    Remove,
}

/// A request to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refresh {
    /// Resolve the revision again.
    Normal,
    /// And trust no cache.
    Hard,
}

/// A sync that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Operation {
    /// What to deploy instead of the spec's target revision; empty for that.
    pub revision: String,
    /// Delete what Git no longer has.
    pub prune: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// Only these objects; empty for all.
    pub resources: Vec<ResourceSelector>,
    /// Who asked; empty where unknown.
    pub username: String,
    /// Repeats, where the operation brings its own.
    pub retry_limit: Option<i64>,
    /// Everything in the operation that we do not act on yet. Not empty: the operation is refused.
    pub not_yet: Vec<NotYet>,
}

/// One object named in a selective sync; an empty namespace matches any (Argo CD).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceSelector {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for any.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ResourceSelector {
    /// Returns whether the selector names `key`.
    pub fn matches(&self, key: &ObjectKey) -> bool {
        self.group == key.group
            && self.kind == key.kind
            && self.name == key.name
            && (self.namespace.is_empty() || self.namespace == key.namespace)
    }
}

/// An Application on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// What happens to the objects.
    pub cascade: Cascade,
}

/// What the deletion of an Application does to its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cascade {
    /// They stay: no finalizer of ours is on the Application.
    Orphan,
    /// They go, dependents first.
    Foreground,
    /// They go, dependents after them.
    Background,
}
