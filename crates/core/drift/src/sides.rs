//! What do we look at when we compare one object?

use crate::Rules;
use crate::ownership::{Ownership, beyond};
use crate::subject::subject;
use fields::{FieldSet, Path};
use model::Object;
use serde_json::Value;

/// The two sides of a comparison, prepared once.
pub(crate) struct Sides<'a> {
    /// What Git wants.
    pub(crate) desired: &'a Object,
    /// What the API server holds.
    pub(crate) live: &'a Object,
    /// What of desired is compared.
    pub(crate) wanted: Value,
    /// What of live is compared.
    pub(crate) had: Value,
    /// Whose live's fields are.
    pub(crate) ownership: Ownership,
}

impl<'a> Sides<'a> {
    /// Prepares both sides.
    pub(crate) fn of(desired: &'a Object, live: &'a Object, rules: &Rules) -> Self {
        let (wanted, had) = (subject(desired, rules), subject(live, rules));
        Self { desired, live, wanted, had, ownership: Ownership::of(live) }
    }

    /// Returns what our last apply took, when it spoke desired's version.
    pub(crate) fn own(&self) -> Option<&FieldSet> {
        self.ownership.own(self.desired.api_version())
    }

    /// Returns what our last apply took and Git dropped since, as far as it is still there: the topmost paths.
    pub(crate) fn dropped(&self) -> Vec<Path> {
        match self.own() {
            // The usual case on every event, and the cheap one.
            Some(own) if !own.outside(&self.wanted).is_empty() => {
                beyond(&own.within(&self.had), &self.wanted)
            }
            Some(_) | None => Vec::new(),
        }
    }
}
