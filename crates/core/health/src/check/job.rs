//! Has a Job that is a check succeeded?

use crate::{assess, evidence};
use model::{Evidence, HealthStatus, Look, Object};

/// Judges a live Job.
pub fn job(live: &Object) -> Look {
    let Some(health) = assess(live) else { return Look::Unknown("is no Job".into()) };
    let message = if health.message.is_empty() { health.status.to_string() } else { health.message.clone() };
    let said = format!("Job {}/{}: {message}", live.namespace(), live.name());
    match health.status {
        HealthStatus::Healthy => Look::Passed,
        HealthStatus::Degraded if evidence(live, &health, None) == Evidence::Condemns => Look::Failed(said),
        HealthStatus::Progressing => Look::Waits(said),
        HealthStatus::Degraded | HealthStatus::Suspended | HealthStatus::Missing | HealthStatus::Unknown => {
            Look::Unknown(said)
        }
    }
}
