//! What can go wrong with a request to the API server?

use std::fmt;

use serde_json::{Value, json};

use super::asked::Asked;

/// An answer that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// 409 with a `Status`.
    Conflict,
    /// 429 that asks to come again in a second.
    Throttled,
    /// 429 that asks to come again in a day.
    ThrottledForADay,
    /// 500 in the words of a store that has lost its leader.
    Etcd,
    /// 500 without a `Status`.
    Bare,
    /// 401: the credentials are not accepted.
    Unauthorized,
    /// 403: the right is missing.
    Forbidden,
    /// 503 without a `Status`, as a load balancer says it.
    Unavailable,
    /// 504 with a `Status`.
    Timeout,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection ends before the request is passed on.
    Drop,
    /// The request is carried out, and the connection ends instead of the answer.
    Lose,
    /// The agent is killed before the request is passed on.
    KillBefore,
    /// The request is carried out, and the agent is killed before it hears of it.
    KillAfter,
    /// The request is not passed on, and never answered.
    Hold,
    /// The request is carried out, and never answered.
    HoldAnswer,
    /// The request is passed on two seconds later.
    Delay,
    /// The connection ends in the middle of the answer.
    Truncate,
    /// Another answer comes.
    Refuse(Refusal),
    /// A read is answered as it was answered the first time; one that was never answered does not count.
    Stale,
    /// Every other item of a list is left out of the answer.
    Partial,
    /// A watch says nothing any more, and stays open.
    Freeze,
    /// A watch tells everything twice.
    Duplicate,
    /// A watch leaves out what comes within half a second and is expired then.
    Swallow,
    /// A watch ends in the middle of an event.
    Cut,
    /// A watch ends, and opening it again is answered by the HTTP status 410.
    ExpireByStatus,
    /// A watch ends by an event that says 410.
    ExpireByEvent,
}

impl Fault {
    /// All of them, by name.
    pub const ALL: [(Self, &str); 25] = [
        (Self::Drop, "dropped"),
        (Self::Lose, "answer-lost"),
        (Self::KillBefore, "killed-before"),
        (Self::KillAfter, "killed-after"),
        (Self::Hold, "held"),
        (Self::HoldAnswer, "answer-held"),
        (Self::Delay, "delayed"),
        (Self::Truncate, "truncated"),
        (Self::Refuse(Refusal::Conflict), "409"),
        (Self::Refuse(Refusal::Throttled), "429"),
        (Self::Refuse(Refusal::ThrottledForADay), "429-for-a-day"),
        (Self::Refuse(Refusal::Etcd), "500-of-etcd"),
        (Self::Refuse(Refusal::Bare), "500-bare"),
        (Self::Refuse(Refusal::Unauthorized), "401"),
        (Self::Refuse(Refusal::Forbidden), "403"),
        (Self::Refuse(Refusal::Unavailable), "503"),
        (Self::Refuse(Refusal::Timeout), "504"),
        (Self::Stale, "stale"),
        (Self::Partial, "partial"),
        (Self::Freeze, "frozen"),
        (Self::Duplicate, "duplicated"),
        (Self::Swallow, "swallowed"),
        (Self::Cut, "cut"),
        (Self::ExpireByStatus, "expired-by-status"),
        (Self::ExpireByEvent, "expired-by-event"),
    ];

    /// Reads its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(fault, _)| *fault)
    }

    /// Returns whether it befalls an open watch rather than a request.
    pub fn is_of_stream(self) -> bool {
        matches!(
            self,
            Self::Freeze
                | Self::Duplicate
                | Self::Swallow
                | Self::Cut
                | Self::ExpireByStatus
                | Self::ExpireByEvent
        )
    }

    /// Returns whether the agent dies of it.
    pub fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(fault, _)| fault == self).map_or("", |(_, name)| name))
    }
}

impl Refusal {
    /// Returns head and body of the answer.
    pub(crate) fn answer(self) -> Vec<u8> {
        let (code, phrase, reason, message) = match self {
            Self::Conflict => (409, "Conflict", "Conflict", "the object has been modified"),
            Self::Throttled | Self::ThrottledForADay => {
                (429, "Too Many Requests", "TooManyRequests", "too many requests, please try again later")
            }
            Self::Etcd => {
                (500, "Internal Server Error", "InternalError", "Internal error: etcdserver: leader changed")
            }
            Self::Bare => (500, "Internal Server Error", "", "This request caused apiserver to panic"),
            Self::Unauthorized => (401, "Unauthorized", "Unauthorized", "Unauthorized"),
            Self::Forbidden => (403, "Forbidden", "Forbidden", "this is forbidden: User may not do it"),
            Self::Unavailable => (503, "Service Unavailable", "", "<html>no server is available</html>"),
            Self::Timeout => (
                504,
                "Gateway Timeout",
                "Timeout",
                "Timeout: request did not complete within the allotted timeout",
            ),
        };
        let wait = match self {
            Self::Throttled => "Retry-After: 1\r\n",
            Self::ThrottledForADay => "Retry-After: 86400\r\n",
            _ => "",
        };
        let (media_type, body) = if reason.is_empty() {
            ("text/plain", message.to_owned())
        } else {
            status(code, reason, message)
        };
        let length = body.len();
        format!(
            "HTTP/1.1 {code} {phrase}\r\n{wait}Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// Returns a `metav1.Status` with its media type.
fn status(code: u16, reason: &str, message: &str) -> (&'static str, String) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    ("application/json", status.to_string())
}

/// Leaves every other item of a list out.
pub(crate) fn halved(body: Vec<u8>) -> Vec<u8> {
    let Ok(mut list) = serde_json::from_slice::<Value>(&body) else { return body };
    let Some(items) = list["items"].as_array_mut() else { return body };
    let mut is_kept = false;
    items.retain(|_| {
        is_kept = !is_kept;
        is_kept
    });
    list.to_string().into_bytes()
}

/// Leaves a group out of the list of all groups.
pub(crate) fn without_group(body: Vec<u8>, group: &str) -> Vec<u8> {
    let Ok(mut list) = serde_json::from_slice::<Value>(&body) else { return body };
    let Some(items) = list["items"].as_array_mut() else { return body };
    items.retain(|item| item["metadata"]["name"] != group);
    list.to_string().into_bytes()
}

/// What a server says that no longer knows what happened since a resourceVersion.
pub(crate) fn expired() -> (&'static str, String) {
    status(410, "Expired", "too old resource version: 1 (2)")
}

/// A fault that waits for its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which requests: those that want the same.
    pub target: Asked,
    /// How many of them are passed on before.
    pub skip: usize,
    /// What befalls them.
    pub fault: Fault,
    /// How many of them, one after the other.
    pub times: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_names_of_their_own() {
        for (fault, name) in Fault::ALL {
            assert_eq!((Fault::named(name), fault.to_string()), (Some(fault), name.to_owned()));
        }
        assert_eq!(Fault::named("nothing"), None);
    }

    #[test]
    fn half_of_a_list_is_left() {
        let text = |body: Vec<u8>| String::from_utf8(body).expect("it is text");
        assert_eq!(text(halved(br#"{"items":[1,2,3]}"#.into())), r#"{"items":[1,3]}"#);
        assert_eq!(text(halved(b"no list".into())), "no list");
        let groups = br#"{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#;
        assert_eq!(text(without_group(groups.into(), "a")), r#"{"items":[{"metadata":{"name":"b"}}]}"#);
    }

    #[test]
    fn refusals_are_whole_answers() {
        for (fault, name) in Fault::ALL {
            let Fault::Refuse(refusal) = fault else { continue };
            let text = String::from_utf8(refusal.answer()).expect("it is text");
            let (head, body) = text.split_once("\r\n\r\n").expect("there is a head");
            assert!(head.starts_with(&format!("HTTP/1.1 {}", &name[..3])), "{head}");
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        }
    }
}
