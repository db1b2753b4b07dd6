//! Where can manifests come from, and how are they made?

use super::wire;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::collections::BTreeMap;

/// Schema of an object that the API server keeps as it is.
fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Schema of a number that may be written as text.
fn int_or_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true})
}

/// Schema of a hydrated path, which is never the repository's root.
fn hydrated_path(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = String::json_schema(generator);
    schema.insert("minLength".into(), 1.into());
    schema.insert("pattern".into(), "^.{2,}|[^./]$".into());
    schema
}

wire! {
    /// Where manifests come from.
    Source {
        /// URL of the Git, Helm or OCI repository.
        #[serde(rename = "repoURL")]
        #[schemars(required)]
        repo_url: String,
        /// Folder in the repository; `.` for its root.
        path: String,
        /// Branch, tag, commit or version; `HEAD` where absent.
        target_revision: String,
        /// Name of a Helm chart, in a Helm repository.
        chart: String,
        /// How to render a Helm chart.
        helm: Helm,
        /// How to render with Kustomize.
        kustomize: Kustomize,
        /// How to read a folder of manifests.
        directory: Directory,
        /// How to render with a plugin.
        plugin: Plugin,
        /// Name under which other sources refer to files of this one.
        #[serde(rename = "ref")]
        reference: String,
        /// Name of the source, for people.
        name: String,
        /// Only tags that begin so count for version ranges.
        tag_prefix: String,
    }

    /// How to read a folder of manifests.
    Directory {
        /// Folders below it, too.
        recurse: bool,
        /// Glob over relative paths; only matching files count.
        include: String,
        /// Glob over relative paths; matching files do not count.
        exclude: String,
        /// How to render Jsonnet files.
        jsonnet: Jsonnet,
        /// Take files whatever their extension.
        disable_extension_filter: bool,
    }

    /// How to render Jsonnet files.
    Jsonnet {
        /// External variables.
        ext_vars: Vec<JsonnetVar>,
        /// Top-level arguments.
        tlas: Vec<JsonnetVar>,
        /// Folders to look for libraries in.
        libs: Vec<String>,
    }

    /// A variable for Jsonnet.
    JsonnetVar {
        /// Its name.
        #[schemars(required)]
        name: String,
        /// Its value.
        #[schemars(required)]
        value: String,
        /// Whether the value is Jsonnet code rather than text.
        code: bool,
    }

    /// How to render a Helm chart.
    Helm {
        /// Files of values.
        value_files: Vec<String>,
        /// Single values.
        parameters: Vec<HelmParameter>,
        /// Release name; the Application's name where absent.
        release_name: String,
        /// Values as YAML text.
        values: String,
        /// Values as an object; wins over `values`.
        #[serde(default)]
        #[schemars(schema_with = "free_object")]
        values_object: Value,
        /// Values from files.
        file_parameters: Vec<HelmFileParameter>,
        /// Helm's version.
        version: String,
        /// Give credentials to all hosts.
        pass_credentials: bool,
        /// Skip files of values that do not exist.
        ignore_missing_value_files: bool,
        /// Leave out the chart's CRDs.
        skip_crds: bool,
        /// Leave out the chart's tests.
        skip_tests: bool,
        /// Do not check values against the chart's schema.
        skip_schema_validation: bool,
        /// Namespace to render for.
        namespace: String,
        /// Kubernetes version to render for.
        kube_version: String,
        /// API versions to render for.
        api_versions: Vec<String>,
    }

    /// A single Helm value.
    HelmParameter {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Take numbers and booleans as text.
        force_string: bool,
    }

    /// A Helm value from a file.
    HelmFileParameter {
        /// Its name.
        name: String,
        /// Path of the file.
        path: String,
    }

    /// How to render with Kustomize.
    Kustomize {
        /// Put before every name.
        name_prefix: String,
        /// Put after every name.
        name_suffix: String,
        /// Images to replace.
        images: Vec<String>,
        /// Replica counts to set.
        replicas: Vec<KustomizeReplica>,
        /// Labels to add.
        common_labels: BTreeMap<String, String>,
        /// Add labels to metadata only, not to selectors.
        label_without_selector: bool,
        /// Add labels to templates as well.
        label_include_templates: bool,
        /// Overwrite labels that exist.
        force_common_labels: bool,
        /// Annotations to add.
        common_annotations: BTreeMap<String, String>,
        /// Replace environment variables in the annotations.
        common_annotations_envsubst: bool,
        /// Overwrite annotations that exist.
        force_common_annotations: bool,
        /// Namespace to set.
        namespace: String,
        /// Patches to apply.
        patches: Vec<KustomizePatch>,
        /// Components to add.
        components: Vec<String>,
        /// Skip components that do not exist.
        ignore_missing_components: bool,
        /// Kustomize's version.
        version: String,
        /// Kubernetes version to render for.
        kube_version: String,
        /// API versions to render for.
        api_versions: Vec<String>,
    }

    /// A replica count.
    KustomizeReplica {
        /// Name of the workload.
        #[schemars(required)]
        name: String,
        /// How many.
        #[schemars(required, schema_with = "int_or_text")]
        count: Value,
    }

    /// A Kustomize patch.
    KustomizePatch {
        /// File of the patch.
        path: String,
        /// The patch itself.
        patch: String,
        /// What to patch.
        target: KustomizeTarget,
        /// Options of the patch.
        options: BTreeMap<String, bool>,
    }

    /// What a Kustomize patch applies to.
    KustomizeTarget {
        /// API group.
        group: String,
        /// API version.
        version: String,
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// Namespace.
        namespace: String,
        /// Selector over annotations.
        annotation_selector: String,
        /// Selector over labels.
        label_selector: String,
    }

    /// How to render with a plugin.
    Plugin {
        /// The plugin's name.
        name: String,
        /// Its environment.
        env: Vec<EnvEntry>,
        /// Its parameters.
        parameters: Vec<PluginParameter>,
    }

    /// A variable of a plugin's environment.
    EnvEntry {
        /// Its name.
        #[schemars(required)]
        name: String,
        /// Its value.
        #[schemars(required)]
        value: String,
    }

    /// A plugin's parameter: a text, a map or a list.
    PluginParameter {
        /// Its name.
        name: String,
        /// A text.
        string: String,
        /// A map.
        map: BTreeMap<String, String>,
        /// A list.
        array: Vec<String>,
    }

    /// A source that is rendered to a branch, which is then followed.
    SourceHydrator {
        /// What to render.
        #[schemars(required)]
        dry_source: DrySource,
        /// The branch to follow.
        #[schemars(required)]
        sync_source: SyncSource,
        /// The branch to render to, where it is another one.
        hydrate_to: HydrateTo,
    }

    /// What to render.
    DrySource {
        /// URL of the repository.
        #[serde(rename = "repoURL")]
        #[schemars(required)]
        repo_url: String,
        /// Branch, tag or commit.
        #[schemars(required)]
        target_revision: String,
        /// Folder in the repository.
        #[schemars(required)]
        path: String,
        /// How to render a Helm chart.
        helm: Helm,
        /// How to render with Kustomize.
        kustomize: Kustomize,
        /// How to read a folder of manifests.
        directory: Directory,
        /// How to render with a plugin.
        plugin: Plugin,
    }

    /// The rendered branch to follow.
    SyncSource {
        /// Its name.
        #[schemars(required)]
        target_branch: String,
        /// Folder of the rendered manifests; never the root.
        #[schemars(required, schema_with = "hydrated_path")]
        path: String,
        /// URL of the repository; the dry source's where absent.
        #[serde(rename = "repoURL")]
        repo_url: String,
    }

    /// The branch to render to.
    HydrateTo {
        /// Its name.
        #[schemars(required)]
        target_branch: String,
    }
}
