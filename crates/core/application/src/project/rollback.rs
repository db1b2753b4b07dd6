//! What does a project say about bad commits of its apps, and which of their wishes does it not permit?
//!
//! All of it stands in annotations, for Argo CD's CRD of AppProjects keeps those and knows no such fields.

use super::Project;
use crate::findings::Findings;
use crate::read::Setting;
use model::{App, Check, Probe, Problem, RollbackPolicy, SOAK, SYNC_DEADLINE, Seconds, names};
use serde_json::Value;

/// What a project says about bad commits of its apps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RollbackRules {
    /// For apps that say nothing themselves.
    policy: Option<RollbackPolicy>,
    /// What apps may ask for; `None` for anything.
    allowed: Option<Vec<RollbackPolicy>>,
    /// The longest deadline that apps may ask for.
    longest_deadline: Option<Seconds>,
    /// The longest soak that apps may ask for.
    longest_soak: Option<Seconds>,
}

/// Reads the annotations of an AppProject.
pub(super) fn read(raw: &Value, findings: &mut Findings) -> RollbackRules {
    let annotation = |name: &str| Setting::of_annotation(raw, name);
    let words = &RollbackPolicy::WORDS;
    RollbackRules {
        policy: annotation(names::ROLLBACK_ANNOTATION).and_then(|setting| setting.word(words, findings)),
        allowed: annotation(names::ROLLBACK_ALLOWED_ANNOTATION).map(|setting| setting.words(words, findings)),
        longest_deadline: annotation(names::LONGEST_DEADLINE_ANNOTATION)
            .and_then(|setting| setting.some_time(findings)),
        longest_soak: annotation(names::LONGEST_SOAK_ANNOTATION)
            .and_then(|setting| setting.some_time(findings)),
    }
}

impl Project {
    /// Fills in what an app leaves open about bad commits, and says what it asks for that the project does not permit. Empty
    /// means that it may go on.
    pub fn settle_rollback(&self, app: &mut App) -> Vec<Problem> {
        let rules = &self.rollback;
        let mut problems = Vec::new();
        let asked = app.rollback.policy.filter(|policy| !rules.permits(*policy));
        if let Some(policy) = asked {
            problems.push(self.not_permitted(
                names::ROLLBACK_ANNOTATION,
                policy,
                names::ROLLBACK_ALLOWED_ANNOTATION,
            ));
        }
        app.rollback.policy = app.rollback.policy.or(rules.policy);
        if let Some(longest) = rules.longest_deadline {
            match app.sync_deadline {
                None => app.sync_deadline = (longest < SYNC_DEADLINE).then_some(longest),
                Some(asked) if asked > longest => problems.push(self.not_permitted(
                    names::DEADLINE_ANNOTATION,
                    asked,
                    names::LONGEST_DEADLINE_ANNOTATION,
                )),
                Some(_) => {}
            }
        }
        if let Some(longest) = rules.longest_soak.filter(|longest| app.rollback.soak > *longest) {
            if app.rollback.soak == SOAK {
                app.rollback.soak = longest;
            } else {
                let asked = app.rollback.soak;
                problems.push(self.not_permitted(
                    names::SOAK_ANNOTATION,
                    asked,
                    names::LONGEST_SOAK_ANNOTATION,
                ));
            }
        }
        problems.extend(app.checks.iter().filter_map(|check| self.refuse_check(check)));
        problems
    }

    /// A check reaches what the app could deploy to, and nothing else.
    fn refuse_check(&self, check: &Check) -> Option<Problem> {
        let namespace = match &check.probe {
            Probe::Http(http) => &http.namespace,
            Probe::Job(job) => &job.namespace,
            Probe::Query(_) => return None,
        };
        let rule = self.refused_destination(namespace)?;
        let (project, name) = (&self.name, names::CHECKS_ANNOTATION);
        let sentence =
            format!("{name}: {check}: namespace {namespace} is not permitted in project '{project}'");
        Some(Problem::new(sentence).help(format!("{rule}; see spec.destinations of AppProject {project}")))
    }

    fn not_permitted(&self, setting: &str, asked: impl std::fmt::Display, rule: &str) -> Problem {
        let project = &self.name;
        let sentence = format!("{setting}: {asked} is not permitted in project '{project}'");
        Problem::new(sentence).help(format!("see the annotation {rule} of AppProject {project}"))
    }
}

impl RollbackRules {
    fn permits(&self, policy: RollbackPolicy) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&policy))
    }
}
