//! Where does an app's spec say that its manifests come from?

use super::text;
use crate::findings::Findings;
use crate::{honoured, repo, wire};
use model::{Directory, Source};
use serde_json::Value;

/// Tools of which a source may name one at most (Argo CD tool detection documentation).
const TOOLS: &[&str] = &["helm", "kustomize", "directory", "plugin"];

/// Reads the source. Where `sources` or a hydrator is set instead, the first or an empty one stands in: such an app is
/// never rendered.
pub(super) fn read(spec: &wire::ApplicationSpec, raw: &Value, findings: &mut Findings) -> Source {
    let several = spec.sources.as_deref().unwrap_or_default();
    let replaced = spec.source_hydrator.is_some() || !several.is_empty();
    if spec.source.is_none() && !replaced {
        findings.problem_with_help(
            "spec.source",
            "is missing",
            "set spec.source.repoURL, and spec.source.path or spec.source.chart",
        );
    }
    let wire = spec.source.as_ref().or(several.first()).cloned().unwrap_or_default();
    if spec.source.is_some() && !replaced {
        check(&wire, &raw["source"], findings);
    } else {
        let path = if spec.source.is_some() { "spec.source" } else { "spec.sources[0]" };
        let revision = text(wire.target_revision.as_ref());
        repo::check_length(&revision, &format!("{path}.targetRevision"), findings);
    }
    let directory = wire.directory.unwrap_or_default();
    Source {
        repo_url: text(wire.repo_url.as_ref()),
        path: tidy(&text(wire.path.as_ref())),
        target_revision: Some(text(wire.target_revision.as_ref()))
            .filter(|r| !r.is_empty())
            .unwrap_or("HEAD".into()),
        directory: Directory {
            recurse: directory.recurse == Some(true),
            include: text(directory.include.as_ref()),
            exclude: text(directory.exclude.as_ref()),
        },
    }
}

fn check(source: &wire::Source, raw: &Value, findings: &mut Findings) {
    let (chart, path) = (text(source.chart.as_ref()), text(source.path.as_ref()));
    let revision = text(source.target_revision.as_ref());
    match (chart.as_str(), path.as_str()) {
        ("", "") => {
            let help = "name a folder, or `.` for the repository's root";
            findings.problem_with_help("spec.source.path", "is missing", help);
        }
        ("", path) => check_path(path, findings),
        (_, "") if revision.is_empty() => {
            findings.problem("spec.source.targetRevision", "is missing: a chart needs a version");
        }
        (_, "") => {}
        (_, _) => {
            findings.problem_with_help("spec.source", "both chart and path are set", "keep one of them");
        }
    }
    let tools: Vec<&str> = TOOLS.iter().copied().filter(|tool| !honoured::is_blank(&raw[*tool])).collect();
    if tools.len() > 1 {
        let sentence = format!("multiple application sources defined: {}", tools.join(","));
        findings.problem_with_help("spec.source", sentence, "keep one of them");
    }
    if chart.is_empty() {
        repo::check_url(&text(source.repo_url.as_ref()), "spec.source.repoURL", findings);
        repo::check_revision(&revision, "spec.source.targetRevision", findings);
    } else {
        repo::check_length(&revision, "spec.source.targetRevision", findings);
    }
}

fn check_path(path: &str, findings: &mut Findings) {
    let field = "spec.source.path";
    if path.starts_with('/') {
        findings.problem_with_help(
            field,
            "is absolute",
            "write it from the repository's root, without / before it",
        );
    } else if path.split('/').any(|step| step == "..") {
        findings.problem(field, "leaves the repository: `..` is not allowed");
    } else if path.chars().any(char::is_control) {
        findings.problem(field, "holds control characters");
    }
}

/// Writes a path without `.`, doubled slashes and slashes at its ends.
fn tidy(path: &str) -> String {
    path.split('/').filter(|step| !step.is_empty() && *step != ".").collect::<Vec<_>>().join("/")
}
