//! How is an Application followed until something is decided?

use crate::cli::app::facts::short;
use crate::cli::app::verdict::{Outcome, looked_at};
use crate::cli::failure::Failure;
use crate::cli::paint::Paint;
use crate::exit::{DIFFERENCE, TIMEOUT};
use crate::tools::{print, talk};
use cluster::{Cluster, WatchEvent, WatchId, WatchSpec};
use engine::waiting::Word;
use model::{AppKey, CallError, ErrorClass, printable};
use serde_json::Value;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// In one word.
    pub word: Word,
    /// The revision, as far as it is known.
    pub revision: String,
    /// Why.
    pub message: String,
}

/// Looks at an Application whenever it changes, and ends with what `judge` decides.
///
/// # Errors
/// What cannot get better by waiting, that it is gone, or that the time is over, with what was waited for last.
pub(crate) async fn until(
    cluster: &Cluster,
    app: &AppKey,
    timeout: Duration,
    mut judge: impl AsyncFnMut(&Value) -> Result<Outcome, Failure>,
) -> Result<(Ended, Value), Failure> {
    let mut spec = WatchSpec::all(crate::watching::applications());
    spec.namespace = Some(app.namespace.clone());
    spec.field_selector = format!("metadata.name={}", app.name);
    let (sender, mut events) = mpsc::channel(16);
    let _watch = cluster.watch(spec, sender, WatchId(0));
    let mut waits_for = "the cluster to answer".to_owned();
    let mut told = String::new();
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        let Ok(Some((_, event))) = tokio::time::timeout_at(deadline, events.recv()).await else {
            return Err(late(app, timeout, &waits_for));
        };
        let value = match taken(app, event)? {
            ControlFlow::Break(value) => value,
            ControlFlow::Continue(()) => continue,
        };
        match judge(&value).await? {
            Outcome::Decided(word, message) => {
                let revision = short(looked_at(&value));
                return Ok((Ended { word, revision, message }, value));
            }
            Outcome::Waits(what) => waits_for = what,
        }
        if told != waits_for {
            talk(&format!("waiting for {}", printable(&waits_for)));
            told.clone_from(&waits_for);
        }
    }
}

/// Returns the Application that an event tells of.
fn taken(app: &AppKey, event: WatchEvent) -> Result<ControlFlow<Value>, Failure> {
    match event {
        WatchEvent::Object(object, _) => Ok(ControlFlow::Break(object.into_value())),
        WatchEvent::Deleted(..) => Err(Failure::not_found(format!("Application {app} was deleted"))),
        WatchEvent::Undecodable { sentence, .. } => {
            talk(&format!("warning: Application {app}: {sentence}"));
            Ok(ControlFlow::Continue(()))
        }
        WatchEvent::Blind { why, .. } => blind(&why).map(ControlFlow::Continue),
        WatchEvent::Began | WatchEvent::Listed(_) | WatchEvent::Seeing => Ok(ControlFlow::Continue(())),
    }
}

/// Ends what cannot get better by waiting, and tells of the rest.
pub(crate) fn blind(why: &CallError) -> Result<(), Failure> {
    let is_final = matches!(why.class, ErrorClass::Forbidden | ErrorClass::NoSuchKind | ErrorClass::Invalid)
        || why.status == Some(401);
    if is_final {
        return Err(Failure::of_call("watch Applications", why));
    }
    talk(&format!("warning: the cluster is not seen now: {}", printable(&why.message)));
    Ok(())
}

/// Says that the time is over.
pub(crate) fn late(app: &AppKey, timeout: Duration, waits_for: &str) -> Failure {
    let seconds = timeout.as_secs();
    Failure::new(
        TIMEOUT,
        format!("Application {app}: no verdict within {seconds} s: it waits for {waits_for}"),
    )
}

impl Ended {
    /// Prints how it ended; anything but `Deployed` is a bad verdict.
    pub(crate) fn print(&self) -> ExitCode {
        let code = match self.word {
            Word::Deployed => ExitCode::SUCCESS,
            Word::Superseded | Word::Held | Word::Failed | Word::NotRequested => ExitCode::from(DIFFERENCE),
        };
        print(&self.line(Paint::of_stdout()), code)
    }

    fn line(&self, paint: Paint) -> String {
        let revision = if self.revision.is_empty() { String::new() } else { format!(" {}", self.revision) };
        format!("{}{}: {}\n", paint.word(self.word.as_str()), printable(&revision), printable(&self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_ended_is_one_line() {
        let ended = Ended { word: Word::Held, revision: "e062505".into(), message: "no\nroom".into() };
        assert_eq!(ended.line(Paint::Plain), "Held e062505: no\\nroom\n");
    }
}
