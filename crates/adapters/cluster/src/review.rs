//! Whose is a token, and what may they do? The API server is asked, by `TokenReview` and `SubjectAccessReview`.
//!
//! Whatever is not a plain yes comes back as a no or an error; callers refuse both. Neither needs the lease: they change
//! nothing. A token is in the request's body and nowhere else.

use crate::call::{Call, Verb, unavailable};
use crate::gate::Priority;
use crate::{Cluster, Endpoint};
use http::Method;
use model::{CallError, User};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest wait for an answer: somebody waits, and other authenticators behind the API server have deadlines of their own.
const DEADLINE: Duration = Duration::from_secs(8);

/// Longest answer, in bytes: a user with ten thousand groups.
const LONGEST: usize = 1 << 20;

/// What somebody wants to do to Applications (`ResourceAttributes` of `authorization.k8s.io/v1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Such as `update`.
    pub verb: &'a str,
    /// Where.
    pub namespace: &'a str,
    /// Which one; empty for all of the namespace.
    pub name: &'a str,
}

impl Cluster {
    /// Asks whose a bearer token is; `None` where it is nobody's, or is for other audiences than the named ones. No
    /// audience asks for the API server's own.
    ///
    /// # Errors
    /// What the call said, or that the answer makes no sense, such as one that accepts a token and names nobody.
    pub async fn review_token(&self, token: &str, audiences: &[String]) -> Result<Option<User>, CallError> {
        let mut spec = json!({ "token": token });
        if !audiences.is_empty() {
            spec["audiences"] = json!(audiences);
        }
        let endpoint = Endpoint::new("authentication.k8s.io/v1", "TokenReview", "tokenreviews", false);
        let status = self.review(&endpoint, spec).await?;
        if status["authenticated"] != true || !is_blank(&status["error"]) {
            return Ok(None);
        }
        // An authenticator that does not know of audiences would accept a token that was made for somebody else.
        let fits = |granted: &Value| audiences.iter().any(|wanted| granted == wanted);
        if !audiences.is_empty() && !status["audiences"].as_array().is_some_and(|all| all.iter().any(fits)) {
            return Ok(None);
        }
        user(&status["user"]).map(Some).ok_or_else(|| unavailable("a TokenReview accepts a token of nobody"))
    }

    /// Asks whether somebody may do something to Applications.
    ///
    /// # Errors
    /// What the call said, or that the answer is no `SubjectAccessReview`.
    pub async fn review_access(&self, user: &User, wish: Wish<'_>) -> Result<bool, CallError> {
        // Without a name the API server would judge the groups alone.
        if user.name.is_empty() {
            return Ok(false);
        }
        let mut attributes = json!({
            "verb": wish.verb, "group": "argoproj.io", "resource": "applications", "namespace": wish.namespace,
        });
        if !wish.name.is_empty() {
            attributes["name"] = json!(wish.name);
        }
        let spec = json!({
            "user": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra,
            "resourceAttributes": attributes,
        });
        let endpoint =
            Endpoint::new("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", false);
        let status = self.review(&endpoint, spec).await?;
        let said = status["allowed"].as_bool();
        let allowed = said.ok_or_else(|| unavailable("a SubjectAccessReview says neither yes nor no"))?;
        Ok(allowed && matches!(status["denied"], Value::Null | Value::Bool(false)))
    }

    /// Creates a review, which is answered and not stored, and returns its status.
    async fn review(&self, endpoint: &Endpoint, spec: Value) -> Result<Value, CallError> {
        let kind = endpoint.gvk.kind.as_str();
        let body = json!({ "apiVersion": endpoint.gvk.api_version(), "kind": kind, "spec": spec });
        let mut call = Call::new(Verb::Create, endpoint, Method::POST, endpoint.collection(None))
            .with_body("application/json", &body)
            .with_priority(Some(Priority::User));
        call.needs_permit = false;
        call.timeout = Some(DEADLINE.min(self.inner.call_timeout));
        call.longest = LONGEST;
        let mut answer = self.call(call).await?.json()?;
        let is_review = answer["kind"] == kind;
        let status = answer.get_mut("status").map(Value::take).filter(Value::is_object);
        status.filter(|_| is_review).ok_or_else(|| unavailable(format!("the answer to a {kind} is none")))
    }
}

fn is_blank(text: &Value) -> bool {
    text.is_null() || text == ""
}

/// Reads a user whose name is not empty and whose groups and extra fields are what they should be.
fn user(value: &Value) -> Option<User> {
    let texts = |value: &Value| match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let extra = match &value["extra"] {
        Value::Null => BTreeMap::new(),
        Value::Object(map) => map
            .iter()
            .map(|(name, values)| Some((name.clone(), texts(values)?)))
            .collect::<Option<BTreeMap<_, _>>>()?,
        _ => return None,
    };
    let uid = match &value["uid"] {
        Value::Null => "",
        uid => uid.as_str()?,
    };
    let name = value["username"].as_str().filter(|name| !name.trim().is_empty())?;
    Some(User { name: name.into(), uid: uid.into(), groups: texts(&value["groups"])?, extra })
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
