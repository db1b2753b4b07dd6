//! Which differences of an object do not count?

use model::{IgnoreRule, ObjectKey};

/// What is left out of one object's comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// JSON pointers of fields, removed in this order on both sides, as Argo CD does.
    pub pointers: Vec<String>,
}

/// Collects the rules that concern an object: group and kind are globs, namespace and name are exact, or empty for any
/// (Argo CD, `spec.ignoreDifferences`).
pub fn rules_for(ignore: &[IgnoreRule], key: &ObjectKey) -> Rules {
    let concerns = |rule: &&IgnoreRule| {
        (rule.name.is_empty() || rule.name == key.name)
            && (rule.namespace.is_empty() || rule.namespace == key.namespace)
            && is_like(&rule.group, &key.group)
            && is_like(&rule.kind, &key.kind)
    };
    Rules { pointers: ignore.iter().filter(concerns).flat_map(|rule| rule.json_pointers.clone()).collect() }
}

/// Returns whether `text` fits a glob; a pattern that is none fits nothing.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    model::glob::gobwas(pattern, text, &[]).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(group: &str, kind: &str, namespace: &str, name: &str) -> IgnoreRule {
        let [group, kind, namespace, name] = [group, kind, namespace, name].map(String::from);
        let json_pointers = vec![format!("/{group}-{kind}")];
        IgnoreRule { group, kind, namespace, name, json_pointers }
    }

    #[test]
    fn group_and_kind_are_globs_and_the_rest_is_exact() {
        let key = ObjectKey::new("apps", "Deployment", "shop", "web");
        let rules = [
            rule("apps", "Deployment", "", ""),
            rule("*", "*", "shop", "web"),
            rule("apps", "Deploy*", "", "web"),
            rule("", "Deployment", "", ""),
            rule("apps", "Deployment", "sh*", ""),
            rule("apps", "Deployment", "", "other"),
        ];
        assert_eq!(rules_for(&rules, &key).pointers, ["/apps-Deployment", "/*-*", "/apps-Deploy*"]);
        let core = ObjectKey::new("", "Service", "shop", "web");
        assert_eq!(
            rules_for(&[rule("", "Service", "", ""), rule("*", "*", "", "")], &core).pointers.len(),
            2
        );
    }
}
