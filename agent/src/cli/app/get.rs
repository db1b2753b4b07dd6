//! How is an Application, object by object?

use crate::cli::app::store::Store;
use crate::cli::app::view::{self, Columns};
use crate::cli::app::watch;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output, without_managers};
use crate::cli::paint::Paint;
use crate::cli::person::text;
use crate::cli::table::Table;
use crate::facts::{Facts, length, short};
use crate::tools::print;
use clap::ArgMatches;
use model::printable;
use serde_json::Value;
use std::process::ExitCode;

/// Prints an Application.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let output = Output::of(arguments);
    let store = Store::open(arguments).await?;
    let (namespace, name) = (text(arguments, "namespace"), text(arguments, "name"));
    // Asked for in any case: a watch of what is not there would wait for ever.
    let app = store.get(&namespace, &name).await?;
    if arguments.get_flag("watch") {
        let which = watch::Which { namespace: Some(&namespace), selector: "", name: &name };
        let columns = Columns { with_namespace: false, is_wide: output == Output::Wide };
        return watch::run(store, which, (columns, output)).await;
    }
    Ok(print(&written(app, output, Paint::of_stdout()), ExitCode::SUCCESS))
}

fn written(app: Value, output: Output, paint: Paint) -> String {
    match output {
        Output::Json => output::json(&without_managers(app)),
        Output::Yaml => manifest::to_yaml(&without_managers(app)),
        Output::Name => view::name(&app),
        Output::Table | Output::Wide => story(Facts(&app), paint),
    }
}

/// Tells an Application for people: what it is, what is wrong, and its objects.
fn story(facts: Facts<'_>, paint: Paint) -> String {
    let path = Some(facts.text("/spec/source/path")).filter(|path| !path.is_empty()).unwrap_or(".");
    let source = format!("{}, {path} at {}", facts.repository(), facts.target());
    let mut text = String::new();
    let mut line = |title: &str, value: String| {
        if !value.is_empty() {
            let title = format!("{title}:");
            text.extend([format!("{title:<13}"), value, "\n".into()]);
        }
    };
    line("Name", format!("{}/{}", facts.namespace(), printable(facts.name())));
    line("Project", printable(facts.project()).into_owned());
    line("Source", printable(&source).into_owned());
    line("Destination", printable(&facts.destination()).into_owned());
    line("Sync", sync_line(facts, paint));
    line("Health", with_message(paint.word(facts.health()), facts.text("/status/health/message")));
    line("Last sync", operation_line(facts, paint));
    for condition in facts.list("/status/conditions") {
        let of = |field: &str| condition[field].as_str().unwrap_or_default();
        line("Condition", format!("{}: {}", printable(of("type")), printable(of("message"))));
    }
    let objects = objects(facts, paint);
    if !objects.is_empty() {
        text.push('\n');
        text.push_str(&objects);
    }
    text
}

fn sync_line(facts: Facts<'_>, paint: Paint) -> String {
    let word = paint.word(facts.sync());
    match short(facts.revision()).as_str() {
        "" => word,
        revision => format!("{word} with {}", printable(revision)),
    }
}

fn operation_line(facts: Facts<'_>, paint: Paint) -> String {
    let state = |field: &str| facts.text(&format!("/status/operationState/{field}"));
    if facts.phase().is_empty() {
        return String::new();
    }
    let mut line = paint.word(facts.phase());
    let revision = short(state("syncResult/revision"));
    for (before, what) in [("to", revision.as_str()), ("at", state("finishedAt"))] {
        if !what.is_empty() {
            line.extend([" ", before, " ", &printable(what)]);
        }
    }
    if let Some(length) = length(state("startedAt"), state("finishedAt")) {
        line.extend([" after ", &length]);
    }
    match facts.initiator().as_str() {
        "" => {}
        by => line.extend([" by ", &printable(by)]),
    }
    with_message(line, state("message"))
}

fn with_message(line: String, message: &str) -> String {
    if message.is_empty() { line } else { format!("{line}: {}", printable(message)) }
}

/// The objects, each with what the last sync said of it where its health says nothing.
fn objects(facts: Facts<'_>, paint: Paint) -> String {
    let mut table = Table::new(&["KIND", "NAME", "SYNC", "HEALTH", "MESSAGE"]);
    for object in facts.list("/status/resources") {
        let of = Facts(object);
        let kind = model::GroupKind::new(of.text("/group"), of.text("/kind")).to_string();
        let result = facts.list("/status/operationState/syncResult/resources").iter().find(|result| {
            ["group", "kind", "namespace", "name"]
                .iter()
                .all(|field| result[*field].as_str().unwrap_or_default() == of.text(&format!("/{field}")))
        });
        let said = result.and_then(|result| result["message"].as_str()).unwrap_or_default();
        let is_extra = object["requiresPruning"] == true;
        let message = match (of.text("/health/message"), is_extra) {
            ("", true) => "no longer in Git",
            ("", false) => said,
            (message, _) => message,
        };
        let [sync, health] = [of.text("/status"), of.text("/health/status")].map(str::to_owned);
        table.push(&[kind, of.in_namespace(), sync, health, message.to_owned()]);
    }
    if table.is_empty() { String::new() } else { table.text(paint) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_story_of_an_application() {
        let revision = "e062505269aeaf62c7e2b9fd3f2af285cdfb809d";
        let app = json!({
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {"source": {"repoURL": "https://git.ex/shop.git", "path": "deploy", "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"}},
            "status": {"sync": {"status": "OutOfSync", "revision": revision},
                "health": {"status": "Progressing", "message": "one of two"},
                "conditions": [{"type": "SyncError", "message": "forged\nSync: Synced\u{1b}[2J"}],
                "operationState": {"phase": "Succeeded", "startedAt": "2026-11-21T07:37:12Z",
                    "finishedAt": "2026-11-21T07:37:14Z", "message": "all applied",
                    "operation": {"initiatedBy": {"automated": true}},
                    "syncResult": {"revision": revision, "resources": [
                        {"kind": "ConfigMap", "namespace": "shop", "name": "greeting", "message": "configmap/greeting created"}]}},
                "resources": [
                    {"kind": "ConfigMap", "namespace": "shop", "name": "greeting", "status": "Synced"},
                    {"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web", "status": "OutOfSync",
                     "health": {"status": "Progressing", "message": "one of two"}},
                    {"kind": "Namespace", "name": "old", "status": "OutOfSync", "requiresPruning": true}]},
        });
        assert_eq!(
            written(app, Output::Table, Paint::Plain),
            "Name:        argocd/shop\n\
             Project:     default\n\
             Source:      https://git.ex/shop.git, deploy at main\n\
             Destination: in-cluster/shop\n\
             Sync:        OutOfSync with e062505\n\
             Health:      Progressing: one of two\n\
             Last sync:   Succeeded to e062505 at 2026-11-21T07:37:14Z after 2s by auto-sync: all applied\n\
             Condition:   SyncError: forged\\nSync: Synced\\u{1b}[2J\n\
             \n\
             KIND              NAME            SYNC        HEALTH        MESSAGE\n\
             ConfigMap         shop/greeting   Synced      -             configmap/greeting created\n\
             Deployment.apps   shop/web        OutOfSync   Progressing   one of two\n\
             Namespace         old             OutOfSync   -             no longer in Git\n"
        );
    }

    #[test]
    fn one_that_is_new_is_short() {
        let app =
            json!({"metadata": {"name": "new", "namespace": "argocd"}, "spec": {"source": {"repoURL": "r"}}});
        assert_eq!(
            written(app, Output::Table, Paint::Plain),
            "Name:        argocd/new\nProject:     default\nSource:      r, . at HEAD\nSync:        Unknown\nHealth:      Unknown\n"
        );
    }
}
