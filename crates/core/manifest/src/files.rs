//! Which files of a folder are manifests, and which tool is the folder meant for?

use model::glob::Glob;
use model::{Directory, Problem};

/// What renders a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceType {
    /// Plain manifests.
    Directory,
    /// A Kustomize folder.
    Kustomize,
    /// A Helm chart.
    Helm,
}

/// Returns what renders a folder that holds files of these `names` (Argo CD "tool detection"): of the names that say
/// something, the last in lexical order decides, so that a kustomization beside a chart wins.
pub fn source_type<'a>(names: impl IntoIterator<Item = &'a str>) -> SourceType {
    let type_of = |name: &str| match name {
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => Some(SourceType::Kustomize),
        _ if name.ends_with("Chart.yaml") => Some(SourceType::Helm),
        _ => None,
    };
    let deciding = names.into_iter().filter_map(|name| Some((name, type_of(name)?)));
    deciding.max().map_or(SourceType::Directory, |(_, source_type)| source_type)
}

/// Returns whether a file's name says that it holds manifests which [`crate::parse`] reads.
pub fn is_manifest_file(name: &str) -> bool {
    matches!(extension(name), "yaml" | "yml" | "json")
}

/// Returns whether a file's name says that it takes Jsonnet to get manifests from it.
pub fn needs_jsonnet(name: &str) -> bool {
    extension(name) == "jsonnet"
}

/// Returns whether a file is meant as JSON; such a file is a manifest or a mistake.
pub(crate) fn is_json(name: &str) -> bool {
    extension(name) == "json"
}

fn extension(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Returns whether a `directory` source takes the file at a path relative to the app's folder (Argo CD "directory"
/// sources): `exclude` wins over `include`, and `*` in either crosses slashes. The name's ending is not looked at.
///
/// # Errors
/// When `include` or `exclude` is no valid pattern.
pub fn selects(relative_path: &str, directory: &Directory) -> Result<bool, Problem> {
    if !directory.recurse && relative_path.contains('/') {
        return Ok(false);
    }
    let matches = |field: &str, pattern: &str| {
        Glob::gobwas(pattern, &[]).map(|glob| glob.matches(relative_path)).map_err(|why| {
            Problem::new(format!("spec.source.directory.{field} is not a valid pattern: {why}")).help(
                "`*`, `?`, `[a-z]` and `{a,b}` have meaning; write `\\` before one to take it literally",
            )
        })
    };
    // Both are looked at, so that the one is not taken for valid where the other decides.
    let is_excluded = !directory.exclude.is_empty() && matches("exclude", &directory.exclude)?;
    let is_included = directory.include.is_empty() || matches("include", &directory.include)?;
    Ok(is_included && !is_excluded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_told_by_their_files() {
        let cases: [(&[&str], SourceType); 7] = [
            (&[], SourceType::Directory),
            (&["a.yaml", "chart.yaml", "kustomization.json"], SourceType::Directory),
            (&["a.yaml", "kustomization.yaml"], SourceType::Kustomize),
            (&["kustomization.yml"], SourceType::Kustomize),
            (&["Kustomization"], SourceType::Kustomize),
            (&["values.yaml", "Chart.yaml"], SourceType::Helm),
            (&["kustomization.yaml", "Chart.yaml"], SourceType::Kustomize),
        ];
        for (names, expected) in cases {
            assert_eq!(source_type(names.iter().copied()), expected, "{names:?}");
        }
    }

    #[test]
    fn names_tell_manifests() {
        let manifests = ["a.yaml", "a.yml", "a.json", "d/a.b.yaml", ".yaml"];
        let others = ["a.jsonnet", "a.YAML", "yaml", "a.yaml.bak", "d.yaml/readme", "a.libsonnet", ""];
        assert!(manifests.iter().all(|name| is_manifest_file(name)));
        assert!(others.iter().all(|name| !is_manifest_file(name)));
        assert!(needs_jsonnet("d/a.jsonnet") && !needs_jsonnet("a.libsonnet") && !needs_jsonnet("a.json"));
    }

    #[test]
    fn directories_select_by_recursion_and_globs() {
        let directory = |recurse, include: &str, exclude: &str| Directory {
            recurse,
            include: include.into(),
            exclude: exclude.into(),
        };
        let cases = [
            ("a.yaml", directory(false, "", ""), true),
            ("d/a.yaml", directory(false, "", ""), false),
            ("d/a.yaml", directory(true, "", ""), true),
            ("d/e/a.yaml", directory(true, "*.yaml", ""), true),
            ("d/e/a.yaml", directory(true, "d/*.yaml", ""), true),
            ("a.yml", directory(true, "*.yaml", ""), false),
            ("a.yml", directory(true, "{*.yml,*.yaml}", ""), true),
            ("env-usw2/a.yaml", directory(true, "", "{config.json,env-usw2/*}"), false),
            ("config.json", directory(true, "", "{config.json,env-usw2/*}"), false),
            ("a.yaml", directory(true, "*.yaml", "a.*"), false),
        ];
        for (path, directory, expected) in cases {
            assert_eq!(selects(path, &directory), Ok(expected), "{path} {directory:?}");
        }
    }

    #[test]
    fn bad_patterns_name_their_field() {
        let both = Directory { include: "[a".into(), exclude: "*".into(), ..Directory::default() };
        let problem = selects("a.yaml", &both).unwrap_err();
        assert!(
            problem.message.starts_with("spec.source.directory.include is not a valid"),
            "{}",
            problem.message
        );
        let directory = Directory { exclude: "[a".into(), ..Directory::default() };
        let problem = selects("a.yaml", &directory).unwrap_err();
        assert!(
            problem.message.starts_with("spec.source.directory.exclude is not a valid pattern: "),
            "{problem}"
        );
    }
}
