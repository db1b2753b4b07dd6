//! Does a Service have its load balancer?

use crate::read::{items, text};
use crate::say::progressing;
use model::{Health, Object};

pub(crate) fn assess(live: &Object) -> Health {
    if text(live, "spec/type") == "LoadBalancer" && items(live, "status/loadBalancer/ingress").is_empty() {
        return progressing("Waiting for the load balancer to get an address");
    }
    Health::healthy()
}
