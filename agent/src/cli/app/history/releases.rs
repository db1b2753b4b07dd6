//! What was deployed, release by release?

use crate::cli::app::store::Store;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output};
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

/// Writes releases in the form that was asked for.
pub(super) fn written(releases: &[Value], output: Output, now: Timestamp) -> String {
    match output {
        Output::Json => output::json(&Value::Array(releases.to_vec())),
        Output::Yaml => manifest::to_yaml(&Value::Array(releases.to_vec())),
        Output::Table | Output::Wide | Output::Name => table(releases, output == Output::Wide, now),
    }
}

fn table(releases: &[Value], is_wide: bool, now: Timestamp) -> String {
    let mut headers = vec!["ID", "REVISION", "VERDICT", "CAUSE", "AGE", "BY", "IMAGES"];
    headers.extend(if is_wide { &["OBJECTS", "KEPT", "REPO", "PATH", "MESSAGE"][..] } else { &[] });
    let paint = Paint::of_stdout();
    let mut table = Table::new(&headers);
    for release in releases {
        let facts = Facts(release);
        let revision = facts.text("/revision");
        let mut row = vec![
            release["id"].to_string(),
            if is_wide { revision.to_owned() } else { short(revision) },
            facts.text("/verdict").to_owned(),
            facts.text("/cause").to_owned(),
            facts.text("/deployedAt").parse().map(|at| age(at, now)).unwrap_or_default(),
            initiator(&release["initiatedBy"]),
            images(facts.list("/images"), is_wide),
        ];
        if is_wide {
            row.push(release["objects"].to_string());
            row.push(if release["manifestsKept"] == true { "yes".into() } else { String::new() });
            row.extend(
                ["/source/repoURL", "/source/path", "/message"].map(|field| facts.text(field).to_owned()),
            );
        }
        table.push(&row);
    }
    table.text(paint)
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
            json!({"id": id, "revision": "e062505269aeaf62c7e2b9fd3f2af285cdfb809d", "verdict": verdict,
                "cause": "NewRevision", "initiatedBy": {"automated": true}, "deployedAt": "2026-11-21T07:37:14Z",
                "images": images, "objects": 3, "manifestsKept": id == 1, "message": "web does not start",
                "source": {"repoURL": "https://git.example.com/shop.git", "path": "shop"}})
        };
        let images = ["registry.example.com/team/web:1.4", "db:2", "proxy:3"];
        vec![of(1, "Stable", &images[..1]), of(12, "RolledBack", &images)]
    }

    #[test]
    fn a_line_for_each_release() {
        let now = "2026-11-21T07:39:14Z".parse().unwrap();
        assert_eq!(
            written(&releases(), Output::Table, now),
            "ID   REVISION   VERDICT      CAUSE         AGE   BY          IMAGES\n\
             1    e062505    Stable       NewRevision   2m    auto-sync   web:1.4\n\
             12   e062505    RolledBack   NewRevision   2m    auto-sync   web:1.4,db:2,+1\n"
        );
        let wide = written(&releases(), Output::Wide, now);
        for part in [
            "e062505269aeaf62c7e2b9fd3f2af285cdfb809d",
            "registry.example.com/team/web:1.4,db:2,proxy:3",
            "https://git.example.com/shop.git",
            "web does not start",
        ] {
            assert!(wide.contains(part), "{part} in {wide}");
        }
        assert!(written(&releases(), Output::Yaml, now).starts_with("- cause: NewRevision"));
        let json: Value = serde_json::from_str(&written(&releases(), Output::Json, now)).unwrap();
        assert_eq!(json, json!(releases()));
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
