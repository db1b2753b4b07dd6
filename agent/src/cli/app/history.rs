//! What was deployed, when, by whom, and what came of it? Releases, and what the status remembers beside them.

mod releases;

use crate::cli::app::store::Store;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output};
use crate::cli::person::text;
use crate::clock::now;
use crate::facts::Facts;
use crate::tools::{print, talk};
use clap::ArgMatches;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Prints the history of an Application.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let store = Store::open(arguments).await?;
    let (namespace, name) = (text(arguments, "namespace"), text(arguments, "name"));
    let app = store.get(&namespace, &name).await?;
    let output = Output::of(arguments);
    let releases = releases::of(&store, &app).await?;
    let history = Facts(&app).list("/status/history");
    if history.is_empty() && releases.is_empty() && matches!(output, Output::Table | Output::Wide) {
        talk(&format!("nothing was deployed of Application {namespace}/{name} yet"));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(print(&written(&releases, history, output), ExitCode::SUCCESS))
}

fn written(releases: &[Value], history: &[Value], output: Output) -> String {
    let both = || json!({"releases": releases, "history": history});
    match output {
        Output::Json => output::json(&both()),
        Output::Yaml => manifest::to_yaml(&both()),
        Output::Table | Output::Wide | Output::Name => {
            releases::table(releases, history, output == Output::Wide, now())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_get_both_apart() {
        let (releases, history) = ([json!({"id": 1})], [json!({"id": 0})]);
        let json: Value = serde_json::from_str(&written(&releases, &history, Output::Json)).unwrap();
        assert_eq!(json, json!({"releases": releases, "history": history}));
        assert!(written(&releases, &[], Output::Yaml).starts_with("history: []\n"));
    }
}
