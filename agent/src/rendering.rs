//! What would be applied of a folder or a repository? What `tautline render` prints: the agent's own answer, as far as it can
//! be given without a cluster.

use crate::cli::checkout::Checkout;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::person::{self, text};
use crate::desired;
use crate::exit::{self, OTHER};
use crate::tools::{print, talk};
use clap::ArgMatches;
use manifest::Scope;
use model::{Directory, NotYet, Object, Problem, Source, printable};
use serde_json::{Value, json};
use source::{Credentials, Listing, RepoUrl};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The project whose credentials are taken where no Application says one.
const PROJECT: &str = "default";

/// What comes of a folder.
struct Rendered {
    objects: Vec<Object>,
    warnings: Vec<String>,
    problems: Vec<Problem>,
    /// What nothing is applied for.
    not_yet: Vec<NotYet>,
}

/// Prints the objects of a folder as they would be applied, and every problem.
pub(crate) fn render(arguments: &ArgMatches) -> ExitCode {
    person::run(printed(arguments))
}

async fn printed(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let text = |name: &str| text(arguments, name);
    let source = Source {
        repo_url: text("repo"),
        path: text("path").trim_matches('/').to_owned(),
        target_revision: text("revision"),
        directory: Directory {
            recurse: arguments.get_flag("recurse"),
            include: text("include"),
            exclude: text("exclude"),
        },
    };
    if let Err(problem) = manifest::selects("x.yaml", &source.directory) {
        return Err(Failure::usage(problem.to_string()));
    }
    let dir = arguments.get_one::<PathBuf>("dir");
    let listing = match dir {
        Some(dir) => read_folder(dir, &source.directory)?,
        None if source.repo_url.is_empty() => {
            return Err(Failure::usage("give a folder, or --repo URL; see tautline render --help"));
        }
        None => read_repository(arguments, &source).await?,
    };
    let path = dir.map_or(source.path, |dir| dir.display().to_string());
    let rendered = rendered(&listing, &path, &text("namespace"));
    for warning in &rendered.warnings {
        talk(&format!("warning: {}", printable(warning)));
    }
    for problem in &rendered.problems {
        talk(&format!("error: {}", printable(&problem.to_string())));
    }
    for NotYet { field } in &rendered.not_yet {
        talk(&format!("error: read-only: Tautline does not act on {} yet", printable(field)));
    }
    let is_fine = rendered.problems.is_empty() && rendered.not_yet.is_empty();
    let objects: Vec<&Object> = rendered.objects.iter().collect();
    let printed = match text("output").as_str() {
        "json" => as_json(&objects),
        _ => as_yaml(&objects),
    };
    Ok(print(&printed, if is_fine { ExitCode::SUCCESS } else { ExitCode::from(OTHER) }))
}

fn rendered(listing: &Listing, path: &str, namespace: &str) -> Rendered {
    let not_yet = desired::unsupported(path, "", listing);
    if !not_yet.is_empty() {
        return Rendered { objects: Vec::new(), warnings: Vec::new(), problems: Vec::new(), not_yet };
    }
    let (parsed, mut problems) = desired::parse(listing);
    let defined = desired::defined_scopes(&parsed);
    let scope = |gvk: &model::GroupVersionKind| match built_in_scope(gvk) {
        Scope::Unknown => defined.get(&gvk.group_kind()).copied().unwrap_or(Scope::Unknown),
        known @ (Scope::Cluster | Scope::Namespaced) => known,
    };
    let arranged = manifest::arrange(parsed, namespace, &scope);
    problems.extend(arranged.problems);
    let objects: Vec<Object> = arranged.objects.into_iter().map(|parsed| parsed.object).collect();
    let not_yet = objects.iter().flat_map(application::object_not_yet).collect();
    Rendered { objects, warnings: arranged.warnings, problems, not_yet }
}

fn as_yaml(objects: &[&Object]) -> String {
    let documents: Vec<String> = objects.iter().map(|object| manifest::to_yaml(&object.to_value())).collect();
    documents.join("---\n")
}

fn as_json(objects: &[&Object]) -> String {
    let items: Vec<Value> = objects.iter().map(|object| object.to_value()).collect();
    output::json(&json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

/// Without a cluster only the built-in kinds' scope is known.
fn built_in_scope(gvk: &model::GroupVersionKind) -> Scope {
    const CLUSTER: &[&str] = &[
        "Namespace",
        "Node",
        "PersistentVolume",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "StorageClass",
        "IngressClass",
        "PriorityClass",
        "APIService",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "RuntimeClass",
        "CSIDriver",
        "CSINode",
        "VolumeAttachment",
        "CertificateSigningRequest",
        "FlowSchema",
        "PriorityLevelConfiguration",
    ];
    let is_built_in = gvk.group.is_empty() || gvk.group.ends_with(".k8s.io") || !gvk.group.contains('.');
    match (is_built_in, CLUSTER.contains(&gvk.kind.as_str())) {
        (true, true) => Scope::Cluster,
        (true, false) => Scope::Namespaced,
        (false, _) => Scope::Unknown,
    }
}

fn read_folder(dir: &Path, directory: &Directory) -> Result<Listing, Failure> {
    let listing =
        source::read_folder(dir, directory.recurse, |relative| desired::is_read(relative, directory));
    listing.map_err(|error| Failure::new(exit::of_source(error.kind), error.to_string()))
}

/// Reads a repository: by SSH with what the cluster has for the agent, for it is nothing without a key; otherwise as
/// anybody may.
async fn read_repository(arguments: &ArgMatches, source: &Source) -> Result<Listing, Failure> {
    let url = RepoUrl::parse(&source.repo_url)
        .map_err(|error| Failure::new(exit::of_source(error.kind), error.to_string()))?;
    let checkout = if url.is_ssh() {
        let needs = |failure: Failure| {
            let why = format!("repository {url} needs the key and the host keys that the cluster has for it");
            Failure::new(failure.code, format!("{why}: {}", failure.message))
        };
        let (cluster, _) = person::connect(arguments).await.map_err(needs)?;
        let control = text(arguments, "control-namespace");
        Checkout::as_the_agent(&cluster, &control, url.clone(), PROJECT).await.map_err(needs)?
    } else {
        Checkout::open(url, Credentials::None)?
    };
    let revision = checkout.resolve(&source.target_revision).await?;
    checkout.listing(&revision, source).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use source::File;

    fn listing(files: &[(&str, &str)]) -> Listing {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).into(),
            id: String::new(),
            bytes: text.as_bytes().into(),
            link: None,
        };
        let root_names = files.iter().filter(|(path, _)| !path.contains('/')).map(|(path, _)| (*path).into());
        Listing {
            inputs: String::new(),
            files: files.iter().map(file).collect(),
            root_names: root_names.collect(),
        }
    }

    fn refused(files: &[(&str, &str)], path: &str) -> Vec<String> {
        let rendered = rendered(&listing(files), path, "shop");
        assert!(rendered.objects.is_empty() && rendered.problems.is_empty());
        rendered.not_yet.into_iter().map(|not_yet| not_yet.field).collect()
    }

    #[test]
    fn what_the_agent_does_not_render_is_not_printed_as_plain_manifests() {
        let plain = ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
        assert_eq!(
            refused(&[plain, ("kustomization.yaml", "resources: [a.yaml]\n")], ""),
            ["spec.source.path: the root of the repository holds a Kustomize source"]
        );
        assert_eq!(
            refused(&[plain, ("Chart.yaml", "name: chart\n")], "charts/web"),
            ["spec.source.path: charts/web holds a Helm source"]
        );
        assert_eq!(refused(&[plain, ("b.jsonnet", "{}")], ""), ["spec.source.directory.jsonnet: b.jsonnet"]);
        assert_eq!(rendered(&listing(&[plain]), "", "shop").objects.len(), 1);
    }

    #[test]
    fn objects_that_make_the_app_read_only_are_printed_and_told() {
        let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: \
                    {argocd.argoproj.io/hook: PreSync}}\n";
        let rendered = rendered(&listing(&[("a.yaml", hook)]), "", "shop");
        assert_eq!(rendered.objects.len(), 1);
        let fields: Vec<&str> = rendered.not_yet.iter().map(|not_yet| not_yet.field.as_str()).collect();
        assert!(matches!(fields[..], [field] if field.contains("hook")), "{fields:?}");
    }

    #[test]
    fn crds_beside_them_say_whether_custom_resources_have_a_namespace() {
        let crd = |kind: &str, scope: &str| {
            format!(
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {kind}}}\n\
                 spec: {{group: lab.example.com, scope: {scope}, names: {{kind: {kind}}}}}\n"
            )
        };
        let custom =
            |kind: &str| format!("apiVersion: lab.example.com/v1\nkind: {kind}\nmetadata: {{name: x}}\n");
        let text = [
            crd("Zone", "Cluster"),
            crd("Room", "Namespaced"),
            custom("Zone"),
            custom("Room"),
            custom("Other"),
        ];
        let rendered = rendered(&listing(&[("all.yaml", &text.join("---\n"))]), "", "shop");
        let namespaces: Vec<(&str, &str)> = rendered
            .objects
            .iter()
            .filter(|object| object.name() == "x")
            .map(|object| (object.kind(), object.namespace()))
            .collect();
        assert_eq!(namespaces, [("Other", "shop"), ("Room", "shop"), ("Zone", "")]);
    }
}
