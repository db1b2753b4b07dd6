//! What would be applied of a folder or a repository? What `tautline render` prints: the agent's own answer, as far as it can
//! be given without a cluster.

use crate::desired;
use crate::effects::look_up;
use crate::exit::{self, DIFFERENCE, OTHER, USAGE};
use crate::tools::{complain, print, talk};
use clap::ArgMatches;
use manifest::Scope;
use model::{Directory, NotYet, Object, Problem};
use serde_json::{Value, json};
use source::{Credentials, Folder, Kind, Listing, RepoUrl, Repository, SourceError, Sources};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    let text = |name: &str| arguments.get_one::<String>(name).cloned().unwrap_or_default();
    let directory = Directory {
        recurse: arguments.get_flag("recurse"),
        include: text("include"),
        exclude: text("exclude"),
    };
    if let Err(problem) = manifest::selects("x.yaml", &directory) {
        return complain(&problem.to_string(), USAGE);
    }
    let dir = arguments.get_one::<PathBuf>("dir");
    let listing = match (dir, arguments.get_one::<String>("repo")) {
        (Some(dir), _) => read_folder(dir, &directory),
        (None, Some(url)) => read_repository(url, &text("path"), &text("revision"), &directory),
        (None, None) => Err((USAGE, "give a folder, or --repo URL; see tautline render --help".into())),
    };
    let listing = match listing {
        Ok(listing) => listing,
        Err((code, message)) => return complain(&message, code),
    };
    let path = dir.map_or_else(|| text("path").trim_matches('/').to_owned(), |dir| dir.display().to_string());
    let rendered = rendered(&listing, &path, &text("namespace"));
    for warning in &rendered.warnings {
        talk(&format!("warning: {warning}"));
    }
    for problem in &rendered.problems {
        talk(&format!("error: {problem}"));
    }
    for NotYet { field } in &rendered.not_yet {
        talk(&format!("error: read-only: Tautline does not act on {field} yet"));
    }
    let is_fine = rendered.problems.is_empty() && rendered.not_yet.is_empty();
    let objects: Vec<&Object> = rendered.objects.iter().collect();
    let printed = match text("output").as_str() {
        "json" => as_json(&objects),
        _ => as_yaml(&objects),
    };
    print(&printed, if is_fine { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENCE) })
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
    format!("{:#}\n", json!({"apiVersion": "v1", "kind": "List", "items": items}))
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

fn read_folder(dir: &Path, directory: &Directory) -> Result<Listing, (u8, String)> {
    let listing =
        source::read_folder(dir, directory.recurse, |relative| desired::is_read(relative, directory));
    listing.map_err(|error| (exit::of_source(error.kind), error.to_string()))
}

fn read_repository(
    url: &str,
    path: &str,
    revision: &str,
    directory: &Directory,
) -> Result<Listing, (u8, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (OTHER, error.to_string()))?;
    let cache = std::env::temp_dir().join(format!("tautline-render-{}", std::process::id()));
    let outcome = runtime.block_on(fetch(url, path, revision, directory, &cache));
    // The folder is ours alone; leaving it behind would be worse than failing to say so.
    let _absent = std::fs::remove_dir_all(&cache);
    outcome.map_err(|error| (exit::of_source(error.kind), error.to_string()))
}

async fn fetch(
    url: &str,
    path: &str,
    revision: &str,
    directory: &Directory,
    cache: &Path,
) -> Result<Listing, SourceError> {
    let url = RepoUrl::parse(url)?;
    if url.is_ssh() {
        let message = format!("repository {url} is reached by SSH, for which this command has no keys");
        return Err(SourceError::new(Kind::NotSupported, message).help("clone it, and name the folder"));
    }
    let mut config = source::Config::new(cache);
    // Whoever runs this may read whatever is on the disk anyway.
    config.local_repos = url.local_path().map(Path::to_path_buf).into_iter().collect();
    let sources =
        Sources::open(config).map_err(|error| SourceError::new(Kind::Unavailable, format!("{error:#}")))?;
    let repository = Repository::new(url, Credentials::None);
    let mut found = look_up(&sources, &repository, &[revision.to_owned()]).await?;
    let revision = found
        .remove(revision)
        .unwrap_or_else(|| Err(SourceError::new(Kind::RevisionNotFound, "no such revision")))?;
    let folder = Folder { path: path.trim_matches('/').into(), recurse: directory.recurse };
    let directory = directory.clone();
    sources
        .read(&repository, &revision, &folder, move |relative| desired::is_read(relative, &directory))
        .await
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
