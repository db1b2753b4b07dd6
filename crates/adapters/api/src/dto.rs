//! What does the API return of an Application?

use model::names;
use serde_json::{Map, Value};

/// Returns an Application as callers see it: the object as stored, without `managedFields`, without links that are not
/// http or https (interfaces would run `javascript:` ones), and without passwords in repository URLs, in kubectl's copy of
/// the object as well.
pub fn application(raw: &Value) -> Value {
    let mut app = cleaned(raw);
    if let Some(annotations) = app.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        if let Some(copy) = annotations.get_mut(names::LAST_APPLIED) {
            *copy = cleaned_copy(copy);
        }
        annotations.retain(|name, link| !name.starts_with(names::LINK_PREFIX) || is_web_link(link));
    }
    if let Some(Value::Array(urls)) = app.pointer_mut("/status/summary/externalURLs") {
        urls.retain(is_web_link);
    }
    app
}

/// Returns a repository URL without its password and its query, which may be a token, for answers, metric labels and logs.
/// `git@host:path` has none.
pub fn without_password(url: &str) -> String {
    if let Some((place, _)) = url.split_once('?') {
        return format!("{}?***", without_password(place));
    }
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (user_info, host) = authority.rsplit_once('@')?;
        let (user, _) = user_info.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}{path}"))
    };
    hidden().unwrap_or_else(|| url.to_owned())
}

/// Copies a value without `managedFields`, which are a large part of an Application and of no use to callers, and without
/// passwords in any `repoURL`.
fn cleaned(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().filter(|(name, _)| name.as_str() != "managedFields");
            Value::Object(
                fields.map(|(name, value)| (name.clone(), cleaned_field(name, value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.iter().map(cleaned).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Cleans an object that is written as text; a text that is none goes whole.
fn cleaned_copy(text: &Value) -> Value {
    let copy = text.as_str().and_then(|text| serde_json::from_str(text).ok());
    copy.map_or(Value::Null, |copy: Value| cleaned(&copy).to_string().into())
}

fn cleaned_field(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("repoURL", Value::String(url)) => Value::String(without_password(url)),
        _ => cleaned(value),
    }
}

fn is_web_link(link: &Value) -> bool {
    link.as_str().is_some_and(model::is_web_link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    #[test]
    fn answers_hold_no_managed_fields_passwords_or_script_links() {
        let raw = json!({
            "metadata": {
                "name": "web",
                "managedFields": [{ "manager": "kubectl" }],
                "annotations": {
                    "link.argocd.argoproj.io/good": "Shop|https://shop.example/",
                    "link.argocd.argoproj.io/script": "Shop|javascript:alert(1)",
                    "link.argocd.argoproj.io/data": "data:text/html,x",
                    "link.argocd.argoproj.io/hidden": "https://a|vbscript://x",
                    "link.argocd.argoproj.io/bare": "shop.example",
                    "other": "javascript:stays",
                },
            },
            "spec": { "sources": [{ "repoURL": "https://bot:s3cret@git.example/a.git" }] },
            "status": {
                "summary": { "externalURLs": ["http://a/", "javascript:alert(1)"] },
                "history": [{ "source": { "repoURL": "https://bot:s3cret@git.example/a.git" } }],
            },
        });
        let repo = "https://bot:***@git.example/a.git";
        assert_eq!(
            application(&raw),
            json!({
                "metadata": {
                    "name": "web",
                    "annotations": {
                        "link.argocd.argoproj.io/good": "Shop|https://shop.example/",
                        "other": "javascript:stays",
                    },
                },
                "spec": { "sources": [{ "repoURL": repo }] },
                "status": {
                    "summary": { "externalURLs": ["http://a/"] },
                    "history": [{ "source": { "repoURL": repo } }],
                },
            })
        );
    }

    // N19: kubectl's copy of an Application, and tokens in queries
    #[test]
    fn no_copy_of_a_password_and_no_token_is_answered() {
        let url = "https://bot:s3cret@git.example/a.git?sig=t0ken";
        let copy = json!({ "spec": { "source": { "repoURL": url } } }).to_string();
        let annotations = json!({ names::LAST_APPLIED: copy, "other": "stays" });
        let app = application(
            &json!({ "metadata": { "annotations": annotations }, "spec": { "source": { "repoURL": url } } }),
        );
        let shown = json!({ "spec": { "source": { "repoURL": "https://bot:***@git.example/a.git?***" } } });
        assert_eq!(
            app["metadata"]["annotations"],
            json!({ names::LAST_APPLIED: shown.to_string(), "other": "stays" })
        );
        let broken = json!({ "metadata": { "annotations": { names::LAST_APPLIED: format!("{{\"repoURL\": \"{url}\"") } } });
        assert!(!application(&broken).to_string().contains("s3cret"));
    }

    #[test]
    fn only_passwords_are_hidden() {
        for same in ["https://git/a:b@c", "git@github.com:org/repo", "https://bot@git/a", "/srv/repos/a", ""]
        {
            assert_eq!(without_password(same), same);
        }
        assert_eq!(without_password("ssh://u:p@x:y@h:22/r"), "ssh://u:***@h:22/r");
    }
}
