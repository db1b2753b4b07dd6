//! What can a caller ask of the agent?

use crate::{ApiError, AppName, Namespace, Projection, Reply, Selector};
use model::ResourceSelector;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::sync::oneshot;

/// One request, read and checked, on its way to the agent; the answer goes into `reply`. The caller waits for it at most
/// [`Limits::request_timeout`](crate::Limits), after which sending it fails.
#[derive(Debug)]
pub enum Request {
    /// Which Applications are there? Answered with [`list`](crate::list).
    List {
        /// Which of them.
        query: ListQuery,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// What changes of Applications, as it happens? Answered with [`Body::Stream`](crate::Body::Stream).
    Stream {
        /// Of which of them.
        query: ListQuery,
        /// Only what is newer than this resourceVersion; `None` to begin with all of them.
        since: Option<u64>,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// One Application, answered with [`dto::application`](crate::dto::application).
    Get {
        /// Which one.
        app: AppRef,
        /// `normal` or `hard`: look again first, and answer when that is done.
        refresh: Option<String>,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// Sync an Application; answered with the Application and its new `operation`.
    Sync {
        /// Which one.
        app: AppRef,
        /// How.
        body: SyncBody,
        /// Who asks, as the cluster calls them; empty where nobody was asked.
        username: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// End the sync under way of an Application, or drop one that was asked for and not begun; answered with `{}`.
    Terminate {
        /// Which one.
        app: AppRef,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// What came of a revision? Answered once that is known, with [`Body::Verdict`](crate::Body::Verdict), or when the time is
    /// over. This waits as long as `timeout` says; sending the answer fails where the caller went away.
    Wait {
        /// Of which Application.
        app: AppRef,
        /// For what.
        awaited: Awaited,
        /// How long to wait.
        timeout: Duration,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// What are its objects in Git and in the cluster? Answered with Argo CD's `ResourceDiff`s, masked.
    Managed {
        /// Of which Application.
        app: AppRef,
        /// Which objects.
        filter: ObjectFilter,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// How does live differ from desired? Answered masked.
    Drift {
        /// Of which Application.
        app: AppRef,
        /// For whom.
        format: DriftFormat,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// How often, how fast and how well is deployed?
    Delivery {
        /// Of which Applications.
        query: ListQuery,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// What was deployed, release by release?
    Releases {
        /// Of which Application.
        app: AppRef,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// Roll back, have a commit left alone, or let Git decide again; answered with the Application that asks for it.
    OfReleases {
        /// Which Application.
        app: AppRef,
        /// What.
        what: ReleaseAsk,
        /// Who asks, as the cluster calls them; empty where nobody was asked.
        username: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// What is one release? Answered with its objects and how they differ from those of the release before, masked, where these
    /// are kept.
    Release {
        /// Of which Application.
        app: AppRef,
        /// Its number.
        number: u64,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
}

impl Request {
    /// Returns whether nobody waits for the answer any more.
    pub fn is_given_up(&self) -> bool {
        let (Self::List { reply, .. }
        | Self::Stream { reply, .. }
        | Self::Get { reply, .. }
        | Self::Sync { reply, .. }
        | Self::Terminate { reply, .. }
        | Self::Wait { reply, .. }
        | Self::Managed { reply, .. }
        | Self::Drift { reply, .. }
        | Self::Delivery { reply, .. }
        | Self::Releases { reply, .. }
        | Self::OfReleases { reply, .. }
        | Self::Release { reply, .. }) = self;
        reply.is_closed()
    }
}

/// What a person may ask for beside a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseAsk {
    /// Back to a release; without a number to the one before what runs.
    RollBack {
        /// Its number.
        id: Option<u64>,
        /// Whether it is kept until somebody resumes, rather than until the next commit.
        until_resumed: bool,
    },
    /// Git decides again.
    Resume,
    /// What Git holds now is left alone.
    Quarantine,
}

/// Which Applications to list; what is empty or `None` does not narrow it (Argo CD `ApplicationQuery`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only apps of these projects.
    pub projects: Vec<String>,
    /// Only the app of exactly this name.
    pub name: Option<AppName>,
    /// Only apps with such labels.
    pub selector: Selector,
    /// Only apps of this repository URL.
    pub repo: Option<String>,
    /// Only apps in this namespace.
    pub app_namespace: Option<Namespace>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Only apps after the one of this name and namespace.
    pub after: Option<(String, String)>,
    /// Which fields the caller wants; applied by this crate to the answer.
    pub fields: Projection,
}

/// Applications of a page that costs little, at most.
const SMALL_PAGE: usize = 100;

impl ListQuery {
    /// Returns whether the answer may be large: made of any number of Applications.
    pub fn is_costly(&self) -> bool {
        self.name.is_none() && self.limit.is_none_or(|limit| limit > SMALL_PAGE)
    }
}

/// Which Application is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRef {
    /// Its name; a valid one.
    pub name: String,
    /// Its namespace, a valid one; `None` for the control namespace.
    pub namespace: Option<String>,
    /// The project that the caller believes it is in.
    pub project: Option<String>,
}

impl AppRef {
    /// Refuses an app of another project than the caller named (Argo CD: a wrong project never reaches the app).
    pub fn check_project(&self, project: &str) -> Result<(), ApiError> {
        match &self.project {
            Some(wanted) if wanted != project => Err(ApiError::not_found(format!(
                "there is no application `{}` in project `{wanted}`; leave `project` away to find it in any",
                self.name
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

/// How to sync. Fields of Argo CD's request that we do not act on are refused before this is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncBody {
    /// What to deploy instead of the spec's target revision; empty for that.
    pub revision: String,
    /// Delete what Git no longer has.
    pub prune: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// Only these objects; empty for all.
    pub resources: Vec<ResourceSelector>,
    /// Repeats at most, where the request says it.
    pub retry_limit: Option<i64>,
}

impl SyncBody {
    /// Writes the `operation` that asks an Application for this sync (Argo CD `Operation`); `username` is who asked, empty
    /// where unknown.
    pub fn operation(&self, username: &str) -> Value {
        let mut sync = Map::new();
        let mut put = |name: &str, value: Value| sync.insert(name.to_owned(), value);
        if !self.revision.is_empty() {
            put("revision", json!(self.revision));
        }
        if self.prune {
            put("prune", json!(true));
        }
        if self.dry_run {
            put("dryRun", json!(true));
        }
        if !self.resources.is_empty() {
            put("resources", self.resources.iter().map(resource).collect());
        }
        let mut operation = json!({ "sync": sync, "initiatedBy": {} });
        if !username.is_empty() {
            operation["initiatedBy"]["username"] = json!(username);
        }
        if let Some(limit) = self.retry_limit {
            operation["retry"] = json!({ "limit": limit });
        }
        operation
    }
}

fn resource(selector: &ResourceSelector) -> Value {
    let mut value = json!({ "kind": selector.kind, "name": selector.name });
    if !selector.group.is_empty() {
        value["group"] = json!(selector.group);
    }
    if !selector.namespace.is_empty() {
        value["namespace"] = json!(selector.namespace);
    }
    value
}

/// What a wait is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// What comes of a branch, a tag, a SHA or its beginning.
    Revision(String),
    /// What comes of the sync that was asked for last, whatever it is about.
    Sync,
    /// What comes of a sync that is asked for and not over, else of what the Application follows.
    Followed,
}

/// Which objects of an Application; what is `None` does not narrow it (Argo CD `ResourcesQuery`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFilter {
    /// API group; empty for the core group.
    pub group: Option<String>,
    /// API version.
    pub version: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
}

/// For whom a drift report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftFormat {
    /// For programs.
    Json,
    /// For people: a unified diff.
    Text,
}
