//! What does an answer that is no success mean?
//!
//! The classes are those of [`model::ErrorClass`]. What we do not know is `Unavailable`: it is retried and never taken
//! as evidence against a commit. The shapes are those of `metav1.Status` (Kubernetes API conventions, "Response Status
//! Kind").

use model::{CallError, ErrorClass, Seconds};
use serde::Deserialize;

/// Longest wait that a server's `Retry-After` can impose: a header must not park an effect for a day.
const LONGEST_RETRY_AFTER: u64 = 30;

/// Longest text of a failure that we keep, in characters.
const LONGEST_MESSAGE: usize = 2_000;

/// What we read of a `metav1.Status`.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) kind: String,
    pub(crate) message: String,
    reason: String,
    pub(crate) code: u16,
    details: Option<Details>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    name: String,
    kind: String,
    causes: Option<Vec<Cause>>,
    retry_after_seconds: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cause {
    reason: String,
    field: String,
}

/// Whether the request carried an object of kind Secret: the server's sentence may then quote its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The server's sentence can be shown.
    Plain,
    /// Only the parts that cannot hold a value can be shown.
    Secret,
}

/// Sorts an answer whose status is no success.
pub fn classify(status: u16, body: &[u8], content: Content) -> CallError {
    let parsed = serde_json::from_slice::<Status>(body).ok().filter(|status| status.kind == "Status");
    let is_status = parsed.is_some();
    let parsed = parsed.unwrap_or_else(|| Status { message: plain_text(body), ..Status::default() });
    let class = class(status, &parsed, is_status);
    let message = match content {
        Content::Secret if !is_harmless(class, &parsed, is_status) => masked(status, &parsed),
        Content::Plain | Content::Secret if parsed.message.trim().is_empty() => bare(status),
        Content::Plain | Content::Secret => shortened(&parsed.message),
    };
    let asked = parsed.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    CallError { class, status: Some(status), message, retry_after: bounded(asked) }
}

/// Reads a `Retry-After` header; dates and nonsense count as absent.
pub(crate) fn retry_after(header: Option<&str>) -> Option<Seconds> {
    header.and_then(|text| text.trim().parse().ok()).and_then(bounded)
}

fn bounded(seconds: u64) -> Option<Seconds> {
    let seconds = i64::try_from(seconds.min(LONGEST_RETRY_AFTER)).ok()?;
    (seconds > 0).then(|| Seconds::new(seconds))
}

fn class(code: u16, status: &Status, is_status: bool) -> ErrorClass {
    let says = |text: &str| status.message.contains(text);
    if says("failed calling webhook") || says("failed to call webhook") {
        return ErrorClass::Unavailable;
    }
    if matches!(code, 400 | 403 | 422) && is_denial(&status.message) {
        return ErrorClass::Denied;
    }
    match code {
        400 | 413 | 422 => ErrorClass::Invalid,
        403 if status.has_cause("NamespaceTerminating") => ErrorClass::Unavailable,
        403 if says("because it is being terminated") || says("exceeded quota") => ErrorClass::Unavailable,
        401 | 403 => ErrorClass::Forbidden,
        404 if is_status && status.names_a_kind() => ErrorClass::NotFound,
        404 => ErrorClass::NoSuchKind,
        409 => ErrorClass::Conflict,
        410 => ErrorClass::Gone,
        429 => ErrorClass::Throttled,
        // Server-side apply reports content that does not fit the schema as an internal error.
        500 if says("failed to create typed patch object") => ErrorClass::Invalid,
        _ => ErrorClass::Unavailable,
    }
}

/// Returns whether an admission webhook or policy refused the content, in the words of the API server.
fn is_denial(message: &str) -> bool {
    message.contains("denied the request")
        || (message.contains("ValidatingAdmissionPolicy") && message.contains("denied request"))
}

impl Status {
    fn has_cause(&self, reason: &str) -> bool {
        self.causes().iter().any(|cause| cause.reason == reason)
    }

    fn causes(&self) -> &[Cause] {
        self.details.as_ref().and_then(|details| details.causes.as_deref()).unwrap_or_default()
    }

    /// An object that is missing is named with its kind; a path that is missing is not.
    fn names_a_kind(&self) -> bool {
        self.details.as_ref().is_some_and(|details| !details.kind.is_empty())
    }
}

/// Returns whether the sentence about a Secret is one of those that name things and never values.
fn is_harmless(class: ErrorClass, status: &Status, is_status: bool) -> bool {
    match class {
        ErrorClass::Conflict
        | ErrorClass::Forbidden
        | ErrorClass::NotFound
        | ErrorClass::Gone
        | ErrorClass::Throttled => is_status,
        ErrorClass::NoSuchKind => true,
        ErrorClass::Unavailable => {
            is_status
                && (status.has_cause("NamespaceTerminating")
                    || ["exceeded quota", "etcdserver: "].iter().any(|text| status.message.contains(text)))
        }
        ErrorClass::Invalid | ErrorClass::Denied => false,
    }
}

/// Says what is wrong with a Secret without the server's words: its name, and the fields that were refused.
fn masked(code: u16, status: &Status) -> String {
    let name = status.details.as_ref().map(|details| details.name.as_str()).unwrap_or_default();
    let mut fields: Vec<&str> =
        status.causes().iter().map(|cause| cause.field.as_str()).filter(|field| is_path(field)).collect();
    fields.extend(typed_patch_path(&status.message));
    fields.dedup();
    let mut sentence = String::from("Secret");
    if !name.is_empty() {
        sentence.push_str(&format!(" \"{name}\""));
    }
    let reason = if is_word(&status.reason) { status.reason.clone() } else { code.to_string() };
    sentence.push_str(&format!(" was refused ({reason})"));
    if !fields.is_empty() {
        sentence.push_str(&format!(" at {}", fields.join(", ")));
    }
    sentence.push_str("; the server's own text is hidden because it may quote values");
    sentence
}

/// Returns the path that server-side apply puts right after its first words: `...Kind=Secret): .data.k: expected ...`.
fn typed_patch_path(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("failed to create typed patch object (")?;
    let (_, rest) = rest.split_once("): ")?;
    let (path, _) = rest.split_once(": ")?;
    is_path(path).then_some(path)
}

fn is_path(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 300
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-[]".contains(c))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 60 && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    // A proxy's error page says nothing to a person.
    if text.starts_with('<') || text.starts_with('{') { String::new() } else { text.into() }
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

fn bare(status: u16) -> String {
    let words = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    format!("the API server answered {status} {}", words.unwrap_or_default()).trim_end().into()
}
