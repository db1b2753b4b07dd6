//! What kind of failure was a call's, and may it be repeated?

use crate::Seconds;
use std::fmt;

/// What a failed call means; the class decides retry and what the failure is evidence of ([`Self::condemns`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// 409: somebody else wrote in between, or a name is taken.
    Conflict,
    /// 403 by authorisation: we may not.
    Forbidden,
    /// 400, 413, 422 on the content of what we sent.
    Invalid,
    /// An admission webhook said no to the content.
    Denied,
    /// 404 on the object or its namespace.
    NotFound,
    /// The API server does not serve this kind (yet).
    NoSuchKind,
    /// 410: a list or watch continued from too old a state.
    Gone,
    /// 429.
    Throttled,
    /// Everything else: timeouts, 401, 5xx, broken connections, terminating namespaces, webhooks that are down.
    Unavailable,
    /// Not sent: this replica may not write now. It says nothing about what was to be written.
    Withheld,
}

impl ErrorClass {
    /// Returns whether the failure condemns the content that was sent, rather than holding it up.
    pub fn condemns(self) -> bool {
        match self {
            Self::Invalid | Self::Denied => true,
            Self::Conflict
            | Self::Forbidden
            | Self::NotFound
            | Self::NoSuchKind
            | Self::Gone
            | Self::Throttled
            | Self::Unavailable
            | Self::Withheld => false,
        }
    }
}

/// A failed call to the API server, already sorted; the message holds no secret values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// What the failure means.
    pub class: ErrorClass,
    /// HTTP status; `None` where no answer came.
    pub status: Option<u16>,
    /// The server's own sentence, or what happened to the connection.
    pub message: String,
    /// How long the server asks us to wait, already bounded.
    pub retry_after: Option<Seconds>,
}

impl CallError {
    /// Makes an error of a class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, status: None, message: message.into(), retry_after: None }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}
