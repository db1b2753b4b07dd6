//! How are log lines written, so that nothing that somebody else says looks like one?

use crate::cli::paint::Paint;
use crate::log_queue::LogQueue;
use model::{printable, printable_json};
use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How long the end of the process waits for whoever reads its log.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The queue of the process's one log: what ends the process from anywhere has to write it out first.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Starts to write log lines to standard error, as JSON or for people; `RUST_LOG` chooses which. Nobody who has something to
/// say waits for whoever reads.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(json: bool) -> std::io::Result<()> {
    let queue = LogQueue::start(std::io::stderr())?;
    let lines = QUEUE.get_or_init(|| queue).clone();
    after_last_words();
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,kube_client=off,tower=off"));
    if json {
        let lines = move || Escaping(Queued(lines.clone()));
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
        builder.with_writer(lines).json().flatten_event(true).init();
    } else {
        for_people(filter, move || Queued(lines.clone()), Paint::of_stderr()).init();
    }
    Ok(())
}

/// Returns what writes lines for people: when, how bad, the sentence, then the fields.
fn for_people<W>(filter: EnvFilter, lines: W, paint: Paint) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let fields = debug_fn(field).delimited(" ");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    builder.with_writer(lines).with_ansi(paint == Paint::Colours).fmt_fields(fields).finish()
}

/// Writes out what was said so far, unless nobody reads it; returns whether it is written.
pub(crate) fn flush() -> bool {
    QUEUE.get().is_none_or(|queue| queue.flush(LAST_WORDS))
}

/// Returns how many lines nobody will ever read.
pub(crate) fn dropped() -> u64 {
    QUEUE.get().map_or(0, LogQueue::dropped)
}

/// Has a panic told after what was said before it; where nobody reads, it waits with the rest, for telling it would never end.
fn after_last_words() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match QUEUE.get().filter(|_| !flush()) {
        Some(queue) => queue.push(format!("{panic}\n").into_bytes()),
        None => tell(panic),
    }));
}

/// Hands over whole lines.
struct Queued(LogQueue);

impl Write for Queued {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes one field of a line: the message as it is, others with their names, and nothing that a terminal acts on.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    let shown = printable(&text);
    if field.name() == "message" {
        write!(writer, "{shown}")
    } else {
        write!(writer, "{}={shown}", field.name())
    }
}

/// Writes JSON, with what JSON may hold and a terminal acts on as escapes. It is given whole lines.
struct Escaping(Queued);

impl Write for Escaping {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(printable_json(text).as_bytes())?,
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, shop};
    use engine::{Note, Tone};
    use model::{Reason, Revision};
    use std::sync::{Arc, Mutex};

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn people_read_one_line_per_transition_with_its_fields_behind_the_sentence() {
        let mut harness = Harness::new(&[]).await;
        let entry = harness.agent.apps.get_mut(&shop()).unwrap();
        Arc::make_mut(entry.state.desired.as_mut().unwrap()).revision = Revision::new("64efe990".repeat(5));
        let kept = Kept::default();
        let lines = {
            let kept = kept.clone();
            move || kept.clone()
        };
        let _guard = for_people(EnvFilter::new("info"), lines, Paint::Plain).set_default();
        for (tone, reason, message) in [
            (Tone::Plain, Reason::Synced, "sync to 64efe99 succeeded in 0.4s"),
            (Tone::Warning, Reason::Refused, "refused:\nINFO all is well"),
        ] {
            harness.agent.tell(&shop(), &Note { reason, message: message.into(), tone });
        }
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let without_time = |line: &str| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.len() == 27 && time.ends_with('Z'), "{line}");
            rest.trim_start().to_owned()
        };
        let fields = r#"app=argocd/shop revision="64efe99" reason="#;
        assert_eq!(
            text.lines().map(without_time).collect::<Vec<_>>(),
            [
                format!("INFO sync to 64efe99 succeeded in 0.4s {fields}Synced"),
                format!(r"WARN refused:\nINFO all is well {fields}Refused"),
            ]
        );
    }
}
