//! What does an Application want done about a bad commit? What may an AppProject say of it?

use super::metadata;
use crate::findings::Findings;
use crate::{duration, wire};
use model::{AfterSettling, FirstDeploy, LONGEST_WAIT, RollbackPolicy, RollbackSettings, Seconds, names};
use serde_json::Value;
use std::str::FromStr;

/// Most characters of a wrong value that a sentence repeats.
const SHOWN: usize = 40;

/// A setting as somebody wrote it, and where.
pub(crate) struct Setting<'a> {
    path: String,
    text: &'a str,
}

impl<'a> Setting<'a> {
    /// Returns what an annotation says.
    pub(crate) fn of_annotation(raw: &'a Value, annotation: &str) -> Option<Self> {
        let text = metadata::annotation(raw, annotation)?;
        Some(Self { path: metadata::path(annotation), text })
    }

    /// Returns what an annotation says, or else the field `field` of `spec.syncPolicy.rollback`.
    fn of_app(raw: &'a Value, annotation: &str, field: &str, spec: Option<&'a String>) -> Option<Self> {
        let of_spec = || {
            let text = spec.filter(|text| !text.is_empty())?;
            Some(Self { path: format!("spec.syncPolicy.rollback.{field}"), text })
        };
        Self::of_annotation(raw, annotation).or_else(of_spec)
    }

    /// Reads one of a few words.
    pub(crate) fn word<W: FromStr>(&self, words: &[&str], findings: &mut Findings) -> Option<W> {
        self.one_word(self.text, words, findings)
    }

    /// Reads a list of words, separated by commas.
    pub(crate) fn words<W: FromStr>(&self, words: &[&str], findings: &mut Findings) -> Vec<W> {
        let parts = self.text.split(',').map(str::trim);
        parts.filter_map(|part| self.one_word(part, words, findings)).collect()
    }

    fn one_word<W: FromStr>(&self, text: &str, words: &[&str], findings: &mut Findings) -> Option<W> {
        let read = text.parse().ok();
        if read.is_none() {
            findings.problem(&self.path, format!("`{}` is none of {}", shown(text), words.join(", ")));
        }
        read
    }

    /// Reads a length of time that may be none at all.
    fn wait(&self, findings: &mut Findings) -> Option<Seconds> {
        let length = self.length(findings)?;
        if length > LONGEST_WAIT {
            findings.problem(&self.path, format!("`{}` is longer than {LONGEST_WAIT}", shown(self.text)));
            return None;
        }
        Some(length)
    }

    /// Reads a length of time that has to pass.
    pub(crate) fn some_time(&self, findings: &mut Findings) -> Option<Seconds> {
        let length = self.length(findings)?;
        if length == Seconds::ZERO {
            findings.problem(&self.path, format!("`{}` is no time at all", shown(self.text)));
            return None;
        }
        Some(length)
    }

    fn length(&self, findings: &mut Findings) -> Option<Seconds> {
        let length = duration::parse(self.text);
        if length.is_none() {
            let sentence = format!("`{}` is not a length of time", shown(self.text));
            findings.problem_with_help(&self.path, sentence, "write it as 30s, 5m or 1h30m");
        }
        length
    }
}

/// Reads what an Application says about bad commits; `rollback` is its `spec.syncPolicy.rollback`.
pub(super) fn settings(raw: &Value, rollback: &wire::Rollback, findings: &mut Findings) -> RollbackSettings {
    let standard = RollbackSettings::default();
    let policy = Setting::of_app(raw, names::ROLLBACK_ANNOTATION, "policy", rollback.policy.as_ref());
    let first =
        Setting::of_app(raw, names::FIRST_DEPLOY_ANNOTATION, "firstDeploy", rollback.first_deploy.as_ref());
    let soak = Setting::of_app(raw, names::SOAK_ANNOTATION, "soak", rollback.soak.as_ref());
    let grace = rollback.degraded_grace.as_ref();
    let grace = Setting::of_app(raw, names::DEGRADED_GRACE_ANNOTATION, "degradedGrace", grace);
    RollbackSettings {
        policy: policy.and_then(|setting| setting.word(&RollbackPolicy::WORDS, findings)),
        first_deploy: first
            .and_then(|setting| setting.word(&FirstDeploy::WORDS, findings))
            .unwrap_or(standard.first_deploy),
        soak: soak.and_then(|setting| setting.wait(findings)).unwrap_or(standard.soak),
        degraded_grace: grace.and_then(|setting| setting.wait(findings)).unwrap_or(standard.degraded_grace),
        ..standard
    }
}

/// Reads the longest time without progress that a sync of the Application may take.
pub(super) fn deadline(raw: &Value, rollback: &wire::Rollback, findings: &mut Findings) -> Option<Seconds> {
    let setting = Setting::of_app(raw, names::DEADLINE_ANNOTATION, "deadline", rollback.deadline.as_ref());
    setting.and_then(|setting| setting.some_time(findings))
}

/// Reads whether all that is pruned goes only once the new state has settled.
pub(super) fn prunes_after_settling(raw: &Value, findings: &mut Findings) -> bool {
    let setting = Setting::of_annotation(raw, names::PRUNE_ANNOTATION);
    setting.and_then(|s| s.word::<AfterSettling>(&[AfterSettling::WORD], findings)).is_some()
}

/// Cuts a value that may be as long as an annotation may be.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}
