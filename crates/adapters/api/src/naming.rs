//! What can an Application and a namespace be called?
//!
//! A name that nothing can have is refused where it is read, so that it never becomes part of a URL, a question to the cluster
//! or a log line.

use crate::ApiError;
use std::fmt;

/// A name that an Application can have: a DNS subdomain, as in Kubernetes.
#[derive(Clone, PartialEq, Eq)]
pub struct AppName(String);

/// A name that a namespace can have: a DNS label, as in Kubernetes.
#[derive(Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl AppName {
    /// Reads a name.
    ///
    /// # Errors
    /// 400 for what no Application can be called.
    pub fn parse(text: impl Into<String>) -> Result<Self, ApiError> {
        let text = text.into();
        if is_dns_name(&text, 253, true) { Ok(Self(text)) } else { Err(odd("application", &text)) }
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Namespace {
    /// Reads a name.
    ///
    /// # Errors
    /// 400 for what no namespace can be called.
    pub fn parse(text: impl Into<String>) -> Result<Self, ApiError> {
        let text = text.into();
        if is_dns_name(&text, 63, false) { Ok(Self(text)) } else { Err(odd("namespace", &text)) }
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> Self {
        name.0
    }
}

impl From<Namespace> for String {
    fn from(namespace: Namespace) -> Self {
        namespace.0
    }
}

fn odd(what: &str, text: &str) -> ApiError {
    let shown: String = text.chars().take(64).collect();
    ApiError::invalid(format!("no {what} can be called {shown:?}"))
}

fn is_dns_name(text: &str, longest: usize, dots: bool) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (dots && b == b'.');
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= longest && bytes.iter().copied().all(is_inner) && ends(bytes.first()) && ends(bytes.last())
}
