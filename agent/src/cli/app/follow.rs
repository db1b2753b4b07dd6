//! How is an Application followed until something is decided?

use crate::cli::failure::Failure;
use crate::exit::TIMEOUT;
use crate::tools::talk;
use cluster::{Cluster, WatchEvent, WatchId, WatchSpec};
use engine::waiting::{Outcome, Verdict};
use model::{AppKey, CallError, ErrorClass, printable};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often an Application that does not change is judged again: what was asked of Git beside it may have an answer by now.
const AGAIN: Duration = Duration::from_secs(5);

/// Until when a verdict is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    end: Instant,
    length: Duration,
}

impl Limit {
    /// Begins to wait.
    pub(crate) fn new(length: Duration) -> Self {
        Self { end: Instant::now() + length, length }
    }

    /// Returns how much is left of it.
    pub(crate) fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Waits for something as long as there is time.
    pub(crate) async fn within<T>(
        self,
        app: &AppKey,
        waits_for: &str,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = |_| Err(self.late(app, waits_for));
        tokio::time::timeout_at(self.end, future).await.unwrap_or_else(late)
    }

    /// Says that the time is over.
    pub(crate) fn late(self, app: &AppKey, waits_for: &str) -> Failure {
        let seconds = self.length.as_secs();
        Failure::new(
            TIMEOUT,
            format!("Application {app}: no verdict within {seconds} s: it waits for {waits_for}"),
        )
    }
}

/// Looks at an Application whenever it changes, and ends with what `judge` decides.
///
/// # Errors
/// What cannot get better by waiting, that it is gone, or that the time is over, with what was waited for last.
pub(crate) async fn until(
    cluster: &Cluster,
    app: &AppKey,
    limit: Limit,
    mut judge: impl AsyncFnMut(&Value) -> Result<Outcome, Failure>,
) -> Result<(Verdict, Value), Failure> {
    let mut spec = WatchSpec::all(crate::watching::applications());
    spec.namespace = Some(app.namespace.clone());
    spec.field_selector = format!("metadata.name={}", app.name);
    let (sender, mut events) = mpsc::channel(16);
    let _watch = cluster.watch(spec, sender, WatchId(0));
    let mut waits_for = "the cluster to answer".to_owned();
    let mut seen = Seen::default();
    loop {
        let next = limit.end.min(Instant::now() + AGAIN);
        match tokio::time::timeout_at(next, events.recv()).await {
            Ok(Some((_, event))) => seen.take(app, event)?,
            Ok(None) => return Err(limit.late(app, &waits_for)),
            Err(_) if limit.left().is_zero() => return Err(limit.late(app, &waits_for)),
            Err(_) => {}
        }
        while let Ok((_, event)) = events.try_recv() {
            seen.take(app, event)?;
        }
        let Some(value) = &seen.app else { continue };
        match limit.within(app, &waits_for, judge(value)).await? {
            Outcome::Decided(verdict) => return Ok((verdict, value.clone())),
            Outcome::Waits(what) if what != waits_for => {
                talk(&format!("waiting for {}", printable(&what)));
                waits_for = what;
            }
            Outcome::Waits(_) => {}
        }
    }
}

/// What the watch has told so far.
#[derive(Default)]
struct Seen {
    app: Option<Value>,
    /// Whether the list under way holds it.
    is_listed: bool,
}

impl Seen {
    fn take(&mut self, app: &AppKey, event: WatchEvent) -> Result<(), Failure> {
        let deleted = || Err(Failure::not_found(format!("Application {app} was deleted")));
        match event {
            WatchEvent::Object(object, _) => {
                self.is_listed = true;
                self.app = Some(object.into_value());
            }
            WatchEvent::Deleted(..) => return deleted(),
            WatchEvent::Undecodable { sentence, .. } => {
                self.is_listed = true;
                talk(&format!("warning: Application {app}: {sentence}"));
            }
            WatchEvent::Blind { why, .. } => blind(&why)?,
            WatchEvent::Began => self.is_listed = false,
            // It went while nobody saw it.
            WatchEvent::Listed(_) if !self.is_listed => return deleted(),
            WatchEvent::Listed(_) | WatchEvent::Seeing => {}
        }
        Ok(())
    }
}

/// Ends what cannot get better by waiting, and tells of the rest.
pub(crate) fn blind(why: &CallError) -> Result<(), Failure> {
    let is_final = matches!(why.class, ErrorClass::Forbidden | ErrorClass::NoSuchKind | ErrorClass::Invalid)
        || why.status == Some(401);
    if is_final {
        return Err(Failure::of_listing("watch Applications", why));
    }
    talk(&format!("warning: the cluster is not seen now: {}", printable(&why.message)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::NOT_FOUND;
    use cluster::Origin;
    use model::Object;
    use serde_json::json;

    fn told() -> WatchEvent {
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "shop"}});
        WatchEvent::Object(Object::from_value(object).unwrap(), Origin::Listed)
    }

    /// Returns the exit code that ends a wait which is told this.
    fn ends(events: Vec<WatchEvent>) -> Option<u8> {
        let mut seen = Seen::default();
        let app = AppKey::new("argocd", "shop");
        events.into_iter().find_map(|event| seen.take(&app, event).err()).map(|failure| failure.code)
    }

    #[test]
    fn an_application_that_went_while_nobody_saw_it_is_not_waited_for() {
        let listed = || WatchEvent::Listed(String::new());
        assert_eq!(ends(vec![WatchEvent::Began, told(), listed(), WatchEvent::Seeing]), None);
        let anew = vec![WatchEvent::Began, told(), listed(), WatchEvent::Began, listed()];
        assert_eq!(ends(anew), Some(NOT_FOUND));
        assert_eq!(ends(vec![WatchEvent::Began, listed()]), Some(NOT_FOUND));
    }

    #[tokio::test]
    async fn nothing_takes_longer_than_there_is_time() {
        let limit = Limit::new(Duration::from_millis(20));
        let app = AppKey::new("argocd", "shop");
        let for_ever = std::future::pending::<Result<(), Failure>>();
        let late = limit.within(&app, "Git to answer", for_ever).await.unwrap_err();
        assert_eq!(late.code, TIMEOUT);
        assert_eq!(
            late.message,
            "Application argocd/shop: no verdict within 0 s: it waits for Git to answer"
        );
        assert!(limit.left().is_zero());
    }
}
