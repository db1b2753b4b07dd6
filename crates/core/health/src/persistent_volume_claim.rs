//! Does a claim have its volume?

use crate::read::text;
use crate::say::{degraded, progressing, unknown};
use model::{Health, Object};

pub(crate) fn assess(live: &Object) -> Health {
    match text(live, "status/phase") {
        "Bound" => Health::healthy(),
        "Pending" => progressing(match text(live, "spec/storageClassName") {
            "" => "Waiting for a volume; the claim names no storage class".into(),
            class => format!("Waiting for a volume of storage class {class}"),
        }),
        "Lost" => degraded("The claim's volume is lost"),
        "" => unknown("The claim has no phase yet"),
        phase => unknown(format!("The claim is in phase {phase}")),
    }
}
