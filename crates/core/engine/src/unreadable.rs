//! Which settings that concern an app cannot be read, and when does its status say so?

use crate::state::{SourceView, State};
use model::Timestamp;

/// A setting that cannot be read, or contradicts another. What it said before stays in force, and the app goes on by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The sentence, without secrets.
    pub message: String,
    /// When the status says so.
    pub told: Told,
}

/// When a status says that a setting cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// At once.
    Now,
    /// From a time on: what concerns every app is not written by all of them at the same moment.
    From(Timestamp),
    /// While the repository wants credentials, or other ones: the setting may be what holds them, and nobody can tell.
    WithoutCredentials,
}

/// Returns the sentences that are told now.
pub(crate) fn told(state: &State, now: Timestamp) -> impl Iterator<Item = &String> {
    let lacks_credentials = match &state.source {
        SourceView::Failing(failure, _) => failure.lacks_credentials,
        SourceView::Unknown | SourceView::At(_) | SourceView::Invalid(..) | SourceView::Unsupported(..) => {
            false
        }
    };
    let is_told = move |setting: &&Unreadable| match setting.told {
        Told::Now => true,
        Told::From(at) => at <= now,
        Told::WithoutCredentials => lacks_credentials,
    };
    state.unreadable.iter().filter(is_told).map(|setting| &setting.message)
}

/// Returns when another sentence is told although nothing happens.
pub(crate) fn next_change(state: &State, now: Timestamp) -> Option<Timestamp> {
    let times = state.unreadable.iter().filter_map(|setting| match setting.told {
        Told::From(at) => Some(at),
        Told::Now | Told::WithoutCredentials => None,
    });
    times.filter(|at| *at > now).min()
}
