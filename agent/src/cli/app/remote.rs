//! How is an agent asked about Applications over its API?

use crate::cli::app::follow;
use crate::cli::failure::Failure;
use crate::cli::paint::Paint;
use crate::exit::{self, DIFFERENCE, FORBIDDEN, NOT_FOUND, OTHER, TIMEOUT, USAGE};
use crate::tools::{print, talk};
use api::SyncBody;
use api::client::{Answer, Client, ClientError, Events, Opened, Unanswered, escape};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, value_parser};
use model::{AppKey, printable};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Longest wait for an answer that needs nobody else.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one question for a verdict lasts; then it is asked again, so that no proxy on the way gives up.
const ONE_WAIT: Duration = Duration::from_secs(50);

/// Returns the URL of the agent that is to be asked, if one is.
pub(crate) fn server(arguments: &ArgMatches) -> Option<String> {
    let given = arguments.try_get_one::<String>("server").ok().flatten().cloned();
    given.or_else(|| variable("TAUTLINE_SERVER"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The options that say which agent.
pub(crate) fn arguments() -> [Arg; 3] {
    [
        Arg::new("server")
            .long("server")
            .value_name("URL")
            .help("Asks the API of an agent instead of the cluster [default: TAUTLINE_SERVER]"),
        Arg::new("token-file")
            .long("token-file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("File with the token for it [default: TAUTLINE_TOKEN holds it]"),
        Arg::new("ca")
            .long("ca")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Certificates that vouch for it, as PEM [default: the machine's]"),
    ]
}

/// An agent, and which of its namespaces is meant.
pub(crate) struct Remote {
    client: Client,
    /// Where the Application lives, if that was said.
    namespace: Option<String>,
}

impl Remote {
    /// Returns the agent that is to be asked; none where the cluster is meant.
    pub(crate) fn of(arguments: &ArgMatches) -> Result<Option<Self>, Failure> {
        let Some(server) = server(arguments) else { return Ok(None) };
        let token = match arguments.get_one::<PathBuf>("token-file") {
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
                Failure::new(exit::of_io(&error), format!("read the token in {}: {error}", file.display()))
            })?),
            None => variable("TAUTLINE_TOKEN"),
        };
        let authority = arguments.get_one::<PathBuf>("ca").map(PathBuf::as_path);
        let client = Client::new(&server, token.as_deref(), authority).map_err(|error| unanswered(&error))?;
        let is_said = arguments.value_source("namespace") == Some(ValueSource::CommandLine);
        let namespace = arguments.get_one::<String>("namespace").filter(|_| is_said).cloned();
        Ok(Some(Self { client, namespace }))
    }

    /// Lists those of the agent's Applications that a query asks for.
    pub(crate) async fn list(&self, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let path = self.path("", "", query);
        Ok(ok(self.ask(&path, "application/json", PATIENCE).await?, "list Applications")?.json())
    }

    /// Asks for what changes of those that a query asks for; nothing where what changed since its `resourceVersion` is not
    /// known any more.
    pub(crate) async fn changes(&self, query: &[(&str, &str)]) -> Result<Option<Box<Events>>, Failure> {
        let path = self.with_query("/api/v1/stream/applications".into(), query);
        match self.client.open(&path, PATIENCE).await.map_err(|error| unanswered(&error))? {
            Opened::Events(events) => Ok(Some(events)),
            Opened::Refused(answer) if answer.status == 410 => Ok(None),
            Opened::Refused(answer) => Err(refused(&answer, "watch Applications")),
        }
    }

    /// Reads an Application.
    pub(crate) async fn get(&self, name: &str) -> Result<Value, Failure> {
        let path = self.path(name, "", &[]);
        Ok(ok(self.ask(&path, "application/json", PATIENCE).await?, &format!("read Application {name}"))?
            .json())
    }

    /// Asks for a sync.
    pub(crate) async fn sync(&self, name: &str, body: &SyncBody) -> Result<(), Failure> {
        let path = self.path(name, "/sync", &[]);
        let sync = &body.operation("")["sync"];
        let answer = self.client.post(&path, sync, PATIENCE).await.map_err(|error| unanswered(&error))?;
        ok(answer, &format!("ask for a sync of Application {name}")).map(drop)
    }

    /// Prints how live differs from Git.
    pub(crate) async fn drift(&self, name: &str) -> Result<ExitCode, Failure> {
        let path = self.path(name, "/drift", &[]);
        let what = format!("ask for the drift of Application {name}");
        let text = ok(self.ask(&path, "text/plain", PATIENCE).await?, &what)?;
        let text = String::from_utf8_lossy(&text.body).into_owned();
        let (headline, diff) = text.split_once('\n').unwrap_or((&text, ""));
        talk(&printable(headline));
        let code = if diff.trim().is_empty() { 0 } else { DIFFERENCE };
        Ok(print(&Paint::of_stdout().diff(diff), ExitCode::from(code)))
    }

    /// Waits for the verdict, and prints it.
    pub(crate) async fn wait(
        &self,
        key: &AppKey,
        revision: &str,
        timeout: Duration,
    ) -> Result<ExitCode, Failure> {
        let begun = Instant::now();
        loop {
            let left = timeout.saturating_sub(begun.elapsed());
            let once = left.min(ONE_WAIT).as_secs().max(1);
            let path =
                self.path(&key.name, "/wait", &[("revision", revision), ("timeout", &format!("{once}s"))]);
            let answer = self.ask(&path, "application/json", Duration::from_secs(once) + PATIENCE).await?;
            let said = answer.json();
            if let Some(word) = said["verdict"].as_str() {
                return Ok(verdict(word, &said));
            }
            if answer.status != 408 {
                return Err(refused(&answer, &format!("wait for Application {}", key.name)));
            }
            let waits_for = said["waitsFor"].as_str().unwrap_or("an answer");
            if begun.elapsed() >= timeout {
                return Err(follow::late(key, timeout, waits_for));
            }
            talk(&format!("waiting for {}", printable(waits_for)));
        }
    }

    async fn ask(&self, path: &str, accept: &str, timeout: Duration) -> Result<Answer, Failure> {
        self.client.get(path, accept, timeout).await.map_err(|error| unanswered(&error))
    }

    /// Writes the path of an Application, or of all, with what is not empty of a query.
    fn path(&self, name: &str, below: &str, query: &[(&str, &str)]) -> String {
        let mut path = "/api/v1/applications".to_owned();
        if !name.is_empty() {
            path.extend(["/", &escape(name), below]);
        }
        self.with_query(path, query)
    }

    fn with_query(&self, mut path: String, query: &[(&str, &str)]) -> String {
        let namespace = [("appNamespace", self.namespace.as_deref().unwrap_or_default())];
        let said = query.iter().chain(&namespace).filter(|(_, value)| !value.is_empty());
        for (n, (key, value)) in said.enumerate() {
            path.extend([if n == 0 { "?" } else { "&" }, key, "=", &escape(value)]);
        }
        path
    }
}

fn verdict(word: &str, said: &Value) -> ExitCode {
    let text = |field: &str| said[field].as_str().unwrap_or_default();
    let revision = crate::cli::app::facts::short(text("revision"));
    let revision = if revision.is_empty() { String::new() } else { format!(" {}", printable(&revision)) };
    let word = Paint::of_stdout().word(word);
    let line = format!("{word}{revision}: {}\n", printable(text("message")));
    let code = if text("verdict") == "Deployed" { 0 } else { DIFFERENCE };
    print(&line, ExitCode::from(code))
}

fn ok(answer: Answer, what: &str) -> Result<Answer, Failure> {
    if (200..300).contains(&answer.status) { Ok(answer) } else { Err(refused(&answer, what)) }
}

fn refused(answer: &Answer, what: &str) -> Failure {
    let (code, next) = match answer.status {
        400 => (USAGE, ""),
        401 => (FORBIDDEN, " (give a token by --token-file or TAUTLINE_TOKEN)"),
        403 => (FORBIDDEN, ""),
        404 => (NOT_FOUND, ""),
        408 | 504 => (TIMEOUT, ""),
        _ => (OTHER, ""),
    };
    Failure::new(code, format!("{what}: {}{next}", answer.message()))
}

pub(crate) fn unanswered(error: &ClientError) -> Failure {
    let code = match error.kind {
        Unanswered::Unusable => USAGE,
        Unanswered::Unreachable | Unanswered::Untrusted => OTHER,
        Unanswered::TimedOut => TIMEOUT,
    };
    Failure::new(code, error.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn remote(namespace: Option<&str>) -> Remote {
        let client = Client::new("http://127.0.0.1:1", None, None).unwrap();
        Remote { client, namespace: namespace.map(str::to_owned) }
    }

    #[test]
    fn paths_say_what_was_said() {
        let path =
            |namespace, name, below, query: &[(&str, &str)]| remote(namespace).path(name, below, query);
        assert_eq!(path(None, "", "", &[("selector", "")]), "/api/v1/applications");
        assert_eq!(path(None, "", "", &[("selector", "a=b,c")]), "/api/v1/applications?selector=a%3Db%2Cc");
        assert_eq!(
            path(Some("team"), "a/b", "/wait", &[("revision", ""), ("timeout", "5s")]),
            "/api/v1/applications/a%2Fb/wait?timeout=5s&appNamespace=team"
        );
    }

    #[test]
    fn what_an_agent_refuses_has_its_exit_code() {
        let code =
            |status| refused(&Answer { status, body: json!({"message": "no"}).to_string().into() }, "ask");
        for (status, expected) in
            [(400, 2), (401, 5), (403, 5), (404, 4), (408, 3), (409, 6), (503, 6), (504, 3)]
        {
            assert_eq!(code(status).code, expected, "{status}");
        }
        assert_eq!(code(404).message, "ask: no");
    }
}
