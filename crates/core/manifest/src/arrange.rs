//! What does an app want as a whole, once all its files are read?

use crate::{Parsed, normalise};
use model::{GroupVersionKind, ObjectKey, Problem};
use std::collections::BTreeMap;

/// Whether the objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They do not.
    Cluster,
    /// The API server does not know the kind (yet).
    Unknown,
}

/// The objects of an app, ready to be compared and applied.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Arranged {
    /// Normalised, with namespaces as in the cluster, sorted by key, each key once.
    pub objects: Vec<Parsed>,
    /// What is wrong with objects that are left out.
    pub problems: Vec<Problem>,
    /// Texts of Argo CD's `RepeatedResourceWarning`, and where the objects stand; sorted by key.
    pub warnings: Vec<String>,
}

/// Puts an app's objects in order as Argo CD does: a namespace where the kind needs one, none where it has none, and
/// of several objects with one key the last.
///
/// A kind of unknown scope gets the default namespace like a namespaced one, but may do without.
pub fn arrange(
    parsed: Vec<Parsed>,
    destination_namespace: &str,
    scope: &dyn Fn(&GroupVersionKind) -> Scope,
) -> Arranged {
    let mut arranged = Arranged::default();
    let mut by_key: BTreeMap<ObjectKey, Vec<Parsed>> = BTreeMap::new();
    for mut parsed in parsed {
        normalise(&mut parsed.object);
        match place(&mut parsed, destination_namespace, scope) {
            Ok(()) => by_key.entry(parsed.object.key()).or_default().push(parsed),
            Err(problem) => arranged.problems.push(problem),
        }
    }
    for (key, mut all) in by_key {
        if all.len() > 1 {
            arranged.warnings.push(repeated(&key, &all));
        }
        arranged.objects.extend(all.pop());
    }
    arranged
}

/// Says that an object stands several times in the manifests, and where.
fn repeated(key: &ObjectKey, all: &[Parsed]) -> String {
    /// As many as a person looks up.
    const NAMED: usize = 4;
    let ObjectKey { group, kind, namespace, name } = key;
    let place = |parsed: &Parsed| format!("{}:{}", parsed.place.file, parsed.place.line);
    let named: Vec<String> = all.iter().rev().take(NAMED).map(place).collect();
    let more = all.len() - named.len();
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "Resource {group}/{kind}/{namespace}/{name} appeared {} times among application resources. The last one counts, of {}{tail}",
        all.len(),
        named.into_iter().rev().collect::<Vec<_>>().join(", ")
    )
}

/// Sets or removes the namespace.
fn place(
    parsed: &mut Parsed,
    destination_namespace: &str,
    scope: &dyn Fn(&GroupVersionKind) -> Scope,
) -> Result<(), Problem> {
    let gvk = parsed.object.gvk();
    let scope = scope(&gvk);
    if scope == Scope::Cluster {
        if parsed.object.metadata().is_some_and(|metadata| metadata.contains_key("namespace")) {
            parsed.object.set_namespace("");
        }
        return Ok(());
    }
    if !parsed.object.namespace().is_empty() {
        return Ok(());
    }
    if scope == Scope::Namespaced && destination_namespace.is_empty() {
        let place = &parsed.place;
        // Argo CD's own sentence, with Go's way to write a kind.
        let GroupVersionKind { group, version, kind } = gvk;
        let name = parsed.object.name();
        return Err(Problem::new(format!("Namespace for {name} {group}/{version}, Kind={kind} is missing."))
            .at(&place.file, place.line, place.column)
            .help("set metadata.namespace, or spec.destination.namespace of the Application"));
    }
    parsed.object.set_namespace(destination_namespace);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: s}}";

    fn scope(gvk: &GroupVersionKind) -> Scope {
        match gvk.kind.as_str() {
            "ClusterRole" => Scope::Cluster,
            "Widget" => Scope::Unknown,
            _ => Scope::Namespaced,
        }
    }

    fn arranged(documents: &[&str], destination: &str) -> String {
        let (parsed, problems) = crate::parse("a.yaml", documents.join("\n---\n").as_bytes());
        assert_eq!(problems, []);
        let arranged = arrange(parsed, destination, &scope);
        let mut text = String::new();
        for parsed in &arranged.objects {
            writeln!(text, "{} from line {}", parsed.object.key(), parsed.place.line).unwrap();
        }
        arranged.problems.iter().for_each(|problem| writeln!(text, "{problem}").unwrap());
        arranged.warnings.iter().for_each(|warning| writeln!(text, "{warning}").unwrap());
        text
    }

    #[test]
    fn namespaces_follow_scope() {
        let documents = [
            SERVICE,
            "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: own}}",
            "{apiVersion: v1, kind: Service, metadata: {name: t, namespace: ''}}",
            "{apiVersion: v1, kind: Service, metadata: {name: u, namespace: null}}",
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r, namespace: x}}",
            "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}}",
        ];
        let expected = "Service shop/s from line 1\nService shop/t from line 5\nService shop/u from line 7\n\
            Service own/s from line 3\nWidget.example.com shop/w from line 11\nClusterRole.rbac.authorization.k8s.io r from line 9\n";
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&arranged(&documents, "shop")), sorted(expected));
    }

    #[test]
    fn a_missing_namespace_is_a_problem_where_it_matters() {
        let widget = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}}";
        assert_eq!(
            arranged(&[SERVICE, widget], ""),
            "Widget.example.com w from line 3\n\
             a.yaml:1:1: Namespace for s /v1, Kind=Service is missing. \
             (set metadata.namespace, or spec.destination.namespace of the Application)\n"
        );
    }

    #[test]
    fn the_last_of_several_stays() {
        let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r}}";
        let role_in_namespace = "{apiVersion: rbac.authorization.k8s.io/v1beta1, kind: ClusterRole, metadata: {name: r, namespace: x}}";
        assert_eq!(
            arranged(&[SERVICE, role, SERVICE, role_in_namespace, SERVICE], "shop"),
            "Service shop/s from line 9\nClusterRole.rbac.authorization.k8s.io r from line 7\n\
             Resource /Service/shop/s appeared 3 times among application resources. The last one counts, of a.yaml:1, a.yaml:5, a.yaml:9\n\
             Resource rbac.authorization.k8s.io/ClusterRole//r appeared 2 times among application resources. The last one counts, of a.yaml:3, a.yaml:7\n"
        );
    }
}
