//! How is an agent asked about Applications over its API?

use crate::cli::app::follow::Limit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::paint::Paint;
use crate::exit::{self, DIFFERENCE, FORBIDDEN, NOT_FOUND, OTHER, TIMEOUT, USAGE};
use crate::tools::{print, talk};
use api::SyncBody;
use api::client::{Answer, Client, ClientError, Events, Opened, Unanswered, escape};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, value_parser};
use model::{AppKey, SyncStatus, printable};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Longest wait for an answer that needs nobody else.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one question for a verdict lasts; then it is asked again, so that no proxy on the way gives up.
const ONE_WAIT: Duration = Duration::from_secs(50);

/// How much longer its answer may be on its way.
const GRACE: Duration = Duration::from_secs(5);

/// Pauses before an agent that gave no answer is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Returns the URL of the agent that is to be asked, if one is.
///
/// # Errors
/// When the environment names one that cannot be read: asking the cluster instead would be another answer.
pub(crate) fn server(arguments: &ArgMatches) -> Result<Option<String>, Failure> {
    match arguments.try_get_one::<String>("server").ok().flatten() {
        Some(given) => Ok(Some(given.clone())),
        None => variable("TAUTLINE_SERVER"),
    }
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    // What it holds is not told: it may be a token.
    let unreadable =
        |_| Failure::usage(format!("the variable {name} is not UTF-8 (set it anew, or unset it)"));
    value.map(|value| value.into_string().map_err(unreadable)).transpose()
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
        let Some(server) = server(arguments)? else { return Ok(None) };
        let token = match arguments.get_one::<PathBuf>("token-file") {
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
                Failure::new(exit::of_io(&error), format!("read the token in {}: {error}", file.display()))
            })?),
            None => variable("TAUTLINE_TOKEN")?,
        };
        let authority = arguments.get_one::<PathBuf>("ca").map(PathBuf::as_path);
        let client = Client::new(&server, token.as_deref(), authority).map_err(|error| unanswered(&error))?;
        let is_said = arguments.value_source("namespace") == Some(ValueSource::CommandLine);
        let of_all = arguments.try_get_one::<bool>("all-namespaces").ok().flatten().is_some_and(|all| *all);
        // -A wins over -n, as in kubectl.
        let namespace = arguments.get_one::<String>("namespace").filter(|_| is_said && !of_all).cloned();
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

    /// Reads the releases of an Application, and what only looks like some.
    pub(crate) async fn releases(&self, name: &str) -> Result<Value, Failure> {
        let path = self.path(name, "/releases", &[]);
        let what = format!("read the releases of Application {name}");
        Ok(ok(self.ask(&path, "application/json", PATIENCE).await?, &what)?.json())
    }

    /// Asks for a sync; returns what the Application is like then.
    pub(crate) async fn sync(&self, name: &str, body: &SyncBody) -> Result<Value, Failure> {
        let path = self.path(name, "/sync", &[]);
        let sync = &body.operation("")["sync"];
        let answer = self.client.post(&path, sync, PATIENCE).await.map_err(|error| unanswered(&error))?;
        Ok(ok(answer, &format!("ask for a sync of Application {name}"))?.json())
    }

    /// Asks for something beside a sync; returns what the Application is like then.
    pub(crate) async fn of_releases(
        &self,
        name: &str,
        (method, path): (&str, &str),
        body: &Value,
    ) -> Result<Value, Failure> {
        let path = self.path(name, path, &[]);
        let sent = match method {
            "DELETE" => self.client.delete(&path, PATIENCE).await,
            _ => self.client.post(&path, body, PATIENCE).await,
        };
        let answer = sent.map_err(|error| unanswered(&error))?;
        Ok(ok(answer, &format!("change Application {name}"))?.json())
    }

    /// Prints how live differs from Git, in the form that `-o` names.
    pub(crate) async fn drift(&self, name: &str, form: &str) -> Result<ExitCode, Failure> {
        let path = self.path(name, "/drift", &[]);
        let what = format!("ask for the drift of Application {name}");
        let accept = if form == "text" { "text/plain" } else { "application/json" };
        let answer = ok(self.ask(&path, accept, PATIENCE).await?, &what)?;
        let said = answer.json();
        if let Some(structured) = output::structured(form, &said) {
            let status = said["status"].as_str().unwrap_or_default();
            return Ok(print(&structured, ExitCode::from(differs(status))));
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let (headline, diff) = text.split_once('\n').unwrap_or((&text, ""));
        talk(&printable(headline));
        // It ends with how the app compares.
        let status = headline.trim_end().rsplit(' ').next().unwrap_or_default();
        Ok(print(&Paint::of_stdout().diff(diff), ExitCode::from(differs(status))))
    }

    /// Waits for the verdict, and returns it as the agent tells it. While another replica takes over, nobody answers, or
    /// not with a verdict: then it is asked again.
    pub(crate) async fn wait(
        &self,
        key: &AppKey,
        what: &[(&str, &str)],
        limit: Limit,
    ) -> Result<Value, Failure> {
        let mut pauses = Pauses::default();
        loop {
            let once = limit.left().min(ONE_WAIT).as_secs().max(1);
            let timeout = format!("{once}s");
            let path = self.path(&key.name, "/wait", &[what, &[("timeout", &timeout)]].concat());
            let answer = self.client.get(&path, "application/json", Duration::from_secs(once) + GRACE).await;
            let trouble = match answer {
                Ok(answer) => match wait_answer(key, &answer)? {
                    Waited::Verdict(said) => return Ok(said),
                    Waited::Late(waits_for) if limit.left().is_zero() => {
                        return Err(limit.late(key, &waits_for));
                    }
                    Waited::Late(waits_for) => {
                        talk(&format!("waiting for {}", printable(&waits_for)));
                        pauses = Pauses::default();
                        continue;
                    }
                    Waited::Trouble(sentence) => sentence,
                },
                Err(error) if may_pass(error.kind) => error.message,
                Err(error) => return Err(unanswered(&error)),
            };
            if limit.left().is_zero() {
                return Err(limit.late(key, &format!("the agent to answer: {trouble}")));
            }
            tokio::time::sleep(pauses.next(&trouble).min(limit.left())).await;
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

/// Returns the exit code of a drift report by how the app compares: what others added to shared objects stands in the report of
/// an app that is `Synced`, too.
fn differs(status: &str) -> u8 {
    if status == SyncStatus::Synced.as_str() { 0 } else { DIFFERENCE }
}

/// What an agent says that is asked for a verdict.
enum Waited {
    Verdict(Value),
    /// None in this time; what is waited for.
    Late(String),
    /// Nothing, for a reason that passes.
    Trouble(String),
}

fn wait_answer(key: &AppKey, answer: &Answer) -> Result<Waited, Failure> {
    let said = answer.json();
    if said["verdict"].is_string() {
        return Ok(Waited::Verdict(said));
    }
    match answer.status {
        408 => Ok(Waited::Late(said["waitsFor"].as_str().unwrap_or("an answer").to_owned())),
        // Too many wait; a replica that stops, or does not write; a proxy that finds none.
        429 | 502 | 503 | 504 => Ok(Waited::Trouble(answer.message())),
        _ => Err(refused(answer, &format!("wait for Application {}", key.name))),
    }
}

fn may_pass(kind: Unanswered) -> bool {
    match kind {
        Unanswered::Unreachable | Unanswered::TimedOut => true,
        Unanswered::Unusable | Unanswered::Untrusted => false,
    }
}

/// How long an agent is left alone that gives no answer: longer each time. The first time is told.
#[derive(Default)]
struct Pauses(u32);

impl Pauses {
    fn next(&mut self, trouble: &str) -> Duration {
        if self.0 == 0 {
            talk(&format!("warning: {}; asking again until the time is over", printable(trouble)));
        }
        self.0 += 1;
        LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(self.0.min(5) - 1))
    }
}

fn ok(answer: Answer, what: &str) -> Result<Answer, Failure> {
    if (200..300).contains(&answer.status) { Ok(answer) } else { Err(refused(&answer, what)) }
}

fn refused(answer: &Answer, what: &str) -> Failure {
    // Of gRPC, as in Argo CD: what stands against it now is no mistake of the caller.
    let is_precondition = answer.json()["code"] == 9;
    let (code, next) = match answer.status {
        400 if is_precondition => (OTHER, ""),
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
    fn what_passes_is_waited_out_and_the_rest_ends_a_wait() {
        let answered = |status, body: Value| {
            let answer = Answer { status, body: body.to_string().into() };
            match wait_answer(&AppKey::new("argocd", "shop"), &answer) {
                Ok(Waited::Verdict(said)) => said["verdict"].to_string(),
                Ok(Waited::Late(what)) => format!("late: {what}"),
                Ok(Waited::Trouble(sentence)) => format!("trouble: {sentence}"),
                Err(failure) => failure.code.to_string(),
            }
        };
        assert_eq!(answered(409, json!({"verdict": "Held", "message": "no room"})), "\"Held\"");
        assert_eq!(answered(408, json!({"waitsFor": "Git"})), "late: Git");
        for status in [429, 502, 503, 504] {
            assert_eq!(answered(status, json!({"message": "not now"})), "trouble: not now");
        }
        assert_eq!(answered(403, json!({"message": "no"})), "5");
        assert_eq!(answered(404, json!({"message": "no"})), "4");
        assert!(may_pass(Unanswered::Unreachable) && !may_pass(Unanswered::Untrusted));
        let mut pauses = Pauses::default();
        let lengths: Vec<u128> = (0..6).map(|_| pauses.next("nobody").as_millis()).collect();
        assert_eq!(lengths, [500, 1000, 2000, 4000, 5000, 5000]);
    }

    /// Answers one connection after the other with these; an empty one is closed.
    async fn scripted(answers: &'static [&'static str]) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                if !answer.is_empty() {
                    let _request = stream.read(&mut [0; 4096]).await.unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_wait_outlasts_a_roll_out() {
        let server = scripted(&[
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"verdict\":\"Deployed\"}",
        ]);
        let remote = Remote { client: Client::new(&server.await, None, None).unwrap(), namespace: None };
        let key = AppKey::new("argocd", "shop");
        let said = remote.wait(&key, &[("sync", "true")], Limit::new(Duration::from_mins(1))).await;
        assert_eq!(said.unwrap(), json!({"verdict": "Deployed"}));
        let nobody =
            Remote { client: Client::new("http://127.0.0.1:1", None, None).unwrap(), namespace: None };
        let late = nobody.wait(&key, &[], Limit::new(Duration::from_millis(50))).await.unwrap_err();
        assert_eq!(late.code, TIMEOUT);
        assert!(late.message.contains("it waits for the agent to answer: cannot reach"), "{}", late.message);
    }

    #[test]
    fn what_is_synced_differs_in_nothing_that_git_wants() {
        assert_eq!(differs("Synced"), 0);
        for status in ["OutOfSync", "Unknown", ""] {
            assert_eq!(differs(status), DIFFERENCE, "{status}");
        }
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
        let busy = json!({"message": "another operation is already in progress", "code": 9}).to_string();
        assert_eq!(refused(&Answer { status: 400, body: busy.into() }, "ask").code, OTHER);
    }
}
