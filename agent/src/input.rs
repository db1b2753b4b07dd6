//! What can reach the loop?

use crate::apply::Seen;
use crate::cascade::Answers;
use crate::desired::{DesiredSet, NotRendered};
use crate::live::Baseline;
use crate::look_up::Found;
use crate::polling::Polled;
use crate::releases::NotWritten;
use crate::reverting::{Pushed, Wrong};
use crate::sources::RepoId;
use crate::waits::WaitNews;
use cluster::{Discovery, Holding, WatchEvent, WatchId};
use engine::{CascadePass, NotRecalled, Suspect};
use health::Stuck;
use model::{
    AppKey, CallError, Check, Culprit, DesiredHash, Digest, Look, Match, Object, ObjectKey, ObjectResult,
    Revision, SyncId, Timestamp,
};
use release::{Head, Listing};
use serde_json::Value;
use source::SourceError;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Something that the loop takes in: from the cluster, from Git, from people, or from an effect that is done.
pub(crate) enum Input {
    /// A watch saw something.
    Watch(WatchId, WatchEvent),
    /// A repository was polled, by the poll with this number.
    Polled(RepoId, u64, Polled),
    /// A local repository may have moved.
    Hint(String),
    /// Webhooks tell of repositories.
    Pushed,
    /// A revision was rendered, for the spec with this serial number.
    Rendered(AppKey, u64, Revision, Result<Arc<DesiredSet>, RenderError>),
    /// An operation's revision was rendered.
    Prepared(AppKey, SyncId, Result<Arc<DesiredSet>, String>),
    /// What a release of an app holds was read.
    Recalled(AppKey, u64, Result<Arc<DesiredSet>, NotRecalled>),
    /// The checks were looked at that an app declares, for what was deployed by the sync of that time.
    Inspected(AppKey, DesiredHash, Timestamp, Vec<(Check, Look)>),
    /// In which objects what Git wants differs from an app's last release.
    Differs(AppKey, DesiredHash, BTreeSet<ObjectKey>),
    /// A commit was taken back in Git, or not.
    Reverted(Wrong, Pushed),
    /// All releases were listed, or not.
    ReleasesListed(Result<Box<Listing>, CallError>),
    /// A release of an app was written, or not.
    ReleaseWritten(AppKey, Result<Box<Head>, NotWritten>),
    /// Old releases of an app were trimmed, if that was possible.
    ReleasesTrimmed,
    /// A stage is done.
    StageDone(AppKey, SyncId, Vec<ObjectResult>, Vec<Seen>),
    /// The API server was asked about an object.
    Checked(Asked, Checked),
    /// An object may be asked about again that so many questions in a row failed about.
    CheckDue(AppKey, ObjectKey, u32),
    /// An object that an app inherits was looked up.
    LookedUp(AppKey, ObjectKey, Found),
    /// It is time to try again what an app could not take over.
    Rested(AppKey),
    /// The deletion of the object with this uid was confirmed, or not.
    Confirmed(ObjectKey, String, Result<Option<Box<Object>>, CallError>),
    /// A status was written, or the Application was read anew because somebody else wrote it.
    StatusWritten(AppKey, Result<(Box<Object>, bool), CallError>),
    /// It is time to try again to write a status.
    StatusDue(AppKey),
    /// An Application that cannot be read was told so, if that was possible.
    UnreadTold,
    /// Who is to blame that a commit failed was asked.
    Culprit(AppKey, Box<Suspect>, Box<Culprit>),
    /// A pod was deleted that a workload of an app waits for, or not.
    Replaced(AppKey, ObjectKey, Stuck, Result<(), CallError>),
    /// A pass of a cascade deletion is done, and what the API server answered.
    Cascaded(AppKey, CascadePass, Answers),
    /// The finalizers are off, or not.
    Finalized(AppKey, Result<(), CallError>),
    /// Discovery answered.
    Discovered(Result<Box<Discovery>, CallError>),
    /// It is time to ask again what did not answer in full.
    DiscoveryDue,
    /// The record of kinds was read, or not.
    KindsRead(Result<Option<Value>, CallError>),
    /// The record of kinds was written, or not.
    KindsRecorded(Result<(), CallError>),
    /// It is time to try again to write it.
    KindsDue,
    /// A refresh of an Application was asked for, which looks so now; or that was refused.
    RefreshAsked(AppKey, Result<Box<Object>, CallError>),
    /// An Application was changed as a caller of the API asked, and looks so now.
    Patched(AppKey, Box<Object>),
    /// Somebody who waits for a verdict has to hear something.
    Waiting(WaitNews),
    /// Somebody calls.
    Api(api::Request),
    /// Somebody asks for the metrics.
    Scrape(oneshot::Sender<String>),
    /// Whether we hold the lease.
    Lease(Holding),
}

/// Why rendering gave nothing.
pub(crate) enum RenderError {
    /// The repository could not be read.
    Source(SourceError),
    /// The content is wrong or not supported.
    Content(NotRendered),
}

/// What the API server was asked about an object.
pub(crate) struct Asked {
    /// For which app.
    pub app: AppKey,
    /// About which object.
    pub object: ObjectKey,
    /// What it was compared with.
    pub question: Digest,
    /// The uid that it had; `None` where no watch showed it.
    pub uid: Option<String>,
}

/// What the API server said about an object.
pub(crate) enum Checked {
    /// It is not there.
    Missing,
    /// It is there, and compares.
    Judged(Box<Object>, Match, Option<Baseline>),
    /// The call failed.
    Failed(CallError),
}
