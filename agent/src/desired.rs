//! What does Git want of an app, object by object?

use crate::wanted::WantedObjects;
use application::Project;
use cluster::Discovery;
use manifest::{Parsed, Scope, SourceType};
use model::{
    App, AppKey, DesiredHash, NotYet, Object, Problem, Revision, Seconds, names, tracking,
    tracking::TrackingId,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One rendered revision of one app.
#[derive(Clone, Debug)]
pub(crate) struct DesiredSet {
    /// What the engine sees of it.
    pub summary: Arc<engine::Desired>,
    /// Ids of everything that was read from Git to make it.
    pub inputs: String,
    /// The objects as they are applied, with our own metadata.
    pub objects: WantedObjects,
    /// Whether some kind was unknown to the API server, so that its scope was guessed.
    pub has_unknown_kinds: bool,
}

/// Why a revision has no desired set.
#[derive(Debug)]
pub(crate) enum NotRendered {
    /// Its content is wrong.
    Invalid(Vec<Problem>),
    /// It needs something that we do not act on yet.
    Unsupported(Vec<NotYet>),
}

/// Who we are, as it stands on every object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Namespace of Applications and settings.
    pub control_namespace: String,
    /// Value of the instance label.
    pub instance_label: String,
    /// Argo CD's `installationID`.
    pub installation_id: Option<String>,
}

impl Identity {
    /// Returns who we are in a control namespace.
    pub(crate) fn new(control_namespace: &str, installation_id: Option<String>) -> Self {
        Self {
            control_namespace: control_namespace.into(),
            instance_label: tracking::instance_label(installation_id.as_deref(), control_namespace),
            installation_id,
        }
    }

    /// Puts our own metadata on an object: it is never drift and not part of the desired hash.
    fn mark(&self, object: &mut Object, app: &AppKey, destination: &str) {
        let id = TrackingId::new(&app.instance_name(&self.control_namespace), &object.key(), destination);
        object.set_annotation(names::TRACKING_ID, &id.to_string());
        if let Some(installation) = &self.installation_id {
            object.set_annotation(names::INSTALLATION_ID, installation);
        }
        object.set_label(names::INSTANCE_LABEL, &self.instance_label);
        object.set_label(names::PART_OF_LABEL, &tracking::part_of_label(app));
    }
}

/// Everything that rendering looks at beside the files.
#[derive(Clone)]
pub(crate) struct Rules {
    /// Who we are.
    pub identity: Identity,
    /// The app's project.
    pub project: Arc<Project>,
    /// Which kinds the API server has.
    pub discovery: Arc<Discovery>,
}

/// Returns whether a file of the app's folder is read: manifests, and what we have to say we cannot do yet.
pub(crate) fn is_read(relative: &str, directory: &model::Directory) -> bool {
    let is_asked_for = manifest::selects(relative, directory).unwrap_or(false);
    is_asked_for && (manifest::is_manifest_file(relative) || manifest::needs_jsonnet(relative))
}

/// Returns what the files of an app's folder need that we do not act on yet: tools other than plain directories, overrides,
/// jsonnet.
pub(crate) fn unsupported(path: &str, app: &str, listing: &source::Listing) -> Vec<NotYet> {
    let names = || listing.root_names.iter().map(String::as_str);
    let mut fields = Vec::new();
    let kind_of_source = manifest::source_type(names());
    if kind_of_source != SourceType::Directory {
        fields.push(format!("spec.source.path: {} holds a {kind_of_source:?} source", shown(path)));
    }
    let own_override = format!(".argocd-source-{app}.yaml");
    for name in names().filter(|name| *name == ".argocd-source.yaml" || *name == own_override) {
        fields.push(format!("spec.source.path: {} holds {name}", shown(path)));
    }
    let jsonnet = listing.files.iter().filter(|file| manifest::needs_jsonnet(&file.path));
    fields.extend(jsonnet.map(|file| format!("spec.source.directory.jsonnet: {}", file.path)));
    fields.into_iter().map(|field| NotYet { field }).collect()
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the root of the repository" } else { path }
}

/// Turns the files of a revision into the objects of an app. Pure; every problem is returned at once.
pub(crate) fn render(
    app: &App,
    revision: &Revision,
    listing: &source::Listing,
    rules: &Rules,
) -> Result<DesiredSet, NotRendered> {
    let not_yet = unsupported(&app.source.path, &app.key.name, listing);
    if !not_yet.is_empty() {
        return Err(NotRendered::Unsupported(not_yet));
    }
    let read = arranged(app, listing, &rules.discovery);
    let (arranged, mut problems) = (read.arranged, read.problems);
    let scope = |gvk: &model::GroupVersionKind| scope(&rules.discovery, &read.defined, gvk);
    problems.extend(arranged.objects.iter().filter_map(|parsed| forbidden(parsed, &rules.project, &scope)));
    if !problems.is_empty() {
        problems.sort();
        return Err(NotRendered::Invalid(problems));
    }
    let plain: Vec<&Object> = arranged.objects.iter().map(|parsed| &parsed.object).collect();
    let hash = manifest::desired_hash(&plain);
    let has_unknown_kinds = plain.iter().any(|object| matches!(scope(&object.gvk()), Scope::Unknown));
    let mut summary = summary(revision, hash, &plain, arranged.warnings);
    let finished = arranged.objects.into_iter().map(|parsed| {
        let mut object = parsed.object;
        let overruled = drift::controller::keep_down(&mut object, &rules.identity.control_namespace);
        summary.overruled.extend(overruled);
        rules.identity.mark(&mut object, &app.key, &app.destination.namespace);
        object
    });
    let objects = finished.collect();
    Ok(DesiredSet { summary: Arc::new(summary), inputs: listing.inputs.clone(), objects, has_unknown_kinds })
}

/// What the files of a folder hold, before anything of ours is added to it.
pub(crate) struct Read {
    /// The objects, each where it stands in Git and with the namespace that it gets.
    pub arranged: manifest::Arranged,
    /// Everything that is wrong with the files.
    pub problems: Vec<Problem>,
    /// The scopes of kinds that they define.
    defined: BTreeMap<model::GroupKind, Scope>,
}

/// Reads the files of an app's folder; every problem is returned at once.
pub(crate) fn arranged(app: &App, listing: &source::Listing, discovery: &Discovery) -> Read {
    let (parsed, mut problems) = parse(listing);
    let defined = defined_scopes(&parsed);
    let scope = |gvk: &model::GroupVersionKind| scope(discovery, &defined, gvk);
    let mut arranged = manifest::arrange(parsed, &app.destination.namespace, &scope);
    problems.append(&mut arranged.problems);
    Read { arranged, problems, defined }
}

fn scope(
    discovery: &Discovery,
    defined: &BTreeMap<model::GroupKind, Scope>,
    gvk: &model::GroupVersionKind,
) -> Scope {
    match discovery.scope(gvk) {
        Some(cluster::Scope::Namespaced) => Scope::Namespaced,
        Some(cluster::Scope::Cluster) => Scope::Cluster,
        None => defined.get(&gvk.group_kind()).copied().unwrap_or(Scope::Unknown),
    }
}

/// Returns the scopes of kinds whose CRDs are among the manifests: they are not served yet on a first deploy.
pub(crate) fn defined_scopes(parsed: &[Parsed]) -> BTreeMap<model::GroupKind, Scope> {
    let definitions = parsed.iter().map(|parsed| &parsed.object);
    let definitions = definitions.filter(|object| plan::kinds::is_crd(&object.gvk().group_kind()));
    let scope = |crd: &Object| {
        let kind = plan::kinds::defined_by(crd)?;
        let is_cluster = crd.get("spec")?.get("scope")?.as_str()? == "Cluster";
        Some((kind, if is_cluster { Scope::Cluster } else { Scope::Namespaced }))
    };
    definitions.filter_map(scope).collect()
}

/// Reads the manifests of a folder; every problem is returned at once.
pub(crate) fn parse(listing: &source::Listing) -> (Vec<Parsed>, Vec<Problem>) {
    let mut all = Vec::new();
    let total = listing.files.iter().map(|file| file.bytes.len() as u64).sum();
    let mut problems: Vec<Problem> = manifest::check_total_size(total).into_iter().collect();
    for file in &listing.files {
        let (mut parsed, mut wrong) = manifest::parse(&file.path, &file.bytes);
        all.append(&mut parsed);
        problems.append(&mut wrong);
    }
    (all, problems)
}

fn forbidden(
    parsed: &Parsed,
    project: &Project,
    scope: &dyn Fn(&model::GroupVersionKind) -> Scope,
) -> Option<Problem> {
    let object = &parsed.object;
    let is_namespaced = !matches!(scope(&object.gvk()), Scope::Cluster);
    let verdict =
        project.permits(&object.gvk().group_kind(), is_namespaced, object.name(), object.namespace());
    verdict.err().map(|message| Problem { place: parsed.place.clone(), message, help: String::new() })
}

fn summary(
    revision: &Revision,
    hash: DesiredHash,
    objects: &[&Object],
    repeated: Vec<String>,
) -> engine::Desired {
    let mut not_yet: Vec<NotYet> =
        objects.iter().flat_map(|object| application::object_not_yet(object)).collect();
    not_yet.sort();
    let deadline = |object: &&Object| object.get("spec")?.get("progressDeadlineSeconds")?.as_i64();
    engine::Desired {
        revision: revision.clone(),
        hash,
        n_objects: objects.len(),
        source_type: "Directory".into(),
        progress_deadline: Seconds::new(objects.iter().filter_map(deadline).max().unwrap_or(0)),
        not_yet,
        repeated,
        overruled: Vec::new(),
        lasting: Vec::new(),
    }
}

/// Makes the set of what a release holds. The project is asked again: it may have been narrowed since.
///
/// # Errors
/// Says what is no longer permitted, or cannot be read.
pub(crate) fn of_release(
    app: &App,
    record: &release::Record,
    objects: Vec<Value>,
    rules: &Rules,
) -> Result<Arc<DesiredSet>, String> {
    let number = record.number;
    let objects: Option<Vec<Object>> =
        objects.into_iter().map(|value| Object::from_value(value).ok()).collect();
    let objects = objects.ok_or_else(|| format!("release {number} holds what is no object"))?;
    let known = |object: &Object| scope(&rules.discovery, &BTreeMap::new(), &object.gvk());
    let is_namespaced = |object: &Object| match known(object) {
        Scope::Cluster => false,
        Scope::Namespaced => true,
        Scope::Unknown => !object.namespace().is_empty(),
    };
    let permits = |object: &Object| {
        let kind = object.gvk().group_kind();
        rules.project.permits(&kind, is_namespaced(object), object.name(), object.namespace())
    };
    let forbidden: Vec<String> = objects
        .iter()
        .filter_map(|object| permits(object).err().map(|rule| format!("{}: {rule}", object.key())))
        .collect();
    if !forbidden.is_empty() {
        return Err(format!(
            "release {number} holds what its project does not permit any more: {}",
            forbidden.join("; ")
        ));
    }
    let plain: Vec<&Object> = objects.iter().collect();
    let has_unknown_kinds = plain.iter().any(|object| matches!(known(object), Scope::Unknown));
    let mut summary = summary(&record.revision, record.hash, &plain, Vec::new());
    summary.source_type.clone_from(&record.source_type);
    let marked = objects.into_iter().map(|mut object| {
        drift::controller::keep_down(&mut object, &rules.identity.control_namespace);
        rules.identity.mark(&mut object, &app.key, &app.destination.namespace);
        object
    });
    let objects = marked.collect();
    Ok(Arc::new(DesiredSet { summary: Arc::new(summary), inputs: String::new(), objects, has_unknown_kinds }))
}

impl DesiredSet {
    /// Returns the objects without our own metadata.
    pub(crate) fn plain(&self) -> Vec<Map<String, Value>> {
        let objects = self.objects.iter().map(|(_, kept)| kept.open().object);
        objects
            .map(|mut object| {
                for name in [names::TRACKING_ID, names::INSTALLATION_ID] {
                    object.remove_annotation(name);
                }
                for name in [names::INSTANCE_LABEL, names::PART_OF_LABEL] {
                    object.remove_label(name);
                }
                object.fields().clone()
            })
            .collect()
    }

    /// Returns the set of an app whose manifests do not matter any more.
    pub(crate) fn empty() -> Self {
        let hash = manifest::desired_hash(&[]);
        let summary = summary(&Revision::new(""), hash, &[], Vec::new());
        Self {
            summary: Arc::new(summary),
            inputs: String::new(),
            objects: WantedObjects::default(),
            has_unknown_kinds: false,
        }
    }

    /// Returns the set of an app that is to have nothing.
    pub(crate) fn nothing(hash: DesiredHash) -> Self {
        let summary = summary(&Revision::new(""), hash, &[], Vec::new());
        Self { summary: Arc::new(summary), ..Self::empty() }
    }

    /// Returns the same objects at another revision: a commit that touched none of what was read.
    pub(crate) fn at(&self, revision: &Revision) -> Self {
        let mut summary = engine::Desired::clone(&self.summary);
        summary.revision = revision.clone();
        Self { summary: Arc::new(summary), ..self.clone() }
    }

    /// Returns whether its objects stand where the kinds that are served now would have them, in namespaces or not: a kind
    /// may come back with another scope, and no file says so.
    pub(crate) fn fits(&self, discovery: &Discovery) -> bool {
        self.objects.iter().all(|(key, kept)| match discovery.scope(&kept.gvk(key)) {
            Some(cluster::Scope::Namespaced) => !key.namespace.is_empty(),
            Some(cluster::Scope::Cluster) => key.namespace.is_empty(),
            None => true,
        })
    }

    /// Returns what the set is compared by.
    pub(crate) fn hash(&self) -> DesiredHash {
        self.summary.hash
    }

    /// Returns the set as JSON text for the cache folder.
    pub(crate) fn to_json(&self) -> String {
        let about = serde_json::json!({
            "inputs": self.inputs,
            "revision": self.summary.revision.as_str(),
            "hash": self.summary.hash.to_string(),
            "sourceType": self.summary.source_type,
            "progressDeadline": self.summary.progress_deadline.as_millis(),
            "notYet": self.summary.not_yet.iter().map(|n| n.field.clone()).collect::<Vec<_>>(),
            "repeated": self.summary.repeated,
            "overruled": self.summary.overruled,
        });
        let objects: Vec<&str> = self.objects.texts().collect();
        // The objects are JSON already.
        format!("{{\"set\":{about},\"objects\":[{}]}}", objects.join(","))
    }

    /// Reads what [`Self::to_json`] wrote; `None` where anything is off, and the set is rendered again.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let about = value.get("set")?;
        let text = |field: &str| about.get(field).and_then(Value::as_str);
        let texts = |field: &str| -> Option<Vec<String>> {
            about.get(field)?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let objects =
            value.get("objects")?.as_array()?.iter().map(|item| Object::from_value(item.clone()).ok());
        let objects = objects.collect::<Option<WantedObjects>>()?;
        Some(Self {
            summary: Arc::new(engine::Desired {
                revision: Revision::new(text("revision")?),
                hash: DesiredHash::parse(text("hash")?)?,
                n_objects: objects.len(),
                source_type: text("sourceType")?.into(),
                progress_deadline: Seconds::from_millis(about.get("progressDeadline")?.as_i64()?),
                not_yet: texts("notYet")?.into_iter().map(|field| NotYet { field }).collect(),
                repeated: texts("repeated")?,
                overruled: texts("overruled")?,
                lasting: Vec::new(),
            }),
            inputs: text("inputs")?.into(),
            objects,
            has_unknown_kinds: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use source::File;

    /// What a project says that permits `ConfigMaps` of one namespace and nothing else, of files that say the same in other ways.
    fn told(path: &str, text: &str) -> String {
        let project = json!({"metadata": {"name": "team"}, "spec": {
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "shop"}],
            "namespaceResourceWhitelist": [{"group": "", "kind": "ConfigMap"}],
        }});
        let rules = Rules {
            identity: Identity::new("argocd", None),
            project: Arc::new(Project::read(&project).unwrap()),
            discovery: Arc::new(Discovery::default()),
        };
        let mut app =
            crate::apps::placeholder(&AppKey::new("argocd", "shop"), &json!({"metadata": {"uid": "1"}}));
        app.destination.namespace = "shop".into();
        let file = File { path: path.into(), id: String::new(), bytes: text.as_bytes().into(), link: None };
        let listing =
            source::Listing { inputs: String::new(), files: vec![file], root_names: vec![path.into()] };
        match render(&app, &Revision::new("1"), &listing, &rules) {
            Ok(set) => format!("{} objects", set.objects.keys().count()),
            Err(NotRendered::Invalid(problems)) => {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            Err(NotRendered::Unsupported(fields)) => format!("{fields:?}"),
        }
    }

    // N37: what a project denies, as JSON, in a List, by anchors, in another version or case, without a name, twice
    #[test]
    fn what_is_denied_is_denied_in_every_spelling() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\n";
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let rule = "is not permitted in project team (not in spec.namespaceResourceWhitelist)";
        for (path, text) in [
            ("a.yaml", secret.to_owned()),
            ("a.json", json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}).to_string()),
            ("a.yaml", format!("{map}---\n{secret}")),
            ("a.yaml", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: keys}}\n".into()),
            ("a.yaml", "apiVersion: v1\nkind: SecretList\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: keys}}\n".into()),
            ("a.yaml", "x: &k Secret\napiVersion: v1\nkind: *k\nmetadata: {name: keys}\n".into()),
            ("a.yaml", "x: &s {apiVersion: v1, kind: Secret}\n<<: *s\nmetadata: {name: keys}\n".into()),
            ("a.yaml", "apiVersion: v1\n\"ki\\x6ed\": \"\\x53ecret\"\nmetadata: {name: keys}\n".into()),
            ("a.yaml", secret.replace("v1", "v1beta1")),
            ("a.yaml", secret.replace("v1", "rbac.authorization.k8s.io/v1").replace("Secret", "Role")),
        ] {
            assert!(told(path, &text).contains(rule), "{text}\n{}", told(path, &text));
        }
        // What the API server would not take for the same is refused or unknown to it.
        for text in [
            secret.replace("kind: Secret", "kind: secret"),
            secret.replace("kind: Secret", "kind: \u{ff33}ecret"),
            secret.replace("{name: keys}", "{generateName: keys-}"),
            format!("{secret}kind: ConfigMap\n"),
            secret.replace("kind: Secret", "kind: ConfigMap\nkind: Secret"),
        ] {
            assert!(!told("a.yaml", &text).ends_with(" objects"), "{text}");
        }
        assert_eq!(told("a.yaml", map), "1 objects");
        // Another namespace, however it is written.
        for namespace in ["kube-system", "\"kube\\x2dsystem\"", "!!str kube-system"] {
            let text = map.replace("{name: a}", &format!("{{name: a, namespace: {namespace}}}"));
            assert!(
                told("a.yaml", &text).contains("namespace kube-system is not permitted"),
                "{}",
                told("a.yaml", &text)
            );
        }
    }
}
