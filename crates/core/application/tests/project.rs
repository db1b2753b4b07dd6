//! What projects permit, and which rule says no.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use application::{Project, project_not_yet, read};
use model::{GroupKind, RollbackPolicy};
use serde_json::{Value, json};

fn project(spec: &Value) -> Project {
    Project::read(&json!({"metadata": {"name": "team"}, "spec": spec})).unwrap()
}

/// What the project says of an app: empty for yes.
fn app(project: &Project, namespace: &str, repo: &str, destination: &Value) -> String {
    let app = read(&json!({
        "metadata": {"name": "demo", "namespace": namespace},
        "spec": {"project": "team", "source": {"repoURL": repo, "path": "app"}, "destination": destination},
    }))
    .unwrap();
    project.check_app(&app, "argocd").iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn in_namespace(namespace: &str) -> Value {
    json!({"server": "https://kubernetes.default.svc", "namespace": namespace})
}

#[test]
fn source_repositories() {
    for (rules, url, allowed) in [
        (json!(["*"]), "https://git.example.com/team/r.git", true),
        (json!([]), "https://git.example.com/team/r.git", false),
        (json!(["https://git.example.com/team/r.git"]), "https://GIT.example.com/team/r", true),
        (json!(["https://git.example.com/*"]), "https://git.example.com/team/r", false),
        (json!(["https://git.example.com/*/r"]), "https://git.example.com/team/r", true),
        (json!(["https://git.example.com/**"]), "https://git.example.com/team/r", true),
        (json!(["*", "!https://git.example.com/secret/**"]), "https://git.example.com/secret/r.git", false),
        (json!(["*", "!https://git.example.com/secret/**"]), "https://git.example.com/open/r", true),
        (json!(["!https://git.example.com/secret/**"]), "https://git.example.com/open/r", true),
        (json!(["/srv/git/*"]), "/srv/git/r", true),
    ] {
        let project =
            project(&json!({"sourceRepos": rules, "destinations": [{"server": "*", "namespace": "*"}]}));
        assert_eq!(app(&project, "argocd", url, &in_namespace("web")).is_empty(), allowed, "{rules} {url}");
    }
}

#[test]
fn destinations() {
    let here = "https://kubernetes.default.svc";
    for (rules, namespace, allowed) in [
        (json!([]), "web", false),
        (json!([{"server": "*", "namespace": "*"}]), "web", true),
        (json!([{"server": here, "namespace": "team-*"}]), "team-a", true),
        (json!([{"server": here, "namespace": "team-*"}]), "web", false),
        (json!([{"name": "in-cluster", "namespace": "web"}]), "web", true),
        (json!([{"name": "prod", "namespace": "web"}]), "web", false),
        (json!([{"server": "https://10.0.0.1", "namespace": "*"}]), "web", false),
        (
            json!([{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!kube-system"}]),
            "kube-system",
            false,
        ),
        (json!([{"server": "*", "namespace": "!kube-system"}]), "web", true),
        (
            json!([{"server": "*", "namespace": "*"}, {"server": format!("!{here}"), "namespace": "*"}]),
            "web",
            false,
        ),
        (
            json!([{"server": "*", "namespace": "*"}, {"server": format!("!{here}"), "namespace": "db"}]),
            "web",
            true,
        ),
        (json!([{"name": "*", "namespace": "*"}, {"name": "!in-cluster", "namespace": "*"}]), "web", false),
        (
            json!([{"server": "*", "namespace": "*"}, {"server": "!https://10.0.0.1", "namespace": "*"}]),
            "web",
            true,
        ),
    ] {
        let project = project(&json!({"sourceRepos": ["*"], "destinations": rules}));
        for destination in [in_namespace(namespace), json!({"name": "in-cluster", "namespace": namespace})] {
            let said = app(&project, "argocd", "https://git.example.com/r", &destination);
            assert_eq!(said.is_empty(), allowed, "{rules} {namespace}: {said}");
        }
        let object = project.permits(&GroupKind::new("", "ConfigMap"), true, "a", namespace);
        assert_eq!(object.is_ok(), allowed, "{rules} {namespace}: objects follow the same rules");
    }
}

// N32: the rule itself
#[test]
fn namespaces_of_applications() {
    for (rules, namespace, allowed) in [
        (json!([]), "argocd", true),
        (json!([]), "team-a", false),
        (json!(["team-*"]), "team-a", true),
        (json!(["team-b"]), "team-a", false),
    ] {
        let project = project(&json!({
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "sourceNamespaces": rules,
        }));
        assert_eq!(
            app(&project, namespace, "https://git.example.com/r", &in_namespace("web")).is_empty(),
            allowed
        );
    }
}

#[test]
fn refusals_name_the_rule_and_what_to_do() {
    let open = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
    let with = |patch: Value| {
        let mut spec = open.clone();
        spec.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        project(&spec)
    };
    let url = "https://u:p@git.example.com/r";
    assert_eq!(
        app(&with(json!({"sourceRepos": []})), "argocd", url, &in_namespace("web")),
        "application repo https://git.example.com/r is not permitted in project 'team' (add it to spec.sourceRepos of AppProject team)"
    );
    assert_eq!(
        app(
            &with(json!({"sourceRepos": ["*", "!https://git.example.com/*"]})),
            "argocd",
            "https://git.example.com/r",
            &in_namespace("web")
        ),
        "application repo https://git.example.com/r is not permitted in project 'team' (`!https://git.example.com/*` in spec.sourceRepos of AppProject team forbids it)"
    );
    assert_eq!(
        app(&with(json!({"destinations": []})), "argocd", url, &in_namespace("web")),
        "application destination server 'https://kubernetes.default.svc' and namespace 'web' do not match any of the allowed destinations in project 'team' (not in spec.destinations; see spec.destinations of AppProject team)"
    );
    assert_eq!(
        app(&with(json!({})), "team-a", url, &in_namespace("web")),
        "application 'demo' in namespace 'team-a' is not permitted to use project 'team' (add `team-a` to spec.sourceNamespaces of AppProject team)"
    );
    let nothing = with(json!({"sourceRepos": [], "destinations": []}));
    assert_eq!(app(&nothing, "team-a", url, &in_namespace("web")).split("; a").count(), 3, "all at once");
}

// N36: kinds of the cluster
#[test]
fn kinds() {
    let rule = |group: &str, kind: &str| json!([{"group": group, "kind": kind}]);
    for (lists, kind, namespaced, said) in [
        (json!({}), "apps/Deployment", true, ""),
        (
            json!({}),
            "/Namespace",
            false,
            "resource :Namespace is not permitted in project team (not in spec.clusterResourceWhitelist)",
        ),
        (json!({"clusterResourceWhitelist": rule("*", "*")}), "/Namespace", false, ""),
        (json!({"clusterResourceWhitelist": rule("", "Name*")}), "/Namespace", false, ""),
        (
            json!({"clusterResourceWhitelist": rule("*", "*"), "clusterResourceBlacklist": rule("", "Namespace")}),
            "/Namespace",
            false,
            "resource :Namespace is not permitted in project team (in spec.clusterResourceBlacklist)",
        ),
        (
            json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "team-*"}]}),
            "/Namespace",
            false,
            "resource :Namespace is not permitted in project team (not in spec.clusterResourceWhitelist)",
        ),
        (
            json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "obj*"}]}),
            "/Namespace",
            false,
            "",
        ),
        (
            json!({"namespaceResourceWhitelist": []}),
            "apps/Deployment",
            true,
            "resource apps:Deployment is not permitted in project team (not in spec.namespaceResourceWhitelist)",
        ),
        (json!({"namespaceResourceWhitelist": rule("apps", "*")}), "apps/Deployment", true, ""),
        (
            json!({"namespaceResourceBlacklist": rule("", "Secret")}),
            "/Secret",
            true,
            "resource :Secret is not permitted in project team (in spec.namespaceResourceBlacklist)",
        ),
        (json!({"namespaceResourceBlacklist": rule("", "Secret")}), "/ConfigMap", true, ""),
    ] {
        let mut spec = json!({"destinations": [{"server": "*", "namespace": "web"}]});
        spec.as_object_mut().unwrap().extend(lists.as_object().unwrap().clone());
        let (group, name) = kind.split_once('/').unwrap();
        let verdict = project(&spec).permits(&GroupKind::new(group, name), namespaced, "object", "web");
        assert_eq!(verdict.err().unwrap_or_default(), said, "{lists}");
    }
}

// N36: each kind that gives rights or rules in the whole cluster
#[test]
fn a_namespaced_project_permits_nothing_of_the_cluster() {
    let project = project(&json!({
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "web"}],
        "namespaceResourceBlacklist": [
            {"group": "rbac.authorization.k8s.io", "kind": "Role*"}, {"group": "", "kind": "ServiceAccount"},
        ],
    }));
    let said = |group: &str, kind: &str, namespace: &str| {
        project.permits(&GroupKind::new(group, kind), !namespace.is_empty(), "wide", namespace)
    };
    for (group, kind) in [
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
    ] {
        let rule = said(group, kind, "").unwrap_err();
        assert_eq!(
            rule,
            format!(
                "resource {group}:{kind} is not permitted in project team (not in spec.clusterResourceWhitelist)"
            )
        );
    }
    for (group, kind) in [
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("", "ServiceAccount"),
    ] {
        assert!(
            said(group, kind, "web").unwrap_err().contains("(in spec.namespaceResourceBlacklist)"),
            "{kind}"
        );
    }
    // A role elsewhere would be as good as one in the cluster.
    assert!(said("", "ConfigMap", "kube-system").is_err());
    assert_eq!(said("", "ConfigMap", "web"), Ok(()));
}

#[test]
fn namespaces_of_objects_follow_the_destinations() {
    let project = project(&json!({
        "destinations": [{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!kube-*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }));
    let config_map = GroupKind::new("", "ConfigMap");
    assert_eq!(
        project.permits(&config_map, true, "a", "kube-system").unwrap_err(),
        "namespace kube-system is not permitted in project 'team' (`!kube-*` in spec.destinations forbids it)"
    );
    assert_eq!(
        project.permits(&GroupKind::new("", "Namespace"), false, "kube-x", ""),
        Ok(()),
        "cluster-scoped objects have none"
    );
}

#[test]
fn the_built_in_default_permits_everything_in_the_control_namespace() {
    let default = Project::built_in_default();
    assert_eq!(app(&default, "argocd", "https://git.example.com/a/b/c", &in_namespace("web")), "");
    assert_eq!(default.permits(&GroupKind::new("", "Node"), false, "n", ""), Ok(()));
    assert_eq!(default.permits(&GroupKind::new("", "Secret"), true, "s", "kube-system"), Ok(()));
    assert_ne!(app(&default, "team-a", "https://git.example.com/r", &in_namespace("web")), "");
    assert_eq!(project_not_yet(&default), []);
}

#[test]
fn what_projects_ask_for_and_we_do_not_act_on_is_named() {
    for (spec, field) in [
        (
            json!({"syncWindows": [{"kind": "deny", "schedule": "0 22 * * *", "duration": "1h"}]}),
            "spec.syncWindows",
        ),
        (json!({"signatureKeys": [{"keyID": "ABCD"}]}), "spec.signatureKeys"),
        (
            json!({"sourceIntegrity": {"git": {"policies": [{"repos": [{"url": "*"}], "gpg": {"mode": "head", "keys": ["ABCD"]}}]}}}),
            "spec.sourceIntegrity",
        ),
        (json!({"permitOnlyProjectScopedClusters": true}), "spec.permitOnlyProjectScopedClusters"),
        (
            json!({"destinationServiceAccounts": [{"server": "*", "defaultServiceAccount": "sa"}]}),
            "spec.destinationServiceAccounts",
        ),
        (json!({"sourceNamespaces": ["/team-.*/"]}), "spec.sourceNamespaces: /team-.*/"),
        (json!({"somethingNew": 1}), "spec.somethingNew"),
    ] {
        let fields: Vec<String> = project_not_yet(&project(&spec)).into_iter().map(|n| n.field).collect();
        assert_eq!(fields, [format!("{field} of project team")]);
    }
    let plain = json!({"description": "d", "roles": [{"name": "r"}], "orphanedResources": {"warn": true}, "syncWindows": []});
    assert_eq!(project_not_yet(&project(&plain)), []);
}

// N31: a denial that is no pattern
#[test]
fn a_malformed_rule_refuses_the_project_rather_than_losing_a_denial() {
    let problems = Project::read(&json!({"metadata": {"name": "team"}, "spec": {
        "sourceRepos": ["!https://[bad"], "destinations": [{"server": "{", "namespace": 3}],
        "clusterResourceWhitelist": [{"group": "[", "kind": "*"}],
    }}))
    .unwrap_err();
    let fields: Vec<&str> = problems.iter().map(|p| p.message.split(": ").next().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "spec.destinations[0].namespace",
            "spec.clusterResourceWhitelist[0].group",
            "spec.sourceRepos[0]",
            "spec.destinations[0].server",
        ]
    );
}

/// What an app that asks for `asked` by annotations comes to in a project that says `said` by its own: `policy, deadline, soak`,
/// or what is not permitted.
fn rollback(said: &Value, asked: &Value) -> String {
    let everything = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
    let project = json!({"metadata": {"name": "team", "annotations": said}, "spec": everything});
    let project = match Project::read(&project) {
        Ok(project) => project,
        Err(problems) => return problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    assert!(project_not_yet(&project).is_empty());
    let app = json!({
        "metadata": {"name": "demo", "namespace": "argocd", "annotations": asked},
        "spec": {
            "project": "team", "source": {"repoURL": "https://git.example.com/r", "path": "app"},
            "destination": in_namespace("web"),
        },
    });
    let mut app = read(&app).unwrap();
    let problems = project.settle_rollback(&mut app);
    if !problems.is_empty() {
        return problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    }
    let policy = app.rollback.policy.map_or("open", RollbackPolicy::word);
    let deadline = app.sync_deadline.map_or("open".to_owned(), |deadline| deadline.to_string());
    format!("{policy}, {deadline}, {}", app.rollback.soak)
}

#[test]
fn a_project_fills_in_what_its_apps_leave_open_about_bad_commits() {
    let nothing = json!({});
    assert_eq!(rollback(&nothing, &nothing), "open, open, 10s");
    let said = json!({"tautline.dev/rollback": "manual", "tautline.dev/rollback-allowed": "automatic"});
    assert_eq!(rollback(&said, &nothing), "manual, open, 10s", "a project's own word needs no permission");
    assert_eq!(rollback(&said, &json!({"tautline.dev/rollback": "automatic"})), "automatic, open, 10s");
    let short = json!({"tautline.dev/longest-deadline": "2m", "tautline.dev/longest-soak": "3s"});
    assert_eq!(rollback(&short, &nothing), "open, 2m, 3s", "what is no longer than the default is in force");
    let long = json!({"tautline.dev/longest-deadline": "20m", "tautline.dev/longest-soak": "1m"});
    assert_eq!(rollback(&long, &nothing), "open, open, 10s", "what is longer leaves the default alone");
    let asked = json!({"tautline.dev/deadline": "20m", "tautline.dev/soak": "1m"});
    assert_eq!(rollback(&long, &asked), "open, 20m, 1m");
}

#[test]
fn what_a_project_does_not_permit_about_bad_commits_is_refused_with_the_rule() {
    let said = json!({
        "tautline.dev/rollback-allowed": "automatic, manual", "tautline.dev/longest-deadline": "20m",
        "tautline.dev/longest-soak": "1m",
    });
    for (asked, refusal) in [
        (
            json!({"tautline.dev/rollback": "off"}),
            "tautline.dev/rollback: off is not permitted in project 'team' (see the annotation \
             tautline.dev/rollback-allowed of AppProject team)",
        ),
        (
            json!({"tautline.dev/deadline": "21m"}),
            "tautline.dev/deadline: 21m is not permitted in project 'team' (see the annotation \
             tautline.dev/longest-deadline of AppProject team)",
        ),
        (
            json!({"tautline.dev/soak": "61s"}),
            "tautline.dev/soak: 1m1s is not permitted in project 'team' (see the annotation \
             tautline.dev/longest-soak of AppProject team)",
        ),
    ] {
        assert_eq!(rollback(&said, &asked), refusal);
    }
    assert_eq!(rollback(&said, &json!({"tautline.dev/rollback": "manual"})), "manual, open, 10s");
}

#[test]
fn a_project_that_says_nonsense_about_bad_commits_is_refused_rather_than_left_without_the_rule() {
    let said = json!({
        "tautline.dev/rollback": "no", "tautline.dev/rollback-allowed": "manual,never",
        "tautline.dev/longest-deadline": "0s", "tautline.dev/longest-soak": "long",
    });
    let told = [
        "metadata.annotations[tautline.dev/rollback]: `no` is none of automatic, manual, off",
        "metadata.annotations[tautline.dev/rollback-allowed]: `never` is none of automatic, manual, off",
        "metadata.annotations[tautline.dev/longest-deadline]: `0s` is no time at all",
        "metadata.annotations[tautline.dev/longest-soak]: `long` is not a length of time (write it as 30s, 5m or 1h30m)",
    ];
    assert_eq!(rollback(&said, &json!({})), told.join("; "));
}
