//! What does an Application say of itself, as people read it?

use model::{Revision, Timestamp};
use serde_json::Value;

/// An Application as the API server gave it. What it does not say is empty.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a>(pub &'a Value);

impl<'a> Facts<'a> {
    /// Returns a text by JSON pointer.
    pub(crate) fn text(self, pointer: &str) -> &'a str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns a list by JSON pointer.
    pub(crate) fn list(self, pointer: &str) -> &'a [Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Returns its name.
    pub(crate) fn name(self) -> &'a str {
        self.text("/metadata/name")
    }

    /// Returns its namespace.
    pub(crate) fn namespace(self) -> &'a str {
        self.text("/metadata/namespace")
    }

    /// Returns the name of an entry of a list of objects, with the namespace before it where there is one.
    pub(crate) fn in_namespace(self) -> String {
        match self.text("/namespace") {
            "" => self.text("/name").to_owned(),
            namespace => format!("{namespace}/{}", self.text("/name")),
        }
    }

    /// Returns its project.
    pub(crate) fn project(self) -> &'a str {
        Some(self.text("/spec/project")).filter(|project| !project.is_empty()).unwrap_or("default")
    }

    /// Returns how it compares with Git.
    pub(crate) fn sync(self) -> &'a str {
        or_unknown(self.text("/status/sync/status"))
    }

    /// Returns how healthy it is.
    pub(crate) fn health(self) -> &'a str {
        or_unknown(self.text("/status/health/status"))
    }

    /// Returns the commit that it was compared with.
    pub(crate) fn revision(self) -> &'a str {
        self.text("/status/sync/revision")
    }

    /// Returns its repository, without a password that somebody wrote into the URL.
    pub(crate) fn repository(self) -> String {
        let several = self.text("/spec/sources/0/repoURL");
        let url = Some(self.text("/spec/source/repoURL")).filter(|url| !url.is_empty());
        application::without_credentials(url.unwrap_or(several))
    }

    /// Returns what it follows.
    pub(crate) fn target(self) -> &'a str {
        Some(self.text("/spec/source/targetRevision")).filter(|target| !target.is_empty()).unwrap_or("HEAD")
    }

    /// Returns where its objects go: the cluster and the namespace.
    pub(crate) fn destination(self) -> String {
        let name = self.text("/spec/destination/name");
        let server = Some(name).filter(|name| !name.is_empty());
        let server = server.unwrap_or(self.text("/spec/destination/server"));
        let server =
            if server == application::IN_CLUSTER_SERVER { application::IN_CLUSTER_NAME } else { server };
        match self.text("/spec/destination/namespace") {
            "" => server.to_owned(),
            namespace => format!("{server}/{namespace}"),
        }
    }

    /// Returns how its last sync ended, or how the one under way goes.
    pub(crate) fn phase(self) -> &'a str {
        self.text("/status/operationState/phase")
    }

    /// Returns who asked for the last sync.
    pub(crate) fn initiator(self) -> String {
        initiator(&self.0["status"]["operationState"]["operation"]["initiatedBy"])
    }

    /// Returns what a person should know first: a condition, a sync that did not end well, or what ails an object.
    pub(crate) fn message(self) -> String {
        let condition = self.list("/status/conditions").first().map(|condition| {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            format!("{}: {}", text("type"), text("message"))
        });
        let operation = Some(self.text("/status/operationState/message"))
            .filter(|_| !matches!(self.phase(), "" | "Succeeded"));
        let health = self.text("/status/health/message");
        condition.or(operation.map(str::to_owned)).unwrap_or_else(|| health.to_owned())
    }
}

/// Returns who asked for a sync, by its `initiatedBy`.
pub(crate) fn initiator(initiated_by: &Value) -> String {
    match (initiated_by["username"].as_str(), &initiated_by["automated"]) {
        (Some(name), _) if !name.is_empty() => name.to_owned(),
        (_, Value::Bool(true)) => "auto-sync".to_owned(),
        (_, _) => String::new(),
    }
}

/// Returns a commit as people read it; anything else stays as it is.
pub(crate) fn short(revision: &str) -> String {
    let is_sha = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_sha { Revision::new(revision).short().to_owned() } else { revision.to_owned() }
}

/// Returns how long a sync took, if both ends are known.
pub(crate) fn length(from: &str, to: &str) -> Option<String> {
    let (from, to): (Timestamp, Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    Some(to.since(from).to_string())
}

fn or_unknown(word: &str) -> &str {
    if word.is_empty() { "Unknown" } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_application_without_a_status_says_nothing_of_it() {
        let app = json!({"metadata": {"name": "shop"}, "spec": {"source": {"repoURL": "https://me:secret@git.ex/shop"}}});
        let facts = Facts(&app);
        assert_eq!((facts.sync(), facts.health(), facts.revision()), ("Unknown", "Unknown", ""));
        assert_eq!((facts.project(), facts.target()), ("default", "HEAD"));
        assert_eq!(facts.repository(), "https://git.ex/shop");
        assert_eq!((facts.message(), facts.initiator()), (String::new(), String::new()));
    }

    #[test]
    fn what_is_wrong_is_told_first() {
        let mut app = json!({"status": {
            "health": {"status": "Degraded", "message": "pod web crashes"},
            "operationState": {"phase": "Failed", "message": "one object failed"},
            "conditions": [{"type": "SyncError", "message": "read-only"}]}});
        assert_eq!(Facts(&app).message(), "SyncError: read-only");
        app["status"]["conditions"] = json!([]);
        assert_eq!(Facts(&app).message(), "one object failed");
        app["status"]["operationState"]["phase"] = "Succeeded".into();
        assert_eq!(Facts(&app).message(), "pod web crashes");
    }

    #[test]
    fn who_asked() {
        assert_eq!(initiator(&json!({"username": "ada"})), "ada");
        assert_eq!(initiator(&json!({"automated": true})), "auto-sync");
        assert_eq!(initiator(&Value::Null), "");
    }

    #[test]
    fn commits_are_short_and_branches_are_not() {
        assert_eq!(short("e062505269aeaf62c7e2b9fd3f2af285cdfb809d"), "e062505");
        assert_eq!(short("release-2026-11"), "release-2026-11");
        assert_eq!(length("2026-11-21T07:37:12Z", "2026-11-21T07:38:14Z").as_deref(), Some("1m2s"));
        assert_eq!(length("", "2026-11-21T07:38:14Z"), None);
    }
}
