//! Does an Ingress have an address?

use crate::read::items;
use crate::say::progressing;
use model::{Health, Object};

pub(crate) fn assess(live: &Object) -> Health {
    if items(live, "status/loadBalancer/ingress").is_empty() {
        return progressing("Waiting for an Ingress controller to publish an address");
    }
    Health::healthy()
}
