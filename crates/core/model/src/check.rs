//! What does an app declare that has to hold beside the health of its objects, and what did one look at it say?

use crate::{ObjectKey, Seconds};
use std::fmt;

/// One thing that an app declares: what is deployed counts as stable only once it holds, and is at fault where it does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What it is called; no other check of the app is.
    pub name: String,
    /// What is looked at.
    pub probe: Probe,
}

/// What a check looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// What a Service answers.
    Http(HttpProbe),
    /// What Prometheus says.
    Query(QueryProbe),
    /// Whether a Job of the app succeeds.
    Job(JobProbe),
}

/// A GET that a Service has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub service: String,
    /// Number or name of the Service's port.
    pub port: String,
    /// Path and query.
    pub path: String,
    /// What is spoken there.
    pub scheme: Scheme,
    /// Which status codes are as they should be.
    pub statuses: Vec<u16>,
    /// How soon the answer has to be there.
    pub within: Seconds,
}

/// What a Service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS, whose certificate the API server does not check.
    Https,
}

impl Scheme {
    /// Returns how URLs write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A query whose value has to keep within a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryProbe {
    /// The expression.
    pub expr: String,
    /// The bound.
    pub bound: Bound,
    /// What it means that there is no value.
    pub no_data: NoData,
}

/// Which values of a query are as they should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Those below this one.
    Below(f64),
    /// Those above this one.
    Above(f64),
    /// Those of at most so many times the value at the sync's start.
    AtMostTimes(f64),
    /// Those of at least so many times the value at the sync's start.
    AtLeastTimes(f64),
}

impl Bound {
    /// Returns whether the value at the sync's start counts.
    pub fn is_relative(self) -> bool {
        match self {
            Self::AtMostTimes(_) | Self::AtLeastTimes(_) => true,
            Self::Below(_) | Self::Above(_) => false,
        }
    }
}

/// What it means that a query returns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoData {
    /// The check fails.
    Fail,
    /// The check passes.
    Pass,
}

/// A Job among the app's own manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobProbe {
    /// The Job's namespace.
    pub namespace: String,
    /// The Job's name.
    pub name: String,
}

impl JobProbe {
    /// Returns which object it is.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new("batch", "Job", self.namespace.as_str(), self.name.as_str())
    }
}

/// What one look at a check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It holds.
    Passed,
    /// It does not, and what was deployed is to blame; why, in a sentence.
    Failed(String),
    /// That is not over yet; what it waits for, in a sentence.
    Waits(String),
    /// That could not be found out, which says nothing of what was deployed; why, in a sentence.
    Unknown(String),
}

impl Look {
    /// Returns whether two looks say the same, whatever their sentences.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Returns why it is not known to hold.
    pub fn why_not(&self) -> Option<&str> {
        match self {
            Self::Passed => None,
            Self::Failed(why) | Self::Waits(why) | Self::Unknown(why) => Some(why),
        }
    }
}

/// What came of a request that the API server was to pass on to a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relayed {
    /// The Service answered.
    Answer {
        /// The status code.
        status: u16,
        /// The body.
        body: Vec<u8>,
        /// How long it took from sending the request to the end of the answer.
        took: Seconds,
    },
    /// The API server itself answered that it does not or cannot pass it on.
    Refused {
        /// The status code.
        status: u16,
        /// Its sentence.
        message: String,
    },
    /// No answer came in time, from whomever.
    Silence,
    /// The API server could not be asked; why.
    Failed(String),
}

impl fmt::Display for Check {
    /// Writes `check smoke`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check {}", self.name)
    }
}
