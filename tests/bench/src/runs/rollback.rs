//! How soon is a bad commit undone, and does it stay undone (B10), also when the repository is gone (B12)?

use super::{Bench, Counters, WINDOW, figure, size};
use crate::bed::app_name;
use crate::observer::Seen;
use crate::rollouts::Rollouts;
use anyhow::Context as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The app whose commit is bad.
const APP: usize = 0;
/// How often the repository is asked afterwards.
const POLLS: usize = 10;
/// How far apart: a repository is asked once a second at most because of webhooks.
const APART: Duration = Duration::from_millis(1_100);
/// What going back may take beyond the window in which a sync may get nowhere.
const BEYOND: Duration = Duration::from_secs(2);
/// What every app has: pods of the one image are Ready at once, those of the other run and never are.
const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {version: \"VERSION\"}}
    spec: {containers: [{name: web, image: \"IMAGE\"}]}
";
const GOOD: &str = "registry.example/web:1";
const BAD: &str = "registry.example/web:never-ready";

impl Bench {
    /// Gives one app an image that never becomes ready, and then has the repository asked again and again.
    pub(crate) async fn bad_image(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B10 bad image");
        self.bad_commit(&bench, false).await
    }

    /// The same with the repository gone from when the sync has begun until the app is restored.
    pub(crate) async fn bad_image_without_git(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B12 bad image, no Git");
        self.bad_commit(&bench, true).await
    }

    async fn bad_commit(&mut self, bench: &str, is_git_gone: bool) -> anyhow::Result<()> {
        let rollouts = self.deploy_web().await?;
        let (begin, others) = (self.rest().await?, self.others(&rollouts));
        self.undo(bench, &rollouts, is_git_gone).await?;
        if is_git_gone {
            self.bed.repository.hide(false)?;
            // What the repository was found to be is told of every app that is of it.
            self.poll_on(1).await?;
        }
        let before = self.rest().await?;
        self.poll_on(POLLS).await?;
        let after = self.rest().await?;
        let requests = after.0.since(&before.0);
        let polls = usize::try_from(after.1.polls - before.1.polls)?;
        self.report
            .count(bench, "polls that are missing of ten afterwards", size(POLLS.saturating_sub(polls)), 0.0)
            .note("each finds a commit: nobody's, or the same content under another SHA, by turns");
        for (measure, kind) in [
            ("applies in them", "apply"),
            ("status writes in them", "status"),
            ("release writes in them", "release"),
        ] {
            self.report.count(bench, measure, figure(requests.of(kind)), 0.0).note(requests.to_string());
        }
        self.deployed_once(bench, &rollouts, &after.0.since(&begin.0));
        let now = self.others(&rollouts);
        // That the repository was away is told of every app.
        let counts = |name: &str| !is_git_gone || !name.starts_with("Application ");
        let is_other = |name: &String, version: &String| counts(name) && others.get(name) != Some(version);
        let changed = now.iter().filter(|(name, version)| is_other(name, version)).count();
        let measure = if is_git_gone {
            "objects of the other apps that changed"
        } else {
            "objects of the other apps that changed, and Applications"
        };
        let n = now.keys().filter(|name| counts(name)).count();
        self.report.count(bench, measure, size(changed), 0.0).note(format!("of {n}"));
        Ok(())
    }

    /// Gives every app a Deployment that gets ready, and waits until each can go back to it.
    async fn deploy_web(&mut self) -> anyhow::Result<Rollouts> {
        let text = web(GOOD, &self.next_version());
        self.deploy_everywhere("web.yaml", &text).await?;
        self.rest().await?;
        let rollouts = Rollouts::start(&self.bed.admin);
        for app in 0..self.scale.apps {
            rollouts.wait(&app_name(app), GOOD, self.patience()).await?;
        }
        Ok(rollouts)
    }

    /// Pushes a bad commit and waits until the old image is back, the app healthy, and what happened stands in its status.
    async fn undo(&mut self, bench: &str, rollouts: &Rollouts, is_git_gone: bool) -> anyhow::Result<()> {
        let (name, patience) = (app_name(APP), self.patience());
        let text = web(BAD, &self.next_version());
        self.bed.repository.put(APP, "web.yaml", Some(&text))?;
        let bad = self.bed.repository.commit("a bad image")?;
        self.bed.repository.stage()?;
        let begin = Instant::now();
        self.bed.repository.move_to(&bad)?;
        self.tell()?;
        rollouts.wait(&name, BAD, patience).await?;
        let mut note = format!("the bad image was there after {:.2} s", begin.elapsed().as_secs_f64());
        let server = self.bed.server.as_ref().context("serve the repository")?;
        let n_looks = server.n_looks();
        if is_git_gone {
            self.bed.repository.hide(true)?;
            self.tell()?;
        }
        self.bed.observer.wait(patience, |seen| is_undone(seen, &name, &bad)).await?;
        rollouts.wait(&name, GOOD, patience).await?;
        let took = begin.elapsed();
        if is_git_gone {
            let looks = server.n_looks() - n_looks;
            anyhow::ensure!(looks > 0, "see the agent look for the repository while it is gone: it did not");
            note = format!("{note}; the repository was looked for {looks} times in vain");
        }
        let most = (WINDOW + BEYOND).as_secs_f64();
        let (measure, took) = ("push to restored", took.as_secs_f64());
        // Beside every change the machine may be busy with anything.
        let row = if self.scale.is_short {
            self.report.time(bench, measure, took, "s", Some(most))
        } else {
            self.report.bound(bench, measure, took, most)
        };
        row.note(note);
        Ok(())
    }

    /// Says that what is bad was deployed once and undone once, and told once.
    fn deployed_once(&mut self, bench: &str, rollouts: &Rollouts, requests: &crate::requests::Requests) {
        let images =
            rollouts.seen().get(&app_name(APP)).map(|rollout| rollout.images.clone()).unwrap_or_default();
        let n_bad = images.iter().filter(|image| *image == BAD).count();
        self.report.count(bench, "times that the bad image was deployed", size(n_bad), 1.0);
        self.report
            // The bad one; and back, all of the release.
            .count(bench, "applies in all of it", figure(requests.of("apply")), 3.0)
            .note(requests.to_string());
        self.report.count(bench, "release writes in all of it", figure(requests.of("release")), 1.0);
    }

    /// Has the repository asked, each time for another commit that changes nothing of what is deployed.
    async fn poll_on(&mut self, polls: usize) -> anyhow::Result<()> {
        for poll in 0..polls {
            tokio::time::sleep(APART).await;
            let version = self.next_version();
            let commit = if poll % 2 == 0 {
                self.bed.repository.write_readme(&version)?;
                self.bed.repository.commit("nobody's")?
            } else {
                self.bed.repository.commit_again(&format!("the same again, {version}"))?
            };
            self.bed.repository.stage()?;
            let before = Counters::read(&self.agent)?.polls;
            self.bed.repository.move_to(&commit)?;
            self.tell()?;
            let (begin, patience) = (Instant::now(), self.patience());
            while Counters::read(&self.agent)?.polls == before {
                anyhow::ensure!(begin.elapsed() < patience, "see the repository asked in {patience:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Returns the resourceVersion of everything that the other apps have, and of their Applications.
    fn others(&self, rollouts: &Rollouts) -> BTreeMap<String, String> {
        let seen = self.bed.observer.seen();
        let of = |kind: &'static str| move |name: &String| format!("{kind} {name}");
        let applications = seen
            .applications
            .iter()
            .map(|(name, app)| (name, app.resource_version()))
            .map(|(name, v)| (of("Application")(name), v.to_owned()));
        let maps = seen
            .config_maps
            .iter()
            .map(|(name, map)| (of("ConfigMap")(name), map.resource_version().to_owned()));
        let webs = rollouts.seen();
        let webs = webs.iter().map(|(name, web)| (of("Deployment")(name), web.version.clone()));
        let own = app_name(APP);
        applications.chain(maps).chain(webs).filter(|(name, _)| !name.contains(&own)).collect()
    }
}

fn web(image: &str, version: &str) -> String {
    WEB.replace("IMAGE", image).replace("VERSION", version)
}

/// Returns whether an app is healthy and says that it went back because of a commit.
fn is_undone(seen: &Seen, app: &str, bad: &str) -> bool {
    let Some(status) = seen.applications.get(app).and_then(|app| app.get("status")) else { return false };
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut stories = conditions.filter(|condition| condition["type"] == "RolledBack");
    let is_told = stories.any(|story| story["message"].as_str().is_some_and(|told| told.contains(&bad[..7])));
    is_told && status.pointer("/health/status").and_then(Value::as_str) == Some("Healthy")
}
