//! Is a custom resource definition being served?

use crate::read::{Condition, condition};
use crate::say::{degraded, progressing};
use model::{Health, Object};

/// A definition that is not established yet is `Progressing`, where Argo CD's script says `Degraded`: the API server
/// needs a moment after each creation, and that is no failure.
pub(crate) fn assess(live: &Object) -> Health {
    let holds = |kind: &str| condition(live, kind).filter(Condition::is_true);
    if let Some(terminating) = holds("Terminating") {
        return progressing(format!("Being deleted: {}", terminating.words()));
    }
    if let Some(names) = condition(live, "NamesAccepted").filter(Condition::is_false) {
        return degraded(format!("Names are not accepted: {}", names.words()));
    }
    if holds("Established").is_none() {
        return progressing("Waiting for the API server to serve the kind");
    }
    if let Some(violations) = holds("NonStructuralSchema") {
        return degraded(format!("The schema is not structural: {}", violations.words()));
    }
    Health::healthy()
}
