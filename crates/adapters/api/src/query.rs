//! What do a request's path and query parameters say?

use crate::{ApiError, AppName, AppRef, Awaited, ListQuery, Namespace, ObjectFilter, Projection, Selector};
use model::LONGEST_TARGET;
use std::time::Duration;

/// Parameters of Argo CD's `ApplicationQuery`. `resourceVersion` has no effect: answers are always the newest we know.
const READ: &[&str] = &[
    "name",
    "projects",
    "project",
    "selector",
    "repo",
    "appNamespace",
    "fields",
    "refresh",
    "resourceVersion",
];
/// Parameters of it that choose Applications.
const CHOOSE: &[&str] = &["name", "projects", "project", "selector", "repo", "appNamespace"];
/// Parameters of a list beside these, as Kubernetes has them.
const PAGE: &[&str] = &["limit", "continue"];
/// Parameters that say which app is meant.
const WHICH: &[&str] = &["appNamespace", "project"];

/// Parameters that say which of an app's objects are meant.
const OBJECTS: &[&str] = &["group", "version", "kind", "namespace", "name"];
/// Parameters of a wait.
const WAIT: &[&str] = &["revision", "sync", "timeout", "appNamespace", "project"];

/// How long a wait lasts where the caller does not say: longer than a sync may get nowhere, or it ended a moment before the verdict
/// on a commit that does.
const WAIT_FOR: Duration = Duration::from_mins(10);
/// How long it may last.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Query parameters in the order of the request, percent-decoded.
pub(crate) type Pairs = Vec<(String, String)>;

/// Reads what to list. `refresh` has no effect here, as in Argo CD.
pub(crate) fn list(pairs: &Pairs) -> Result<ListQuery, ApiError> {
    check_names(pairs, &[READ, PAGE].concat())?;
    let after = one(pairs, "continue")?.map(|text| {
        let odd = || {
            ApiError::invalid("`continue` is what the last page's `metadata.continue` said, and nothing else")
        };
        crate::listed::read_continue(&text).ok_or_else(odd)
    });
    let limit = one(pairs, "limit")?.map(|text| {
        let odd = |_| ApiError::invalid(format!("`limit` is a number, not `{text}`"));
        text.parse::<usize>().map_err(odd)
    });
    let projects = pairs
        .iter()
        .filter(|(name, value)| matches!(name.as_str(), "projects" | "project") && !value.is_empty());
    let (name, app_namespace) = listed(pairs)?;
    Ok(ListQuery {
        projects: projects.map(|(_, value)| value.clone()).collect(),
        name,
        selector: one(pairs, "selector")?
            .map_or_else(|| Ok(Selector::default()), |text| Selector::parse(&text))?,
        repo: one(pairs, "repo")?,
        app_namespace,
        // As in Kubernetes, 0 is no limit.
        limit: limit.transpose()?.filter(|limit| *limit > 0),
        after: after.transpose()?,
        fields: fields(pairs)?,
    })
}

/// Reads which Applications are meant, where nothing else may be asked.
pub(crate) fn chosen(pairs: &Pairs) -> Result<ListQuery, ApiError> {
    check_names(pairs, CHOOSE)?;
    list(pairs)
}

/// Reads which objects of an app are asked for.
pub(crate) fn objects(name: String, pairs: &Pairs) -> Result<(AppRef, ObjectFilter), ApiError> {
    check_names(pairs, &[WHICH, OBJECTS].concat())?;
    let filter = ObjectFilter {
        group: one(pairs, "group")?,
        version: one(pairs, "version")?,
        kind: one(pairs, "kind")?,
        namespace: one(pairs, "namespace")?,
        name: one(pairs, "name")?,
    };
    Ok((app_ref(name, pairs)?, filter))
}

/// Reads whose changes are to be told, and since when.
pub(crate) fn stream(pairs: &Pairs) -> Result<(ListQuery, Option<String>), ApiError> {
    check_names(pairs, READ)?;
    Ok((list(pairs)?, one(pairs, "resourceVersion")?))
}

/// Reads which app is to be read, how fresh, and which of its fields.
pub(crate) fn get(name: String, pairs: &Pairs) -> Result<(AppRef, Option<String>, Projection), ApiError> {
    check_names(pairs, READ)?;
    let app = app_ref(name, pairs)?;
    let refresh = one(pairs, "refresh")?;
    match refresh.as_deref() {
        None | Some("normal" | "hard") => Ok((app, refresh, fields(pairs)?)),
        Some(other) => Err(ApiError::invalid(format!("`refresh` is `normal` or `hard`, not `{other}`"))),
    }
}

/// Reads what a wait is for, and how long it may take.
pub(crate) fn wait(name: String, pairs: &Pairs) -> Result<(AppRef, Awaited, Duration), ApiError> {
    check_names(pairs, WAIT)?;
    let revision = one(pairs, "revision")?;
    if let Some(odd) =
        revision.as_deref().filter(|text| text.len() > LONGEST_TARGET || !text.chars().all(is_of_a_ref))
    {
        return Err(ApiError::invalid(format!("no revision can be called {odd:?}")));
    }
    let timeout = one(pairs, "timeout")?.map_or(Ok(WAIT_FOR), |text| duration("timeout", &text))?;
    let is_sync = match one(pairs, "sync")?.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(ApiError::invalid(format!("`sync` is `true` or `false`, not `{other}`"))),
    };
    let awaited = match revision {
        Some(_) if is_sync => {
            let message =
                "a wait is for a `revision` or for the `sync` that was asked for; leave one of them away";
            return Err(ApiError::invalid(message));
        }
        Some(revision) => Awaited::Revision(revision),
        None if is_sync => Awaited::Sync,
        None => Awaited::Followed,
    };
    Ok((app_ref(name, pairs)?, awaited, timeout))
}

fn is_of_a_ref(c: char) -> bool {
    !c.is_control() && !c.is_whitespace()
}

/// Reads `90s`, `10m` or `1h`.
fn duration(parameter: &str, text: &str) -> Result<Duration, ApiError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let asked = seconds.zip(number.parse::<u64>().ok()).and_then(|(unit, n)| n.checked_mul(unit));
    let asked = asked.map(Duration::from_secs).filter(|asked| *asked <= LONGEST_WAIT);
    asked.ok_or_else(|| {
        ApiError::invalid(format!(
            "`{parameter}` is a number with s, m or h, such as `10m`, and at most `1h`; not `{text}`"
        ))
    })
}

/// Reads which app is meant, where nothing else may be asked.
pub(crate) fn which(name: String, pairs: &Pairs) -> Result<AppRef, ApiError> {
    check_names(pairs, WHICH)?;
    app_ref(name, pairs)
}

/// Reads which app is meant, whatever else is asked.
pub(crate) fn app_ref(name: String, pairs: &Pairs) -> Result<AppRef, ApiError> {
    let app = AppRef { name, namespace: one(pairs, "appNamespace")?, project: one(pairs, "project")? };
    check_app(&app)?;
    Ok(app)
}

/// Reads which Applications a list is confined to: the one of a name, and those of a namespace.
pub(crate) fn listed(pairs: &Pairs) -> Result<(Option<AppName>, Option<Namespace>), ApiError> {
    let name = one(pairs, "name")?.map(AppName::parse).transpose()?;
    let namespace = one(pairs, "appNamespace")?.map(Namespace::parse).transpose()?;
    Ok((name, namespace))
}

/// Refuses names that no Application or namespace can have, so that they never become part of a URL or a log line.
pub(crate) fn check_app(app: &AppRef) -> Result<(), ApiError> {
    AppName::parse(&app.name)?;
    app.namespace.as_deref().map_or(Ok(()), |namespace| Namespace::parse(namespace).map(drop))
}

fn fields(pairs: &Pairs) -> Result<Projection, ApiError> {
    one(pairs, "fields")?.map_or_else(|| Ok(Projection::default()), |text| Projection::parse(&text))
}

/// Returns a parameter that may stand once; an empty one counts as absent.
pub(crate) fn one(pairs: &Pairs, name: &str) -> Result<Option<String>, ApiError> {
    let mut values =
        pairs.iter().filter(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value);
    let first = values.next().cloned();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(ApiError::invalid(format!("the query parameter `{name}` stands several times"))),
    }
}

/// Refuses parameters that we do not know: a misspelt one would otherwise widen a list, or turn a dry run into a sync.
fn check_names(pairs: &Pairs, known: &[&str]) -> Result<(), ApiError> {
    let mut unknown: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    unknown.dedup();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "unknown query parameter {}; known are {}",
        unknown.join(", "),
        known.join(", ")
    )))
}
