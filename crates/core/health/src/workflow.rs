//! Has an Argo Workflow ended, and how?

use crate::read::text;
use crate::say::{degraded, progressing, unknown};
use model::{Health, Object};

pub(crate) fn assess(live: &Object) -> Health {
    let message = text(live, "status/message");
    match text(live, "status/phase") {
        "" | "Pending" | "Running" => progressing(message),
        "Succeeded" => Health::healthy(),
        "Failed" | "Error" => degraded(message),
        phase => unknown(crate::text::joined(&format!("phase {phase}"), message)),
    }
}
