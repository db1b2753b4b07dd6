//! What was deployed, when, by whom, and what came of it? Releases where there are some, else what the status remembers.

mod releases;

use crate::cli::app::store::Store;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output};
use crate::cli::paint::Paint;
use crate::cli::person::text;
use crate::cli::table::Table;
use crate::facts::{Facts, initiator, length, short};
use crate::tools::{print, talk};
use clap::ArgMatches;
use serde_json::Value;
use std::process::ExitCode;

/// Prints the history of an Application.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let store = Store::open(arguments).await?;
    let (namespace, name) = (text(arguments, "namespace"), text(arguments, "name"));
    let app = store.get(&namespace, &name).await?;
    let output = Output::of(arguments);
    let releases = releases::of(&store, &app).await?;
    if !releases.is_empty() {
        return Ok(print(&releases::written(&releases, output, crate::clock::now()), ExitCode::SUCCESS));
    }
    let history = Facts(&app).list("/status/history");
    if history.is_empty() && matches!(output, Output::Table | Output::Wide) {
        talk(&format!("nothing was deployed of Application {namespace}/{name} yet"));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(print(&written(history, output), ExitCode::SUCCESS))
}

fn written(history: &[Value], output: Output) -> String {
    match output {
        Output::Json => output::json(&Value::Array(history.to_vec())),
        Output::Yaml => manifest::to_yaml(&Value::Array(history.to_vec())),
        Output::Table | Output::Wide | Output::Name => table(history, output == Output::Wide),
    }
}

fn table(history: &[Value], is_wide: bool) -> String {
    let mut headers = vec!["ID", "REVISION", "DEPLOYED AT", "TOOK", "BY"];
    headers.extend(if is_wide { &["REPO", "PATH", "TARGET"][..] } else { &[] });
    let mut table = Table::new(&headers);
    for entry in history {
        let facts = Facts(entry);
        let (from, to) = (facts.text("/deployStartedAt"), facts.text("/deployedAt"));
        let revision = facts.text("/revision");
        let revision = if is_wide { revision.to_owned() } else { short(revision) };
        let by = initiator(&entry["initiatedBy"]);
        let mut row =
            vec![entry["id"].to_string(), revision, to.to_owned(), length(from, to).unwrap_or_default(), by];
        if is_wide {
            let source = |field: &str| facts.text(&format!("/source/{field}")).to_owned();
            row.push(application::without_credentials(&source("repoURL")));
            row.extend([source("path"), source("targetRevision")]);
        }
        table.push(&row);
    }
    table.text(Paint::of_stdout())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_for_each_deployment() {
        let history = [
            json!({"id": 0, "revision": "e062505269aeaf62c7e2b9fd3f2af285cdfb809d", "deployStartedAt":
                "2026-11-21T07:37:12Z", "deployedAt": "2026-11-21T07:37:14Z", "initiatedBy": {"automated": true}}),
            json!({"id": 1, "revision": "64efe99269aeaf62c7e2b9fd3f2af285cdfb809d", "deployedAt":
                "2026-11-22T07:37:14Z", "initiatedBy": {"username": "ada"}}),
        ];
        assert_eq!(
            written(&history, Output::Table),
            "ID   REVISION   DEPLOYED AT            TOOK   BY\n\
             0    e062505    2026-11-21T07:37:14Z   2s     auto-sync\n\
             1    64efe99    2026-11-22T07:37:14Z   -      ada\n"
        );
        assert!(written(&history, Output::Yaml).starts_with("- deployStartedAt: "));
    }
}
