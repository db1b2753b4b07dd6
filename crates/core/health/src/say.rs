//! How is a verdict put together?

use crate::text;
use model::{Health, HealthStatus};

/// Not there yet, may get there by itself.
pub(crate) fn progressing(message: impl AsRef<str>) -> Health {
    health(HealthStatus::Progressing, message.as_ref())
}

/// Failed, or cannot get there without help.
pub(crate) fn degraded(message: impl AsRef<str>) -> Health {
    health(HealthStatus::Degraded, message.as_ref())
}

/// Deliberately stopped.
pub(crate) fn suspended(message: impl AsRef<str>) -> Health {
    health(HealthStatus::Suspended, message.as_ref())
}

/// Could not be assessed.
pub(crate) fn unknown(message: impl AsRef<str>) -> Health {
    health(HealthStatus::Unknown, message.as_ref())
}

fn health(status: HealthStatus, message: &str) -> Health {
    Health::new(status, text::clean(message))
}
