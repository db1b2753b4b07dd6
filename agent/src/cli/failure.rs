//! Why does a command give no result, and with which code does it end?

use crate::exit;
use crate::tools;
use model::{CallError, ErrorClass};
use source::SourceError;
use std::process::ExitCode;

/// Why a command gives no result: a sentence with what to do next, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub code: u8,
    /// The sentence.
    pub message: String,
    /// What else is wrong, a sentence each.
    pub others: Vec<String>,
}

impl Failure {
    /// Makes a failure.
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), others: Vec::new() }
    }

    /// Several things are wrong, a sentence each.
    pub(crate) fn several(code: u8, mut sentences: Vec<String>) -> Self {
        let others = sentences.split_off(sentences.len().min(1));
        Self { others, ..Self::new(code, sentences.pop().unwrap_or_default()) }
    }

    /// Something was asked for in a way that cannot be meant.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message)
    }

    /// What was asked for does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(exit::NOT_FOUND, message)
    }

    /// The API server refused, or did not answer, when `what` was asked of it.
    pub(crate) fn of_call(what: &str, error: &CallError) -> Self {
        let next = match error.class {
            ErrorClass::Forbidden => " (ask for that right, or use another --context)",
            ErrorClass::NoSuchKind => " (is its CRD installed in this cluster? see tautline crd --help)",
            ErrorClass::Conflict => " (it changed meanwhile; try again)",
            ErrorClass::Unavailable if error.status == Some(401) => " (log in to the cluster again)",
            ErrorClass::Invalid
            | ErrorClass::Denied
            | ErrorClass::NotFound
            | ErrorClass::Gone
            | ErrorClass::Throttled
            | ErrorClass::Unavailable
            | ErrorClass::Withheld => "",
        };
        Self::new(exit::of_call(error), format!("{what}: {}{next}", error.message))
    }

    /// The API server did not list or watch. All that can be malformed in such a request is the selector.
    pub(crate) fn of_listing(what: &str, error: &CallError) -> Self {
        let failure = Self::of_call(what, error);
        if error.status == Some(400) { Self { code: exit::USAGE, ..failure } } else { failure }
    }

    /// A repository could not be read.
    pub(crate) fn of_source(what: &str, error: &SourceError) -> Self {
        Self::new(exit::of_source(error.kind), format!("{what}: {error}"))
    }

    /// Tells it on standard error.
    pub(crate) fn tell(&self) -> ExitCode {
        let code = tools::complain(&self.message, self.code);
        self.others.iter().fold(code, |_, sentence| tools::complain(sentence, self.code))
    }
}
