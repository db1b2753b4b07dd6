//! What was found wrong, or not supported yet, while reading one object?

use model::{NotYet, Problem};
use std::collections::BTreeSet;

/// Most problems that are told of one object: a person corrects these first, and a status has to hold them.
const MOST: usize = 20;

/// Problems and not-yets of one object, collected while reading goes on.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    problems: Vec<(String, Problem)>,
    n_more: usize,
    not_yet: BTreeSet<NotYet>,
}

impl Findings {
    /// Notes a problem of a field. A problem of a whole whose part already has one says nothing new and is left out.
    pub(crate) fn problem(&mut self, path: &str, sentence: impl std::fmt::Display) {
        self.problem_with_help(path, sentence, "");
    }

    /// Notes a problem of a field and what to do about it.
    pub(crate) fn problem_with_help(
        &mut self,
        path: &str,
        sentence: impl std::fmt::Display,
        help: impl Into<String>,
    ) {
        if self.problems.len() == MOST {
            self.n_more += 1;
        } else if !self.problems.iter().any(|(known, _)| is_within(known, path)) {
            self.problems.push((path.into(), Problem::new(format!("{path}: {sentence}")).help(help)));
        }
    }

    /// Notes something that Argo CD acts on and we do not.
    pub(crate) fn not_yet(&mut self, field: impl Into<String>) {
        self.not_yet.insert(NotYet { field: field.into() });
    }

    /// Returns everything, in the order of reading and of the alphabet.
    pub(crate) fn into_parts(self) -> (Vec<Problem>, Vec<NotYet>) {
        let mut problems: Vec<Problem> = self.problems.into_iter().map(|(_, problem)| problem).collect();
        if self.n_more > 0 {
            problems.push(Problem::new(format!("and {} more problems", self.n_more)));
        }
        (problems, self.not_yet.into_iter().collect())
    }
}

/// Writes a field below another.
pub(crate) fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.into() } else { format!("{path}.{field}") }
}

fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
