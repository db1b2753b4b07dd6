//! What does an AppProject's spec say, and what is wrong with it?

use super::{DestinationRule, KindRule, Project, pattern::Pattern, rollback};
use crate::findings::Findings;
use crate::read::metadata_text;
use crate::{crd, honoured, schema, wire};
use model::{Problem, glob::BadPattern};
use serde_json::{Value, json};

/// Fields of a project that we act on, or that do not bear on what a sync may do.
const HONOURED: &[&str] = &[
    "spec.sourceRepos",
    "spec.destinations",
    "spec.description",
    "spec.roles",
    "spec.clusterResourceWhitelist",
    "spec.clusterResourceBlacklist",
    "spec.namespaceResourceWhitelist",
    "spec.namespaceResourceBlacklist",
    "spec.orphanedResources",
    "spec.sourceNamespaces",
];

impl Project {
    /// Reads an AppProject as the API server gave it.
    ///
    /// # Errors
    /// All problems of its spec and annotations, each with the field's name. A malformed pattern is one of them, for it might
    /// forbid.
    pub fn read(raw: &Value) -> Result<Self, Vec<Problem>> {
        let mut findings = Findings::default();
        let mut spec = raw.get("spec").cloned().unwrap_or_else(|| json!({}));
        if !schema::clean(&mut spec, &crd::APP_PROJECT_SCHEMA["properties"]["spec"], "spec", &mut findings) {
            spec = json!({});
        }
        honoured::others(&spec, "spec", HONOURED, &mut findings);
        let wire: wire::ProjectSpec =
            serde_json::from_value(spec).map_err(|error| vec![Problem::new(format!("spec: {error}"))])?;
        let rollback = rollback::read(raw, &mut findings);
        let project = Self { rollback, ..project(metadata_text(raw, "name"), &wire, &mut findings) };
        let (problems, not_yet) = findings.into_parts();
        if problems.is_empty() { Ok(Self { not_yet, ..project }) } else { Err(problems) }
    }
}

fn project(name: &str, wire: &wire::ProjectSpec, findings: &mut Findings) -> Project {
    let (allowed, denied) = (&wire.namespace_resource_whitelist, &wire.namespace_resource_blacklist);
    let (cluster_allowed, cluster_denied) =
        (&wire.cluster_resource_whitelist, &wire.cluster_resource_blacklist);
    let cluster_allow = named_kinds("clusterResourceWhitelist", cluster_allowed.as_deref(), findings);
    let cluster_deny = named_kinds("clusterResourceBlacklist", cluster_denied.as_deref(), findings);
    let namespace_allow = allowed.as_ref().map(|rules| kinds("namespaceResourceWhitelist", rules, findings));
    let denied = denied.as_deref().unwrap_or_default();
    let namespace_deny = kinds("namespaceResourceBlacklist", denied, findings);
    Project {
        name: name.into(),
        source_repos: list("spec.sourceRepos", wire.source_repos.as_ref(), Pattern::repo, findings),
        destinations: destinations(wire, findings),
        cluster_allow,
        cluster_deny,
        namespace_allow,
        namespace_deny,
        source_namespaces: source_namespaces(wire, findings),
        rollback: rollback::RollbackRules::default(),
        not_yet: Vec::new(),
    }
}

/// Rules over cluster-scoped objects, which may name single ones.
fn named_kinds(field: &str, rules: Option<&[wire::ResourceRule]>, findings: &mut Findings) -> Vec<KindRule> {
    let mut read = Vec::new();
    for (index, rule) in rules.unwrap_or_default().iter().enumerate() {
        let path = format!("spec.{field}[{index}]");
        let name = rule.name.as_ref().filter(|name| !name.is_empty());
        let name = name.map(|name| pattern(name, &format!("{path}.name"), Pattern::path, findings));
        read.push(KindRule { name, ..kind_rule(rule.group.as_ref(), rule.kind.as_ref(), &path, findings) });
    }
    read
}

fn kinds(field: &str, rules: &[wire::KindRule], findings: &mut Findings) -> Vec<KindRule> {
    let mut read = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.{field}[{index}]");
        read.push(kind_rule(rule.group.as_ref(), rule.kind.as_ref(), &path, findings));
    }
    read
}

fn kind_rule(group: Option<&String>, kind: Option<&String>, path: &str, findings: &mut Findings) -> KindRule {
    let mut part = |field: &str, text: Option<&String>| {
        pattern(text.map_or("", String::as_str), &format!("{path}.{field}"), Pattern::path, findings)
    };
    KindRule { group: part("group", group), kind: part("kind", kind), name: None }
}

fn destinations(wire: &wire::ProjectSpec, findings: &mut Findings) -> Vec<DestinationRule> {
    let rules = wire.destinations.iter().flatten().enumerate();
    rules
        .map(|(index, rule)| {
            let mut part = |field: &str, text: Option<&String>| {
                let path = format!("spec.destinations[{index}].{field}");
                pattern(text.map_or("", String::as_str), &path, Pattern::destination, findings)
            };
            DestinationRule {
                server: part("server", rule.server.as_ref()),
                name: part("name", rule.name.as_ref()),
                namespace: part("namespace", rule.namespace.as_ref()),
            }
        })
        .collect()
}

/// Entries between slashes are regular expressions in Argo CD.
fn source_namespaces(wire: &wire::ProjectSpec, findings: &mut Findings) -> Vec<Pattern> {
    let is_regex = |text: &str| text.len() > 1 && text.starts_with('/') && text.ends_with('/');
    let all = wire.source_namespaces.clone().unwrap_or_default();
    for text in all.iter().filter(|text| is_regex(text)) {
        findings.not_yet(format!("spec.sourceNamespaces: {text}"));
    }
    let globs: Vec<String> = all.into_iter().filter(|text| !is_regex(text)).collect();
    list("spec.sourceNamespaces", Some(&globs), Pattern::namespace, findings)
}

fn list(
    path: &str,
    texts: Option<&Vec<String>>,
    read: fn(&str) -> Result<Pattern, BadPattern>,
    findings: &mut Findings,
) -> Vec<Pattern> {
    let texts = texts.into_iter().flatten().enumerate();
    texts.map(|(index, text)| pattern(text, &format!("{path}[{index}]"), read, findings)).collect()
}

fn pattern(
    text: &str,
    path: &str,
    read: fn(&str) -> Result<Pattern, BadPattern>,
    findings: &mut Findings,
) -> Pattern {
    read(text).unwrap_or_else(|error| {
        findings.problem(path, format!("`{text}` is not a pattern: {error}"));
        Pattern::anything()
    })
}
