//! What do the commands do that need no agent?

use crate::cli::output;
use crate::cli::paint::Paint;
use crate::cli::table::Table;
use crate::exit::{self, DIFFERENCE, OTHER};
use clap::ArgMatches;
use model::printable;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::ExitCode;

/// Prints the CRDs.
pub(crate) fn crd() -> ExitCode {
    print(&application::crd::all_yaml(), ExitCode::SUCCESS)
}

/// Says how well live objects are.
pub(crate) fn health(arguments: &ArgMatches) -> ExitCode {
    let file = arguments.get_one::<String>("file").map_or("-", String::as_str);
    let mut bytes = Vec::new();
    let read = if file == "-" {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    if let Err(error) = read {
        return complain(&format!("{file} cannot be read: {error}"), exit::of_io(&error));
    }
    let (objects, problems) = manifest::parse(file, &bytes);
    for problem in &problems {
        talk(&format!("error: {}", printable(&problem.to_string())));
    }
    if objects.is_empty() && problems.is_empty() {
        let file = printable(file);
        talk(&format!("{file} holds no object; give it what `kubectl get ... -o yaml` prints"));
    }
    let lines: Vec<(String, String, Option<model::Health>)> = objects
        .iter()
        .map(|parsed| {
            let object = &parsed.object;
            let name = if object.namespace().is_empty() {
                object.name().into()
            } else {
                format!("{}/{}", object.namespace(), object.name())
            };
            (object.gvk().group_kind().to_string(), name, health::assess(object))
        })
        .collect();
    let form = arguments.get_one::<String>("output").map_or("", String::as_str);
    let text = output::structured(form, &health_of(&lines)).unwrap_or_else(|| health_table(&lines));
    let is_bad = lines
        .iter()
        .any(|(_, _, health)| health.as_ref().is_some_and(|h| h.status != model::HealthStatus::Healthy));
    let code = match (problems.is_empty(), is_bad) {
        (true, false) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(DIFFERENCE),
        (false, _) => ExitCode::from(OTHER),
    };
    print(&text, code)
}

fn health_table(lines: &[(String, String, Option<model::Health>)]) -> String {
    let mut table = Table::new(&["KIND", "NAME", "STATUS", "MESSAGE"]);
    for (kind, name, health) in lines {
        let (status, message) = health.as_ref().map_or(("", ""), |h| (h.status.as_str(), h.message.as_str()));
        table.push(&[kind.clone(), name.clone(), status.into(), message.into()]);
    }
    table.text(Paint::of_stdout())
}

fn health_of(lines: &[(String, String, Option<model::Health>)]) -> Value {
    let items = lines.iter().map(|(kind, name, health)| {
        json!({"kind": kind, "name": name,
            "status": health.as_ref().map(|h| h.status.as_str()), "message": health.as_ref().map(|h| h.message.as_str())})
    });
    Value::Array(items.collect())
}

/// Prints a result.
pub(crate) fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        // A reader that has enough, such as head, is no mistake.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => code,
        Err(_) => ExitCode::from(OTHER),
    }
}

/// Says why there is no result. What a terminal would act on is escaped.
pub(crate) fn complain(message: &str, code: u8) -> ExitCode {
    talk(&format!("error: {}", printable(message)));
    ExitCode::from(code)
}

/// Says something beside the result. Whoever puts others' words into it escapes what a terminal would act on.
pub(crate) fn talk(message: &str) {
    // Talk on stderr; there is nobody left to tell if that fails.
    let _unheard = writeln!(std::io::stderr(), "{message}");
}
