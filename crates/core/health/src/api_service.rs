//! Does an aggregated API answer?

use crate::read::condition;
use crate::say::progressing;
use model::{Health, Object};

pub(crate) fn assess(live: &Object) -> Health {
    match condition(live, "Available") {
        Some(available) if available.is_true() => Health::healthy(),
        Some(available) => progressing(available.words()),
        None => progressing("Waiting to be processed"),
    }
}
