//! How does a GitHub App log in? It signs who it is, and gets a token for an hour.
//!
//! GitHub's documentation, "Generating an installation access token for a GitHub App".

use crate::credentials::Credentials;
use crate::error::{Kind, SourceError, printable};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An installation of a GitHub App. Prints without its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitHubApp {
    /// `githubAppID`.
    id: String,
    /// `githubAppInstallationID`.
    installation: String,
    /// Where its API is, without a slash at the end.
    api: String,
    /// The private key as DER (PKCS#1 or PKCS#8).
    key: Vec<u8>,
}

/// Where GitHub's own API is.
const API: &str = "https://api.github.com";
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;
/// How long before its end a token is not used any more.
const SPARE: SignedDuration = SignedDuration::from_mins(5);
/// How long nobody asks again after GitHub gave no token: many repositories may have one app.
const REST: Duration = Duration::from_secs(5);
/// The same at most, where GitHub says how long.
const LONGEST_REST: Duration = Duration::from_mins(5);

impl fmt::Debug for GitHubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitHubApp({}, installation {}, {})", self.id, self.installation, self.api)
    }
}

impl GitHubApp {
    /// Reads the fields of a Secret; `api` may be empty.
    ///
    /// # Errors
    /// A sentence that names the field at fault and never the key.
    pub(crate) fn read(id: &str, installation: &str, api: &str, key: &str) -> Result<Self, String> {
        for (field, value) in [("githubAppID", id), ("githubAppInstallationID", installation)] {
            if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("field {field} is no number; a GitHub App needs both of its numbers"));
            }
        }
        let api = if api.is_empty() { API } else { api.trim_end_matches('/') };
        let is_url = api.bytes().all(|byte| byte.is_ascii_graphic()) && !api.contains(['@', '?', '#', '\\']);
        if !is_url || !(api.starts_with("https://") || is_on_this_machine(api)) {
            return Err(
                "field githubAppEnterpriseBaseUrl is no URL such as https://ghe.example.com/api/v3".into()
            );
        }
        let app = Self { id: id.into(), installation: installation.into(), api: api.into(), key: der(key)? };
        app.pair().map(|_| app)
    }

    fn pair(&self) -> Result<RsaKeyPair, String> {
        let pair = RsaKeyPair::from_der(&self.key).or_else(|_| RsaKeyPair::from_pkcs8(&self.key));
        pair.map_err(|_| "field githubAppPrivateKey is no RSA key of 2048 bits or more".into())
    }

    /// Returns a text that is equal for equal apps; it is never shown.
    pub(crate) fn identity(&self) -> String {
        format!("{}\0{}\0{}\0{}", self.id, self.installation, self.api, STANDARD.encode(&self.key))
    }

    /// Says who asks, signed: good for nine minutes, and from a minute ago, for clocks differ.
    fn claim(&self, now: Timestamp) -> Result<String, String> {
        let claims = json!({"iat": now.as_second() - 60, "exp": now.as_second() + 540, "iss": self.id});
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encoded(&json!({"alg": "RS256", "typ": "JWT"})), encoded(&claims));
        let pair = self.pair()?;
        let mut signature = vec![0; pair.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
            .map_err(|_| "the claim of the GitHub App cannot be signed")?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Asks GitHub for a token; an error comes with how long nobody is to ask again.
    async fn ask(&self, now: Timestamp, timeout: Duration) -> Result<Token, (SourceError, Duration)> {
        let rest = |error| (error, REST);
        let claim = self.claim(now).map_err(|why| rest(self.failed(Kind::Authentication, &why)))?;
        let url = format!("{}/app/installations/{}/access_tokens", self.api, self.installation);
        let request = http::Request::post(url)
            .header("Accept", "application/vnd.github+json")
            .header("User-Agent", "tautline")
            .header("Authorization", format!("Bearer {claim}"))
            .body(Full::<&[u8]>::default());
        let request = request.map_err(|_| rest(self.failed(Kind::InvalidUrl, "its API's URL is none")))?;
        let answer = tokio::time::timeout(timeout, self.send(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(self.failed(Kind::TimedOut, "no answer in time")));
        let Answer { status, body, limited } = answer.map_err(rest)?;
        // GitHub echoes nothing that is secret, but who knows what answers.
        let said = printable(&body["message"].as_str().unwrap_or_default().replace(&claim, "***"));
        match limited {
            Some(length) if matches!(status, 403 | 429) => {
                let why = format!("its API answered {status}, for it was asked too often: {said}");
                Err((self.failed(Kind::Unavailable, &why), length))
            }
            Some(_) | None => self.token(status, &body, &said).map_err(rest),
        }
    }

    async fn send(&self, request: http::Request<Full<&'static [u8]>>) -> Result<Answer, SourceError> {
        let unreachable =
            |why: &dyn fmt::Display| self.failed(Kind::Unavailable, &printable(&why.to_string()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let connector = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let connector =
            connector.map_err(|error| unreachable(&error))?.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let answer = client.request(request).await.map_err(|error| unreachable(&chain(&error)))?;
        let (status, limited) = (answer.status().as_u16(), rate_limit(answer.headers()));
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| unreachable(&error))?.to_bytes();
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default(), limited })
    }

    fn token(&self, status: u16, body: &Value, said: &str) -> Result<Token, SourceError> {
        let (text, until) = (body["token"].as_str(), body["expires_at"].as_str());
        let until = until.and_then(|text| text.parse::<Timestamp>().ok());
        match (status, text, until) {
            (201, Some(text), Some(until)) if is_token(text) => Ok(Token { text: text.to_owned(), until }),
            (401 | 403 | 404, ..) => Err(self
                .failed(Kind::Authentication, &format!("its API answered {status}: {said}"))
                .help("see that githubAppID, githubAppInstallationID and githubAppPrivateKey belong together, and that the app is still installed")),
            (200..=299, ..) => Err(self.failed(Kind::Unavailable, "its API answered without a token")),
            _ => Err(self.failed(Kind::Unavailable, &format!("its API answered {status}: {said}"))),
        }
    }

    fn failed(&self, kind: Kind, why: &str) -> SourceError {
        let Self { id, installation, api, .. } = self;
        SourceError::new(
            kind,
            format!("GitHub App {id}, installation {installation}, gets no token from {api}: {why}"),
        )
    }
}

/// What GitHub answered.
struct Answer {
    status: u16,
    body: Value,
    /// How long it wants to be left alone, where it says that it was asked too often.
    limited: Option<Duration>,
}

/// Reads of an answer that it is one to too many requests (GitHub's documentation, "Rate limits for the REST API").
fn rate_limit(headers: &http::HeaderMap) -> Option<Duration> {
    let word = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let after = word("retry-after").map(|text| text.parse().map_or(REST, Duration::from_secs));
    let spent = word("x-ratelimit-remaining").filter(|text| *text == "0").map(|_| REST);
    after.or(spent).map(|length| length.clamp(REST, LONGEST_REST))
}

/// What an installation may log in with, for a while. It is never printed.
struct Token {
    text: String,
    until: Timestamp,
}

/// The tokens that are good for a while yet.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<GitHubApp, Arc<Slot>>>);

/// What is known of one installation. Whoever asks for a token holds it, so that others wait instead of asking, too.
type Slot = tokio::sync::Mutex<Known>;

/// What came of asking for a token.
#[derive(Default)]
enum Known {
    /// Nobody asked, or it is good for nothing any more.
    #[default]
    Nothing,
    /// A token.
    Token(Token),
    /// None, and nobody is to ask again before this.
    Failed(SourceError, Instant),
}

impl Known {
    /// Returns what needs no asking.
    fn standing(&self, now: Timestamp) -> Option<Result<String, SourceError>> {
        match self {
            Self::Token(token) if token.until.duration_since(now) > SPARE => Some(Ok(token.text.clone())),
            Self::Failed(error, until) if Instant::now() < *until => Some(Err(error.clone())),
            Self::Nothing | Self::Token(_) | Self::Failed(..) => None,
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

impl Tokens {
    fn slot(&self, app: &GitHubApp) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(app.clone()).or_default())
    }

    /// Returns what a server is told for an app; asks GitHub where no token is good for five more minutes. Whether there is
    /// one or none, all who ask within some seconds hear the same.
    ///
    /// # Errors
    /// [`Kind::Authentication`] where GitHub knows no such app, else [`Kind::Unavailable`] or [`Kind::TimedOut`].
    pub(crate) async fn log_in(
        &self,
        app: &GitHubApp,
        timeout: Duration,
    ) -> Result<Credentials, SourceError> {
        let slot = self.slot(app);
        let held = tokio::time::timeout(timeout, slot.lock()).await;
        let mut known = held.map_err(|_| app.failed(Kind::TimedOut, "no answer in time"))?;
        let now = Timestamp::now();
        let text = match known.standing(now) {
            Some(standing) => standing,
            None => match app.ask(now, timeout).await {
                Ok(token) => {
                    let text = token.text.clone();
                    *known = Known::Token(token);
                    Ok(text)
                }
                Err((error, rest)) => {
                    *known = Known::Failed(error.clone(), Instant::now() + rest);
                    Err(error)
                }
            },
        };
        Ok(Credentials::Basic { username: "x-access-token".into(), password: text? })
    }

    /// Forgets the token that a server refused, unless it is another by now.
    pub(crate) async fn forget(&self, app: &GitHubApp, refused: &Credentials) {
        let slot = self.slot(app);
        let mut known = slot.lock().await;
        if let (Known::Token(token), Credentials::Basic { password, .. }) = (&*known, refused)
            && token.text == *password
        {
            *known = Known::Nothing;
        }
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Without TLS a token goes to nobody but this machine.
fn is_on_this_machine(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    authority.split(':').next() == Some("127.0.0.1")
}

fn der(pem: &str) -> Result<Vec<u8>, String> {
    let is_framed = pem.starts_with("-----BEGIN ") && pem.ends_with(" PRIVATE KEY-----");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD
        .decode(body)
        .ok()
        .filter(|_| is_framed)
        .ok_or_else(|| "field githubAppPrivateKey is no key in PEM, as GitHub gives it".into())
}

/// Tells an error with all that it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
