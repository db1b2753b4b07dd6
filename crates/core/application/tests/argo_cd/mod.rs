//! What do Argo CD's own CRDs say?

use serde_json::Value;

/// Returns the CRDs of Applications and of AppProjects.
pub(crate) fn definitions() -> [Value; 2] {
    let path = format!("{}/../../../fixtures/argo_cd/crds.yaml", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "tests read their fixtures")]
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    let documents = serde_yaml::Deserializer::from_str(&text)
        .map(|document| <Value as serde::Deserialize>::deserialize(document).expect("it is YAML"));
    documents.collect::<Vec<_>>().try_into().expect("there are two")
}
