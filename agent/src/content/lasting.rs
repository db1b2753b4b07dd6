//! What of a release cannot be restored? Claims and claim templates are looked at before the app goes back: the rest is
//! restored around what lasts, and people are told what that is.

use crate::desired::DesiredSet;
use crate::wanted::Kept;
use cluster::{Cluster, Endpoint, Priority};
use engine::{Desired, NotRecalled};
use model::{ErrorClass, ObjectKey};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Returns whether anything of it may last.
pub(super) fn has_some(set: &DesiredSet) -> bool {
    set.objects.keys().any(drift::may_last)
}

/// Lets a release keep what cannot be taken back of live.
///
/// # Errors
/// The API server does not tell what is there. Where that may not be read, the release stays as it is.
pub(super) async fn keep(cluster: &Cluster, set: Arc<DesiredSet>) -> Result<Arc<DesiredSet>, NotRecalled> {
    let mut live = BTreeMap::new();
    for key in set.objects.keys().filter(|key| drift::may_last(key)) {
        match look(cluster, key).await {
            Ok(found) => drop(live.insert(key.clone(), found)),
            Err(error) if matches!(error.class, ErrorClass::Forbidden | ErrorClass::Invalid) => {
                tracing::warn!(object = %key, %error, "what of it cannot be restored is not known");
            }
            Err(error) => return Err(NotRecalled { message: error.to_string(), is_transient: true }),
        }
    }
    Ok(around(&set, &live).map_or(set, Arc::new))
}

async fn look(cluster: &Cluster, key: &ObjectKey) -> Result<Option<Value>, model::CallError> {
    let endpoint = match key.kind.as_str() {
        "StatefulSet" => Endpoint::new("apps/v1", "StatefulSet", "statefulsets", true),
        _ => Endpoint::new("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    };
    cluster.get_at(Priority::Apply, &endpoint, &key.namespace, &key.name).await
}

/// Returns the set around what lasts; `None` where it can be restored whole.
fn around(set: &DesiredSet, live: &BTreeMap<ObjectKey, Option<Value>>) -> Option<DesiredSet> {
    let (mut lasting, mut changed) = (Vec::new(), BTreeMap::new());
    for (key, live) in live {
        let mut object = set.objects.get(key)?.open().object;
        if let Some(sentence) = drift::keep_lasting(&mut object, live.as_ref()) {
            lasting.push(sentence);
            changed.insert(key, object);
        }
    }
    if lasting.is_empty() {
        return None;
    }
    let open = |(key, kept): (&ObjectKey, &Kept)| changed.remove(key).unwrap_or_else(|| kept.open().object);
    let objects = set.objects.iter().map(open).collect();
    let summary = Arc::new(Desired { lasting, ..Desired::clone(&set.summary) });
    // It is not what the files say: whoever wants these renders them.
    Some(DesiredSet { summary, inputs: String::new(), objects, ..set.clone() })
}
