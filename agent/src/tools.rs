//! What do the commands do that need no agent?

use crate::cli::{DIFFERENCE, FORBIDDEN, NOT_FOUND, OTHER};
use crate::effects::look_up;
use clap::ArgMatches;
use manifest::{Parsed, Scope};
use model::{Directory, Object};
use serde_json::{Value, json};
use source::{Credentials, File, Folder, Kind, Listing, RepoUrl, Repository, SourceError, Sources};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Prints the CRDs.
pub(crate) fn crd() -> ExitCode {
    print(&application::crd::all_yaml(), ExitCode::SUCCESS)
}

/// Prints the objects of a folder as they would be applied, and every problem.
pub(crate) fn render(arguments: &ArgMatches) -> ExitCode {
    let text = |name: &str| arguments.get_one::<String>(name).cloned().unwrap_or_default();
    let directory = Directory { recurse: arguments.get_flag("recurse"), ..Directory::default() };
    let listing = match (arguments.get_one::<PathBuf>("dir"), arguments.get_one::<String>("repo")) {
        (Some(dir), _) => read_folder(dir, &directory),
        (None, Some(url)) => read_repository(url, &text("path"), &text("revision"), &directory),
        (None, None) => {
            Err((crate::cli::USAGE, "give a folder, or --repo URL; see tautline render --help".into()))
        }
    };
    let listing = match listing {
        Ok(listing) => listing,
        Err((code, message)) => return complain(&message, code),
    };
    let mut problems = Vec::new();
    let mut parsed: Vec<Parsed> = Vec::new();
    for file in &listing.files {
        let (objects, wrong) = manifest::parse(&file.path, &file.bytes);
        parsed.extend(objects);
        problems.extend(wrong);
    }
    let arranged = manifest::arrange(parsed, &text("namespace"), &built_in_scope);
    problems.extend(arranged.problems);
    let objects: Vec<&Object> = arranged.objects.iter().map(|parsed| &parsed.object).collect();
    let printed = if text("output") == "json" { as_json(&objects) } else { as_yaml(&objects) };
    for warning in &arranged.warnings {
        talk(&format!("warning: {warning}"));
    }
    for object in &objects {
        for field in application::object_not_yet(object) {
            talk(&format!("warning: read-only: Tautline does not act on {} yet", field.field));
        }
    }
    for problem in &problems {
        talk(&format!("error: {problem}"));
    }
    let code = if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENCE) };
    print(&printed, code)
}

/// Says how well live objects are.
pub(crate) fn health(arguments: &ArgMatches) -> ExitCode {
    let file = arguments.get_one::<String>("file").map_or("-", String::as_str);
    let mut bytes = Vec::new();
    let read = if file == "-" {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    if let Err(error) = read {
        return complain(&format!("{file} cannot be read: {error}"), NOT_FOUND);
    }
    let (objects, problems) = manifest::parse(file, &bytes);
    for problem in &problems {
        talk(&format!("error: {problem}"));
    }
    let lines: Vec<(String, String, Option<model::Health>)> = objects
        .iter()
        .map(|parsed| {
            let object = &parsed.object;
            let name = if object.namespace().is_empty() {
                object.name().into()
            } else {
                format!("{}/{}", object.namespace(), object.name())
            };
            (object.gvk().group_kind().to_string(), name, health::assess(object))
        })
        .collect();
    let is_json = arguments.get_one::<String>("output").is_some_and(|output| output == "json");
    let text = if is_json { health_json(&lines) } else { health_table(&lines) };
    let is_bad = lines
        .iter()
        .any(|(_, _, health)| health.as_ref().is_some_and(|h| h.status != model::HealthStatus::Healthy));
    let code = match (problems.is_empty(), is_bad) {
        (true, false) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(DIFFERENCE),
        (false, _) => ExitCode::from(OTHER),
    };
    print(&text, code)
}

fn health_table(lines: &[(String, String, Option<model::Health>)]) -> String {
    let width =
        |header: &str, lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).max(header.len());
    let kind = width("KIND", &mut lines.iter().map(|line| line.0.len()));
    let name = width("NAME", &mut lines.iter().map(|line| line.1.len()));
    let mut text = format!("{:kind$}   {:name$}   {:11}   MESSAGE\n", "KIND", "NAME", "STATUS");
    for (k, n, health) in lines {
        let (status, message) =
            health.as_ref().map_or(("-", ""), |h| (h.status.as_str(), h.message.as_str()));
        let line = format!("{k:kind$}   {n:name$}   {status:11}   {message}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn health_json(lines: &[(String, String, Option<model::Health>)]) -> String {
    let items = lines.iter().map(|(kind, name, health)| {
        json!({"kind": kind, "name": name,
            "status": health.as_ref().map(|h| h.status.as_str()), "message": health.as_ref().map(|h| h.message.as_str())})
    });
    format!("{:#}\n", Value::Array(items.collect()))
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
    let mut listing = Listing { inputs: String::new(), files: Vec::new(), root_names: Vec::new() };
    walk(dir, dir, directory, &mut listing.files).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => (NOT_FOUND, format!("{} does not exist", dir.display())),
        std::io::ErrorKind::PermissionDenied => (FORBIDDEN, format!("{} may not be read", dir.display())),
        _ => (OTHER, format!("{} cannot be read: {error}", dir.display())),
    })?;
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

fn walk(root: &Path, dir: &Path, directory: &Directory, files: &mut Vec<File>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let kind = path.symlink_metadata()?;
        if kind.is_dir() && directory.recurse && !relative.starts_with(".git") {
            walk(root, &path, directory, files)?;
        } else if kind.is_file() && manifest::selects(&relative, directory).unwrap_or(false) {
            files.push(File { path: relative, id: String::new(), bytes: std::fs::read(&path)?, link: None });
        }
    }
    Ok(())
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
    outcome.map_err(|error| {
        let code = match error.kind {
            Kind::RepositoryNotFound | Kind::RevisionNotFound | Kind::PathNotFound => NOT_FOUND,
            Kind::Authentication | Kind::NotPermitted => FORBIDDEN,
            Kind::InvalidUrl
            | Kind::NotSupported
            | Kind::Invalid
            | Kind::TooLarge
            | Kind::Unavailable
            | Kind::Cancelled => OTHER,
        };
        (code, error.to_string())
    })
}

async fn fetch(
    url: &str,
    path: &str,
    revision: &str,
    directory: &Directory,
    cache: &Path,
) -> Result<Listing, SourceError> {
    let url = RepoUrl::parse(url)?;
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
        .read(&repository, &revision, &folder, move |relative| {
            manifest::selects(relative, &directory).unwrap_or(false)
        })
        .await
}

fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        // A reader that has enough, such as head, is no mistake.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => code,
        Err(_) => ExitCode::from(OTHER),
    }
}

fn complain(message: &str, code: u8) -> ExitCode {
    talk(&format!("error: {message}"));
    ExitCode::from(code)
}

fn talk(message: &str) {
    // Talk on stderr; there is nobody left to tell if that fails.
    let _unheard = writeln!(std::io::stderr(), "{message}");
}
