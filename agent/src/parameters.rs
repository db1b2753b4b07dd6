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
}
