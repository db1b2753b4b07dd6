//! How are log lines written, so that nothing that somebody else says looks like one?

use crate::cli::paint::Paint;
use crate::log_queue::LogQueue;
use model::{printable, printable_json};
use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

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
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    if json {
        let lines = move || Escaping(Queued(lines.clone()));
        builder.with_writer(lines).json().flatten_event(true).init();
    } else {
        let colours = Paint::of_stderr() == Paint::Colours;
        let fields = debug_fn(field).delimited(" ");
        let lines = move || Queued(lines.clone());
        builder.with_writer(lines).with_ansi(colours).fmt_fields(fields).init();
    }
    Ok(())
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
