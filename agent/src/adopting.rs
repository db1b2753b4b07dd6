//! What has to become ours, or somebody else's, before an object can be brought to what Git wants?
//!
//! Each step reads, decides and writes what it read: a lost race is a conflict, and it is decided anew at once.

use crate::apply::{Job, Known, send};
use crate::judge;
use crate::wanted::Wanted;
use cluster::{Applied, ApplyOptions, Endpoint};
use drift::{ByHand, adoption};
use model::{CallError, ErrorClass, Object, names};
use serde_json::Value;

/// How often something is decided anew before its conflict is told.
const TRIES: u32 = 3;
/// What the API server answers to content that contradicts itself or what it is merged with.
const UNPROCESSABLE: u16 = 422;

/// Hands `spec.replicas` over before we stop saying it, and takes over fields of other tools that have to go.
pub(crate) async fn prepare(
    job: &Job,
    wanted: &Wanted,
    endpoint: &Endpoint,
    known: Option<&Known>,
) -> Result<(), CallError> {
    let Some(known) = known else { return Ok(()) };
    let says_replicas = wanted.object.get("spec").is_some_and(|spec| spec.get("replicas").is_some());
    let hands_over = known.owns_replicas && !says_replicas;
    if !hands_over && !known.has_other_managers {
        return Ok(());
    }
    let by_hand = judge::by_hand(&job.app, job.was_deployed || known.was_in_sync);
    unless_overtaken(|_| async {
        let Some(live) = read(job, wanted, endpoint).await? else { return Ok(()) };
        if let Some(body) = drift::replicas::hand_over(&wanted.object, &live) {
            let options = ApplyOptions {
                manager: names::SCALE_MANAGER.into(),
                force: true,
                dry_run: false,
                priority: job.priority(),
            };
            job.cluster.apply(endpoint, &body, &options).await?;
            // The hand-over moved the resourceVersion, so the take-over below would lose its race.
            return Ok(());
        }
        match adoption::adopt_with(&wanted.object, &live, by_hand) {
            Some(patch) => change(job, wanted, endpoint, &patch).await.map(drop),
            None => Ok(()),
        }
    })
    .await
}

/// Takes over what other tools hold outside of what Git wants of an object that was there before us, as our apply found it;
/// returns whether there was anything.
pub(crate) async fn take_over(
    job: &Job,
    wanted: &Wanted,
    endpoint: &Endpoint,
    found: &Object,
) -> Result<bool, CallError> {
    unless_overtaken(|n_tries| async move {
        let read_anew = if n_tries > 1 { read(job, wanted, endpoint).await? } else { None };
        let patch = adoption::adopt(&wanted.object, read_anew.as_ref().unwrap_or(found));
        match patch {
            Some(patch) => change(job, wanted, endpoint, &patch).await.map(|_| true),
            None => Ok(false),
        }
    })
    .await
}

/// Applies once more what was refused, without what people set by hand beside it: that may be what does not fit, such as the
/// second source of a volume. If it is refused all the same, theirs stays theirs, and it was the content's fault.
pub(crate) async fn without_additions(
    job: &Job,
    wanted: &Wanted,
    endpoint: &Endpoint,
    refusal: CallError,
) -> Result<Applied, CallError> {
    if refusal.status != Some(UNPROCESSABLE) || refusal.class != ErrorClass::Invalid || job.is_dry_run {
        return Err(refusal);
    }
    let taken = unless_overtaken(|_| async {
        let Some(live) = read(job, wanted, endpoint).await? else { return Ok(None) };
        match adoption::adopt_with(&wanted.object, &live, ByHand::Goes) {
            Some(patch) => {
                let taken = change(job, wanted, endpoint, &patch).await?;
                Ok(Some((live, taken)))
            }
            None => Ok(None),
        }
    });
    let Some((live, taken)) = taken.await? else { return Err(refusal) };
    match send(job, wanted, endpoint).await {
        Err(error) => {
            if let Err(error) = give_back(job, wanted, endpoint, (&live, &taken)).await {
                tracing::debug!(object = %wanted.object.key(), %error, "fields could not be given back");
            }
            Err(error)
        }
        applied => applied,
    }
}

async fn give_back(
    job: &Job,
    wanted: &Wanted,
    endpoint: &Endpoint,
    (before, taken): (&Object, &Object),
) -> Result<(), CallError> {
    unless_overtaken(|n_tries| async move {
        let now = if n_tries > 1 { read(job, wanted, endpoint).await? } else { Some(taken.clone()) };
        let Some(now) = now.filter(|now| now.uid() == taken.uid()) else { return Ok(()) };
        change(job, wanted, endpoint, &adoption::give_back(before, taken, &now)).await.map(drop)
    })
    .await
}

async fn read(job: &Job, wanted: &Wanted, endpoint: &Endpoint) -> Result<Option<Object>, CallError> {
    let (namespace, name) = (wanted.object.namespace(), wanted.object.name());
    let found = job.cluster.get_at(job.priority(), endpoint, namespace, name).await?;
    Ok(found.and_then(|value| Object::from_value(value).ok()))
}

async fn change(job: &Job, wanted: &Wanted, endpoint: &Endpoint, patch: &Value) -> Result<Object, CallError> {
    if let Some(error) = job.obstacle() {
        return Err(error);
    }
    let place = (wanted.object.namespace(), wanted.object.name());
    job.cluster.json_patch(job.priority(), endpoint, place, patch, names::FIELD_MANAGER).await
}

/// Does something that writes what it read; again at once where somebody wrote in between. It is told which try it is.
async fn unless_overtaken<T, F>(mut attempt: impl FnMut(u32) -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut n_tries = 1;
    loop {
        match attempt(n_tries).await {
            Err(error) if error.class == ErrorClass::Conflict && n_tries < TRIES => n_tries += 1,
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Tries something that fails so often with a class; returns how often it was tried and what came out.
    async fn tried(n_failures: u32, class: ErrorClass) -> (u32, Result<u32, ErrorClass>) {
        let n_tries = Cell::new(0);
        let outcome = unless_overtaken(|_| async {
            n_tries.set(n_tries.get() + 1);
            if n_tries.get() > n_failures { Ok(n_tries.get()) } else { Err(CallError::new(class, "no")) }
        });
        let outcome = outcome.await.map_err(|error| error.class);
        (n_tries.get(), outcome)
    }

    #[tokio::test]
    async fn a_lost_race_is_run_again_and_not_for_ever() {
        assert_eq!(tried(0, ErrorClass::Conflict).await, (1, Ok(1)));
        assert_eq!(tried(2, ErrorClass::Conflict).await, (3, Ok(3)));
        assert_eq!(tried(9, ErrorClass::Conflict).await, (3, Err(ErrorClass::Conflict)));
        assert_eq!(tried(1, ErrorClass::Unavailable).await, (1, Err(ErrorClass::Unavailable)));
    }
}
