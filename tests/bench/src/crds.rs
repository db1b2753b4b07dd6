//! Which schemas of Applications are measured? Ours, whose `status` is free-form, and Argo CD's own, which types it in full.

use lab::Lab;

/// Argo CD's own CRDs.
const ARGO_CD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/argo_cd/crds.yaml");

/// Whose CRDs are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Ours.
    Ours,
    /// Argo CD's.
    ArgoCd,
}

impl Schema {
    /// How a command names them.
    pub(crate) const NAMES: [&str; 2] = ["ours", "argo-cd"];

    /// Reads one of [`Schema::NAMES`].
    pub(crate) fn from_name(name: &str) -> Self {
        if name == Self::NAMES[1] { Self::ArgoCd } else { Self::Ours }
    }

    /// Returns what an update may cost at most, as a multiple of the same requests alone.
    pub(crate) fn target(self) -> f64 {
        match self {
            Self::Ours => 1.5,
            Self::ArgoCd => 1.3,
        }
    }

    /// Installs the CRDs.
    ///
    /// # Errors
    /// The API server refuses them.
    pub(crate) fn install(self, lab: &Lab) -> anyhow::Result<()> {
        let apply = ["apply", "--server-side", "-f"];
        match self {
            Self::Ours => {
                let ours = [application::crd::application(), application::crd::app_project()];
                let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": ours}).to_string();
                lab.kubectl_with_input(&[&apply[..], &["-"]].concat(), &list)?;
            }
            Self::ArgoCd => drop(lab.kubectl(&[&apply[..], &[ARGO_CD]].concat())?),
        }
        lab.wait_established(&["applications.argoproj.io", "appprojects.argoproj.io"])
    }
}
