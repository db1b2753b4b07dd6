//! What does an answer that is no success mean?
//!
//! The classes are those of [`model::ErrorClass`]. What we do not know is `Unavailable`: it is retried and never taken
//! as evidence against a commit. The shapes are those of `metav1.Status` (Kubernetes API conventions, "Response Status
//! Kind").

use model::{CallError, ErrorClass, Seconds};
use serde::Deserialize;

/// Longest wait that a server's `Retry-After` can impose: a header must not park an effect for a day.
const LONGEST_RETRY_AFTER: u64 = 30;

/// The server does not know who asks. Its own sentence is one word.
const UNAUTHORIZED: u16 = 401;
const UNAUTHENTICATED: &str = "the API server does not accept the agent's credentials (401 Unauthorized); see to its token or kubeconfig";

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
        _ if status == UNAUTHORIZED => UNAUTHENTICATED.into(),
        Content::Secret if !is_harmless(class, &parsed, is_status) => masked(status, &parsed),
        Content::Plain | Content::Secret if parsed.message.trim().is_empty() => bare(status),
        Content::Plain | Content::Secret => shortened(&parsed.message),
    };
    let asked = parsed.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    CallError { class, status: Some(status), message, retry_after: bounded(asked) }
}

/// Returns whether a webhook speaks: that is about one object, and anybody's, so that nothing else waits for it.
pub(crate) fn is_of_webhook(body: &[u8]) -> bool {
    serde_json::from_slice::<Status>(body).is_ok_and(|status| status.message.contains("webhook"))
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
    // A webhook chooses its code, such as that of a conflict.
    if matches!(code, 400 | 403 | 409 | 422) && is_denial(&status.message) {
        return ErrorClass::Denied;
    }
    match code {
        400 | 413 | 422 => ErrorClass::Invalid,
        403 if status.has_cause("NamespaceTerminating") => ErrorClass::Unavailable,
        403 if says("because it is being terminated") || says("exceeded quota") => ErrorClass::Unavailable,
        403 => ErrorClass::Forbidden,
        404 if is_status && status.names_a_kind() => ErrorClass::NotFound,
        404 => ErrorClass::NoSuchKind,
        409 => ErrorClass::Conflict,
        410 => ErrorClass::Gone,
        429 => ErrorClass::Throttled,
        500 if is_unfit(&status.message) => ErrorClass::Invalid,
        _ => ErrorClass::Unavailable,
    }
}

/// Returns whether server-side apply refused content that does not fit the schema: 1.36 answers 500 then, in one of these
/// words. Others, such as those of a conversion webhook that is down, are no verdict on the content.
fn is_unfit(message: &str) -> bool {
    message.starts_with("failed to create typed patch object")
        || (message.starts_with("failed to convert new object")
            && message.contains("unable to convert unstructured object"))
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
        ErrorClass::NoSuchKind | ErrorClass::Withheld => true,
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
    let name = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
    let reason = if is_word(&status.reason) { status.reason.clone() } else { code.to_string() };
    let place = if fields.is_empty() { String::new() } else { format!(" at {}", fields.join(", ")) };
    let hint = if status.message.contains("illegal base64 data") {
        ": a value under data is not base64"
    } else {
        ""
    };
    format!(
        "Secret{name} was refused ({reason}){place}{hint}; the server's own text is hidden because it may quote values"
    )
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

/// A webhook's words come from somebody else: lines stay, and what else a terminal would act on goes.
fn shortened(text: &str) -> String {
    let clean = text.trim().chars().map(|c| if model::is_active(c) && c != '\n' { ' ' } else { c });
    let mut short: String = clean.take(LONGEST_MESSAGE + 1).collect();
    if let Some((end, _)) = short.char_indices().nth(LONGEST_MESSAGE) {
        short.replace_range(end.., "…");
    }
    short
}

fn bare(status: u16) -> String {
    let words = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    format!("the API server answered {status} {}", words.unwrap_or_default()).trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(message: &str, details: &Value) -> String {
        json!({"kind": "Status", "message": message, "details": details}).to_string()
    }

    fn classed(code: u16, body: &str) -> ErrorClass {
        classify(code, body.as_bytes(), Content::Plain).class
    }

    /// Most sentences are those of a Kubernetes 1.36.3 server.
    #[test]
    fn every_row_of_the_table() {
        let none = Value::Null;
        let named = json!({"name": "x", "kind": "configmaps"});
        let terminating = json!({"kind": "configmaps", "causes": [{"reason": "NamespaceTerminating"}]});
        for (code, message, details, class) in [
            (400, "the name of the object (y) does not match", &none, ErrorClass::Invalid),
            (400, "admission webhook \"a.b\" denied the request: no", &none, ErrorClass::Denied),
            // A token that ran out, an authenticator that is away: it says nothing about rights.
            (401, "Unauthorized", &none, ErrorClass::Unavailable),
            (403, "configmaps \"x\" is forbidden: User cannot patch", &named, ErrorClass::Forbidden),
            (403, "admission webhook \"a.b\" denied the request: no", &none, ErrorClass::Denied),
            (403, "unable to create new content in namespace x", &terminating, ErrorClass::Unavailable),
            (
                403,
                "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1",
                &named,
                ErrorClass::Unavailable,
            ),
            (404, "configmaps \"x\" not found", &named, ErrorClass::NotFound),
            (
                404,
                "namespaces \"x\" not found",
                &json!({"name": "x", "kind": "namespaces"}),
                ErrorClass::NotFound,
            ),
            (404, "the server could not find the requested resource", &json!({}), ErrorClass::NoSuchKind),
            (405, "the server does not allow this method", &none, ErrorClass::Unavailable),
            (408, "request timed out", &none, ErrorClass::Unavailable),
            (409, "Apply failed with 1 conflict", &none, ErrorClass::Conflict),
            (409, "admission webhook \"a.b\" denied the request: no", &none, ErrorClass::Denied),
            (410, "too old resource version", &none, ErrorClass::Gone),
            (413, "Request entity too large", &none, ErrorClass::Invalid),
            (422, "ConfigMap \"x\" is invalid", &named, ErrorClass::Invalid),
            (
                422,
                "deployments.apps \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                &named,
                ErrorClass::Denied,
            ),
            (429, "too many requests", &none, ErrorClass::Throttled),
            (500, "etcdserver: leader changed", &none, ErrorClass::Unavailable),
            (
                500,
                "Internal error occurred: failed calling webhook \"a.b\": EOF",
                &none,
                ErrorClass::Unavailable,
            ),
            (400, "failed calling webhook \"a.b\": bad answer", &none, ErrorClass::Unavailable),
            (500, "admission webhook \"a.b\" denied the request: it broke", &none, ErrorClass::Unavailable),
            (
                500,
                "failed to create typed patch object (/x; /v1, Kind=ConfigMap): .foo: field not declared",
                &none,
                ErrorClass::Invalid,
            ),
            (
                500,
                "failed to convert new object (/x; /v1, Kind=Secret) to proper version: unable to convert unstructured object",
                &none,
                ErrorClass::Invalid,
            ),
            (
                500,
                "failed to convert new object: conversion webhook for a.b failed: EOF",
                &none,
                ErrorClass::Unavailable,
            ),
            (502, "", &none, ErrorClass::Unavailable),
            (503, "service unavailable", &none, ErrorClass::Unavailable),
            (504, "Timeout: request did not complete", &none, ErrorClass::Unavailable),
            (418, "", &none, ErrorClass::Unavailable),
        ] {
            assert_eq!(classed(code, &status(message, details)), class, "{code} {message}");
        }
    }

    #[test]
    fn bodies_that_are_no_status() {
        let error = |code, body: &str| classify(code, body.as_bytes(), Content::Plain);
        assert_eq!(error(404, "404 page not found\n").class, ErrorClass::NoSuchKind);
        assert_eq!(error(404, "404 page not found\n").message, "404 page not found");
        assert_eq!(error(502, "<html>Bad gateway</html>").message, "the API server answered 502 Bad Gateway");
        assert_eq!(error(599, "").message, "the API server answered 599");
        assert_eq!(classify(500, b"\xff\xfe", Content::Plain).class, ErrorClass::Unavailable);
        assert_eq!(error(500, &"x".repeat(1_000_000)).message.chars().count(), LONGEST_MESSAGE + 1);
    }

    // N56: what the API server says
    #[test]
    fn what_a_terminal_acts_on_is_not_passed_on() {
        let body = status("webhook denied:\n\u{1b}[31mno\u{1b}[0m\u{7}\u{202e}desrever", &Value::Null);
        let error = classify(403, body.as_bytes(), Content::Plain);
        assert_eq!(error.message, "webhook denied:\n [31mno [0m  desrever");
        let long = classify(500, "é".repeat(3_000).as_bytes(), Content::Plain).message;
        assert_eq!((long.chars().count(), long.ends_with("é…")), (LONGEST_MESSAGE + 1, true));
    }

    #[test]
    fn the_wait_is_bounded() {
        assert_eq!(retry_after(Some("86400")), Some(Seconds::new(30)));
        assert_eq!(retry_after(Some("2")), Some(Seconds::new(2)));
        for nothing in [None, Some("0"), Some("-1"), Some("Sat, 21 Nov 2026 06:59:07 GMT"), Some("")] {
            assert_eq!(retry_after(nothing), None);
        }
        let body = status("Timeout", &json!({"retryAfterSeconds": 86_400}));
        assert_eq!(classify(504, body.as_bytes(), Content::Plain).retry_after, Some(Seconds::new(30)));
    }

    // N21: what the API server quotes
    #[test]
    fn values_of_secrets_stay_hidden() {
        let causes = json!({"name": "x", "kind": "Secret", "causes": [
            {"reason": "FieldValueInvalid", "message": "Invalid value: \"hush\"", "field": "data[k]"},
            {"reason": "FieldValueInvalid", "message": "Invalid value: \"hush\"", "field": "data[k hush]"},
        ]});
        for (code, message, details, expected) in [
            (
                422,
                "Secret \"x\" is invalid: data[k]: Invalid value: \"hush\"",
                &causes,
                "Secret \"x\" was refused (422) at data[k]; the server's own text is hidden because it may quote values",
            ),
            (
                500,
                "failed to create typed patch object (/x; /v1, Kind=Secret): .stringData.k: expected string, got &value.valueUnstructured{Value:[]interface {}{\"hush\"}}",
                &Value::Null,
                "Secret was refused (500) at .stringData.k; the server's own text is hidden because it may quote values",
            ),
            (
                500,
                "failed to create typed patch object (/x; /v1, Kind=Secret): .data hush: expected map, got &{hush}",
                &Value::Null,
                "Secret was refused (500); the server's own text is hidden because it may quote values",
            ),
            (
                500,
                "failed to convert new object (/x; /v1, Kind=Secret) to proper version: unable to convert unstructured object to /v1, Kind=Secret: error decoding from json: illegal base64 data at input byte 3",
                &Value::Null,
                "Secret was refused (500): a value under data is not base64; the server's own text is hidden because it may quote values",
            ),
            (
                400,
                "admission webhook \"a.b\" denied the request: hush is too short",
                &Value::Null,
                "Secret was refused (400); the server's own text is hidden because it may quote values",
            ),
        ] {
            let error = classify(code, status(message, details).as_bytes(), Content::Secret);
            assert_eq!(error.message, expected);
        }
        for (code, body) in [(400, "hush"), (403, "hush"), (502, "hush"), (429, "hush")] {
            assert!(!classify(code, body.as_bytes(), Content::Secret).message.contains("hush"), "{code}");
        }
        let forbidden = status("secrets \"x\" is forbidden: User cannot patch", &Value::Null);
        let error = classify(403, forbidden.as_bytes(), Content::Secret);
        assert_eq!(error.message, "secrets \"x\" is forbidden: User cannot patch");
    }
}
