//! Which releases are there, and of what? Read from the cluster, as anybody can who may read Secrets.

use model::{Object, base64_decode, names};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a release says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// Its app.
    pub app: String,
    /// Its number among those of the app.
    pub number: u64,
    /// What was deployed.
    pub hash: String,
    /// What came of it.
    pub verdict: String,
}

impl Release {
    /// Reads the record in a Secret.
    pub(crate) fn read(secret: &Object) -> Option<Self> {
        let record = base64_decode(secret.get("data")?["record"].as_str()?)?;
        let record: Value = serde_json::from_slice(&record).ok()?;
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).map(String::from);
        Some(Self {
            app: text("/app/name")?,
            number: record["number"].as_u64()?,
            hash: text("/hash")?,
            verdict: text("/verdict")?,
        })
    }
}

/// Returns what each app can go back to.
pub(crate) fn stable<'a>(releases: impl Iterator<Item = &'a Release>) -> BTreeMap<&'a str, &'a str> {
    let mut newest: BTreeMap<&str, &Release> = BTreeMap::new();
    for release in releases.filter(|release| release.verdict == "Stable") {
        let known = newest.entry(&release.app).or_insert(release);
        if known.number < release.number {
            *known = release;
        }
    }
    newest.into_iter().map(|(app, release)| (app, release.hash.as_str())).collect()
}

/// Returns what an app deployed last, where its state says that.
pub(crate) fn deployed(application: &Object) -> Option<String> {
    let state: Value = serde_json::from_str(application.annotation(names::STATE_ANNOTATION)?).ok()?;
    state["desired"].as_str().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_can_go_back_to_the_newest_that_is_stable() {
        let release = |app: &str, number, verdict: &str| Release {
            app: app.into(),
            number,
            hash: format!("h{number}"),
            verdict: verdict.into(),
        };
        let releases = [
            release("a", 10, "Stable"),
            release("a", 9, "Stable"),
            release("a", 11, "RolledBack"),
            release("b", 1, "Failed"),
        ];
        assert_eq!(stable(releases.iter()), BTreeMap::from([("a", "h10")]));
    }
}
