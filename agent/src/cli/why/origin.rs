//! Where in Git does an object come from, and how did it get into the cluster?

use super::climb::Found;
use super::story::{CommitLine, Story};
use super::unread;
use crate::cli::checkout::Checkout;
use crate::cli::failure::Failure;
use crate::exit::OTHER;
use crate::facts::{Facts, short};
use crate::{desired, judge};
use cluster::{Cluster, Discovery, Priority};
use manifest::Parsed;
use model::{App, AppKey, Object, ObjectKey, Revision, names};
use serde_json::Value;

/// Tells the whole story of an object that says whose it is.
pub(crate) async fn trace(
    cluster: &Cluster,
    discovery: &Discovery,
    control: &str,
    found: Found,
) -> Result<Story, Failure> {
    let raw = application(cluster, control, &found).await?;
    let mut story = told(&found, Facts(&raw));
    // What the Application itself says is told whatever becomes of Git.
    match application::read(&raw) {
        Ok(app) => {
            if let Err(failure) = from_git(cluster, discovery, control, &found, (&app, &mut story)).await {
                (story.unread, story.code) = (failure.message, failure.code);
            }
        }
        Err(problems) => {
            let wrong: Vec<String> = problems.iter().map(ToString::to_string).collect();
            story.unread = format!("the Application is wrong: {}", wrong.join("; "));
            story.code = OTHER;
        }
    }
    Ok(story)
}

/// Reads the Application that a tracking id names.
async fn application(cluster: &Cluster, control: &str, found: &Found) -> Result<Value, Failure> {
    let key = app_key(&found.tracking.instance, control);
    let endpoint = crate::watching::applications();
    let what = format!("Application {key}, which {} says that it belongs to", found.object.key());
    let read = cluster.get_at(Priority::User, &endpoint, &key.namespace, &key.name).await;
    read.map_err(|error| unread(&error, &what))?.ok_or_else(|| {
        let next =
            "--control-namespace says where Applications live; whoever deleted it may have left its objects";
        Failure::not_found(format!("there is no {what} ({next})"))
    })
}

/// Reads an instance name: `name`, or `namespace_name` for Applications outside of the control namespace.
fn app_key(instance: &str, control: &str) -> AppKey {
    // Neither a namespace's nor an Application's name can hold an underscore.
    let (namespace, name) = instance.split_once('_').unwrap_or((control, instance));
    AppKey::new(namespace, name)
}

/// What the Application tells.
fn told(found: &Found, facts: Facts<'_>) -> Story {
    let key = found.object.key();
    let entry = |list: &[Value]| {
        list.iter()
            .find(|entry| {
                let of = Facts(entry);
                let namespace = of.text("/namespace");
                ObjectKey::new(of.text("/group"), of.text("/kind"), namespace, of.text("/name")) == key
            })
            .cloned()
            .unwrap_or_default()
    };
    let state = |field: &str| facts.text(&format!("/status/operationState/{field}")).to_owned();
    let resource = entry(facts.list("/status/resources"));
    let result = entry(facts.list("/status/operationState/syncResult/resources"));
    let text = |value: &Value, pointer: &str| Facts(value).text(pointer).to_owned();
    Story {
        object: key,
        below: found.below.clone(),
        application: format!("{}/{}", facts.namespace(), facts.name()),
        project: facts.project().to_owned(),
        repository: facts.repository(),
        path: facts.text("/spec/source/path").to_owned(),
        target: facts.target().to_owned(),
        revision: facts.revision().to_owned(),
        sync: text(&resource, "/status"),
        health: text(&resource, "/health/status"),
        health_message: text(&resource, "/health/message"),
        phase: facts.phase().to_owned(),
        synced_at: state("finishedAt"),
        synced_revision: short(&state("syncResult/revision")),
        synced_by: facts.initiator(),
        result: text(&result, "/message"),
        ..Story::default()
    }
}

/// Adds what Git tells: file and line, the commits, and what differs by now.
async fn from_git(
    cluster: &Cluster,
    discovery: &Discovery,
    control: &str,
    found: &Found,
    (app, story): (&App, &mut Story),
) -> Result<(), Failure> {
    let checkout = Checkout::of_app(cluster, control, app).await?;
    let revision = if story.revision.is_empty() {
        checkout.resolve(&app.source.target_revision).await?
    } else {
        Revision::new(story.revision.clone())
    };
    revision.as_str().clone_into(&mut story.revision);
    story.commit = author(&checkout, &revision).await?;
    let listing = checkout.listing(&revision, &app.source).await?;
    let not_yet = desired::unsupported(&app.source.path, &app.key.name, &listing);
    if !not_yet.is_empty() {
        let fields: Vec<&str> = not_yet.iter().map(|not_yet| not_yet.field.as_str()).collect();
        return Err(Failure::new(OTHER, format!("Tautline does not act on {} yet", fields.join(", "))));
    }
    let read = desired::arranged(app, &listing, discovery);
    let wanted = read.arranged.objects.into_iter().find(|parsed| parsed.object.key() == found.object.key());
    let Some(wanted) = wanted else {
        // Where a file cannot be read, the object may stand in it.
        if !read.problems.is_empty() {
            let wrong: Vec<String> = read.problems.iter().map(ToString::to_string).collect();
            return Err(Failure::new(OTHER, wrong.join("; ")));
        }
        story.is_gone_from_git = true;
        return Ok(());
    };
    story.file.clone_from(&wanted.place.file);
    story.line = wanted.place.line;
    let changed_in = checkout.last_change(&revision, &wanted.place.file).await?;
    if changed_in != revision {
        story.changed_in = Some(author(&checkout, &changed_in).await?);
    }
    changed_since(app, &wanted, &found.object, story);
    Ok(())
}

async fn author(checkout: &Checkout, revision: &Revision) -> Result<CommitLine, Failure> {
    let commit = checkout.commit(revision).await?;
    Ok(CommitLine {
        revision: revision.short().to_owned(),
        author: commit.author,
        subject: commit.message,
        time: commit.time.to_string(),
    })
}

/// Finds out what differs from Git by now, and who else wrote the object.
fn changed_since(app: &App, wanted: &Parsed, live: &Object, story: &mut Story) {
    let rules = judge::rules(app, &live.key());
    let report = drift::report(Some(&wanted.object), Some(live), &rules, None);
    story.differs = report.fields.iter().map(ToString::to_string).collect();
    story.others = fields::managers(live)
        .into_iter()
        .filter(|entry| !entry.manager.starts_with(names::FIELD_MANAGER) && entry.subresource != "status")
        .map(|entry| {
            let subresource =
                if entry.subresource.is_empty() { String::new() } else { format!(" {}", entry.subresource) };
            let time = entry.time.map_or_else(String::new, |time| format!(", {time}"));
            format!("{} ({}{subresource}{time})", entry.manager, entry.operation)
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_names_an_application() {
        assert_eq!(app_key("shop", "argocd"), AppKey::new("argocd", "shop"));
        assert_eq!(app_key("team-a_shop", "argocd"), AppKey::new("team-a", "shop"));
    }
}
