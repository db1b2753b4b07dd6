//! Did a Service answer as it should, and in time?

use crate::text;
use model::{HttpProbe, Look, Relayed, Seconds};

/// What the API server says before the reason why it could not reach a Service.
const UNREACHABLE: &str = "error trying to reach service";

/// Judges an answer. A failure is a suspicion: [`confirmed`] says whether it is one.
pub fn http(probe: &HttpProbe, relayed: &Relayed) -> Look {
    let place = place(probe);
    match relayed {
        Relayed::Answer { status, took, .. } if probe.statuses.contains(status) => {
            if *took > probe.within {
                return Look::Failed(format!(
                    "{place} answered {status} after {took}, later than {}",
                    probe.within
                ));
            }
            Look::Passed
        }
        Relayed::Answer { status, .. } => {
            let wanted: Vec<String> = probe.statuses.iter().map(u16::to_string).collect();
            Look::Failed(format!("{place} answered {status} instead of {}", wanted.join(" or ")))
        }
        Relayed::Refused { message, .. } if is_nobody_there(message) => {
            Look::Failed(format!("nobody answers {place}: connection refused"))
        }
        Relayed::Refused { status, message } => {
            Look::Unknown(format!("{place} cannot be asked: {} ({status})", text::clean(message)))
        }
        Relayed::Silence => Look::Failed(format!("{place} did not answer within {}", probe.within)),
        Relayed::Failed(message) => {
            Look::Unknown(format!("{place} cannot be asked: {}", text::clean(message)))
        }
    }
}

/// Judges a suspicion again by what the API server itself answered to a question that concerns nobody else: where it is slow or
/// away, nothing is known of what is behind it.
pub fn confirmed(probe: &HttpProbe, relayed: &Relayed, control: &Relayed) -> Look {
    let first = http(probe, relayed);
    let Look::Failed(why) = &first else { return first };
    let slow = |took: Seconds| format!("{why}, but the API server itself took {took} to answer");
    match (control, relayed) {
        (Relayed::Answer { took, .. }, Relayed::Answer { status, took: all, .. })
            if probe.statuses.contains(status) && is_early(*all, *took, probe.within) =>
        {
            Look::Unknown(slow(*took))
        }
        (Relayed::Answer { took, .. }, Relayed::Silence) if *took > probe.within => {
            Look::Unknown(slow(*took))
        }
        (Relayed::Answer { status: 200, .. }, _) => first,
        // Something stands before the API server and answers in its place.
        (Relayed::Answer { status, .. }, _) => {
            Look::Unknown(format!("{why}, but the API server itself answers {status}"))
        }
        (Relayed::Refused { .. } | Relayed::Silence | Relayed::Failed(_), _) => {
            Look::Unknown(format!("{why}, but the API server itself does not answer as it should"))
        }
    }
}

/// Returns whether an answer came in time but for what the API server took.
fn is_early(all: Seconds, own: Seconds, within: Seconds) -> bool {
    all.as_millis() - own.as_millis() <= within.as_millis()
}

fn is_nobody_there(message: &str) -> bool {
    // A proxy on the way to the pods that is away says nothing of them.
    message.contains(UNREACHABLE)
        && message.contains("connection refused")
        && !message.contains("dialing proxy")
}

/// Writes what is asked for, without the query: that may hold anything.
fn place(probe: &HttpProbe) -> String {
    let HttpProbe { namespace, service, port, path, scheme, .. } = probe;
    let path = path.split('?').next().unwrap_or_default();
    format!("{}://{service}.{namespace}:{port}{path}", scheme.word())
}
