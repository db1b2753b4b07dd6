//! On which cluster does a test take place? On that of its process, or on one of its own.

use std::sync::OnceLock;

use lab::{Lab, Options};

use crate::kube::Kube;

/// A control plane with our CRDs, and the administrator's way into it.
pub(crate) struct Place {
    pub(crate) lab: &'static Lab,
    pub(crate) kube: &'static Kube,
    is_own: bool,
}

impl Place {
    /// Takes the one that all tests of this process share.
    pub(crate) fn shared() -> Self {
        static KUBE: OnceLock<Kube> = OnceLock::new();
        let lab = lab::shared();
        Self { lab, kube: KUBE.get_or_init(|| furnish(lab)), is_own: false }
    }

    /// Starts another one, whose servers end when the result is dropped.
    pub(crate) fn own() -> Self {
        let lab = Lab::start(&Options::default()).unwrap_or_else(|error| panic!("start a lab: {error:#}"));
        // Tests lend it to threads; what is left of it when its servers have ended is small.
        let lab: &'static Lab = Box::leak(Box::new(lab));
        Self { lab, kube: Box::leak(Box::new(furnish(lab))), is_own: true }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_own {
            self.lab.end();
        }
    }
}

/// Installs the CRDs of `manifests/crds`.
fn furnish(lab: &Lab) -> Kube {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/crds");
    lab.kubectl(&["apply", "-f", folder]).unwrap_or_else(|error| panic!("install the CRDs: {error:#}"));
    let wait = lab.wait_established(&["applications.argoproj.io", "appprojects.argoproj.io"]);
    wait.unwrap_or_else(|error| panic!("install the CRDs: {error:#}"));
    Kube::of(lab)
}
