//! What changes? `-w` prints what there is, and then one row, or one document, for each change.

use crate::cli::app::follow;
use crate::cli::app::store::Store;
use crate::cli::app::stream::Stream;
use crate::cli::app::view::{Columns, document};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, without_managers};
use crate::cli::paint::Paint;
use crate::tools::talk;
use cluster::{WatchEvent, WatchHandle, WatchId, WatchSpec};
use model::{ObjectKey, printable};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::ExitCode;
use tokio::sync::mpsc;

/// Which Applications.
pub(crate) struct Which<'a> {
    /// Of one namespace, or of all.
    pub namespace: Option<&'a str>,
    /// With these labels; empty for any.
    pub selector: &'a str,
    /// Of this name; empty for any.
    pub name: &'a str,
}

/// Prints until nobody reads any more, or nothing can be seen for a reason that does not pass.
pub(crate) async fn run(
    store: Store,
    which: Which<'_>,
    (columns, output): (Columns, Output),
) -> Result<ExitCode, Failure> {
    let mut changes = Changes::of(store, &which);
    let mut seen = Seen::new(columns, output, Paint::of_stdout());
    while let Some(event) = changes.next().await? {
        let text = seen.take(event)?;
        let mut out = std::io::stdout().lock();
        // A reader that has enough, such as head, is no mistake.
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where changes come from.
enum Changes {
    /// From the cluster.
    Cluster { events: mpsc::Receiver<(WatchId, WatchEvent)>, _watch: WatchHandle },
    /// From an agent.
    Agent(Box<Stream>),
}

impl Changes {
    fn of(store: Store, which: &Which<'_>) -> Self {
        let cluster = match store {
            Store::Cluster(cluster) => cluster,
            Store::Remote(remote) => return Self::Agent(Box::new(Stream::new(remote, which))),
        };
        let mut spec = WatchSpec::all(crate::watching::applications());
        spec.namespace = which.namespace.map(str::to_owned);
        which.selector.clone_into(&mut spec.label_selector);
        if !which.name.is_empty() {
            spec.field_selector = format!("metadata.name={}", which.name);
        }
        let (sender, events) = mpsc::channel(64);
        let watch = cluster.watch(spec, sender, WatchId(0));
        Self::Cluster { events, _watch: watch }
    }

    async fn next(&mut self) -> Result<Option<WatchEvent>, Failure> {
        match self {
            Self::Cluster { events, .. } => Ok(events.recv().await.map(|(_, event)| event)),
            Self::Agent(stream) => stream.next().await.map(Some),
        }
    }
}

/// What was printed so far.
struct Seen {
    columns: Columns,
    output: Output,
    paint: Paint,
    table: crate::cli::table::Table,
    rows: BTreeMap<ObjectKey, Vec<String>>,
    /// What the list under way has told, and nobody has seen yet.
    waiting: Option<Vec<(ObjectKey, Value)>>,
}

impl Seen {
    fn new(columns: Columns, output: Output, paint: Paint) -> Self {
        Self { columns, output, paint, table: columns.table(), rows: BTreeMap::new(), waiting: None }
    }

    /// Returns what an event adds to what is printed.
    fn take(&mut self, event: WatchEvent) -> Result<String, Failure> {
        match event {
            WatchEvent::Began => self.waiting = Some(Vec::new()),
            WatchEvent::Object(object, _) => {
                let (key, app) = (object.key(), without_managers(object.into_value()));
                match &mut self.waiting {
                    Some(waiting) => waiting.push((key, app)),
                    None => return Ok(self.changed(key, &app)),
                }
            }
            WatchEvent::Listed(_) => return Ok(self.listed()),
            WatchEvent::Deleted(key, _) => {
                self.gone(&key);
            }
            WatchEvent::Undecodable { name, namespace, sentence, .. } => {
                talk(&format!("warning: Application {namespace}/{}: {sentence}", printable(&name)));
            }
            WatchEvent::Blind { why, .. } => return follow::blind(&why).map(|()| String::new()),
            WatchEvent::Seeing => {}
        }
        Ok(String::new())
    }

    /// The first list makes the table, so that its columns fit; a later one shows what changed meanwhile.
    fn listed(&mut self) -> String {
        let waiting = self.waiting.take().unwrap_or_default();
        let there: BTreeSet<&ObjectKey> = waiting.iter().map(|(key, _)| key).collect();
        for key in self.rows.keys().filter(|key| !there.contains(key)).cloned().collect::<Vec<_>>() {
            self.gone(&key);
        }
        if !matches!(self.output, Output::Table | Output::Wide) || !self.table.is_empty() {
            return waiting.into_iter().map(|(key, app)| self.changed(key, &app)).collect();
        }
        for (key, app) in waiting {
            let row = self.columns.row(&app);
            self.table.push(&row);
            self.rows.insert(key, row);
        }
        self.table.text(self.paint)
    }

    fn gone(&mut self, key: &ObjectKey) {
        if self.rows.remove(key).is_some() {
            talk(&format!("Application {}/{} was deleted", key.namespace, printable(&key.name)));
        }
    }

    fn changed(&mut self, key: ObjectKey, app: &Value) -> String {
        let (row, text) = match self.output {
            Output::Table | Output::Wide => {
                let row = self.columns.row(app);
                let text = self.table.row(&row, self.paint);
                (row, text)
            }
            Output::Json | Output::Yaml | Output::Name => {
                let text = document(app, self.output);
                let text = if self.output == Output::Yaml { format!("---\n{text}") } else { text };
                (vec![text.clone()], text)
            }
        };
        let is_new = self.rows.insert(key, row.clone()).is_none_or(|old| old != row);
        if is_new { text } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::Origin;
    use model::{CallError, ErrorClass, Object};
    use serde_json::json;

    fn app(name: &str, sync: &str) -> WatchEvent {
        let object = Object::from_value(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd"}, "status": {"sync": {"status": sync}}}));
        WatchEvent::Object(object.unwrap(), Origin::Modified)
    }

    fn seen(output: Output) -> Seen {
        Seen::new(Columns { with_namespace: false, is_wide: false }, output, Paint::Plain)
    }

    #[test]
    fn a_table_first_and_then_a_row_for_each_change() {
        let mut seen = seen(Output::Table);
        let mut told = String::new();
        let events = [
            WatchEvent::Began,
            app("shop", "OutOfSync"),
            WatchEvent::Listed(String::new()),
            WatchEvent::Seeing,
            app("shop", "OutOfSync"),
            app("shop", "Synced"),
            // The watch begins anew: what did not change is not told again.
            WatchEvent::Began,
            app("shop", "Synced"),
            app("till", "Synced"),
            WatchEvent::Listed(String::new()),
            // It went while nobody looked, and comes back as it was.
            WatchEvent::Began,
            app("shop", "Synced"),
            WatchEvent::Listed(String::new()),
            app("till", "Synced"),
        ];
        for event in events {
            told.push_str(&seen.take(event).unwrap());
        }
        assert_eq!(
            told,
            "NAME   SYNC        HEALTH    REVISION   LAST SYNC\n\
             shop   OutOfSync   Unknown   -\n\
             shop   Synced      Unknown   -\n\
             till   Synced      Unknown   -\n\
             till   Synced      Unknown   -\n"
        );
    }

    #[test]
    fn names_are_told_once_and_a_lack_of_rights_ends_it() {
        let mut seen = seen(Output::Name);
        let events = [
            WatchEvent::Began,
            app("shop", "Synced"),
            WatchEvent::Listed(String::new()),
            app("shop", "Unknown"),
        ];
        let told: String = events.into_iter().map(|event| seen.take(event).unwrap()).collect();
        assert_eq!(told, "application.argoproj.io/shop\n");
        let why = CallError::new(ErrorClass::Forbidden, "cannot watch");
        let blind = WatchEvent::Blind { since: model::Timestamp::from_millis(0), why };
        assert_eq!(seen.take(blind).unwrap_err().code, crate::exit::FORBIDDEN);
    }
}
