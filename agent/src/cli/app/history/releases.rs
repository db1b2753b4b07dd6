//! What was deployed, release by release?

use crate::cli::app::store::Store;
use crate::cli::failure::Failure;
use crate::cli::paint::Paint;
use crate::cli::table::Table;
use crate::facts::{Facts, initiator, short};
use crate::releases::{self, view};
use crate::tools::talk;
use model::{AppKey, ErrorClass, Timestamp, printable};
use release::Refusal;
use serde_json::Value;

/// Returns the releases of an Application as the API tells them, the newest last; says of what only looks like one. Where one may
/// not read Secrets there are none.
pub(super) async fn of(store: &Store, app: &Value) -> Result<Vec<Value>, Failure> {
    let facts = Facts(app);
    let (mut found, refused): (Vec<Value>, Vec<String>) = match store {
        Store::Remote(remote) => {
            let said = remote.releases(facts.name()).await?;
            let list = |field: &str| said[field].as_array().cloned().unwrap_or_default();
            let sentence = |refused: &Value| refused["message"].as_str().unwrap_or_default().to_owned();
            (list("items"), list("refused").iter().map(sentence).collect())
        }
        Store::Cluster(cluster) => {
            let key = AppKey::new(facts.namespace(), facts.name());
            let store = releases::Store::new(cluster.clone(), facts.namespace());
            match store.list(&key, facts.text("/metadata/uid")).await {
                Ok(listing) => {
                    let told = listing.heads.iter().map(view::release).collect();
                    (told, listing.refused.iter().map(Refusal::to_string).collect())
                }
                Err(error) if error.class == ErrorClass::Forbidden => {
                    let next = "this is what the status says; ask an agent with --server for more";
                    talk(&printable(&format!("releases cannot be read: {}; {next}", error.message)));
                    return Ok(Vec::new());
                }
                Err(error) => return Err(Failure::of_call(&format!("read the releases of {key}"), &error)),
            }
        }
    };
    for sentence in refused {
        talk(&format!("warning: {}", printable(&sentence)));
    }
    found.sort_by_key(|release| release["id"].as_u64());
    Ok(found)
}

/// Writes a line for each release, and for what the status remembers that is none (yet): it has no id.
pub(super) fn table(releases: &[Value], history: &[Value], is_wide: bool, now: Timestamp) -> String {
    let mut headers = vec!["ID", "REVISION", "VERDICT", "CAUSE", "AGE", "BY", "IMAGES"];
    headers.extend(if is_wide { &["OBJECTS", "KEPT", "REPO", "PATH", "MESSAGE"][..] } else { &[] });
    let mut table = Table::new(&headers);
    let others = history.iter().filter(|entry| !releases.iter().any(|release| is_of(release, entry)));
    let mut all: Vec<&Value> = others.chain(releases).collect();
    // In the order of their beginnings; RFC 3339 in UTC sorts as text.
    all.sort_by_key(|entry| began(entry));
    for entry in all {
        table.push(&row(entry, is_wide, now));
    }
    table.text(Paint::of_stdout())
}

fn began(entry: &Value) -> &str {
    let facts = Facts(entry);
    Some(facts.text("/deployStartedAt")).filter(|at| !at.is_empty()).unwrap_or(facts.text("/deployedAt"))
}

/// Returns whether a release tells what an entry of the status tells. A baseline is what another tool deployed.
fn is_of(release: &Value, entry: &Value) -> bool {
    let is_same = |field: &str| release[field] == entry[field];
    is_same("revision") && (is_same("deployStartedAt") || release["cause"] == "Baseline")
}

fn row(entry: &Value, is_wide: bool, now: Timestamp) -> Vec<String> {
    let facts = Facts(entry);
    let is_release = entry["verdict"].is_string();
    let number = |field: &str| {
        entry[field].as_u64().filter(|_| is_release).map_or_else(String::new, |n| n.to_string())
    };
    let revision = facts.text("/revision");
    let mut row = vec![
        number("id"),
        if is_wide { revision.to_owned() } else { short(revision) },
        facts.text("/verdict").to_owned(),
        facts.text("/cause").to_owned(),
        facts.text("/deployedAt").parse().map(|at| age(at, now)).unwrap_or_default(),
        initiator(&entry["initiatedBy"]),
        images(facts.list("/images"), is_wide),
    ];
    if is_wide {
        row.push(number("objects"));
        row.push(if entry["manifestsKept"] == true { "yes".into() } else { String::new() });
        row.push(application::without_credentials(facts.text("/source/repoURL")));
        row.extend(["/source/path", "/message"].map(|field| facts.text(field).to_owned()));
    }
    row
}

/// Images that a narrow table shows of a release.
const SHOWN: usize = 2;

/// Writes images: all of them whole, or the first without the registry.
fn images(images: &[Value], is_wide: bool) -> String {
    let names = images.iter().filter_map(Value::as_str);
    if is_wide {
        return names.collect::<Vec<_>>().join(",");
    }
    let mut shown = names.take(SHOWN).map(without_registry).collect::<Vec<_>>().join(",");
    if images.len() > SHOWN {
        shown.extend([",+", &(images.len() - SHOWN).to_string()]);
    }
    shown
}

fn without_registry(image: &str) -> &str {
    // The digest of an image has no slash; its name may have some.
    image.rsplit_once('/').map_or(image, |(_, name)| name)
}

/// Writes how long ago something was, as kubectl does.
fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(at).as_millis() / 1_000;
    match (seconds / 60, seconds / 3_600) {
        (0..2, _) => format!("{seconds}s"),
        (minutes, 0..2) => format!("{minutes}m"),
        (_, hours @ 0..48) => format!("{hours}h"),
        (_, hours) => format!("{}d", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn releases() -> Vec<Value> {
        let of = |id: u64, verdict: &str, images: &[&str]| {
            json!({"id": id, "revision": "e".repeat(40), "verdict": verdict,
                "deployStartedAt": format!("2026-11-21T07:37:{id:02}Z"), "cause": "NewRevision", "initiatedBy": {"automated": true}, "deployedAt": "2026-11-21T07:37:14Z",
                "images": images, "objects": 3, "manifestsKept": id == 1, "message": "web does not start",
                "source": {"repoURL": "https://git.example.com/shop.git", "path": "shop"}})
        };
        let images = ["registry.example.com/team/web:1.4", "db:2", "proxy:3"];
        vec![of(1, "Stable", &images[..1]), of(12, "RolledBack", &images)]
    }

    #[test]
    fn a_line_for_each_release_and_for_what_is_none() {
        let now = "2026-11-21T07:39:14Z".parse().unwrap();
        let entry = |revision: char, started: &str| {
            json!({"id": 4, "revision": revision.to_string().repeat(40), "deployStartedAt": started,
                "deployedAt": "2026-11-21T07:37:14Z", "initiatedBy": {"username": "ada"}})
        };
        // The first is the first release's, the other none's.
        let history = [entry('e', "2026-11-21T07:37:01Z"), entry('a', "2026-11-21T07:37:05Z")];
        assert_eq!(
            table(&releases(), &history, false, now),
            "ID   REVISION   VERDICT      CAUSE         AGE   BY          IMAGES\n\
             1    eeeeeee    Stable       NewRevision   2m    auto-sync   web:1.4\n\
             -    aaaaaaa    -            -             2m    ada         \n\
             12   eeeeeee    RolledBack   NewRevision   2m    auto-sync   web:1.4,db:2,+1\n"
                .replace("         \n", "\n")
        );
        let wide = table(&releases(), &[], true, now);
        let whole = "e".repeat(40);
        for part in [
            whole.as_str(),
            "registry.example.com/team/web:1.4,db:2,proxy:3",
            "git.example.com",
            "web does not start",
        ] {
            assert!(wide.contains(part), "{part} in {wide}");
        }
    }

    #[test]
    fn a_baseline_tells_of_what_another_tool_deployed() {
        let mut release = releases().remove(0);
        let entry = json!({"revision": release["revision"], "deployStartedAt": "2025-01-01T00:00:00Z"});
        assert!(!is_of(&release, &entry));
        release["cause"] = "Baseline".into();
        assert!(is_of(&release, &entry));
    }

    #[test]
    fn ages_are_as_kubectl_has_them() {
        let at = Timestamp::from_millis(0);
        for (seconds, expected) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_799, "47h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(at, Timestamp::from_millis(seconds * 1_000)), expected, "{seconds} s");
        }
        assert_eq!(age(Timestamp::from_millis(9_000), at), "0s", "another machine's clock may be ahead");
    }
}
