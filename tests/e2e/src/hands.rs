//! How do people and other tools change objects, as `managedFields` tell them apart?

use serde_json::Value;

use crate::agent::Agent;
use crate::http::{self, Answer};
use crate::scene::Scene;

impl Agent {
    /// Reads a path of the API as a person does who wants a media type, such as `text/plain`.
    pub fn get_as(&self, path: &str, media_type: &str) -> Answer {
        self.keep("GET", path, http::get_as(self.api(), path, media_type))
    }
}

impl Scene {
    /// Runs the real kubectl in the app namespace and returns what it printed.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let arguments = [&["-n", self.namespace.as_str()], arguments].concat();
        self.lab.kubectl(&arguments).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Applies manifests server-side, by force, as a field manager: an entry with the operation `Apply`.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn apply_as(&self, manager: &str, manifests: &str) {
        let manager = format!("--field-manager={manager}");
        let arguments =
            ["-n", &self.namespace, "apply", "--server-side", "--force-conflicts", &manager, "-f", "-"];
        let applied = self.lab.kubectl_with_input(&arguments, manifests);
        applied.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Changes an object, such as `deployment/web`, by a JSON merge patch as a field manager: an entry with the operation
    /// `Update`.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn edit_as(&self, manager: &str, object: &str, patch: &Value) {
        let (manager, patch) = (format!("--field-manager={manager}"), patch.to_string());
        self.kubectl(&["patch", object, &manager, "--type=merge", "--patch", &patch]);
    }
}
