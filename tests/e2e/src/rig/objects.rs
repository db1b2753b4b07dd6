//! What do the scenarios deploy? Thirty objects of twelve kinds, with a canary in each Secret.

/// Must never be seen outside of a Secret.
pub(crate) const CANARY: &str = "canary-of-the-rig-4471";

/// What `kubectl get` is asked for to see all of them that have a namespace.
pub(crate) const KINDS: &str = "configmaps,secrets,serviceaccounts,services,deployments.apps,roles.rbac.authorization.k8s.io,\
rolebindings.rbac.authorization.k8s.io,poddisruptionbudgets.policy,networkpolicies.networking.k8s.io,cronjobs.batch,\
podtemplates";

/// A manifest: the name of its file, and its text.
pub(crate) type File = (String, String);

/// Which state of the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// What is deployed first.
    First,
    /// Some objects more, some fewer, some changed.
    Second,
    /// The same, with an image that does not exist.
    Bad,
}

/// Returns everything that Git holds for the app `shop`. `unique` tells apart what has no namespace.
pub(crate) fn files(commit: Commit, unique: &str) -> Vec<File> {
    let is_first = commit == Commit::First;
    let (value, most) = if is_first { ("one", 1) } else { ("two", 2) };
    let mut files = Vec::new();
    let mut add = |kind: &str, n: usize, api_version: &str, body: &str| {
        let text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: shop-{n}}}\n{body}\n");
        files.push((format!("{}-{n}.yaml", kind.to_lowercase()), text));
    };
    // Two are pruned, two are new, two are changed.
    for n in if is_first { 0..7 } else { 2..9 } {
        let value = if n < 4 { value } else { "same" };
        add("ConfigMap", n, "v1", &format!("data: {{key: {value}}}"));
    }
    for n in 0..if is_first { 4 } else { 3 } {
        let value = if n == 0 { value } else { "same" };
        add("Secret", n, "v1", &format!("stringData: {{password: {CANARY}, key: {value}}}"));
    }
    for n in 0..3 {
        add("ServiceAccount", n, "v1", "automountServiceAccountToken: false");
    }
    for n in 0..if is_first { 3 } else { 2 } {
        add("Service", n, "v1", &format!("spec: {{selector: {{app: s{n}}}, ports: [{{port: 8{most}}}]}}"));
    }
    for n in 0..2 {
        let tag = match (n, commit) {
            (0, Commit::Bad) => "not-found",
            (0, Commit::First | Commit::Second) => value,
            _ => "same",
        };
        // The API server fills in what is left out of a fieldRef, so whoever does not remember asks it what an apply would do.
        let env = if n == 0 {
            ""
        } else {
            ", env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]"
        };
        let pod = format!(
            "metadata: {{labels: {{app: s{n}}}}}, spec: {{containers: [{{name: web, image: 'web:{tag}'{env}}}]}}"
        );
        let selector = format!("selector: {{matchLabels: {{app: s{n}}}}}");
        add("Deployment", n, "apps/v1", &format!("spec: {{replicas: 1, {selector}, template: {{{pod}}}}}"));
        add("PodDisruptionBudget", n, "policy/v1", &format!("spec: {{maxUnavailable: {most}, {selector}}}"));
        let selector = format!("podSelector: {{matchLabels: {{app: s{n}}}}}");
        add(
            "NetworkPolicy",
            n,
            "networking.k8s.io/v1",
            &format!("spec: {{{selector}, policyTypes: [Ingress]}}"),
        );
    }
    for n in 0..if is_first { 2 } else { 1 } {
        let rule = "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]";
        add("Role", n, "rbac.authorization.k8s.io/v1", rule);
        let to = format!("roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: shop-{n}}}");
        let who = format!("subjects: [{{kind: ServiceAccount, name: shop-{n}}}]");
        add("RoleBinding", n, "rbac.authorization.k8s.io/v1", &format!("{to}\n{who}"));
    }
    let pod = "metadata: {labels: {app: job}}, spec: {restartPolicy: Never, containers: [{name: job, image: 'job:1'}]}";
    let job = format!("jobTemplate: {{spec: {{template: {{{pod}}}}}}}");
    add("CronJob", 0, "batch/v1", &format!("spec: {{schedule: '0 0 1 1 *', {job}}}"));
    for n in 0..if is_first { 1 } else { 2 } {
        add("PodTemplate", n, "v1", &format!("template: {{{pod}}}"));
    }
    let rule =
        format!("rules: [{{apiGroups: [''], resources: [pods], resourceNames: [{value}], verbs: [get]}}]");
    let text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: shop-{unique}}}\n{rule}\n"
    );
    files.push(("clusterrole.yaml".into(), text));
    files
}

/// Returns what the second app holds: objects of its own, and others that the first one has.
pub(crate) fn claimed() -> Vec<File> {
    let names = ["shop-0", "shop-4", "rival-0", "rival-1"];
    names.map(|name| (format!("{name}.yaml"), crate::words::config_map(name, "of the rival"))).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn thirty_objects_of_twelve_kinds_some_of_which_come_and_go() {
        let names = |commit| files(commit, "x").into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
        let (first, second) = (names(Commit::First), names(Commit::Second));
        let kinds: BTreeSet<&str> = first.iter().filter_map(|name| name.split(['-', '.']).next()).collect();
        assert_eq!((first.len(), kinds.len()), (30, 12));
        assert_eq!(first.difference(&second).count(), 6);
        assert_eq!(second.difference(&first).count(), 3);
        let changed = files(Commit::Second, "x").into_iter().filter(|(name, text)| {
            files(Commit::First, "x").iter().any(|(old, before)| old == name && before != text)
        });
        assert!(changed.count() >= 6);
    }
}
