//! What if only the API server can tell how an object compares? It is asked, and what it says is taken in.

use crate::agent::Agent;
use crate::apps::Probe;
use crate::dry_runs::{DryRuns, Turn};
use crate::input::{Asked, Checked, Input};
use crate::judge::{self, Judgement};
use crate::live::{Baseline, is_newer};
use crate::wanted::{Kept, Wanted};
use cluster::{ApplyOptions, Cluster, Endpoint, Priority};
use model::{App, AppKey, CallError, Digest, Match, Object, ObjectKey, names};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What a question is likely to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Likely {
    /// Reading the object will do.
    Known,
    /// What a watch showed of it did not do.
    DryRun,
}

impl Agent {
    /// Asks the API server whether an object is in sync: reads it, and asks for a dry-run where it has to. What was in sync
    /// and was touched is asked about at once; what was not looked at before waits for its turn of the dry-runs.
    pub(crate) fn check(
        &mut self,
        key: &AppKey,
        app: &Arc<App>,
        object: &ObjectKey,
        kept: &Kept,
        likely: Likely,
    ) {
        let Some(endpoint) = self.discovery.endpoint(&kept.gvk(object)) else { return };
        let question = judge::question(app, object, kept.digest);
        if self.apps.get(key).is_some_and(|entry| entry.undecided.rests(object, question)) {
            return;
        }
        let known = self.live.get_mut(object).map(|entry| {
            entry.is_checking = true;
            (entry.digest.uid.clone(), entry.baseline.clone())
        });
        let (uid, baseline) = known.unzip();
        let was_in_sync = self.live.get(object).is_some_and(|entry| entry.digest.matching == Match::InSync);
        let question_of = Question {
            cluster: self.cluster.for_app(key),
            endpoint,
            app: Arc::clone(app),
            wanted: kept.open(),
            baseline: baseline.flatten(),
            checks: Arc::clone(&self.checks),
            dry_runs: (!was_in_sync).then(|| self.dry_runs.clone()),
        };
        let asked = Asked { app: key.clone(), object: object.clone(), question, uid };
        self.metrics.checks.add(1);
        self.spawn(async move {
            let checked = question_of.ask(likely).await.unwrap_or_else(Checked::Failed);
            Input::Checked(asked, checked)
        });
    }

    /// Looks for an object that no watch shows: it may be there without our labels. An automated sync finds that out by
    /// applying, so only apps that merely look ask.
    pub(crate) fn probe(&mut self, key: &AppKey, app: &Arc<App>, object: &ObjectKey, kept: &Kept) {
        if self.applies(key, app) {
            return;
        }
        let question = judge::question(app, object, kept.digest);
        let is_known = self.apps.get(key).is_some_and(|entry| {
            let is_looked_up = entry.inheritance.as_ref().is_some_and(|i| i.is_pending(object));
            let is_probed = entry.probed.get(object).is_some_and(|probe| *probe != Probe::Unanswered);
            is_probed || is_looked_up || entry.undecided.rests(object, question)
        });
        if is_known || self.discovery.endpoint(&kept.gvk(object)).is_none() {
            return;
        }
        if let Some(entry) = self.apps.get_mut(key) {
            entry.probed.insert(object.clone(), Probe::Asked);
        }
        self.check(key, app, object, kept, Likely::Known);
    }

    /// Takes in what the API server said about an object.
    pub(crate) fn checked(&mut self, asked: &Asked, checked: Checked) {
        let Asked { app: key, object, question, uid } = asked;
        let checks_again = self.live.get_mut(object).is_some_and(|entry| {
            entry.is_checking = false;
            std::mem::take(&mut entry.checks_again)
        });
        match checked {
            Checked::Missing => {
                if let Some(uid) = uid {
                    self.confirmed(object, uid, Ok(None));
                }
                if let Some(entry) = self.apps.get_mut(key) {
                    entry.undecided.decided(object);
                    entry.probed.insert(object.clone(), Probe::Absent);
                }
            }
            Checked::Judged(live, matching, baseline) => {
                if let Some(entry) = self.apps.get_mut(key) {
                    entry.undecided.decided(object);
                    entry.probed.remove(object);
                }
                if !self.has_newer(object, live.resource_version()) {
                    self.judged(*question, *live, matching, baseline);
                } else if let Some(entry) = self.live.get_mut(object).filter(|_| checks_again) {
                    // A watch was quicker, and what it showed could not be judged by itself.
                    entry.digest.matching = Match::Undecided;
                }
            }
            Checked::Failed(error) => self.not_checked(asked, &error),
        }
        self.dirty.insert(key.clone());
    }

    fn judged(&mut self, question: Digest, live: Object, matching: Match, baseline: Option<Baseline>) {
        let object = live.key();
        let label = live.label(names::INSTANCE_LABEL);
        if label != Some(self.identity.instance_label.as_str()) && !self.offer(&live) {
            self.widen(&object.group_kind());
        }
        if self.is_gone(&object, live.uid()) {
            return;
        }
        let assessment = self.assess(&live);
        let old = self.live.remove(&object);
        let mut entry = judge::entry(live, &self.identity.instance_label, assessment, old);
        entry.unjudged = None;
        // Git may want something else by now; then it is judged again.
        entry.judged_by = Some(question);
        entry.digest.matching = matching;
        if baseline.is_some() {
            entry.baseline = baseline;
        }
        self.live.insert(entry);
    }

    /// Asks again later and later; what was known before does not count meanwhile.
    fn not_checked(&mut self, asked: &Asked, error: &CallError) {
        let Asked { app: key, object, question, .. } = asked;
        tracing::debug!(%object, %error, "comparison could not be decided");
        if let Some(entry) = self.live.get_mut(object)
            && entry.digest.matching == Match::InSync
        {
            entry.digest.matching = Match::Undecided;
        }
        let Some(entry) = self.apps.get_mut(key) else { return };
        if let Some(probe) = entry.probed.get_mut(object) {
            *probe = Probe::Unanswered;
        }
        let (wait, n_failed) = entry.undecided.failed(object, *question, error);
        let (key, object) = (key.clone(), object.clone());
        self.spawn(async move {
            tokio::time::sleep(wait).await;
            Input::CheckDue(key, object, n_failed)
        });
    }

    /// Takes in that an object may be asked about again.
    pub(crate) fn check_due(&mut self, key: &AppKey, object: &ObjectKey, n_failed: u32) {
        if let Some(entry) = self.apps.get_mut(key) {
            entry.undecided.rested(object, n_failed);
            self.dirty.insert(key.clone());
        }
    }

    fn has_newer(&self, object: &ObjectKey, resource_version: &str) -> bool {
        self.live.get(object).is_some_and(|entry| {
            !entry.is_listed_anew && is_newer(&entry.digest.resource_version, resource_version)
        })
    }
}

/// Everything that one question needs.
struct Question {
    cluster: Cluster,
    endpoint: Endpoint,
    app: Arc<App>,
    wanted: Wanted,
    baseline: Option<Baseline>,
    checks: Arc<Semaphore>,
    /// Where a dry-run has to wait for its turn.
    dry_runs: Option<DryRuns>,
}

impl Question {
    /// Asks. Whoever waits for a turn reads the object after that: it may be another one by then.
    async fn ask(self, likely: Likely) -> Result<Checked, CallError> {
        let mut turn = if likely == Likely::DryRun { self.turn().await } else { None };
        loop {
            let permit = self.checks.acquire().await;
            let object = &self.wanted.object;
            let found = self.cluster.get(&self.endpoint, object.namespace(), object.name()).await?;
            let Some(live) = found.and_then(|live| Object::from_value(live).ok()) else {
                return Ok(Checked::Missing);
            };
            if let Judgement::Known(matching, baseline) =
                judge::judge(&self.app, &self.wanted, &live, self.baseline.as_ref())
            {
                return Ok(Checked::Judged(Box::new(live), matching, baseline));
            }
            if turn.is_some() || self.dry_runs.is_none() {
                let checked = self.dry_run(live).await;
                turn.into_iter().for_each(Turn::used);
                return checked;
            }
            drop(permit);
            turn = self.turn().await;
        }
    }

    async fn turn(&self) -> Option<Turn> {
        match &self.dry_runs {
            Some(dry_runs) => Some(dry_runs.turn().await),
            None => None,
        }
    }

    async fn dry_run(&self, live: Object) -> Result<Checked, CallError> {
        let options = ApplyOptions {
            manager: names::FIELD_MANAGER.into(),
            force: true,
            dry_run: true,
            priority: Priority::Background,
        };
        let applied = match self.cluster.apply(&self.endpoint, &self.wanted.object, &options).await {
            // What Git wants cannot be applied to what is there: it differs, whatever else is wrong with it.
            Err(error) if error.class.condemns() => {
                return Ok(Checked::Judged(Box::new(live), Match::Drifted, None));
            }
            other => other?,
        };
        let (matching, baseline) = judge::judge_dry_run(&self.app, &self.wanted, &live, &applied.object);
        Ok(Checked::Judged(Box::new(live), matching, baseline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, config_map, key, shop};

    fn matching(harness: &Harness) -> Match {
        harness.agent.live.get(&key("web")).unwrap().digest.matching
    }

    /// Has the app's object asked about, and returns the question.
    fn ask_about_web(harness: &mut Harness) -> Asked {
        harness.agent.live.get_mut(&key("web")).unwrap().is_checking = true;
        let question = harness.agent.question(&shop(), &key("web")).unwrap();
        Asked { app: shop(), object: key("web"), question, uid: Some("first".into()) }
    }

    /// An object at another version than Git has it at: only the API server can tell how it compares.
    fn web(uid: &str, version: u64, value: &str) -> Object {
        let mut fields = config_map("web", uid, version, value).into_value();
        fields["apiVersion"] = "v2".into();
        Object::from_value(fields).unwrap()
    }

    #[tokio::test]
    async fn what_changes_between_a_question_and_its_answer_is_asked_about_again() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        harness.agent.live_object(web("first", 5, "one"));
        let asked = ask_about_web(&mut harness);
        let answer = || Checked::Judged(Box::new(web("first", 5, "one")), Match::InSync, None);
        harness.agent.checked(&asked, answer());
        assert_eq!(matching(&harness), Match::InSync);

        // Read again at the same version, then edited before the answer comes.
        ask_about_web(&mut harness);
        harness.agent.live_object(web("first", 7, "edited"));
        harness.agent.compare_dirty();
        harness.agent.checked(&asked, answer());
        assert_eq!(matching(&harness), Match::Undecided, "it is asked about again");
    }

    #[tokio::test]
    async fn what_was_asked_counts_for_what_git_wanted_then() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        harness.agent.live_object(web("first", 5, "one"));
        let asked = ask_about_web(&mut harness);
        harness.want(&[config_map("web", "", 0, "two")]);
        harness.agent.checked(&asked, Checked::Judged(Box::new(web("first", 5, "one")), Match::InSync, None));
        harness.agent.compare_dirty();
        assert_ne!(matching(&harness), Match::InSync);
    }

    #[tokio::test]
    async fn what_is_not_there_any_more_is_gone_and_its_successor_is_not() {
        let mut harness = Harness::new(&[config_map("web", "", 0, "one")]).await;
        harness.agent.live_object(web("first", 5, "one"));
        let asked = ask_about_web(&mut harness);
        harness.agent.live_object(web("second", 9, "one"));
        harness.agent.checked(&asked, Checked::Missing);
        assert_eq!(harness.agent.live.get(&key("web")).unwrap().digest.uid, "second");
        let asked = Asked { uid: Some("second".into()), ..ask_about_web(&mut harness) };
        harness.agent.checked(&asked, Checked::Missing);
        assert!(harness.agent.live.get(&key("web")).is_none());
    }
}
