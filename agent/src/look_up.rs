//! Is an object there that no watch shows, and is it an app's? One that Argo CD deployed gets our labels on the way.

use cluster::{ApplyOptions, Cluster, Endpoint, Priority};
use drift::takeover::Owner;
use model::{CallError, ErrorClass, Object, ObjectKey, names};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often an object that changes under our hands is looked up.
const TRIES: u32 = 3;

/// What came of looking an object up.
pub(crate) enum Found {
    /// It is not there.
    Absent,
    /// It is there, and is to be left as it is.
    Left(Box<Object>),
    /// It carries our labels now.
    Labelled(Box<Object>),
    /// It could not be read, or not be labelled; with the object if it was read.
    Failed(CallError, Option<Box<Object>>),
}

/// Everything that looking an object up needs.
pub(crate) struct LookUp {
    pub cluster: Cluster,
    pub endpoint: Endpoint,
    pub object: ObjectKey,
    pub instance: String,
    pub installation_id: Option<String>,
    pub instance_label: String,
    pub part_of: String,
    pub gate: Arc<AtomicBool>,
}

impl LookUp {
    /// Looks it up, and labels it if it says itself that it is the app's.
    pub(crate) async fn run(self) -> Found {
        let mut last = CallError::new(ErrorClass::Conflict, "it changes all the time");
        for _ in 0..TRIES {
            match self.once().await {
                Found::Failed(error, _) if error.class == ErrorClass::Conflict => last = error,
                found @ (Found::Absent | Found::Left(_) | Found::Labelled(_) | Found::Failed(..)) => {
                    return found;
                }
            }
        }
        Found::Failed(last, None)
    }

    async fn once(&self) -> Found {
        let live = match self.cluster.get(&self.endpoint, &self.object.namespace, &self.object.name).await {
            Ok(None) => return Found::Absent,
            Ok(Some(value)) => Object::from_value(value),
            Err(error) => return Found::Failed(error, None),
        };
        let Ok(live) = live else {
            return Found::Failed(CallError::new(ErrorClass::Unavailable, "it cannot be read"), None);
        };
        let owner = Owner {
            instance: &self.instance,
            installation_id: self.installation_id.as_deref(),
            instance_label: &self.instance_label,
            part_of: &self.part_of,
        };
        let Some(body) = drift::takeover::labels(&live, &owner) else { return Found::Left(Box::new(live)) };
        if !self.gate.load(Ordering::Acquire) {
            let error = CallError::new(ErrorClass::Unavailable, "this replica does not write any more");
            return Found::Failed(error, Some(Box::new(live)));
        }
        let options = ApplyOptions {
            manager: names::TRACK_MANAGER.into(),
            force: false,
            dry_run: false,
            priority: Priority::Background,
        };
        match self.cluster.apply(&self.endpoint, &body, &options).await {
            Ok(applied) if drift::takeover::labels(&applied.object, &owner).is_none() => {
                Found::Labelled(Box::new(applied.object))
            }
            Ok(_) => {
                let error = CallError::new(ErrorClass::Denied, "something takes our labels off at once");
                Found::Failed(error, Some(Box::new(live)))
            }
            Err(error) => Found::Failed(error, Some(Box::new(live))),
        }
    }
}
