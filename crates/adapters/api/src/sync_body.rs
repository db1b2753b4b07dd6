//! What does the body of a sync request ask for, and what of it is not done yet?

use crate::query::check_app;
use crate::{ApiError, AppRef, SyncBody};
use model::{LONGEST_TARGET, ResourceSelector};
use serde_json::{Map, Value};

/// Fields of Argo CD's `ApplicationSyncRequest` that we do not act on. Ignoring one would do something else than was asked
/// for, so each is refused by name as long as it says something.
const NOT_YET: &[&str] = &["manifests", "infos", "revisions", "sourcePositions"];
/// Every field of the request; one that says nothing is passed over.
const KNOWN: &[&str] = &[
    "revision",
    "prune",
    "dryRun",
    "resources",
    "syncOptions",
    "retryStrategy",
    "name",
    "appNamespace",
    "project",
    "manifests",
    "infos",
    "revisions",
    "sourcePositions",
];
/// Sync options that ask for what is so anyway.
const OPTIONS_WITHOUT_EFFECT: &[&str] =
    &["ServerSideApply=true", "ApplyOutOfSyncOnly=true", "SkipDryRunOnMissingResource=true"];

/// Reads a sync request's body for the app that its path and query name; an empty body asks for a plain sync. Everything
/// that is wrong is told at once.
pub(crate) fn read(app: AppRef, bytes: &[u8]) -> Result<(AppRef, SyncBody), ApiError> {
    let mut reader = Reader { app, body: SyncBody::default(), wrong: Vec::new(), not_yet: Vec::new() };
    for (name, value) in &object(bytes, r#"{"prune": true}"#)? {
        reader.field(name, value);
    }
    reader.finish()
}

/// Returns a body's fields; an empty body has none.
///
/// # Errors
/// Says that it is no JSON object, with one that would do.
pub(crate) fn object(bytes: &[u8], example: &str) -> Result<Map<String, Value>, ApiError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => {
            Err(ApiError::invalid(format!("the request's body must be a JSON object, such as {example}")))
        }
        Err(error) => Err(ApiError::invalid(format!("the request's body is not valid JSON: {error}"))),
    }
}

/// Returns whether a value says nothing: clients send `null`, `""`, `[]` and `{"items": []}` for what was not chosen.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_blank),
    }
}

struct Reader {
    app: AppRef,
    body: SyncBody,
    wrong: Vec<String>,
    not_yet: Vec<String>,
}

impl Reader {
    fn field(&mut self, name: &str, value: &Value) {
        match name {
            "strategy" => self.strategy(value),
            _ if is_blank(value) && KNOWN.contains(&name) => {}
            "revision" => self.revision(name, value),
            "prune" => self.body.prune = self.truth(name, value),
            "dryRun" => self.body.dry_run = self.truth(name, value),
            "resources" => self.resources(value),
            "syncOptions" => self.options(value),
            "retryStrategy" => self.retry(value),
            "name" | "appNamespace" | "project" => self.which(name, value),
            _ if NOT_YET.contains(&name) => self.not_yet.push(name.to_owned()),
            _ => self.wrong.push(format!("`{name}` is not a field of a sync request")),
        }
    }

    fn text(&mut self, path: &str, value: &Value) -> String {
        value.as_str().map_or_else(
            || {
                self.wrong.push(format!("`{path}` must be text, not {value}"));
                String::new()
            },
            str::to_owned,
        )
    }

    fn revision(&mut self, path: &str, value: &Value) {
        let revision = self.text(path, value);
        if revision.len() > LONGEST_TARGET {
            self.wrong.push(format!("`{path}` is longer than {LONGEST_TARGET} bytes"));
        }
        self.body.revision = revision;
    }

    fn truth(&mut self, path: &str, value: &Value) -> bool {
        value.as_bool().unwrap_or_else(|| {
            self.wrong.push(format!("`{path}` must be true or false, not {value}"));
            false
        })
    }

    /// The body may name the app as well, as long as it says the same as path and query.
    fn which(&mut self, name: &str, value: &Value) {
        let said = self.text(name, value);
        let known = match name {
            "name" => Some(self.app.name.clone()),
            "appNamespace" => self.app.namespace.get_or_insert_with(|| said.clone()).clone().into(),
            _ => self.app.project.get_or_insert_with(|| said.clone()).clone().into(),
        };
        if let Some(known) = known.filter(|known| *known != said) {
            self.wrong.push(format!("`{name}` is `{said}` in the body and `{known}` in the URL"));
        }
    }

    /// Both strategies come to the same while hooks make an app read-only; `force` asks for more.
    fn strategy(&mut self, value: &Value) {
        for (strategy, settings) in value.as_object().into_iter().flatten() {
            for (setting, _) in
                settings.as_object().into_iter().flatten().filter(|(_, value)| !is_blank(value))
            {
                self.not_yet.push(format!("strategy.{strategy}.{setting}"));
            }
            if !matches!(strategy.as_str(), "apply" | "hook") {
                self.wrong.push(format!("`strategy.{strategy}` is neither `apply` nor `hook`"));
            }
        }
        if !value.is_object() && !is_blank(value) {
            self.wrong.push(format!("`strategy` must be an object such as {{\"apply\": {{}}}}, not {value}"));
        }
    }

    fn options(&mut self, value: &Value) {
        let Some(items) = value.get("items").and_then(Value::as_array) else {
            return self.wrong.push(format!("`syncOptions` must be {{\"items\": [...]}}, not {value}"));
        };
        for item in items {
            match item.as_str() {
                Some(option) if OPTIONS_WITHOUT_EFFECT.contains(&option.trim()) => {}
                Some(option) => self.not_yet.push(format!("syncOptions: {option}")),
                None => self.wrong.push(format!("`syncOptions.items` holds text, not {item}")),
            }
        }
    }

    fn retry(&mut self, value: &Value) {
        let Some(fields) = value.as_object() else {
            return self.wrong.push(format!("`retryStrategy` must be {{\"limit\": 3}}, not {value}"));
        };
        for (name, value) in fields.iter().filter(|(_, value)| !is_blank(value)) {
            match (name.as_str(), value.as_i64()) {
                ("limit", Some(limit)) => self.body.retry_limit = Some(limit),
                ("limit", None) => {
                    self.wrong.push(format!("`retryStrategy.limit` must be a whole number, not {value}"));
                }
                ("backoff" | "refresh", _) => self.not_yet.push(format!("retryStrategy.{name}")),
                _ => self.wrong.push(format!("`retryStrategy.{name}` is not a field of a sync request")),
            }
        }
    }

    fn resources(&mut self, value: &Value) {
        let Some(items) = value.as_array() else {
            return self.wrong.push(format!("`resources` must be a list, not {value}"));
        };
        for (index, item) in items.iter().enumerate() {
            let path = format!("resources[{index}]");
            if let Some(fields) = item.as_object() {
                self.resource(&path, fields);
            } else {
                self.wrong.push(format!("`{path}` must be an object with `kind` and `name`, not {item}"));
            }
        }
    }

    fn resource(&mut self, path: &str, fields: &Map<String, Value>) {
        let mut selector = ResourceSelector {
            group: String::new(),
            kind: String::new(),
            namespace: String::new(),
            name: String::new(),
        };
        for (name, value) in fields.iter().filter(|(_, value)| !is_blank(value)) {
            let field = format!("{path}.{name}");
            match name.as_str() {
                "group" => selector.group = self.text(&field, value),
                "kind" => selector.kind = self.text(&field, value),
                "namespace" => selector.namespace = self.text(&field, value),
                "name" => selector.name = self.text(&field, value),
                _ => self.wrong.push(format!("`{field}` is none of group, kind, namespace, name")),
            }
        }
        if selector.kind.is_empty() || selector.name.is_empty() {
            self.wrong.push(format!("`{path}` needs `kind` and `name`"));
        }
        self.body.resources.push(selector);
    }

    fn finish(mut self) -> Result<(AppRef, SyncBody), ApiError> {
        if let Err(error) = check_app(&self.app) {
            self.wrong.push(error.message);
        }
        let refused = format!("not supported yet: {}", self.not_yet.join(", "));
        match (self.wrong.is_empty(), self.not_yet.is_empty()) {
            (true, true) => Ok((self.app, self.body)),
            (true, false) => Err(ApiError::unimplemented(format!("{refused}; nothing was synced"))),
            (false, true) => Err(ApiError::invalid(self.wrong.join("; "))),
            (false, false) => Err(ApiError::invalid(format!("{}; {refused}", self.wrong.join("; ")))),
        }
    }
}
