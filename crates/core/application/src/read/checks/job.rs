//! Which Job of the app's own manifests is a check?

use super::fields::Fields;
use super::namespace_of;
use crate::findings::Findings;
use model::JobProbe;

/// Longest name of such a Job: what is run is called by it and by the content that it is run for.
const LONGEST_NAME: usize = 50;

pub(super) fn read(fields: &Fields<'_>, namespace: &str, findings: &mut Findings) -> Option<JobProbe> {
    fields.know(&["name", "namespace"], findings);
    let namespace = namespace_of(fields, namespace, findings);
    let name = fields.label("name", "Job", findings);
    if name.as_ref().is_some_and(|name| name.len() > LONGEST_NAME) {
        findings.problem(&fields.path("name"), format!("is longer than {LONGEST_NAME} characters"));
    }
    Some(JobProbe { namespace: namespace?, name: name? })
}
