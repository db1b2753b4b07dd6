//! What does an AppProject permit, and which of its rules says no? (Argo CD projects documentation.)

mod pattern;
mod read;
mod rollback;

use crate::read::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use crate::repo;
use model::{App, GroupKind, NotYet, Problem};
use pattern::{Pattern, first_denial};

/// An AppProject, valid as far as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: String,
    source_repos: Vec<Pattern>,
    destinations: Vec<DestinationRule>,
    cluster_allow: Vec<KindRule>,
    cluster_deny: Vec<KindRule>,
    /// `None` allows every namespaced kind.
    namespace_allow: Option<Vec<KindRule>>,
    namespace_deny: Vec<KindRule>,
    source_namespaces: Vec<Pattern>,
    rollback: rollback::RollbackRules,
    not_yet: Vec<NotYet>,
}

/// Where objects may go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DestinationRule {
    server: Pattern,
    name: Pattern,
    namespace: Pattern,
}

/// Which kinds, and which names of them; no name means any.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KindRule {
    group: Pattern,
    kind: Pattern,
    name: Option<Pattern>,
}

impl KindRule {
    fn matches(&self, kind: &GroupKind, name: &str) -> bool {
        self.group.matches(&kind.group)
            && self.kind.matches(&kind.kind)
            && self.name.as_ref().is_none_or(|pattern| pattern.matches(name))
    }
}

/// Lists what a project asks for and we do not act on yet; not empty makes its apps read-only.
pub fn project_not_yet(project: &Project) -> Vec<NotYet> {
    let of_project =
        |not_yet: &NotYet| NotYet { field: format!("{} of project {}", not_yet.field, project.name) };
    project.not_yet.iter().map(of_project).collect()
}

impl Project {
    /// Returns the project `default` that exists where nobody made one: everything, everywhere (Argo CD).
    pub fn built_in_default() -> Self {
        let all = Pattern::anything;
        let every_kind = || KindRule { group: all(), kind: all(), name: None };
        Self {
            name: "default".into(),
            source_repos: vec![all()],
            destinations: vec![DestinationRule { server: all(), name: all(), namespace: all() }],
            cluster_allow: vec![every_kind()],
            cluster_deny: Vec::new(),
            namespace_allow: None,
            namespace_deny: Vec::new(),
            source_namespaces: Vec::new(),
            rollback: rollback::RollbackRules::default(),
            not_yet: Vec::new(),
        }
    }

    /// Says what the project forbids about an app itself: its namespace, its source, its destination. Empty means that it
    /// may go on; what it may do with single objects is for [`Project::permits`].
    pub fn check_app(&self, app: &App, control_namespace: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.check_namespace(app, control_namespace));
        problems.extend(self.check_source(&app.source.repo_url));
        problems.extend(self.check_destination(app));
        problems
    }

    /// Returns whether apps of the project may have an object; the text names the rule that says no.
    ///
    /// # Errors
    /// When a rule says no. Argo CD's sentence comes first, what decided in parentheses after it.
    pub fn permits(
        &self,
        kind: &GroupKind,
        namespaced: bool,
        name: &str,
        namespace: &str,
    ) -> Result<(), String> {
        let project = &self.name;
        if let Some(rule) = self.refused_kind(kind, namespaced, name) {
            let GroupKind { group, kind } = kind;
            return Err(format!("resource {group}:{kind} is not permitted in project {project} ({rule})"));
        }
        if namespaced && let Some(rule) = self.refused_destination(namespace) {
            return Err(format!("namespace {namespace} is not permitted in project '{project}' ({rule})"));
        }
        Ok(())
    }

    fn refused_kind(&self, kind: &GroupKind, namespaced: bool, name: &str) -> Option<&'static str> {
        let lists = |rules: &[KindRule]| rules.iter().any(|rule| rule.matches(kind, name));
        if namespaced {
            match &self.namespace_allow {
                Some(allowed) if !lists(allowed) => Some("not in spec.namespaceResourceWhitelist"),
                Some(_) | None if lists(&self.namespace_deny) => Some("in spec.namespaceResourceBlacklist"),
                Some(_) | None => None,
            }
        } else if !lists(&self.cluster_allow) {
            Some("not in spec.clusterResourceWhitelist")
        } else {
            lists(&self.cluster_deny).then_some("in spec.clusterResourceBlacklist")
        }
    }

    /// Only the cluster the agent runs in is a destination for now; it answers to its server and to its name.
    fn refused_destination(&self, namespace: &str) -> Option<String> {
        let mut is_allowed = false;
        for rule in &self.destinations {
            let (server, name) = (rule.server.matches(IN_CLUSTER_SERVER), rule.name.matches(IN_CLUSTER_NAME));
            let namespace = rule.namespace.matches(namespace);
            let denial = match (server || name, namespace) {
                (true, true) => {
                    is_allowed = true;
                    None
                }
                (true, false) => first_denial([&rule.namespace]),
                (false, true) => first_denial([&rule.server, &rule.name]),
                (false, false) => None,
            };
            if let Some(pattern) = denial {
                return Some(format!("`{pattern}` in spec.destinations forbids it"));
            }
        }
        (!is_allowed).then(|| "not in spec.destinations".into())
    }

    fn check_namespace(&self, app: &App, control_namespace: &str) -> Option<Problem> {
        let (name, namespace, project) = (&app.key.name, &app.key.namespace, &self.name);
        let may =
            namespace == control_namespace || self.source_namespaces.iter().any(|p| p.matches(namespace));
        (!may).then(|| {
            Problem::new(format!(
                "application '{name}' in namespace '{namespace}' is not permitted to use project '{project}'"
            ))
            .help(format!("add `{namespace}` to spec.sourceNamespaces of AppProject {project}"))
        })
    }

    fn check_source(&self, url: &str) -> Option<Problem> {
        let normal = repo::normalise(url);
        let (url, project) = (repo::without_credentials(url), &self.name);
        let denied = self.source_repos.iter().find(|p| p.is_denial() && !p.matches(&normal));
        let help = match denied {
            Some(pattern) => format!("`{pattern}` in spec.sourceRepos of AppProject {project} forbids it"),
            None if self.source_repos.iter().any(|p| p.matches(&normal)) => return None,
            None => format!("add it to spec.sourceRepos of AppProject {project}"),
        };
        let sentence = format!("application repo {url} is not permitted in project '{project}'");
        Some(Problem::new(sentence).help(help))
    }

    fn check_destination(&self, app: &App) -> Option<Problem> {
        let (destination, project) = (&app.destination, &self.name);
        let namespace = &destination.namespace;
        let rule = self.refused_destination(namespace)?;
        let cluster = if destination.server.is_empty() {
            format!("name '{}'", destination.name)
        } else {
            format!("server '{}'", destination.server)
        };
        let sentence = format!(
            "application destination {cluster} and namespace '{namespace}' do not match any of the allowed destinations in project '{project}'"
        );
        Some(Problem::new(sentence).help(format!("{rule}; see spec.destinations of AppProject {project}")))
    }
}
