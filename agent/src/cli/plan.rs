//! What would change? For an app at a revision, or for a folder on this disk, against the cluster as it is.

use crate::cli::app_side::{self, AppSide};
use crate::cli::changes::{self, Action, Change};
use crate::cli::checkout::Checkout;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::owners::Owners;
use crate::cli::paint::Paint;
use crate::cli::person::{self, text};
use crate::cli::table::Table;
use crate::desired;
use crate::exit::{self, CODES, DIFFERENCE, FORBIDDEN};
use crate::tools::{print, talk};
use clap::{Arg, ArgAction, ArgMatches, Command};
use cluster::Cluster;
use model::{App, AppKey, Directory, Object, ObjectKey, Timestamp, printable};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// The command `plan`.
pub(crate) fn command() -> Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("plan")
        .about("Says what a sync would change: an app's, or of a folder on this disk; exit code 1 where anything would")
        .after_help(CODES)
        .args([
            Arg::new("what")
                .value_name("APP|DIR")
                .required(true)
                .help("Name of an Application; or a folder, which has a / in it, or is . or .."),
            Arg::new("namespace")
                .long("namespace")
                .short('n')
                .value_name("NS")
                .help("Where the Application lives [default: argocd], or where a folder's objects go that name no namespace \
                       [default: the context's]"),
            Arg::new("revision")
                .long("revision")
                .value_name("R")
                .help("Branch, tag or SHA instead of what the Application follows"),
            switch("prune", "As a sync by hand that deletes what Git no longer has"),
            switch("recurse", "Folders below a folder on disk, too"),
            switch("diff", "Prints how each object differs, too"),
            Arg::new("output")
                .long("output")
                .short('o')
                .value_name("FORMAT")
                .value_parser(["table", "json", "yaml"])
                .default_value("table")
                .help("How to print"),
        ])
        .args(person::arguments())
}

/// Does what it says.
pub(crate) fn run(arguments: &ArgMatches) -> ExitCode {
    person::run(plan(arguments))
}

async fn plan(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let what = text(arguments, "what");
    let is_folder = what.contains('/') || what == "." || what == "..";
    let (cluster, default) = person::connect(arguments).await?;
    let namespace = arguments.get_one::<String>("namespace").cloned();
    let changes = if is_folder {
        let namespace = namespace.unwrap_or(default);
        of_folder(&cluster, Path::new(&what), arguments.get_flag("recurse"), namespace).await?
    } else {
        let key = AppKey::new(namespace.unwrap_or_else(|| "argocd".into()), what);
        let revision = text(arguments, "revision");
        of_app(&cluster, &key, &revision, arguments.get_flag("prune")).await?
    };
    Ok(told(&changes, arguments.get_flag("diff"), &text(arguments, "output")))
}

async fn of_app(
    cluster: &Cluster,
    key: &AppKey,
    revision: &str,
    by_person: bool,
) -> Result<Vec<Change>, Failure> {
    let side = AppSide::read(cluster, key).await?;
    let target = if revision.is_empty() { &side.app.source.target_revision } else { revision };
    let checkout = Checkout::of_app(cluster, &key.namespace, &side.app).await?;
    let revision = checkout.resolve(target).await?;
    changes_at(cluster, &side, &checkout, &revision, by_person).await
}

/// Compares an app at a commit with the cluster.
pub(crate) async fn changes_at(
    cluster: &Cluster,
    side: &AppSide,
    checkout: &Checkout,
    revision: &model::Revision,
    by_person: bool,
) -> Result<Vec<Change>, Failure> {
    for not_yet in &side.app.not_yet {
        talk(&format!("warning: read-only: Tautline does not act on {} yet", printable(&not_yet.field)));
    }
    let listing = checkout.listing(revision, &side.app.source).await?;
    let set = changes::rendered(&side.app, revision, &listing, &side.rules)?;
    let wanted = set.objects.iter().map(|(_, kept)| kept.open().object).collect();
    let keys = set.objects.keys().cloned().collect();
    let owners = Owners::read(cluster, &side.app.key, keys).await?;
    let (app, discovery) = (&side.app, &side.rules.discovery);
    let answers = changes::of_wanted(cluster, discovery, app, Some(&owners), wanted).await?;
    let mut all = Vec::new();
    let mut live: BTreeMap<ObjectKey, Object> = BTreeMap::new();
    for (change, object) in answers {
        live.extend(object.map(|object| (change.key.clone(), object)));
        all.push(change);
    }
    let prune = app_side::prune(&side.app, by_person, now());
    let extras = side.extras(cluster, (&set, &owners), &live, prune).await?;
    Ok(in_order(all, extras))
}

fn now() -> Timestamp {
    crate::clock::now()
}

async fn of_folder(
    cluster: &Cluster,
    folder: &Path,
    recurse: bool,
    namespace: String,
) -> Result<Vec<Change>, Failure> {
    let directory = Directory { recurse, ..Directory::default() };
    let listing = source::read_folder(folder, recurse, |relative| desired::is_read(relative, &directory));
    let listing = listing.map_err(|error| Failure::new(exit::of_source(error.kind), error.to_string()))?;
    let mut app = App::named(AppKey::new("", ""));
    app.destination.namespace = namespace;
    let discovery = app_side::discovery(cluster).await?;
    let shown = folder.display().to_string();
    let unsupported = desired::unsupported(&shown, "", &listing);
    let read = desired::arranged(&app, &listing, &discovery);
    let mut wrong: Vec<String> = read.problems.iter().map(ToString::to_string).collect();
    wrong.extend(unsupported.iter().map(|not_yet| format!("Tautline does not act on {} yet", not_yet.field)));
    if !wrong.is_empty() {
        return Err(Failure::several(exit::OTHER, wrong));
    }
    let wanted = read.arranged.objects.into_iter().map(|parsed| parsed.object).collect();
    let answers = changes::of_wanted(cluster, &discovery, &app, None, wanted).await?;
    Ok(in_order(answers.into_iter().map(|(change, _)| change).collect(), Vec::new()))
}

/// Puts changes into the order of a sync: kinds as they are applied, then what goes.
fn in_order(mut wanted: Vec<Change>, extras: Vec<Change>) -> Vec<Change> {
    wanted.sort_by_key(|change| (plan::kinds::rank(&change.key.group_kind()), change.key.clone()));
    wanted.extend(extras);
    wanted
}

/// Prints the changes, and returns whether there are any.
fn told(changes: &[Change], with_diffs: bool, output: &str) -> ExitCode {
    let code = ExitCode::from(code(changes));
    if let Some(structured) = output::structured(output, &as_json(changes)) {
        return print(&structured, code);
    }
    let paint = Paint::of_stdout();
    let printed = table(changes, paint);
    let diffs = if with_diffs { paint.diff(&changes::diffs(changes)) } else { String::new() };
    if printed.is_empty() {
        talk("nothing would change");
    }
    let blank = if diffs.is_empty() { "" } else { "\n" };
    print(&format!("{printed}{blank}{diffs}"), code)
}

fn code(changes: &[Change]) -> u8 {
    if changes.iter().any(|change| change.is_forbidden) {
        FORBIDDEN
    } else if changes.iter().any(|change| !matches!(change.action, Action::Same | Action::Keep)) {
        DIFFERENCE
    } else {
        0
    }
}

fn table(changes: &[Change], paint: Paint) -> String {
    let mut table = Table::new(&["ACTION", "KIND", "NAME", "MESSAGE"]);
    for change in changes.iter().filter(|change| change.action != Action::Same) {
        let name = match change.key.namespace.as_str() {
            "" => change.key.name.clone(),
            namespace => format!("{namespace}/{}", change.key.name),
        };
        table.push(&[
            change.action.as_str().into(),
            change.key.group_kind().to_string(),
            name,
            message(change),
        ]);
    }
    if table.is_empty() { String::new() } else { table.text(paint) }
}

/// Says in a few words what is different.
fn message(change: &Change) -> String {
    let fields = change.report.as_ref().map_or(&[][..], |report| &report.fields);
    match (change.why.as_str(), fields) {
        ("", []) => String::new(),
        ("", [field]) => field.path.clone(),
        ("", [first, rest @ ..]) => format!("{} and {} more", first.path, rest.len()),
        (why, _) => why.to_owned(),
    }
}

fn as_json(changes: &[Change]) -> Value {
    let told = changes.iter().filter(|change| change.action != Action::Same);
    let one = |change: &Change| {
        let ObjectKey { group, kind, namespace, name } = &change.key;
        let fields = change.report.as_ref().map(|report| report.to_json()["fields"].clone());
        json!({"action": change.action.as_str(), "group": group, "kind": kind, "namespace": namespace, "name": name,
            "message": change.why, "fields": fields.unwrap_or_default()})
    };
    Value::Array(told.map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: &str, name: &str, action: Action, why: &str) -> Change {
        Change::new(ObjectKey::new("", kind, "shop", name), action, why)
    }

    #[test]
    fn a_plan_is_a_table_in_the_order_of_a_sync() {
        let wanted = vec![
            change("Service", "web", Action::Create, ""),
            change("ConfigMap", "same", Action::Same, ""),
            change("ConfigMap", "b", Action::Refused, "no such kind"),
        ];
        let extras = vec![change("ConfigMap", "old", Action::Delete, "")];
        assert_eq!(
            table(&in_order(wanted, extras), Paint::Plain),
            "ACTION    KIND        NAME       MESSAGE\n\
             refused   ConfigMap   shop/b     no such kind\n\
             create    Service     shop/web\n\
             delete    ConfigMap   shop/old\n"
        );
        assert_eq!(table(&[change("ConfigMap", "same", Action::Same, "")], Paint::Plain), "");
    }

    #[test]
    fn the_code_says_whether_anything_would_change() {
        let of = |actions: &[Action]| {
            code(&actions.iter().map(|action| change("ConfigMap", "a", *action, "")).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[Action::Same, Action::Keep]), 0);
        for action in [Action::Create, Action::Change, Action::Delete, Action::Refused] {
            assert_eq!(of(&[Action::Same, action]), DIFFERENCE, "{action:?}");
        }
        let forbidden = Change { is_forbidden: true, ..change("ConfigMap", "a", Action::Refused, "") };
        assert_eq!(code(&[forbidden]), FORBIDDEN);
    }
}
