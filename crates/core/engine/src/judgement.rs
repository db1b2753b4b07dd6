//! Is a sync that has applied everything over, and how did it end?

use crate::deferral::Next;
use crate::effect::Effect;
use crate::run::{Cause, Run};
use crate::settle::Standing;
use crate::state::{Activity, State};
use crate::verdict::{self, Verdict};
use crate::{rollback, sync};
use model::{App, Reason, Timestamp};

/// Argo CD's sentence for a sync that did everything it should.
const ALL_RUN: &str = "successfully synced (all tasks run)";

/// Judges a settling sync by how the app compares now.
pub(crate) fn judge(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let Activity::Settling(run) = &state.activity else { return };
    let view = state.view_of(run).cloned();
    let Activity::Settling(run) = &mut state.activity else { return };
    let standing = match view {
        Some(comparison) => run.standing(&comparison, app, now),
        None if now < run.deadline(app) => return,
        None => Standing::Held("the cluster could not be compared before the deadline".into()),
    };
    let verdict = match standing {
        Standing::Waits(text) => {
            run.deferral.disturbed();
            run.waits_for = text;
            return;
        }
        Standing::Settled => match run.after_settling(app, now) {
            Next::Waits(text) => {
                run.waits_for = text;
                return;
            }
            Next::Deletes => {
                let run = run.clone();
                sync::go_on(state, run, now, app, out);
                return;
            }
            Next::Over => {
                let run = run.clone();
                let verdict = Verdict::succeeded(&done(state.hold.as_deref(), &run));
                verdict::finish(state, run, verdict, app, now, out);
                return;
            }
        },
        Standing::Condemned(reason, message) => Verdict::failed(reason, message, true),
        Standing::Held(message) => Verdict::failed(Reason::HealthTimeout, message, false),
    };
    let run = run.clone();
    verdict::fail(state, run, verdict, app, now, out);
}

fn done(hold: Option<&rollback::Hold>, run: &Run) -> String {
    let back = hold.filter(|_| run.cause == Cause::Rollback);
    back.map_or(ALL_RUN.into(), |hold| rollback::back_at(&hold.held.at))
}
