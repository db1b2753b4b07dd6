//! What would an apply change in the cluster, object by object?
//!
//! ```text
//! wanted ─▶ live read ─▶ another app's? ─▶ refused
//!              └─▶ compared as the agent compares ─▶ same
//!                       └─ absent, differs, or only the API server knows ─▶ dry-run apply ─▶ create, change, refused
//! live that an app's status lists and Git does not want ─▶ proven to be the app's? ─▶ delete, keep
//! ```

use crate::cli::failure::Failure;
use crate::cli::owners::Owners;
use crate::desired::{self, DesiredSet, NotRendered, Rules};
use crate::exit;
use crate::judge;
use crate::refusal;
use cluster::{ApplyOptions, Cluster, Discovery, Endpoint, Priority};
use drift::{Outcome, Report};
use futures::StreamExt as _;
use model::{App, CallError, ErrorClass, GroupKind, Object, ObjectKey, Revision, names};
use plan::kinds;
use source::Listing;
use std::collections::BTreeSet;

/// How many objects are asked about at the same time.
const AT_ONCE: usize = 8;

/// What would become of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// It is as it should be.
    Same,
    /// It would be made.
    Create,
    /// It would be changed.
    Change,
    /// It would be deleted.
    Delete,
    /// It would stay, although Git does not have it any more.
    Keep,
    /// It could not be brought about.
    Refused,
}

impl Action {
    /// Returns the word that tables use.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::Keep => "keep",
            Self::Refused => "refused",
        }
    }
}

/// What would become of one object, and how it differs. Values are masked.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Which object.
    pub key: ObjectKey,
    /// What would become of it.
    pub action: Action,
    /// Why, where the action does not say it.
    pub why: String,
    /// How it differs, field by field.
    pub report: Option<Report>,
    /// How it differs, as a unified diff.
    pub diff: String,
    /// Which right the person lacks for a better answer.
    pub is_forbidden: bool,
}

impl Change {
    /// Makes one without differences.
    pub(crate) fn new(key: ObjectKey, action: Action, why: impl Into<String>) -> Self {
        Self { key, action, why: why.into(), report: None, diff: String::new(), is_forbidden: false }
    }
}

/// Renders a revision as the agent does.
pub(crate) fn rendered(
    app: &App,
    revision: &Revision,
    listing: &Listing,
    rules: &Rules,
) -> Result<DesiredSet, Failure> {
    desired::render(app, revision, listing, rules).map_err(|why| {
        let sentences: Vec<String> = match why {
            NotRendered::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
            NotRendered::Unsupported(not_yet) => {
                not_yet.iter().map(|n| format!("Tautline does not act on {} yet", n.field)).collect()
            }
        };
        Failure::several(exit::OTHER, sentences)
    })
}

/// Finds out what an apply of the wanted objects would change; for an app, with who else wants them.
pub(crate) async fn of_wanted(
    cluster: &Cluster,
    discovery: &Discovery,
    app: &App,
    owners: Option<&Owners>,
    wanted: Vec<Object>,
) -> Result<Vec<(Change, Option<Object>)>, Failure> {
    let named = |object: &Object| (object.kind().to_lowercase(), object.name().to_owned());
    let mut makes: BTreeSet<(String, String)> = wanted.iter().map(named).collect();
    if app.create_namespace {
        makes.insert(("namespace".into(), app.destination.namespace.clone()));
    }
    let definitions = wanted.iter().filter(|object| kinds::is_crd(&object.key().group_kind()));
    let defines = definitions.filter_map(kinds::defined_by).collect();
    let asking = Asking { cluster, discovery, app, owners, makes, defines };
    let answers = futures::stream::iter(wanted).map(|object| asking.one(object));
    let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
    answers.into_iter().collect()
}

struct Asking<'a> {
    cluster: &'a Cluster,
    discovery: &'a Discovery,
    app: &'a App,
    /// Who else wants them; a folder is nobody's.
    owners: Option<&'a Owners>,
    /// Kind, in lower case, and name of what comes along: some of it has to be there before others are taken.
    makes: BTreeSet<(String, String)>,
    /// Kinds that come before what is of them.
    defines: BTreeSet<GroupKind>,
}

impl Asking<'_> {
    async fn one(&self, wanted: Object) -> Result<(Change, Option<Object>), Failure> {
        let key = wanted.key();
        let Some(endpoint) = self.discovery.endpoint(&wanted.gvk()) else {
            if self.defines.contains(&key.group_kind()) {
                return self.of_new_version(&wanted, key).await;
            }
            let why = refusal::unknown_kind(self.discovery, &wanted.gvk()).message;
            return Ok((Change::new(key, Action::Refused, why), None));
        };
        let live = self.read(&endpoint, &key).await?;
        let owner = self.owners.and_then(|owners| owners.owner_instead(&key, live.as_ref()));
        if let Some(owner) = owner {
            let why = format!("belongs to application {owner}");
            return Ok((Change::new(key, Action::Refused, why), live));
        }
        let Some(live) = live else {
            return Ok((self.created(&endpoint, &wanted).await, None));
        };
        let outcome = self.compare(&wanted, &live);
        if outcome == Outcome::InSync {
            return Ok((Change::new(key, Action::Same, ""), Some(live)));
        }
        let change = match self.dry_run(&endpoint, &wanted).await {
            Ok(would_be) => self.judged(&wanted, &live, &would_be, outcome),
            Err(error) => untaken(self.changed(&wanted, &live, None), error),
        };
        Ok((change, Some(live)))
    }

    /// Tells of an object of a kind, or of a version of it, that a definition makes which comes along.
    async fn of_new_version(
        &self,
        wanted: &Object,
        key: ObjectKey,
    ) -> Result<(Change, Option<Object>), Failure> {
        let live = match self.discovery.preferred(&key.group_kind()) {
            Some(endpoint) => self.read(&endpoint, &key).await?,
            None => None,
        };
        let change = match &live {
            Some(_) => Change::new(key, Action::Change, format!("moves to {}", wanted.api_version())),
            None => created(wanted),
        };
        Ok((change, live))
    }

    /// Tells how an object differs from what an apply would make of it, or, where nobody could say that, from Git.
    fn changed(&self, wanted: &Object, live: &Object, would_be: Option<&Object>) -> Change {
        let rules = judge::rules(self.app, &wanted.key());
        Change {
            report: Some(drift::report(Some(wanted), Some(live), &rules, would_be)),
            diff: drift::unified(would_be.or(Some(wanted)), Some(live)),
            ..Change::new(wanted.key(), Action::Change, "")
        }
    }

    fn compare(&self, wanted: &Object, live: &Object) -> Outcome {
        if self.owners.is_some() && judge::lost_own_labels(wanted, live) {
            return Outcome::Drifted;
        }
        if live.api_version() != wanted.api_version() {
            return Outcome::NeedsDryRun;
        }
        drift::compare(wanted, live, &judge::rules(self.app, &wanted.key()), judge::options(self.app))
    }

    /// Asks whether an object that is not there would be taken.
    async fn created(&self, endpoint: &Endpoint, wanted: &Object) -> Change {
        match self.dry_run(endpoint, wanted).await {
            Err(error) if !self.is_too_early(&error) => untaken(created(wanted), error),
            Ok(_) | Err(_) => created(wanted),
        }
    }

    /// Returns whether only something is missing that comes along: the namespace, the Role of a `RoleBinding`, the account of a
    /// Pod.
    fn is_too_early(&self, error: &CallError) -> bool {
        let lacks = |(kind, name): &(String, String)| {
            error.message.contains(&format!("\"{name}\" not found")) && error.message.contains(kind.as_str())
        };
        matches!(error.class, ErrorClass::NotFound | ErrorClass::Forbidden) && self.makes.iter().any(lacks)
    }

    async fn read(&self, endpoint: &Endpoint, key: &ObjectKey) -> Result<Option<Object>, Failure> {
        let found = self.cluster.get_at(Priority::User, endpoint, &key.namespace, &key.name).await;
        let found = found.map_err(|error: CallError| Failure::of_call(&format!("read {key}"), &error))?;
        Ok(found.and_then(|value| Object::from_value(value).ok()))
    }

    async fn dry_run(&self, endpoint: &Endpoint, wanted: &Object) -> Result<Object, CallError> {
        let options = ApplyOptions {
            manager: names::FIELD_MANAGER.into(),
            force: true,
            dry_run: true,
            priority: Priority::User,
        };
        Ok(self.cluster.apply(endpoint, wanted, &options).await?.object)
    }

    fn judged(&self, wanted: &Object, live: &Object, would_be: &Object, outcome: Outcome) -> Change {
        let rules = judge::rules(self.app, &wanted.key());
        let is_same = outcome != Outcome::Drifted && drift::compare_dry_run(would_be, live, &rules);
        if is_same {
            return Change::new(wanted.key(), Action::Same, "");
        }
        self.changed(wanted, live, Some(would_be))
    }
}

/// Tells of a change for which the API server did not take the dry-run. Who may not ask does not know what the agent may.
fn untaken(change: Change, error: CallError) -> Change {
    if refusal::lacks_rights(&error, &change.key) {
        let why = format!("the API server may not be asked what it makes of it: {}", error.message);
        return Change { why, is_forbidden: true, ..change };
    }
    let why = refusal::sentence(error, &change.key);
    Change::new(change.key, Action::Refused, why)
}

fn created(wanted: &Object) -> Change {
    let none = drift::Rules::default();
    Change {
        report: Some(drift::report(Some(wanted), None, &none, None)),
        diff: drift::unified(Some(wanted), None),
        ..Change::new(wanted.key(), Action::Create, "")
    }
}

/// Returns the change that takes an object away.
pub(crate) fn deleted(live: &Object, action: Action, why: &str) -> Change {
    let none = drift::Rules::default();
    let diff = if action == Action::Delete { drift::unified(None, Some(live)) } else { String::new() };
    Change {
        report: Some(drift::report(None, Some(live), &none, None)),
        diff,
        ..Change::new(live.key(), action, why)
    }
}

/// Writes changes as the API writes drift: the fields as comments, then the diff.
pub(crate) fn diffs(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes.iter().filter(|change| change.action != Action::Same) {
        let report = change.report.as_ref().map_or_else(|| change.key.to_string(), ToString::to_string);
        let why = if change.why.is_empty() {
            String::new()
        } else {
            format!("\n  {}: {}", change.action.as_str(), change.why)
        };
        for line in format!("{report}{why}").lines() {
            text.extend(["# ", &model::printable(line), "\n"]);
        }
        text.push_str(&change.diff);
    }
    text
}
