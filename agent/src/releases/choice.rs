//! To which release does a person go back who names none, or one that cannot be gone back to?

use crate::keeping::stable;
use model::{AppKey, DesiredHash, Stable};
use release::{Head, Listing, Refusal, Verdict, Why};

/// Returns the release that is meant: the one with the number, or else the newest that settled and holds something else than what
/// runs.
///
/// # Errors
/// A sentence, and whether there is no such release at all.
pub(crate) fn choose(
    app: &AppKey,
    listing: &Listing,
    id: Option<u64>,
    running: Option<DesiredHash>,
) -> Result<Stable, (String, bool)> {
    let Some(id) = id else {
        let is_other = |head: &&Head| Some(head.record.hash) != running;
        let is_stable = |head: &&Head| head.record.verdict == Verdict::Stable && head.has_payload();
        let found = listing.heads.iter().rev().filter(is_stable).find(is_other);
        let none = || {
            format!("Application {app} has no release to go back to that holds something else than what runs")
        };
        // Of the Application, not of something that was named: who may not read it may know.
        return found.map(stable).ok_or_else(|| (none(), false));
    };
    let Some(head) = listing.heads.iter().find(|head| head.record.number == id) else {
        let refused = listing.refused.iter().find(|refused| refused.number == Some(id));
        return Err(match refused {
            Some(refused) => (refused.to_string(), false),
            None => (Refusal::absent(app, id).to_string(), true),
        });
    };
    if head.has_payload() {
        Ok(stable(head))
    } else {
        Err((Refusal { why: Why::NoPayload, ..Refusal::absent(app, id) }.to_string(), false))
    }
}
