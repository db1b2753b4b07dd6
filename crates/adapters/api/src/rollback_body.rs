//! To which release does the body of a request go back, and until when?

use crate::sync_body::object;
use crate::{ApiError, AppRef, ReleaseAsk, query};
use serde_json::Value;

/// Reads the body for the app that its path and query name; an empty one asks for the release before the one that runs. Everything
/// that is wrong is told at once. Argo CD's `dryRun` and `prune` are taken where they say no.
pub(crate) fn read(mut app: AppRef, bytes: &[u8]) -> Result<(AppRef, ReleaseAsk), ApiError> {
    let mut wrong = Vec::new();
    let (mut id, mut until_resumed) = (None, false);
    for (name, value) in &object(bytes, r#"{"id": 3}"#)? {
        match (name.as_str(), value) {
            (_, Value::Null) | ("dryRun" | "prune", Value::Bool(false)) => {}
            ("id", Value::Number(number)) if number.as_u64().is_some_and(|id| id > 0) => id = number.as_u64(),
            ("id", _) => wrong.push(format!("`id` must be the number of a release, not {value}")),
            ("hold", Value::String(word)) if word == "commit" => until_resumed = false,
            ("hold", Value::String(word)) if word == "resumed" => until_resumed = true,
            ("hold", _) => wrong.push(format!("`hold` must be \"commit\" or \"resumed\", not {value}")),
            ("dryRun" | "prune", _) => {
                wrong.push(format!("`{name}` is not done when rolling back; leave it away"));
            }
            ("name" | "appNamespace" | "project", Value::String(text)) => {
                wrong.extend(which(&mut app, name, text));
            }
            _ => wrong.push(format!("`{name}` is not a field of a rollback request")),
        }
    }
    query::check_app(&app)?;
    if wrong.is_empty() {
        Ok((app, ReleaseAsk::RollBack { id, until_resumed }))
    } else {
        Err(ApiError::invalid(wrong.join("; ")))
    }
}

/// Takes in which Application the body names; returns what is wrong where the URL names another one.
fn which(app: &mut AppRef, name: &str, said: &str) -> Option<String> {
    let known = match name {
        "name" => &app.name,
        "appNamespace" => app.namespace.get_or_insert_with(|| said.to_owned()),
        _ => app.project.get_or_insert_with(|| said.to_owned()),
    };
    (known != said).then(|| format!("`{name}` is `{said}` in the body and `{known}` in the URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> AppRef {
        AppRef { name: "shop".into(), namespace: None, project: None }
    }

    #[test]
    fn a_body_names_a_release_and_until_when_it_is_kept() {
        let read = |text: &str| read(shop(), text.as_bytes()).map(|(_, what)| what);
        let back = |id, until_resumed| Ok(ReleaseAsk::RollBack { id, until_resumed });
        assert_eq!(read(""), back(None, false));
        assert_eq!(read(r#"{"id": 3, "dryRun": false, "name": "shop"}"#), back(Some(3), false));
        assert_eq!(read(r#"{"hold": "resumed", "prune": null}"#), back(None, true));
        assert_eq!(read(r#"{"hold": "commit"}"#), back(None, false));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let refused = |text: &str| read(shop(), text.as_bytes()).unwrap_err().to_json().to_string();
        let said = refused(r#"{"id": "3", "hold": "ever", "prune": true, "force": true, "name": "other"}"#);
        for part in
            ["`id` must be", "`hold` must be", "`prune` is not done", "`force` is not a field", "in the URL"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(refused("[]").contains("must be a JSON object") && refused("{").contains("not valid JSON"));
        assert!(
            refused(r#"{"id": 0}"#).contains("`id` must be") && refused(r#"{"id": -1}"#).contains("`id`")
        );
    }
}
