//! What does it cost that old releases go (B1)? They are trimmed several at a time.

use super::{Bench, figure, size};
use crate::bed::{CONTROL, app_name, applications};
use crate::observer::Seen;
use anyhow::Context as _;
use serde_json::json;

/// The app that gets them.
const APP: usize = 0;
/// How many commits, of each of which a release is kept.
const COMMITS: usize = 10;
/// How many releases there are more before they are looked through for old ones.
const BATCH: usize = 5;

impl Bench {
    /// Pushes commit after commit to one app, each when of the one before a release is kept.
    pub(crate) async fn trims(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B1 releases of one");
        // So that it does not take minutes.
        let patch = json!({"metadata": {"annotations": {"tautline.dev/soak": "1s"}}});
        let patched =
            self.bed.admin.merge_patch(&applications(), CONTROL, &app_name(APP), &patch, "bench").await;
        patched.context("shorten the soak of an app")?;
        let before = self.rest().await?.0;
        for _ in 0..COMMITS {
            self.push_one().await?;
            self.bed.observer.wait(self.patience(), Seen::is_kept).await?;
        }
        let requests = self.rest().await?.0.since(&before);
        let per_commit = |count: u64| figure(count) / size(COMMITS);
        self.report
            .count(
                &bench,
                "requests per commit, without releases",
                per_commit(requests.deploying()),
                size(self.scale.objects + 1),
            )
            .note(requests.to_string());
        self.report.count(&bench, "release writes per commit", per_commit(requests.of("release")), 1.0);
        // The last batch may have been begun by what was there before.
        let lists = size(COMMITS.div_ceil(BATCH) + 1) / size(COMMITS);
        self.report.count(
            &bench,
            "looks for old releases per commit",
            per_commit(requests.of("release-list")),
            lists,
        );
        // Its objects go first, and it itself later; those from before go, too.
        self.report.count(
            &bench,
            "trims per commit",
            per_commit(requests.of("release-trim")),
            size(2 * (COMMITS + BATCH)) / size(COMMITS),
        );
        Ok(())
    }
}
