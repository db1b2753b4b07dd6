//! Who is to blame that a commit failed? Asked once, of the cluster and of Git; nothing waits for the answer.

use crate::agent::Agent;
use crate::desired::DesiredSet;
use crate::input::Input;
use cluster::{Cluster, LogOf, SeenEvent};
use engine::{Event, Suspect};
use health::{Cause, Redaction};
use model::{App, AppKey, CommitInfo, Culprit, DesiredHash, ObjectKey, Revision};
use release::{Record, Verdict};
use source::{Repository, Sources};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Longest time for all questions together: pods that crash are soon gone, and people wait for the verdict.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many of the last lines of a log are told.
const LINES: usize = 20;
/// How many of the newest events are told.
const EVENTS: usize = 5;
/// Longest message of a release, in bytes: what goes beyond would be cut off, and that is the end of the log.
const MESSAGE: usize = 4 << 10;

/// All that is asked about one suspect.
pub(crate) struct Inquiry {
    /// The app's part of the API server.
    pub cluster: Cluster,
    /// Where commits are read.
    pub sources: Sources,
    /// The app's repository; `None` where it cannot be used.
    pub repository: Option<Repository>,
    /// The app's folder in it.
    pub folder: String,
    /// What was deployed: its Secrets are looked out for.
    pub set: Option<Arc<DesiredSet>>,
    /// What its pods say, where it has any.
    pub cause: Option<Cause>,
    /// The suspect.
    pub suspect: Suspect,
}

impl Agent {
    /// Asks who is to blame that a commit failed; the answer comes back as an input.
    pub(crate) fn inquire(&mut self, key: &AppKey, app: &App, suspect: Suspect) {
        let Some(entry) = self.apps.get_mut(key) else { return };
        entry.kept.blames.ask(suspect.hash);
        let Some(entry) = self.apps.get(key) else { return };
        let inquiry = Inquiry {
            cluster: self.cluster.for_app(key),
            sources: self.sources.clone(),
            repository: self.repos.of(key).map(|(_, repo)| repo.repository.clone()),
            folder: app.source.path.clone(),
            set: entry.sets.get(&suspect.hash).cloned(),
            cause: self.workloads.cause(&suspect.object),
            suspect,
        };
        let key = key.clone();
        self.spawn(async move {
            let suspect = inquiry.suspect.clone();
            let culprit = inquiry.culprit().await;
            Input::Culprit(key, Box::new(suspect), Box::new(culprit))
        });
    }

    /// Takes in who is to blame.
    pub(crate) fn culprit_found(&mut self, key: &AppKey, suspect: &Suspect, culprit: Box<Culprit>) {
        let (hash, reason) = (suspect.hash, suspect.reason);
        if !culprit.log.is_empty() || !culprit.events.is_empty() {
            tracing::info!(
                app = %key,
                revision = suspect.revision.short(),
                %reason,
                object = %culprit.object,
                pod = culprit.pod,
                container = culprit.container,
                log = ?culprit.log,
                events = ?culprit.events,
                "what {} said last",
                culprit.object
            );
        }
        if let Some(entry) = self.apps.get_mut(key) {
            entry.kept.blames.answered(hash, culprit.clone());
        }
        // The release that tells of the failure waited for this.
        self.write_release(key);
        self.event(key, Event::Culprit { hash, reason, culprit });
    }
}

/// What is asked, and was answered, about an app's commits that failed.
#[derive(Default)]
pub(crate) struct Blames {
    asking: BTreeSet<DesiredHash>,
    last: Option<(DesiredHash, Box<Culprit>)>,
}

impl Blames {
    fn ask(&mut self, hash: DesiredHash) {
        self.asking.insert(hash);
    }

    fn answered(&mut self, hash: DesiredHash, culprit: Box<Culprit>) {
        self.asking.remove(&hash);
        self.last = Some((hash, culprit));
    }

    /// Adds who is to blame to what a release tells of content that failed; returns whether it can be written: that is known by
    /// now, or nothing was asked.
    pub(crate) fn amend(&self, record: &mut Record) -> bool {
        if record.verdict == Verdict::Stable {
            return true;
        }
        if self.asking.contains(&record.hash) {
            return false;
        }
        let Some((_, culprit)) = self.last.as_ref().filter(|(hash, _)| *hash == record.hash) else {
            return true;
        };
        let addendum = culprit.addendum();
        if !record.message.contains(&addendum) {
            record.message = format!("{}; {addendum}", record.message.trim_end_matches('.'));
        }
        let details = culprit.details(MESSAGE.saturating_sub(record.message.len() + 1));
        if !details.is_empty() {
            record.message = format!("{}\n{details}", record.message);
        }
        true
    }
}

impl Inquiry {
    /// Asks, for a few seconds; what does not come in time, or is refused, is left out.
    pub(crate) async fn culprit(mut self) -> Culprit {
        let deadline = Instant::now() + DEADLINE;
        if self.cause.is_none() && self.suspect.object.is_kind("", "Pod") {
            self.cause = timeout(DEADLINE / 2, self.own_cause()).await.ok().flatten();
        }
        let redaction = self.redaction();
        let (log, events, commit) = tokio::join!(
            timeout_at(deadline, self.log(&redaction)),
            timeout_at(deadline, self.events(&redaction)),
            timeout_at(deadline, self.commit()),
        );
        let cause = self.cause.unwrap_or_else(|| Cause {
            message: self.suspect.message,
            ..Cause::unknown(self.suspect.reason.as_str())
        });
        Culprit {
            object: self.suspect.object,
            pod: cause.pod,
            container: cause.container,
            reason: cause.reason,
            message: redaction.line(&cause.message),
            log: log.unwrap_or_default(),
            events: events.unwrap_or_default(),
            commit: commit.ok().flatten(),
        }
    }

    /// Asks a pod that nobody controls what is wrong with it.
    async fn own_cause(&self) -> Option<Cause> {
        let ObjectKey { namespace, name, .. } = &self.suspect.object;
        let pod = self.cluster.get(&crate::workloads::pods(), namespace, name).await.ok().flatten()?;
        health::cause(&model::Object::from_value(pod).ok()?, &health::Members::default())
    }

    /// Knows the values of the Secrets that were deployed, and what the object gives to secret settings.
    fn redaction(&self) -> Redaction {
        let Some(set) = &self.set else { return Redaction::default() };
        let own = set.objects.get(&self.suspect.object);
        let own = own.into_iter().flat_map(|kept| health::secret_settings(&kept.open().object));
        Redaction::new(set.objects.secret_values().into_iter().chain(own))
    }

    async fn log(&self, redaction: &Redaction) -> Vec<String> {
        let has_log = |cause: &&Cause| !cause.container.is_empty() && !cause.never_ran();
        let Some(cause) = self.cause.as_ref().filter(has_log) else { return Vec::new() };
        // Whoever was restarted has little to say yet: what counts is how the run before ended.
        let of = if cause.restart_count > 0 { LogOf::Previous } else { LogOf::Current };
        let container =
            (self.suspect.object.namespace.as_str(), cause.pod.as_str(), cause.container.as_str());
        match self.cluster.container_log(container, of, LINES).await {
            Ok(log) => redaction.log(&log, LINES),
            Err(error) => {
                // A container that never ran has no log, and says so.
                tracing::debug!(object = %self.suspect.object, pod = cause.pod, %error, "no log can be read");
                Vec::new()
            }
        }
    }

    async fn events(&self, redaction: &Redaction) -> Vec<String> {
        let pod = self.cause.as_ref().map(|cause| cause.pod.as_str()).filter(|pod| !pod.is_empty());
        let object = &self.suspect.object;
        let about = match pod {
            Some(pod) => ObjectKey::new("", "Pod", object.namespace.as_str(), pod),
            None => object.clone(),
        };
        match self.cluster.events_about(&about, self.suspect.since, EVENTS).await {
            Ok(events) => events.iter().map(|event| told(event, redaction)).collect(),
            Err(error) => {
                tracing::debug!(object = %about, %error, "its events cannot be read");
                Vec::new()
            }
        }
    }

    /// Reads the commit that changed the app's folder last: the one that was deployed may be of somebody else.
    async fn commit(&self) -> Option<CommitInfo> {
        let (repository, deployed) = (self.repository.as_ref()?, &self.suspect.revision);
        let last = match self.folder.as_str() {
            "" => None,
            folder => self.sources.last_change(repository, deployed, folder).await.ok(),
        };
        let revision = last.unwrap_or_else(|| Revision::clone(deployed));
        let commit = self.sources.commit(repository, &revision).await.ok()?;
        let clean = |text: &str| health::text::clean(text);
        let (author, subject) = (clean(&commit.author), clean(&commit.message));
        Some(CommitInfo { revision, author, subject, time: commit.time })
    }
}

fn told(event: &SeenEvent, redaction: &Redaction) -> String {
    let SeenEvent { reason, message, count, .. } = event;
    let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
    redaction.line(&format!("{reason}{times}: {message}"))
}
