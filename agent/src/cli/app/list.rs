//! Which Applications are there, and how are they?

use crate::cli::app::store::Store;
use crate::cli::app::view::{self, Columns};
use crate::cli::app::watch;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output, without_managers};
use crate::cli::paint::Paint;
use crate::cli::person::text;
use crate::tools::{print, talk};
use clap::ArgMatches;
use model::printable;
use serde_json::Value;
use std::process::ExitCode;

/// Prints the Applications of a namespace, or of all.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let output = Output::of(arguments);
    let with_namespace = arguments.get_flag("all-namespaces");
    let namespace = text(arguments, "namespace");
    let selector = text(arguments, "selector");
    let namespace = (!with_namespace).then_some(namespace.as_str());
    let columns = Columns { with_namespace, is_wide: output == Output::Wide };
    let store = Store::open(arguments).await?;
    if matches!(store, Store::Remote(_)) {
        check(&selector)?;
    }
    if arguments.get_flag("watch") {
        return watch::run(
            store,
            watch::Which { namespace, selector: &selector, name: "" },
            (columns, output),
        )
        .await;
    }
    let (apps, unreadable) = store.list(namespace, &selector).await?;
    warn_of(&unreadable);
    if apps.is_empty() && matches!(output, Output::Table | Output::Wide) {
        let place = namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
        talk(&format!("there are no Applications{place}"));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(print(&written(apps, columns, output), ExitCode::SUCCESS))
}

/// Says which Applications count for nothing, for they cannot be read.
pub(super) fn warn_of(unreadable: &[String]) {
    for one in unreadable {
        talk(&format!("warning: Application {}", printable(one)));
    }
}

/// Refuses what is no selector to the API. An API server knows more of them, and says itself what is none.
fn check(selector: &str) -> Result<(), Failure> {
    api::Selector::parse(selector).map(drop).map_err(|error| Failure::usage(error.message))
}

fn written(apps: Vec<Value>, columns: Columns, output: Output) -> String {
    let list = |apps: Vec<Value>| output::list(&apps.into_iter().map(without_managers).collect::<Vec<_>>());
    match output {
        Output::Json => output::json(&list(apps)),
        Output::Yaml => manifest::to_yaml(&list(apps)),
        Output::Name => apps.iter().map(view::name).collect(),
        Output::Table | Output::Wide => {
            let mut table = columns.table();
            for app in &apps {
                table.push(&columns.row(app));
            }
            table.text(Paint::of_stdout())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_for_programs() {
        let columns = Columns { with_namespace: false, is_wide: false };
        let app = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "no", "managedFields": [{"manager": "x"}]}});
        let written = |output| written(vec![app.clone()], columns, output);
        assert_eq!(
            written(Output::Yaml),
            "apiVersion: v1\nitems:\n- apiVersion: argoproj.io/v1alpha1\n  kind: Application\n  metadata:\n    name: \"no\"\n\
             kind: List\nmetadata:\n  resourceVersion: \"\"\n"
        );
        assert_eq!(written(Output::Name), "application.argoproj.io/no\n");
        let json: Value = serde_json::from_str(&written(Output::Json)).unwrap();
        assert_eq!((&json["kind"], &json["items"][0]["metadata"]), (&json!("List"), &json!({"name": "no"})));
    }
}
