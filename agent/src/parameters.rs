//! What decides, beside the files, what rendering gives?

use crate::desired::Rules;
use model::App;

/// Returns it in short, as a part of the key of what is cached. Texts are quoted: none of them can look like two.
pub(crate) fn parameters(app: &App, rules: &Rules) -> String {
    let directory = &app.source.directory;
    let text = format!(
        "2;{:?};{:?};{:?};{:?};{:?};{:?};{:?};{:?}",
        directory.recurse,
        directory.include,
        directory.exclude,
        app.destination.namespace,
        rules.identity,
        app.key,
        rules.project,
        app.uid,
    );
    model::digest(text.as_bytes()).short(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Identity;
    use application::Project;
    use cluster::Discovery;
    use model::AppKey;
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn rules() -> Rules {
        Rules {
            identity: Identity::new("argocd", None),
            project: Arc::new(Project::built_in_default()),
            discovery: Arc::new(Discovery::default()),
        }
    }

    fn app(change: impl FnOnce(&mut App)) -> App {
        let mut app =
            crate::apps::placeholder(&AppKey::new("argocd", "shop"), &json!({"metadata": {"uid": "1"}}));
        change(&mut app);
        app
    }

    fn directory(include: &str, exclude: &str) -> App {
        app(|app| {
            app.source.directory.include = include.into();
            app.source.directory.exclude = exclude.into();
        })
    }

    // N42: the app, its project, who we are
    #[test]
    fn whatever_decides_what_rendering_gives_is_in_the_key() {
        let (plain, rules) = (app(|_| ()), rules());
        let project = json!({"metadata": {"name": "default"}, "spec": {
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
            "namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}],
        }});
        let project = Arc::new(Project::read(&project).expect("it is valid"));
        let keys = [
            parameters(&plain, &rules),
            parameters(&app(|app| app.source.directory.recurse = true), &rules),
            parameters(&directory("a", ""), &rules),
            parameters(&directory("", "a"), &rules),
            // Two texts, cut in another place.
            parameters(&directory("a;b", "c"), &rules),
            parameters(&directory("a", "b;c"), &rules),
            parameters(&directory("a\";\"b", "c"), &rules),
            parameters(&app(|app| app.destination.namespace = "other".into()), &rules),
            parameters(&app(|app| app.key.name = "other".into()), &rules),
            parameters(&app(|app| app.key.namespace = "other".into()), &rules),
            parameters(&app(|app| app.uid = "2".into()), &rules),
            parameters(&plain, &Rules { project, ..rules.clone() }),
            parameters(&plain, &Rules { identity: Identity::new("other", None), ..rules.clone() }),
            parameters(
                &plain,
                &Rules { identity: Identity::new("argocd", Some("x".into())), ..rules.clone() },
            ),
        ];
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{keys:#?}");
        // What does not decide is not in it: a poll, a refresh or another revision renders nothing anew.
        let other = app(|app| {
            app.source.target_revision = "other".into();
            app.history_limit = 3;
            app.refresh_stamp = "other".into();
        });
        assert_eq!(parameters(&other, &rules), keys[0]);
    }

    /// All that decides, as a person sets it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Set {
        recurse: bool,
        /// Included, excluded, destination, name, namespace, UID, control namespace, instance label.
        texts: [String; 8],
        installation: Option<String>,
        /// Which kind the project denies.
        denied: Option<String>,
    }

    impl Set {
        fn key(&self) -> String {
            let [include, exclude, destination, name, namespace, uid, control, label] = self.texts.clone();
            let app = app(|app| {
                let directory = &mut app.source.directory;
                (directory.recurse, directory.include, directory.exclude) = (self.recurse, include, exclude);
                app.destination.namespace = destination;
                app.key = AppKey { namespace, name };
                app.uid = uid;
            });
            let denied =
                self.denied.iter().map(|kind| json!({"group": "", "kind": kind})).collect::<Vec<_>>();
            let project = json!({"metadata": {"name": "default"}, "spec": {
                "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
                "namespaceResourceBlacklist": denied,
            }});
            let project = Arc::new(Project::read(&project).expect("it is valid"));
            let installation_id = self.installation.clone();
            let identity = Identity { control_namespace: control, instance_label: label, installation_id };
            parameters(&app, &Rules { identity, project, ..rules() })
        }
    }

    /// Short, and of what separates and quotes, so that two sets are often nearly the same.
    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", ";", "\"", "\\", "\n", "None", "{}"]), 0..4)
            .prop_map(|parts| parts.concat())
    }

    fn set() -> impl Strategy<Value = Set> {
        let texts = prop::array::uniform8(text());
        let denied =
            prop::option::of(prop::sample::select(vec!["Secret".to_owned(), "ConfigMap".to_owned()]));
        (any::<bool>(), texts, prop::option::of(text()), denied)
            .prop_map(|(recurse, texts, installation, denied)| Set { recurse, texts, installation, denied })
    }

    proptest! {
        // N42: any two sets, which differ in one place, in two that share their text, or everywhere
        #[test]
        fn two_sets_have_one_key_only_where_they_are_the_same(
            one in set(),
            other in set(),
            place in 0_usize..11,
            cut in 0_usize..8,
        ) {
            prop_assert_eq!(one.key() == other.key(), one == other);
            let mut near = one.clone();
            match place {
                8 => near.recurse = other.recurse,
                9 => near.installation.clone_from(&other.installation),
                10 => near.denied.clone_from(&other.denied),
                text => near.texts[text].clone_from(&other.texts[text]),
            }
            prop_assert_eq!(one.key() == near.key(), one == near);
            // The same texts in a row, cut in another place.
            let mut moved = one.clone();
            let next = (cut + 1) % moved.texts.len();
            if let Some(last) = moved.texts[cut].pop() {
                moved.texts[next].insert(0, last);
            }
            prop_assert_eq!(one.key() == moved.key(), one == moved);
        }
    }
}
