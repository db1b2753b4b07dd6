//! What do we look at when we compare one object?

use crate::Rules;
use crate::ownership::Ownership;
use crate::subject::subject;
use fields::FieldSet;
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
}
