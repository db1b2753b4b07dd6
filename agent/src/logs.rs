//! How are log lines written, so that nothing that somebody else says looks like one?

use model::{printable, printable_json};
use std::io::{IsTerminal as _, Stderr, Write};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Starts to write log lines to standard error, as JSON or for people; `RUST_LOG` chooses which.
pub(crate) fn start(json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,kube_client=off,tower=off"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    if json {
        builder.with_writer(|| Escaping(std::io::stderr())).json().flatten_event(true).init();
    } else {
        let colours = std::io::stderr().is_terminal();
        let fields = debug_fn(field).delimited(" ");
        builder.with_writer(std::io::stderr).with_ansi(colours).fmt_fields(fields).init();
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
struct Escaping(Stderr);

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
