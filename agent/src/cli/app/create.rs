//! How is an Application made from a few words?

use crate::cli::app::sync::MANAGER;
use crate::cli::app::{remote, view, wait};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, without_managers};
use crate::cli::person::{self, text};
use crate::exit::{OTHER, USAGE};
use crate::tools::print;
use clap::ArgMatches;
use cluster::Priority;
use model::{AppKey, ErrorClass, Object};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Creates an Application, or prints it.
pub(crate) async fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let app = application(arguments);
    check(&app)?;
    let output = Output::of(arguments);
    if arguments.get_flag("dry-run") {
        return Ok(print(&printed(&app, output, "created (dry run)"), ExitCode::SUCCESS));
    }
    if remote::server(arguments)?.is_some() {
        return Err(Failure::usage(
            "app create needs the cluster, for an agent's API makes no Applications: leave --server and TAUTLINE_SERVER away",
        ));
    }
    let key = application::app_key(&app);
    let (cluster, _) = person::connect(arguments).await?;
    let object = Object::from_value(app).map_err(|why| Failure::new(OTHER, why.to_string()))?;
    let endpoint = crate::watching::applications();
    let created = cluster.create_at(Priority::User, &endpoint, &object, MANAGER).await;
    let created = created.map_err(|error| match error.class {
        ErrorClass::Conflict => exists(&key),
        _ => Failure::of_call(&format!("create Application {key}"), &error),
    })?;
    let done = print(&printed(&without_managers(created.into_value()), output, "created"), ExitCode::SUCCESS);
    if !arguments.get_flag("wait") {
        return Ok(done);
    }
    let timeout = arguments.get_one::<Duration>("timeout").copied().expect("it has a default");
    // The document, or the name, is alone there.
    let said = if output == Output::Table { output } else { Output::Name };
    wait::verdict(&cluster, &key, timeout, said).await
}

fn exists(key: &AppKey) -> Failure {
    Failure::new(
        OTHER,
        format!(
            "Application {key} exists already (change it with kubectl edit application {} -n {})",
            key.name, key.namespace
        ),
    )
}

fn printed(app: &Value, output: Output, done: &str) -> String {
    match output {
        Output::Json | Output::Yaml => view::document(app, output),
        Output::Name | Output::Table | Output::Wide => {
            let name = view::name(app);
            if output == Output::Name { name } else { format!("{} {done}\n", name.trim_end()) }
        }
    }
}

fn application(arguments: &ArgMatches) -> Value {
    let mut source = json!({"repoURL": text(arguments, "repo"), "path": text(arguments, "path")});
    if let Some(revision) = arguments.get_one::<String>("revision") {
        source["targetRevision"] = revision.as_str().into();
    }
    let mut spec = json!({
        "project": text(arguments, "project"),
        "source": source,
        "destination": {"server": application::IN_CLUSTER_SERVER, "namespace": text(arguments, "dest-namespace")},
    });
    if arguments.get_flag("auto") {
        let automated =
            json!({"prune": arguments.get_flag("prune"), "selfHeal": arguments.get_flag("self-heal")});
        spec["syncPolicy"] = json!({ "automated": automated });
    }
    if arguments.get_flag("create-namespace") {
        spec["syncPolicy"]["syncOptions"] = json!(["CreateNamespace=true"]);
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": text(arguments, "name"), "namespace": text(arguments, "namespace")},
        "spec": spec,
    })
}

/// Tells everything that is wrong before anything is made.
fn check(app: &Value) -> Result<(), Failure> {
    let wrong: Vec<String> = match application::read(app) {
        Ok(app) => app
            .not_yet
            .iter()
            .map(|not_yet| format!("Tautline does not act on {} yet", not_yet.field))
            .collect(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(USAGE, wrong.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(options: &[&str]) -> Result<Value, u8> {
        let arguments =
            [&["create", "shop", "--repo", "https://git.ex/shop", "--path", "deploy"], options].concat();
        let matches = crate::cli::app::create_command().try_get_matches_from(arguments).map_err(|_| USAGE)?;
        let app = application(&matches);
        check(&app).map_err(|failure| failure.code)?;
        Ok(app)
    }

    #[test]
    fn a_few_words_make_an_application() {
        let app =
            made(&["--auto", "--prune", "--self-heal", "--create-namespace", "--dest-namespace", "shop"])
                .unwrap();
        assert_eq!(
            view::document(&app, Output::Yaml),
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: shop\n  namespace: argocd\nspec:\n  \
             destination:\n    namespace: shop\n    server: https://kubernetes.default.svc\n  project: default\n  source:\n    \
             path: deploy\n    repoURL: https://git.ex/shop\n  syncPolicy:\n    automated:\n      prune: true\n      selfHeal: true\n    \
             syncOptions:\n    - CreateNamespace=true\n"
        );
        assert_eq!(made(&[]).unwrap()["spec"]["syncPolicy"], Value::Null);
        let dry = printed(&app, Output::Table, "created (dry run)");
        assert_eq!(dry, "application.argoproj.io/shop created (dry run)\n");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_before_anything_is_made() {
        for options in [
            &["--prune"][..],
            &["--self-heal"],
            &["--dest-namespace", "Shop"],
            &["--revision=--upload-pack=x"],
        ] {
            assert_eq!(made(options), Err(USAGE), "{options:?}");
        }
    }
}
