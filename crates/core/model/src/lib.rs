//! The nouns that every other crate speaks of; no decisions live here.
//!
//! ```text
//! App ──source──▶ Revision ──render──▶ [Object] + DesiredHash ──compare──▶ Comparison
//!                                                   ▲ live, as LiveDigest
//! ```
//!
//! Wire types (CRDs, HTTP, settings) are converted at the edges and do not appear here.

mod app;
mod bytes;
mod check;
mod comparison;
mod culprit;
mod evidence;
mod failure;
pub mod glob;
mod hash;
mod headway;
mod health;
mod held;
mod link;
mod live;
pub mod names;
mod object;
pub mod pointer;
mod printable;
mod problem;
mod reason;
mod revision;
mod rollback;
mod sync;
mod timestamp;
pub mod tracking;
mod user;

pub use app::{
    AddedFields, App, AppKey, Automated, Backoff, Cascade, Deletion, Destination, Directory, HISTORY,
    IgnoreRule, NotYet, Operation, Refresh, ResourceSelector, Retry, Source,
};
pub use bytes::{base64_decode, base64_encode};
pub use check::{Bound, Check, HttpProbe, JobProbe, Look, NoData, Probe, QueryProbe, Relayed, Scheme};
pub use comparison::{Comparison, ObjectStatus, SyncStatus};
pub use culprit::{CommitInfo, Culprit};
pub use evidence::Evidence;
pub use failure::{CallError, ErrorClass};
pub use hash::{Digest, digest};
pub use headway::Headway;
pub use health::{Health, HealthStatus};
pub use held::{Again, Asked, Bad, Held, HeldStage, ReleaseRequest, Stable};
pub use link::is_web_link;
pub use live::{Available, LiveDigest, Match};
pub use object::{GroupKind, GroupVersionKind, NotAnObject, Object, ObjectKey};
pub use printable::{is_active, printable, printable_json};
pub use problem::{Place, Problem};
pub use reason::Reason;
pub use revision::{DesiredHash, LONGEST_TARGET, Revision};
pub use rollback::{
    AfterSettling, DEGRADED_GRACE, FirstDeploy, LONGEST_WAIT, RollbackPolicy, RollbackSettings, SOAK,
    SYNC_DEADLINE, UnknownWord,
};
pub use sync::{ObjectOutcome, ObjectResult, OperationPhase, SyncId};
pub use timestamp::{Seconds, Timestamp};
pub use user::User;
